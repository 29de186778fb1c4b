"""Nearest neighbour, the construction that everything else should beat."""

import logging
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from instances.routing.instance import RoutingInstance
from instances.routing.rounding import IntArray
from instances.routing.solution import Routes
from solvers.routing.segments import FEATURES, Feasibility, Segment
from solvers.search import Search

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Nearest:
    """Nearest neighbour: drive to the nearest customer that still fits, else begin a new route.

    Every constraint is honoured. It reports one solution, or none when the fleet is used up too early. Distances are
    computed row by row, so that memory stays linear in the number of customers.

    Where there are time windows, "nearest" is Solomon's: 0.4 of the distance, 0.4 of the time from the end of one
    service to the begin of the next, and 0.2 of the time left until the window closes.

    References
    ----------
    M. M. Solomon, Algorithms for the vehicle routing and scheduling problems with time window constraints, 1987.
    """

    problem: ClassVar[str] = "routing"
    honours: ClassVar[frozenset[str]] = FEATURES
    packages: ClassVar[tuple[str, ...]] = ("numpy",)

    def declines(self, instance: RoutingInstance) -> str | None:
        return None

    def prepare(self) -> "Nearest":
        return self

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        rules = Feasibility(instance)
        unvisited = instance.customers
        routes: list[tuple[int, ...]] = []
        while len(unvisited):
            route, unvisited = _route(instance, rules, unvisited, search)
            if not route or len(routes) == instance.num_vehicles:
                _log.warning("%d customers are left over", len(unvisited) + len(route))
                return
            routes.append(route)
        search.report(Routes(tuple(routes)))


def _route(
    instance: RoutingInstance, rules: Feasibility, unvisited: IntArray, search: Search
) -> tuple[tuple[int, ...], IntArray]:
    """One route from nearest to nearest, and who is left; an empty route if nobody fits or the search is over."""
    route: list[int] = []
    last, driven = instance.depot, rules.start
    while len(unvisited) and search.running():
        lengths = instance.lengths(np.array(last), unvisited)
        extended = rules.join(driven, rules.stops.take(unvisited), lengths)
        allowed = rules.allows(rules.join(extended, rules.end, rules.to_end[unvisited]))
        remoteness = _remoteness(instance, driven, extended, unvisited, lengths)
        choice = int(np.argmin(np.where(allowed, remoteness, np.inf)))
        if not np.broadcast_to(allowed, lengths.shape)[choice]:
            break
        last = int(unvisited[choice])
        driven = rules.join(driven, rules.stops.take(last), int(lengths[choice]))
        route.append(last)
        unvisited = np.delete(unvisited, choice)
    return tuple(route), unvisited


def _remoteness(
    instance: RoutingInstance, driven: Segment, extended: Segment, customers: IntArray, lengths: IntArray
) -> npt.NDArray[np.float64]:
    """What the next customer minimises."""
    if instance.time_windows is None:
        return lengths.astype(np.float64)
    free = driven.earliest + driven.duration
    services = 0 if instance.service_times is None else instance.service_times[customers]
    between = extended.earliest + extended.duration - services - free
    urgency = instance.time_windows[customers, 1] - free - lengths
    return np.asarray(0.4 * lengths + 0.4 * between + 0.2 * urgency)
