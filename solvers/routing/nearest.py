"""Nearest neighbour, the construction that everything else should beat."""

import logging
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from instances.routing.instance import RoutingInstance
from instances.routing.rounding import IntArray, Rounding
from instances.routing.solution import Routes
from solvers.routing.segments import FEATURES, Feasibility, Segment
from solvers.search import Search

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Nearest:
    """Nearest neighbour: drive to the nearest customer that still fits, else begin a new route.

    Every constraint is honoured. It reports one solution, or none when the fleet is used up too early.
    Distances are computed row by row, so that memory stays linear in the number of customers.

    Where there are time windows, "nearest" is Solomon's: 0.4 of the distance, 0.4 of the time from the end of
    one service to the begin of the next, and 0.2 of the time left until the window closes.

    References
    ----------
    M. M. Solomon, Algorithms for the vehicle routing and scheduling problems with time window constraints,
    1987.
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
        neighbours = _neighbours(instance)
        waiting = np.arange(instance.num_locations) != instance.depot
        routes: list[tuple[int, ...]] = []
        while waiting.any():
            route = _route(instance, rules, neighbours, waiting, search)
            if not route or len(routes) == instance.num_vehicles:
                _log.warning("%d customers are left over", waiting.sum() + len(route))
                return
            routes.append(route)
        search.report(Routes(tuple(routes)))


def _neighbours(instance: RoutingInstance) -> IntArray | None:
    """The nearest locations of each, shape (N, 40), which in large plane instances are looked at first."""
    plane = instance.matrix is None and instance.rounding is not Rounding.GEO and instance.time_windows is None
    if not plane or instance.num_customers < 2_000:
        return None
    points = instance.coordinates
    nearest = np.asarray(cKDTree(points).query(points, k=40)[1], dtype=np.int64)
    return np.sort(nearest, axis=1)


def _route(
    instance: RoutingInstance,
    rules: Feasibility,
    neighbours: IntArray | None,
    waiting: npt.NDArray[np.bool_],
    search: Search,
) -> tuple[int, ...]:
    """One route among those ``waiting``, who are crossed off; empty if nobody fits or the time is over."""
    route: list[int] = []
    last, driven = instance.depot, rules.start
    while search.running():
        found = None
        if neighbours is not None:
            near = neighbours[last]
            found = _nearest(instance, rules, last, driven, near[waiting[near]])
        if found is None:
            found = _nearest(instance, rules, last, driven, np.flatnonzero(waiting))
        if found is None:
            break
        last, length = found
        driven = rules.join(driven, rules.stops.take(last), length)
        waiting[last] = False
        route.append(last)
    return tuple(route)


def _nearest(
    instance: RoutingInstance, rules: Feasibility, last: int, driven: Segment, customers: IntArray
) -> tuple[int, int] | None:
    """The nearest of ``customers`` that the route can go on to, the first of several, and how far it is."""
    if instance.capacity is not None:
        customers = customers[rules.stops.load[customers] <= instance.capacity - driven.load]
    lengths = instance.lengths(np.array(last), customers)
    extended = rules.join(driven, rules.stops.take(customers), lengths)
    allowed = rules.allows(rules.join(extended, rules.end, rules.to_end[customers]))
    remoteness = np.where(allowed, _remoteness(instance, driven, extended, customers, lengths), np.inf)
    if remoteness.min(initial=np.inf) == np.inf:
        return None
    choice = remoteness.argmin()
    return int(customers[choice]), int(lengths[choice])


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
