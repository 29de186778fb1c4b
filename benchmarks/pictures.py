"""The figures of a comparison as SVG files for the docs; needs chromium.

    .venv/bin/python benchmarks/pictures.py FOLDER OUT [WIDTH]

writes OUT/PROBLEM-FIGURE.svg for what FOLDER, a folder of `versus compare`, holds: mean gap over time, or the share
solved by size and over time where instances are solved or not.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from services.analysis.metrics import solved_or_not
from services.analysis.solved import solved_by_size, solved_over_time
from services.analysis.statistics import gap_over_time
from services.figures.curves import gap_over_time_figure
from services.figures.solved import solved_by_size_figure, solved_over_time_figure
from services.records import Results
from services.store.store import Store

PAGE = """<!DOCTYPE html><meta charset="utf-8"><pre id="svg"></pre><script>{plotly}</script><script>
Plotly.toImage({figure}, {{format: "svg", width: {width}, height: {height}, imageDataOnly: true}})
  .then(svg => {{ document.getElementById("svg").textContent = encodeURIComponent(svg); }});
</script>"""


def figures(results: Results) -> Iterator[tuple[str, go.Figure]]:
    """Figures of one problem by name."""
    labels = list(results.comparison.solvers)
    if solved_or_not(results):
        yield "solved-by-size", solved_by_size_figure(solved_by_size(results), labels)
        yield "solved-over-time", solved_over_time_figure(solved_over_time(results), labels)
    else:
        yield "gap-over-time", gap_over_time_figure(gap_over_time(results), labels)


def svg(figure: go.Figure, width: int) -> str:
    """The figure as a browser draws it, on white."""
    figure.update_layout(paper_bgcolor="white", plot_bgcolor="white", width=width)
    height = int(figure.layout.height or 450)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(PAGE.format(plotly=get_plotlyjs(), figure=figure.to_json(), width=width, height=height))
        command = [
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--virtual-time-budget=10000",
            "--dump-dom",
        ]
        dom = subprocess.run([*command, page.as_uri()], check=True, capture_output=True, text=True).stdout
    return unquote(dom.partition('<pre id="svg">')[2].partition("</pre>")[0])


def main(folder: Path, out: Path, width: int) -> None:
    """Write the figures of the folder's comparison."""
    store = Store.in_folder(folder, write=False)
    for problem, results in store.results(store.comparisons()[0].name).by_problem().items():
        for name, figure in figures(results):
            file = out / f"{problem}-{name}.svg"
            file.write_text(svg(figure, width))
            print(file)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 900)
