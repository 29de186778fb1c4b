"""Who is best, and against whom: the ranking with its intervals, and the matrix of pairs."""

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from services.analysis.summary import Interval, Pair, RankRow
from services.analysis.wording import MEASURE_UNITS, interval_words, number
from services.figures.theme import category_axis, faint, message_figure, new_figure, solver_styles, text

BETTER, WORSE = "#5b8cff", "#ee6600"


def ranking_figure(rows: Sequence[RankRow], solvers: Sequence[str], what: str = "mean gap") -> go.Figure:
    """Mean percent gap of every solver with its 95 % interval, best at the top.

    Parameters
    ----------
    rows
        As ``rank`` returns them.
    solvers
        Labels in the order of the comparison; it fixes the colours.
    what
        What the gap is called: ``unsolved`` where costs only say solved or not.
    """
    styles = solver_styles(solvers)
    figure = new_figure(height=90 + 34 * len(rows))
    for place, row in enumerate(rows):
        style = styles[row.solver]
        figure.add_trace(
            go.Scatter(
                x=[row.gap.value],
                y=[place],
                mode="markers",
                cliponaxis=False,
                marker={"color": style.colour, "symbol": style.symbol, "size": 9},
                error_x={
                    "array": [row.gap.high - row.gap.value],
                    "arrayminus": [row.gap.value - row.gap.low],
                    "color": style.colour,
                    "thickness": 2,
                    "width": 6,
                },
                hovertemplate=(
                    f"{text(row.solver, 120)}<br>{what} {interval_words(row.gap)} %"
                    f"<br>answered {row.num_answered} of {row.num_instances}<extra></extra>"
                ),
            )
        )
    figure.update_layout(showlegend=False)
    figure.update_xaxes(title_text=f"{what} (percent)", rangemode="tozero")
    names = [row.solver for row in rows]
    figure.update_yaxes(range=[len(rows) - 0.5, -0.5], showgrid=False, **category_axis(names))
    return figure


def pair_matrix_figure(pairs: Sequence[Pair], solvers: Sequence[str]) -> go.Figure:
    """Mean difference of every pair in the unit of its measure, row minus column.

    Only claimed differences are coloured: blue where the row's solver is better, orange where it is worse.
    """
    if not pairs:
        return message_figure("No pairs to compare.")
    styles = solver_styles(solvers)
    present = {pair.first for pair in pairs} | {pair.second for pair in pairs}
    names = [label for label in solvers if label in present]
    place = {name: i for i, name in enumerate(names)}
    colour: list[list[float | None]] = [[None] * len(names) for _ in names]
    words = [[""] * len(names) for _ in names]
    hover = [[""] * len(names) for _ in names]
    for pair in pairs:
        if pair.difference is None:
            continue
        i, j = place[pair.first], place[pair.second]
        for row, column, sign in ((i, j, 1), (j, i, -1)):
            low, high = sorted((sign * pair.difference.low, sign * pair.difference.high))
            difference = Interval(sign * pair.difference.value, low, high)
            colour[row][column] = math.copysign(1, difference.value) if pair.claimed else 0
            words[row][column] = number(difference.value, signed=True)
            said = "claimed" if pair.claimed else "not claimed"
            hover[row][column] = (
                f"{styles[names[row]].name} − {styles[names[column]].name}<br>{interval_words(difference)} "
                f"{MEASURE_UNITS[pair.measure]} on {pair.num_instances} instances<br>{said}"
            )
    figure = new_figure(height=110 + 46 * len(names))
    scale = [[0, faint(BETTER, 0.6)], [0.5, "rgba(128,128,128,0.1)"], [1, faint(WORSE, 0.6)]]
    figure.add_trace(
        go.Heatmap(
            z=colour,
            zmin=-1,
            zmax=1,
            colorscale=scale,
            showscale=False,
            text=words,
            texttemplate="%{text}",
            customdata=hover,
            hovertemplate="%{customdata}<extra></extra>",
            hoverongaps=False,
            xgap=2,
            ygap=2,
        )
    )
    figure.update_xaxes(side="top", showgrid=False, **category_axis(names))
    figure.update_yaxes(autorange="reversed", showgrid=False, **category_axis(names))
    return figure
