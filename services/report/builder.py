"""Build the HTML report of a comparison."""

import base64
import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import jinja2
import plotly.graph_objects as go
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from instances.problem import Description
from services.analysis import wording
from services.analysis.overview import Overview, overviews
from services.analysis.sentences import other_problems
from services.analysis.solved import solved_by_size, solved_over_time
from services.analysis.statistics import gap_over_time, leader_by_time, performance_profile
from services.figures.curves import gap_over_time_figure, performance_profile_figure
from services.figures.gaps import family, features, gap_by_size_figure, mean_by_group_figure
from services.figures.maps import DRAWINGS
from services.figures.ranking import pair_matrix_figure, ranking_figure
from services.figures.solved import solved_by_size_figure, solved_over_time_figure
from services.figures.theme import solver_styles
from services.records import Results, Run
from services.report import content

HERE = Path(__file__).parent


def render_report(results: Results, path: Path) -> None:
    """Write a comparison's report: one HTML file that needs nothing beside it, not even a network.

    Names, comments and logs come from strangers: everything is escaped, and the page's own policy lets no
    script run but the report's two, which it knows by hash.

    Parameters
    ----------
    results
        The comparison. Instance documents and solutions are read for the at most twelve maps only.
    path
        Where to write; its folder must exist.
    """
    script = (HERE / "report.js").read_text(encoding="utf-8")
    plotly = get_plotlyjs()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = [
        wording.number,
        wording.interval_bounds,
        wording.managed_words,
        wording.p_words,
        wording.seconds_words,
    ]
    environment.filters.update({filtering.__name__: filtering for filtering in filters})
    environment.filters.update(breakable=_breakable, figure_json=_figure_json)
    page = environment.get_template("report.html.j2").render(
        **_content(results),
        style=Markup((HERE / "report.css").read_text(encoding="utf-8")),
        plotly=Markup(plotly),
        script=Markup(script),
        script_hashes=[_policy_hash(plotly), _policy_hash(script)],
    )
    path.write_text(page, encoding="utf-8", errors="replace")


def _content(results: Results) -> dict[str, object]:
    labels = list(results.comparison.solvers)
    parts = overviews(results)
    figures: dict[str, go.Figure] = {}
    endings = content.endings(results)
    return {
        "results": results,
        "comparison": results.comparison,
        "parts": [
            _part(part, labels, f"{problem}-" if len(parts) > 1 else "", problem, figures)
            for problem, part in parts.items()
        ],
        "figures": figures,
        "closing": other_problems(results),
        "styles": solver_styles(labels),
        "endings": endings,
        "num_runs": sum(ending.num_runs for ending in endings),
        "failures": content.failures(results),
        "versions": content.versions(results),
        "machines": sorted({run.machine for run in results.runs if run.machine}),
        "max_sentences": content.MAX_SENTENCES,
        "max_failures": content.MAX_FAILURES,
        "measure_units": wording.MEASURE_UNITS,
        "made_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _part(
    part: Overview, labels: Sequence[str], prefix: str, problem: str, figures: dict[str, go.Figure]
) -> dict[str, object]:
    """What is shown of one problem; its figures go to ``figures``, their names beginning with ``prefix``."""
    results = part.results
    medians = content.median_costs(results)
    drawn = figures_of(part, medians, labels)
    maps: list[tuple[str, Description, str, Run]] = []
    for run in content.chosen_for_maps(results):
        description = results.instances[run.instance]
        cost = wording.cost_words(run.trace[-1].cost, description)
        maps.append((f"{prefix}map-{len(maps)}", description, cost, run))
    figures.update({f"{prefix}{name}": figure for name, figure in drawn.items()})
    return {
        "problem": problem,
        "prefix": prefix,
        "overview": part,
        "solvers": list(results.comparison.solvers),
        "leads": leader_by_time(results, paired=part.pairs),
        "sizes": [name for name in drawn if name.startswith("size")],
        "maps": maps,
        "instances": content.instance_rows(results, medians),
        "sources": content.reference_sources(results),
    }


def figures_of(part: Overview, medians: content.Medians, labels: Sequence[str]) -> dict[str, go.Figure]:
    """All figures of one problem, by name, its maps among them; ``labels`` are the comparison's, in its order."""
    results = part.results
    drawn = _charts(part, medians, labels) if part.ranking else {}
    for place, run in enumerate(content.chosen_for_maps(results)):
        draw = DRAWINGS[results.instances[run.instance].problem]
        drawn[f"map-{place}"] = draw(results.documents[run.instance], results.solutions[run.key])
    return drawn


def _charts(part: Overview, medians: content.Medians, labels: Sequence[str]) -> dict[str, go.Figure]:
    drawn = _solved_figures(part, labels) if part.solved_or_not else _gap_figures(part, medians, labels)
    if len(part.pairs) > 1:
        drawn["pairs"] = pair_matrix_figure(part.pairs, labels)
    return drawn | _group_figures(part, medians, labels)


def _gap_figures(part: Overview, medians: content.Medians, labels: Sequence[str]) -> dict[str, go.Figure]:
    results = part.results
    figures = {
        "ranking": ranking_figure(part.ranking, labels),
        "time": gap_over_time_figure(gap_over_time(results), labels),
        "profile": performance_profile_figure(performance_profile(results), labels),
    }
    gaps = content.percent_gaps(results, medians)
    for unit in dict.fromkeys(d.size_unit for d in results.instances.values()):
        if len({d.size for d in results.instances.values() if d.size_unit == unit}) > 1:
            name = f"size-{sum(name.startswith('size') for name in figures)}"
            figures[name] = gap_by_size_figure(gaps, results.instances, unit, labels)
    return figures


def _solved_figures(part: Overview, labels: Sequence[str]) -> dict[str, go.Figure]:
    results = part.results
    figures = {
        "ranking": ranking_figure(part.ranking, labels, "unsolved"),
        "time": solved_over_time_figure(solved_over_time(results), labels),
    }
    by_unit = defaultdict(list)
    for row in solved_by_size(results):
        by_unit[row.unit].append(row)
    for place, rows in enumerate(by_unit.values()):
        figures[f"size-{place}"] = solved_by_size_figure(rows, labels)
    return figures


def _group_figures(part: Overview, medians: content.Medians, labels: Sequence[str]) -> dict[str, go.Figure]:
    instances = part.results.instances
    if part.solved_or_not:
        percents, what = content.solved_percents(medians), "solved"
    else:
        percents, what = content.percent_gaps(part.results, medians), "mean gap"
    groups = {
        "family": ("family", {digest: family(d) for digest, d in instances.items()}),
        "features": ("set of features", {digest: features(d) for digest, d in instances.items()}),
    }
    return {
        name: mean_by_group_figure(percents, of, noun, labels, what)
        for name, (noun, of) in groups.items()
        if len(set(of.values())) > 1
    }


def _figure_json(figure: go.Figure) -> Markup:
    """The figure as JSON that cannot end the script element that holds it."""
    return Markup(figure.to_json().replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _breakable(label: str) -> Markup:
    """A label that may break after its punctuation."""
    return Markup(re.sub("([:,=])", r"\1<wbr>", str(escape(label))))


def _policy_hash(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"'sha256-{digest}'"
