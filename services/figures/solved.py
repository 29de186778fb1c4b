"""Instances that are solved or not: the share solved by size, and over time."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

import plotly.graph_objects as go

from services.analysis.summary import Interval, SolvedBySize, SolvedCurve
from services.analysis.wording import interval_words, number, seconds_words, size_words
from services.figures.theme import describe, faint, log_ticks, new_figure, solver_styles, text

SPREAD = 0.5
"""Part of the way to the next size over which the solvers' intervals are spread, so that they lie side by side."""
DECADES = 3
"""Decades before the budget that the time axis shows at least."""
TOLD_PARTS = (100, 10, 1)
"""Parts of the budget after which a curve's text alternative tells its share."""


def solved_by_size_figure(rows: Sequence[SolvedBySize], solvers: Sequence[str]) -> go.Figure:
    """Percent of the instances solved at each size with Wilson's 95 % interval, a line per solver.

    Parameters
    ----------
    rows
        As ``solved_by_size`` returns them, of one unit.
    solvers
        Labels in the order of the comparison; it fixes the colours.
    """
    styles = solver_styles(solvers)
    figure = new_figure(height=420)
    middles = sorted({(shares.low + shares.high) / 2 for row in rows for shares in row.classes})
    step = SPREAD * min((after - before for before, after in pairwise(middles)), default=1.0) / max(1, len(rows))
    for place, row in enumerate(rows):
        style = styles[row.solver]
        percents = [_percent(shares.share) for shares in row.classes]
        aside = (place - (len(rows) - 1) / 2) * step
        figure.add_trace(
            go.Scatter(
                x=[(shares.low + shares.high) / 2 + aside for shares in row.classes],
                y=[percent.value for percent in percents],
                customdata=[
                    f"{size_words(shares.low, shares.high)} {text(row.unit)}<br>solved {shares.num_solved} of "
                    f"{shares.num_instances}: {interval_words(percent, 0)} %"
                    for shares, percent in zip(row.classes, percents, strict=True)
                ],
                name=style.name,
                mode="lines+markers",
                cliponaxis=False,
                line={"color": style.colour, "dash": style.dash, "width": 1.6},
                marker={"color": style.colour, "symbol": style.symbol, "size": 7},
                error_y={
                    "array": [percent.high - percent.value for percent in percents],
                    "arrayminus": [percent.value - percent.low for percent in percents],
                    "color": faint(style.colour, 0.55),
                    "thickness": 1.2,
                    "width": 2,
                },
                hovertemplate=f"{style.name}<br>%{{customdata}}<extra></extra>",
            )
        )
    words = []
    for row in rows:
        ends = [
            f"{number(100 * shares.share.value, 0)} % at {size_words(shares.low, shares.high)}"
            for shares in row.classes
        ]
        words.append(f"{styles[row.solver].plain} {' to '.join(dict.fromkeys([*ends[:1], *ends[-1:]]))}")
    describe(figure, "Solved at the smallest and the largest size", words)
    unit = rows[0].unit if rows else "size"
    figure.update_xaxes(title_text=f"instance size ({text(unit)})", zeroline=False)
    figure.update_yaxes(title_text="solved (percent)", range=[-2, 102])
    return figure


def solved_over_time_figure(curves: Sequence[SolvedCurve], solvers: Sequence[str]) -> go.Figure:
    """Percent of the instances solved by each second in a band of its 95 % interval, on a log axis of time.

    Parameters
    ----------
    curves
        As ``solved_over_time`` returns them.
    solvers
        Labels in the order of the comparison; it fixes the colours.
    """
    styles = solver_styles(solvers)
    figure = new_figure(height=420)
    budget = max((curve.seconds[-1] for curve in curves), default=1.0)
    arrivals = [seconds for curve in curves for seconds in curve.seconds if seconds > 0]
    begin = min([budget / 10**DECADES, *(seconds / 1.5 for seconds in arrivals)])
    for curve in curves:
        style = styles[curve.solver]
        x = [max(seconds, begin) for seconds in curve.seconds]
        percents = [_percent(share) for share in curve.share]
        edge = {"legendgroup": style.name, "showlegend": False, "hoverinfo": "skip", "mode": "lines"}
        none = {"width": 0, "shape": "hv"}
        figure.add_trace(go.Scatter(x=x, y=[percent.low for percent in percents], line=none, **edge))
        figure.add_trace(
            go.Scatter(
                x=x,
                y=[percent.high for percent in percents],
                line=none,
                fill="tonexty",
                fillcolor=faint(style.colour, 0.1),
                **edge,
            )
        )
        figure.add_trace(
            go.Scatter(
                x=x,
                y=[percent.value for percent in percents],
                text=[interval_words(percent, 1) for percent in percents],
                name=style.name,
                legendgroup=style.name,
                mode="lines+markers",
                marker=style.few_markers,
                line={"color": style.colour, "dash": style.dash, "width": 2.2, "shape": "hv"},
                hovertemplate=f"{style.name}<br>by %{{x:.3g}} s: %{{text}} % of {curve.num_instances}<extra></extra>",
            )
        )
    times = [budget / part for part in TOLD_PARTS]
    words = []
    for curve in curves:
        shares = (curve.share[bisect_right(curve.seconds, seconds) - 1].value for seconds in times)
        words.append(f"{styles[curve.solver].plain} {', '.join(number(100 * share, 0) for share in shares)} %")
    describe(figure, f"Solved after {', '.join(map(seconds_words, times))} s", words)
    figure.update_xaxes(title_text="time after the start (seconds, log scale)", **log_ticks())
    figure.update_yaxes(title_text="solved (percent)", range=[0, 102])
    return figure


def _percent(share: Interval) -> Interval:
    return Interval(100 * share.value, 100 * share.low, 100 * share.high)
