"""Where a solver is good: gaps by instance size and by family or feature."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import plotly.graph_objects as go

from instances.problem import Description
from services.analysis.solved import size_classes
from services.analysis.wording import number
from services.figures.theme import (
    category_axis,
    describe,
    faint,
    log_ticks,
    message_figure,
    new_figure,
    solver_styles,
    text,
)

Gaps = Mapping[str, Mapping[str, float]]
"""Percent gap by solver label and instance digest; an instance that a solver did not answer is left out."""
MAX_DOTS = 1_500
MAX_SIZE_CLASSES = 8
MAX_GROUPS = 12
OTHERS = "others"


def family(description: Description) -> str:
    """The family an instance belongs to: its ``family`` property, else the letters its name begins with."""
    named = description.properties.get("family")
    if named:
        return str(named)
    letters = re.match(r"[A-Za-z]+", description.name)
    return letters.group() if letters else "other"


def features(description: Description) -> str:
    """The instance's features in one phrase."""
    return ", ".join(description.features) or "none"


def gap_by_size_figure(
    gaps: Gaps, instances: Mapping[str, Description], unit: str, solvers: Iterable[str]
) -> go.Figure:
    """Mean percent gap of the answered instances by size class, a line per solver.

    Only instances whose size is in ``unit`` are drawn; ``solvers``, the labels in the order of the comparison,
    fix the colours. Classes are the sizes themselves where there are at most eight, else eight classes of about
    equal count. The single instances are dots behind the lines, unless there are more than 1,500 of them.
    """
    sizes = {digest: known.size for digest, known in instances.items() if known.size_unit == unit}
    classes = size_classes(list(sizes.values()), MAX_SIZE_CLASSES)
    if len(set(sizes.values())) < 2:
        return message_figure("All instances have the same size.")
    styles = solver_styles(solvers)
    gaps = {solver: {d: gap for d, gap in of_solver.items() if d in sizes} for solver, of_solver in gaps.items()}
    figure = new_figure()
    dots = sum(len(of_solver) for of_solver in gaps.values()) <= MAX_DOTS
    words = []
    for solver, of_solver in gaps.items():
        style = styles[solver]
        if dots:
            figure.add_trace(
                go.Scatter(
                    x=[sizes[digest] for digest in of_solver],
                    y=list(of_solver.values()),
                    text=[text(instances[digest].name) for digest in of_solver],
                    mode="markers",
                    marker={"color": faint(style.colour, 0.35), "symbol": style.symbol, "size": 5},
                    legendgroup=style.name,
                    showlegend=False,
                    hovertemplate=f"{style.name}<br>%{{text}} (%{{x}})<br>gap %{{y:.2f}} %<extra></extra>",
                )
            )
        points = []
        for low, high in classes:
            inside = [(sizes[d], gap) for d, gap in of_solver.items() if low <= sizes[d] <= high]
            if inside:
                points.append((*np.mean(inside, axis=0), len(inside)))
        figure.add_trace(
            go.Scatter(
                x=[x for x, _, _ in points],
                y=[y for _, y, _ in points],
                customdata=[count for *_, count in points],
                name=style.name,
                legendgroup=style.name,
                mode="lines+markers",
                cliponaxis=False,
                line={"color": style.colour, "dash": style.dash, "width": 2},
                marker={"color": style.colour, "symbol": style.symbol, "size": 8},
                hovertemplate=(
                    f"{style.name}<br>size %{{x:.0f}}<br>mean %{{y:.2f}} % of %{{customdata}}<extra></extra>"
                ),
            )
        )
        ends = dict.fromkeys(f"{number(y)} % at {x:.0f}" for x, y, _ in [*points[:1], *points[-1:]])
        words.append(f"{style.plain} {' to '.join(ends) or 'answered none'}")
    describe(figure, f"Mean gap at the smallest and the largest size ({unit})", words)
    figure.update_xaxes(title_text=f"instance size ({text(unit)}, log scale)", **log_ticks())
    figure.update_yaxes(title_text="gap (percent)", rangemode="tozero")
    return figure


def mean_by_group_figure(
    percents: Gaps, groups: Mapping[str, str], noun: str, solvers: Iterable[str], what: str = "mean gap"
) -> go.Figure:
    """Mean of a percentage over the instances of each group, a dot per solver.

    Parameters
    ----------
    percents
        A percentage by solver label and instance digest, the gap say.
    groups
        The group of every instance digest. The twelve largest are shown, the others together.
    noun
        What a group is: ``family``, ``set of features``.
    solvers
        Labels in the order of the comparison; it fixes the colours.
    what
        What the mean is, for the axis: ``mean gap``, ``solved``.
    """
    largest = [group for group, _ in Counter(groups.values()).most_common(MAX_GROUPS)]
    merged = {digest: group if group in largest else OTHERS for digest, group in groups.items()}
    counts = Counter(merged.values())
    if len(counts) < 2:
        return message_figure(f"All instances have one {noun}: {next(iter(counts), 'none')}.")
    shown = [group for group, _ in counts.most_common() if group != OTHERS] + [OTHERS] * (OTHERS in counts)
    place = {group: i for i, group in enumerate(shown)}
    styles = solver_styles(solvers)
    figure = new_figure(height=110 + 30 * len(shown))
    means: list[list[tuple[float, str]]] = [[] for _ in shown]
    for solver, of_solver in percents.items():
        style = styles[solver]
        inside: list[list[float]] = [[] for _ in shown]
        for digest, percent in of_solver.items():
            inside[place[merged[digest]]].append(percent)
        filled = {i: float(np.mean(values)) for i, values in enumerate(inside) if values}
        for i, mean in filled.items():
            means[i].append((mean, style.plain))
        figure.add_trace(
            go.Scatter(
                x=list(filled.values()),
                y=list(filled),
                customdata=[len(inside[i]) for i in filled],
                name=style.name,
                mode="markers",
                cliponaxis=False,
                marker={"color": style.colour, "symbol": style.symbol, "size": 10},
                hovertemplate=f"{style.name}<br>{what} %{{x:.2f}} % of %{{customdata}}<extra></extra>",
            )
        )
    words = []
    for group, of_group in zip(shown, map(sorted, means), strict=True):
        ends = dict.fromkeys(f"{number(value)} % ({name})" for value, name in [*of_group[:1], *of_group[-1:]])
        words.append(f"{group} ({counts[group]}) {' to '.join(ends) or 'answered by none'}")
    describe(figure, f"{what.capitalize()} from the lowest to the highest, by {noun}", words)
    figure.update_xaxes(title_text=f"{what} (percent)", rangemode="tozero")
    names = [f"{group} ({counts[group]})" for group in shown]
    figure.update_yaxes(range=[len(shown) - 0.5, -0.5], **category_axis(names))
    return figure
