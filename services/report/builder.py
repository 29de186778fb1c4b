"""Build the HTML report of a comparison."""

import base64
import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path

import jinja2
import plotly.graph_objects as go
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from instances.problem import Description
from services import wording
from services.analysis.sentences import sentences
from services.analysis.statistics import gap_over_time, leader_by_time, pairs, performance_profile, rank
from services.figures.curves import gap_over_time_figure, performance_profile_figure
from services.figures.gaps import family, features, gap_by_group_figure, gap_by_size_figure
from services.figures.maps import solution_map
from services.figures.ranking import pair_matrix_figure, ranking_figure
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
    filters = [wording.number, wording.interval_bounds, wording.p_words, wording.seconds_words]
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
    rows, paired = rank(results), pairs(results)
    medians = content.median_costs(results)
    gaps = content.percent_gaps(results, medians)
    families = {digest: family(d) for digest, d in results.instances.items()}
    used = {digest: features(d) for digest, d in results.instances.items()}
    figures = {
        "ranking": ranking_figure(rows, labels),
        "time": gap_over_time_figure(gap_over_time(results), labels),
        "profile": performance_profile_figure(performance_profile(results), labels),
        "pairs": pair_matrix_figure(paired, labels),
    }
    if len({d.size for d in results.instances.values()}) > 1:
        figures["size"] = gap_by_size_figure(gaps, results.instances)
    if len(set(families.values())) > 1:
        figures["family"] = gap_by_group_figure(gaps, families, "family")
    if len(set(used.values())) > 1:
        figures["features"] = gap_by_group_figure(gaps, used, "set of features")
    maps: list[tuple[str, Description, str, Run]] = []
    for run in content.chosen_for_maps(results):
        solution = run.trace[-1].solution or results.solutions[run.key]
        figure_id = f"map-{len(maps)}"
        figures[figure_id] = solution_map(results.documents[run.instance], solution)
        description = results.instances[run.instance]
        maps.append((figure_id, description, wording.cost_words(run.trace[-1].cost, description), run))
    return {
        "results": results,
        "comparison": results.comparison,
        "words": sentences(results, rows, paired),
        "rows": rows,
        "pairs": paired,
        "leads": leader_by_time(results),
        "styles": solver_styles(labels),
        "figures": figures,
        "maps": maps,
        "instances": content.instance_rows(results, medians),
        "sources": content.reference_sources(results),
        "endings": content.endings(results),
        "failures": content.failures(results),
        "versions": content.versions(results),
        "machines": sorted({run.machine for run in results.runs if run.machine}),
        "max_sentences": content.MAX_SENTENCES,
        "max_failures": content.MAX_FAILURES,
        "made_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
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
