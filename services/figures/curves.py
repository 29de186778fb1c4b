"""Curves over the whole comparison: gap over time and the performance profile."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence

import plotly.graph_objects as go

from services.analysis.metrics import GAP_CAP
from services.analysis.summary import GapCurve, Profile
from services.analysis.wording import interval_words, number, seconds_words
from services.figures.theme import describe, faint, log_ticks, new_figure, solver_styles

GAP_FLOOR = 0.01
"""Smallest percent gap on the log axis; what is at or below it is drawn on it."""
TOLD_TIMES = 4
"""Times at which a curve's text alternative tells its value, the first and the last among them."""
TOLD_EXCESS = (0, 1, 5, 10)
"""Percent above the best at which a profile's text alternative tells its share."""


def gap_over_time_figure(curves: Sequence[GapCurve], solvers: Iterable[str]) -> go.Figure:
    """Mean percent gap at each second, a line per solver in a band of its 95 % interval, on log axes.

    Parameters
    ----------
    curves
        Curves as ``gap_over_time`` returns them; what is at or below 0.01 % is drawn at 0.01 %.
    solvers
        Labels in the order of the comparison; it fixes the colours.
    """
    figure = new_figure(height=420)
    styles = solver_styles(solvers)
    for curve in curves:
        style = styles[curve.solver]
        # Where there is no interval (nan) the band closes on the line.
        low = [_drawn(point.low, point.value) for point in curve.gap]
        high = [_drawn(point.high, point.value) for point in curve.gap]
        edge = {"legendgroup": style.name, "showlegend": False, "hoverinfo": "skip", "mode": "lines"}
        none = {"width": 0, "shape": "hv"}
        band = faint(style.colour, 0.16)
        figure.add_trace(go.Scatter(x=curve.seconds, y=low, line=none, **edge))
        figure.add_trace(go.Scatter(x=curve.seconds, y=high, line=none, fill="tonexty", fillcolor=band, **edge))
        figure.add_trace(
            go.Scatter(
                x=curve.seconds,
                y=[_drawn(point.value) for point in curve.gap],
                text=[interval_words(point) for point in curve.gap],
                name=style.name,
                legendgroup=style.name,
                mode="lines+markers",
                marker=style.few_markers,
                line={"color": style.colour, "dash": style.dash, "width": 2.2, "shape": "hv"},
                hovertemplate=f"{style.name}<br>after %{{x:.3g}} s: gap %{{text}} %<extra></extra>",
            )
        )
    if curves:
        last = len(curves[0].seconds) - 1
        told = sorted({round(last * part / (TOLD_TIMES - 1)) for part in range(TOLD_TIMES)})
        after = ", ".join(seconds_words(curves[0].seconds[place]) for place in told)
        gaps = (", ".join(number(curve.gap[place].value) for place in told) for curve in curves)
        words = [f"{styles[curve.solver].plain} {values} %" for curve, values in zip(curves, gaps, strict=True)]
        describe(figure, f"Mean gap after {after} s", words)
    figure.update_xaxes(title_text="time after the start (seconds, log scale)", **log_ticks())
    figure.update_yaxes(title_text="mean gap (percent, log scale)", **log_ticks())
    return figure


def performance_profile_figure(profiles: Sequence[Profile], solvers: Iterable[str]) -> go.Figure:
    """Share of instances on which a solver's cost is within a percentage of the best solver's.

    Parameters
    ----------
    profiles
        Profiles as ``performance_profile`` returns them.
    solvers
        Labels in the order of the comparison; it fixes the colours.

    References
    ----------
    Dolan, E. D. and More, J. J. (2002). Benchmarking optimization software with performance profiles.
    Mathematical Programming 91, 201-213.
    """
    figure = new_figure(height=400)
    styles = solver_styles(solvers)
    furthest = max((ratio for profile in profiles for ratio in profile.ratios), default=1.0)
    words = []
    for profile in profiles:
        style = styles[profile.solver]
        ratios, fractions = (*profile.ratios, furthest), (*profile.fractions, *profile.fractions[-1:])
        places = (bisect_right(profile.ratios, 1 + excess / 100) - 1 for excess in TOLD_EXCESS)
        words.append(f"{style.plain} {', '.join(number(100 * fractions[place], 0) for place in places)} %")
        figure.add_trace(
            go.Scatter(
                x=[100 * (ratio - 1) for ratio in ratios],
                y=[100 * fraction for fraction in fractions],
                name=style.name,
                mode="lines+markers",
                marker=style.few_markers,
                line={"color": style.colour, "dash": style.dash, "width": 2.2, "shape": "hv"},
                hovertemplate=f"{style.name}<br>%{{y:.0f}} % within %{{x:.2f}} %<extra></extra>",
            )
        )
    describe(figure, f"Instances within {', '.join(map(str, TOLD_EXCESS))} % of the best solver", words)
    figure.update_xaxes(title_text="excess over the best solver (percent)", rangemode="tozero")
    figure.update_yaxes(title_text="instances (percent)", range=[0, 103])
    return figure


def _drawn(gap: float, otherwise: float = GAP_CAP) -> float:
    return max(GAP_FLOOR, otherwise if math.isnan(gap) else gap)
