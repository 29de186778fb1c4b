"""Drawings of solutions: the map of a routing instance with the routes of a solution."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import plotly.graph_objects as go

from services.figures.theme import INK, PALETTE, message_figure, new_figure, text

Point = tuple[float, float]


def solution_map(document: dict[str, Any], solution: Sequence[Sequence[int]] | None) -> go.Figure:
    """Draw a routing instance's locations and a solution's routes, a colour a route.

    Routes are coloured in the order of their angle around the depot, so that neighbours differ; beyond eight
    routes colours come again. The way from and to the depot is dotted where there are several routes.

    Parameters
    ----------
    document
        The instance's JSON document.
    solution
        The solution's JSON document, a list of routes; None draws the locations alone.

    Returns
    -------
    Figure
        With equal scales on both axes; words instead of a map if the instance has no coordinates.
    """
    points = locations(document)
    if points is None:
        return message_figure("This instance is a distance matrix without coordinates: there is no map to draw.")
    depot = int(document.get("depot", 0))
    routes = [list(route) for route in solution or () if route]
    figure = new_figure(height=300)
    returns = not document.get("open_routes", False)
    if len(routes) > 1:
        figure.add_trace(_depot_legs(points, depot, routes, returns))
    else:
        routes = [[depot, *route, *([depot] if returns else [])] for route in routes]
    for trace in _route_traces(points, depot, routes):
        figure.add_trace(trace)
    if not routes:
        customers = [point for i, point in enumerate(points) if i != depot]
        figure.add_trace(_dots(customers, {"size": 5, "color": INK}, "customer"))
    square = {"size": 12, "symbol": "square", "color": INK, "line": {"width": 2, "color": "white"}}
    figure.add_trace(_dots([points[depot]], square, "depot"))
    figure.update_layout(showlegend=False, margin={"l": 4, "r": 4, "t": 4, "b": 4})
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, scaleanchor="x", scaleratio=1)
    return figure


def locations(document: dict[str, Any]) -> list[Point] | None:
    """Coordinates as (x, y) in display units; GEO rows hold latitude first."""
    coordinates = document.get("coordinates")
    if not coordinates:
        return None
    unit = 10 ** int(document.get("coordinate_decimals", 0))
    if str(document.get("rounding")) == "geo":
        return [(y / unit, x / unit) for x, y in coordinates]
    return [(x / unit, y / unit) for x, y in coordinates]


def _route_traces(points: list[Point], depot: int, routes: list[list[int]]) -> list[go.Scatter]:
    """One trace per colour, its routes parted by gaps: few traces keep a page with many maps quick."""
    order = sorted(range(len(routes)), key=lambda r: _angle(points, depot, routes[r]))
    lines: list[tuple[list[float | None], list[float | None], list[str]]] = [([], [], []) for _ in PALETTE]
    for place, route in enumerate(order):
        xs, ys, words = lines[place % len(PALETTE)]
        xs += [*(points[i][0] for i in routes[route]), None]
        ys += [*(points[i][1] for i in routes[route]), None]
        words += [*(f"location {i}, route {route + 1}" for i in routes[route]), ""]
    return [
        go.Scatter(
            x=xs,
            y=ys,
            text=words,
            mode="lines+markers",
            hoverinfo="text",
            line={"color": colour, "width": 1.6},
            marker={"color": colour, "size": 4 if len(points) <= 300 else 3},
        )
        for (xs, ys, words), colour in zip(lines, PALETTE, strict=True)
        if xs
    ]


def _depot_legs(points: list[Point], depot: int, routes: list[list[int]], returns: bool) -> go.Scatter:
    xs: list[float | None] = []
    ys: list[float | None] = []
    for route in routes:
        for end in (route[0], route[-1]) if returns else (route[0],):
            xs += [points[depot][0], points[end][0], None]
            ys += [points[depot][1], points[end][1], None]
    line = {"color": INK, "width": 1, "dash": "dot"}
    return go.Scatter(x=xs, y=ys, mode="lines", line=line, hoverinfo="skip")


def _dots(points: list[Point], marker: dict[str, Any], word: str) -> go.Scatter:
    return go.Scatter(
        x=[x for x, _ in points],
        y=[y for _, y in points],
        mode="markers",
        marker=marker,
        text=text(word),
        hoverinfo="text",
    )


def _angle(points: list[Point], depot: int, route: list[int]) -> float:
    x = sum(points[i][0] for i in route) / len(route) - points[depot][0]
    y = sum(points[i][1] for i in route) / len(route) - points[depot][1]
    return math.atan2(y, x)


DRAWINGS: dict[str, Callable[[dict[str, Any], Any], go.Figure]] = {"routing": solution_map}
"""How the solutions of a problem are drawn, from the documents of instance and solution; others are not."""
