"""A solution of a routing instance: which vehicle visits whom, in which order."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Routes:
    """Routes as location indices, without the depot and without a cost.

    A TSP tour is one route: the cities in order, starting after the depot.
    """

    routes: tuple[tuple[int, ...], ...]
