"""The look all figures share: one template, and one colour and symbol per solver."""

import html
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

PALETTE = ("#5b8cff", "#ee6600", "#138058", "#cc66cc", "#8f48c4", "#bb8855", "#d2103a", "#6b7a8f")
"""Contrast of at least 3 to white and to near-black, and apart under simulated colour blindness."""
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "triangle-down", "star")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
INK = "#767b82"
"""Text that is legible on white and on near-black; a page may override it by CSS."""
GRID = "rgba(128,128,128,0.22)"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
LABEL_LENGTH = 36
FEW_MARKERS = 9
MAX_TOLD = 12
"""Solvers, or groups of instances, that a figure's text alternative tells of."""


@dataclass(frozen=True)
class SolverStyle:
    """How a solver is drawn in every figure of a comparison; ``name`` is its label, escaped and shortened."""

    name: str
    colour: str
    symbol: str
    dash: str

    @property
    def plain(self) -> str:
        """The name outside of Plotly, which alone reads entities."""
        return html.unescape(self.name)

    @property
    def few_markers(self) -> dict[str, Any]:
        """A line's markers, at a few of its points: with them and its dashes it is told apart without its colour."""
        return {"color": self.colour, "symbol": self.symbol, "size": 8, "maxdisplayed": FEW_MARKERS}


def solver_styles(labels: Iterable[str]) -> dict[str, SolverStyle]:
    """A style per solver label, fixed by its place: the first six differ in colour, symbol and dashes alike.

    Labels that are alike when shortened are numbered, so that names stay distinct.
    """
    styles: dict[str, SolverStyle] = {}
    names: set[str] = set()
    for place, label in enumerate(labels):
        name = text(label)
        if name in names:
            name = f"{text(label, LABEL_LENGTH - 5)} ({place + 1})"
        names.add(name)
        styles[label] = SolverStyle(
            name=name,
            colour=PALETTE[place % len(PALETTE)],
            symbol=SYMBOLS[place % len(SYMBOLS)],
            dash=DASHES[place % len(DASHES)],
        )
    return styles


def text(value: str, length: int = LABEL_LENGTH) -> str:
    """``value`` on one line, cut in its middle to ``length`` characters, tags and entities made harmless."""
    return html.escape(_cut(value, length), quote=False)


def tick_text(value: str) -> str:
    """``value`` on two or three short lines, so that an axis leaves room for its figure on a phone."""
    width = LABEL_LENGTH // 2 + 2
    lines = [""]
    for piece in re.findall(r"[^:,= ]*[:,= ]?", _cut(value, LABEL_LENGTH)):
        if len(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    parts = [part for line in lines for part in textwrap.wrap(line, width)]
    return "<br>".join(html.escape(part, quote=False) for part in parts)


def _cut(value: str, length: int) -> str:
    line = " ".join(value.split())
    return line if len(line) <= length else f"{line[: length - length // 2 - 1]}…{line[-(length // 2) :]}"


def log_ticks() -> dict[str, Any]:
    """A log axis with ticks at 1, 2 and 5 times the powers of ten."""
    ticks = [float(f"{digit}e{power}") for power in range(-5, 8) for digit in (1, 2, 5)]
    words = [f"{tick:,.0f}".replace(",", "\u202f") if tick >= 1 else f"{tick:.5f}".rstrip("0") for tick in ticks]
    return {"type": "log", "tickvals": ticks, "ticktext": words}


def faint(colour: str, alpha: float) -> str:
    """A ``#rrggbb`` colour with an opacity in [0, 1]."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"


def category_axis(names: Sequence[str]) -> dict[str, Any]:
    """An axis with a name at 0, 1, 2, ..., clear of dots at zero."""
    return {
        "tickvals": list(range(len(names))),
        "ticktext": [tick_text(name) for name in names],
        "ticklabelstandoff": 8,
        "ticks": "",
        "zeroline": False,
    }


def new_figure(*, height: int = 380) -> go.Figure:
    """An empty figure in the shared look; ``height`` in pixels, the width is the page's."""
    return go.Figure(layout={"template": _template(), "height": height})


def describe(figure: go.Figure, what: str, told: Sequence[str]) -> None:
    """Give a figure its text alternative, ``layout.meta.alt``: what it shows, and the main numbers of each part."""
    more = f"; and {len(told) - MAX_TOLD} more" if len(told) > MAX_TOLD else ""
    figure.update_layout(meta={"alt": f"{what}: {'; '.join(told[:MAX_TOLD]) or 'nothing'}{more}."})


def message_figure(words: str) -> go.Figure:
    """A figure that says why there is nothing to draw."""
    figure = new_figure(height=160)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.add_annotation(
        text=text(words, 200), showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper", font={"size": 14}
    )
    figure.update_layout(meta={"alt": words})
    return figure


def _template() -> go.layout.Template:
    axis = {
        "gridcolor": GRID,
        "linecolor": GRID,
        "tickcolor": GRID,
        "zerolinecolor": "rgba(128,128,128,0.5)",
        "zerolinewidth": 1,
        "ticks": "outside",
        "ticklen": 4,
        "automargin": True,
        "title": {"standoff": 10, "font": {"size": 13}},
    }
    layout = {
        "font": {"family": FONT, "size": 12, "color": INK},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "colorway": list(PALETTE),
        "margin": {"l": 8, "r": 16, "t": 8, "b": 8},
        "xaxis": axis,
        "yaxis": axis,
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "xanchor": "left", "x": 0},
        "hoverlabel": {"font": {"family": FONT, "size": 12}, "align": "left"},
        "hovermode": "closest",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": INK, "activecolor": INK},
    }
    return go.layout.Template(layout=layout)
