"""Savings (Clarke and Wright 1964), the parallel version."""

import logging
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from instances.routing.instance import RoutingInstance
from instances.routing.rounding import IntArray
from instances.routing.solution import Routes
from solvers.routing.segments import FEATURES, Feasibility, Segment
from solvers.search import Search

MAX_CUSTOMERS = 5_000
_BLOCK = 4_096

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Savings:
    """Clarke and Wright's savings, parallel: join the two routes whose joining saves most, while any does.

    Every constraint is honoured. It reports one solution, or none when it cannot come down to the size of the
    fleet, for which it also joins at a loss. Routes are reversed to join them, unless direction matters:
    with time windows, in open routes and on asymmetric distances.

    References
    ----------
    G. Clarke and J. W. Wright, Scheduling of vehicles from a central depot to a number of delivery points,
    1964.
    H. Paessens, The savings algorithm for the vehicle routing problem, 1988 (the shape).
    """

    shape: float = field(
        default=1.0,
        metadata={"help": "weight of the new arc in a saving, above 0 up to 10; 1 is the original"},
    )

    problem: ClassVar[str] = "routing"
    honours: ClassVar[frozenset[str]] = FEATURES
    packages: ClassVar[tuple[str, ...]] = ("numpy",)

    def __post_init__(self) -> None:
        if not 0 < self.shape <= 10:
            raise ValueError(f"shape is {self.shape}; accepted are values above 0 up to 10")

    def declines(self, instance: RoutingInstance) -> str | None:
        if instance.num_customers > MAX_CUSTOMERS:
            return f"weighs all pairs of customers and takes at most {MAX_CUSTOMERS} of them"
        return None

    def prepare(self) -> "Savings":
        return self

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        partial = _PartialSolution(instance)
        if not partial.feasible:
            _log.warning("a customer cannot be served even by a vehicle of its own")
            return
        tails, heads, savings = _pairs(instance, partial, self.shape)
        fleet = instance.num_customers if instance.num_vehicles is None else instance.num_vehicles
        for begin in range(0, len(savings), _BLOCK):
            if not search.running():
                return
            block = slice(begin, begin + _BLOCK)
            for k in begin + np.flatnonzero(partial.joinable(tails[block], heads[block])):
                if savings[k] <= 0 and len(partial.routes) <= fleet:
                    break
                if partial.joinable(tails[k], heads[k]):
                    partial.join(int(tails[k]), int(heads[k]))
        if len(partial.routes) > fleet:
            _log.warning("%d routes are needed for a fleet of %d", len(partial.routes), fleet)
            return
        search.report(Routes(tuple(tuple(route) for route in partial.routes.values())))


class _PartialSolution:
    """Routes that cover all customers, one each at first; a route's name is one of its customers."""

    def __init__(self, instance: RoutingInstance) -> None:
        self.instance = instance
        self.rules = Feasibility(instance)
        self.directed = instance.time_windows is not None or instance.open_routes or "asymmetric" in instance.features
        self.routes = {customer: [customer] for customer in instance.customers.tolist()}
        self.route_of, self.first, self.last = np.tile(np.arange(instance.num_locations), (3, 1))
        self.segments = Segment(*(field.copy() for field in self.rules.stops))
        alone = self.rules.route(self.segments, self.first, self.last)
        self.feasible = bool(np.all(self.rules.allows(alone)))

    def joinable(self, tails: IntArray, heads: IntArray) -> Any:
        """Whether each tail's route can be followed by each head's: a bool array, or a bool."""
        before, after = self.route_of[tails], self.route_of[heads]
        begin, end = self.first[before], self.last[after]
        ends_meet = (self.last[before] == tails) & (self.first[after] == heads)
        if not self.directed:
            begin = np.where(self.last[before] == tails, begin, self.last[before])
            end = np.where(self.first[after] == heads, end, self.first[after])
            ends_meet = ((self.last[before] == tails) | (self.first[before] == tails)) & (
                (self.first[after] == heads) | (self.last[after] == heads)
            )
        joined = self._joined(before, after, tails, heads)
        return (before != after) & ends_meet & self.rules.allows(self.rules.route(joined, begin, end))

    def join(self, tail: int, head: int) -> None:
        before, after = int(self.route_of[tail]), int(self.route_of[head])
        joined = self._joined(before, after, tail, head)
        for values, value in zip(self.segments, joined, strict=True):
            values[before] = value
        route, rest = self.routes[before], self.routes.pop(after)
        if route[-1] != tail:
            route.reverse()
        if rest[0] != head:
            rest.reverse()
        route += rest
        self.route_of[rest] = before
        self.first[before], self.last[before] = route[0], route[-1]

    def _joined(self, before: Any, after: Any, tails: Any, heads: Any) -> Segment:
        lengths = self.instance.distances[tails, heads]
        return self.rules.join(self.segments.take(before), self.segments.take(after), lengths)


def _pairs(
    instance: RoutingInstance, partial: _PartialSolution, shape: float
) -> tuple[IntArray, IntArray, npt.NDArray[np.float64]]:
    """Tails, heads and savings in descending order of these; each pair once unless direction matters."""
    size = instance.num_customers
    rows, columns = np.nonzero(~np.eye(size, dtype=bool)) if partial.directed else np.triu_indices(size, 1)
    tails, heads = instance.customers[rows], instance.customers[columns]
    rules = partial.rules
    savings = rules.to_end[tails] + rules.from_start[heads] - shape * instance.distances[tails, heads]
    order = np.argsort(-savings, kind="stable")
    return tails[order], heads[order], savings[order]
