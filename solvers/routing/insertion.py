"""Insertion: customers are put, one by one, where they cost least, into routes that grow side by side."""

import logging
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from instances.routing.instance import RoutingInstance
from instances.routing.rounding import IntArray
from instances.routing.solution import Routes
from solvers.routing.segments import FEATURES, Feasibility, Segment
from solvers.search import Search

FloatArray = npt.NDArray[np.float64]

MAX_CUSTOMERS = 5_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Insertion:
    """Parallel insertion: next comes the customer with the largest regret, or the cheapest to insert.

    Every constraint is honoured. It reports two solutions, or none when the fleet is used up too early. In
    the first, an empty vehicle is a place like any other, so that a customer's regret is at most what it
    saves against a route of its own. In the second, as many routes as the demand needs begin with customers
    far from the depot and from one another.

    References
    ----------
    J.-Y. Potvin and J.-M. Rousseau, A parallel route building algorithm for the vehicle routing and
    scheduling problem with time windows, 1993.
    """

    kind: Literal["regret", "cheapest"] = field(
        default="regret",
        metadata={"help": "who comes next: the customer that loses most without its best route, or the cheapest"},
    )

    problem: ClassVar[str] = "routing"
    honours: ClassVar[frozenset[str]] = FEATURES
    packages: ClassVar[tuple[str, ...]] = ("numpy",)

    def declines(self, instance: RoutingInstance) -> str | None:
        if instance.num_customers > MAX_CUSTOMERS:
            return f"compares all pairs of customers and takes at most {MAX_CUSTOMERS} of them"
        return None

    def prepare(self) -> "Insertion":
        return self

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        rules = Feasibility(instance)
        for seeds in ([], _seeds(instance, rules)):
            routes = self._construct(instance, rules, seeds, search)
            if routes is not None:
                search.report(Routes(tuple(tuple(route) for route in routes if route)))

    def _construct(
        self, instance: RoutingInstance, rules: Feasibility, seeds: list[int], search: Search
    ) -> list[list[int]] | None:
        """Routes for all customers, each seed in one of its own at first; None without room or time."""
        fleet = min(instance.num_vehicles or instance.num_customers, instance.num_customers)
        routes = [[seed] for seed in seeds[:fleet]]
        waiting = np.setdiff1d(instance.customers, seeds[:fleet], assume_unique=True)
        # The least cost of each customer in each route, infinite unless it is waiting, and the position.
        costs = np.full((fleet, instance.num_locations), np.inf)
        positions = np.zeros((fleet, instance.num_locations), np.int64)
        changed = list(range(len(routes)))
        while len(waiting):
            # Two empty vehicles where the fleet has them: a customer's second-best place may be one, too.
            while len(routes) < fleet and sum(not route for route in routes[-2:]) < 2:
                changed.append(len(routes))
                routes.append([])
            if not search.running():
                return None
            for route in changed:
                costs[route, waiting], positions[route, waiting] = _insertions(instance, rules, routes[route], waiting)
            customer = self._next(costs[: len(routes)], waiting)
            route = int(costs[: len(routes), customer].argmin())
            if costs[route, customer] == np.inf:
                _log.warning("%d customers fit nowhere", len(waiting))
                return None
            routes[route].insert(int(positions[route, customer]), customer)
            changed = [route]
            costs[:, customer] = np.inf
            waiting = waiting[waiting != customer]
        return routes

    def _next(self, costs: FloatArray, waiting: IntArray) -> int:
        best = costs.min(axis=0)[waiting]
        if self.kind == "cheapest":
            return int(waiting[best.argmin()])
        second = np.full(len(waiting), np.inf)
        if len(costs) > 1:
            second = np.partition(costs[:, waiting], 1, axis=0)[1]
        regret = np.subtract(second, best, where=np.isfinite(second), out=second)
        largest = waiting[np.lexsort((-best, -regret))]
        return int(largest[0])


def _seeds(instance: RoutingInstance, rules: Feasibility) -> list[int]:
    """A customer for each route that the demand needs, each far from the depot and from those before."""
    if instance.capacity is None or instance.demand is None or not instance.demand.any():
        return []
    everywhere = np.arange(instance.num_locations)
    suitable = rules.allows(rules.route(rules.stops, everywhere, everywhere)) & (everywhere != instance.depot)
    distances = np.where(suitable, instance.distances[instance.depot], -1)
    seeds: list[int] = []
    while len(seeds) * instance.capacity < instance.demand.sum() and distances.max() >= 0:
        seeds.append(int(distances.argmax()))
        distances = np.minimum(distances, instance.distances[seeds[-1]])
        distances[seeds[-1]] = -1
    return seeds


def _insertions(
    instance: RoutingInstance, rules: Feasibility, route: list[int], customers: IntArray
) -> tuple[FloatArray, IntArray]:
    """Each customer's least cost in a route, infinite where it fits nowhere, and the position of that."""
    stops = np.array([instance.depot, *route])
    onward = np.append(instance.distances[stops[:-1], stops[1:]], rules.to_end[stops[-1]])
    before = instance.distances[stops[:, None], customers]
    after = np.vstack((instance.distances[customers, stops[1:, None]], rules.to_end[customers]))
    # shape: (positions, customers)
    added = before + after - onward[:, None]
    if instance.time_windows is None:
        whole = _lengthened(rules, stops, onward, customers, added)
    else:
        whole = _rescheduled(rules, stops, onward, customers, before, after)
    costs = np.where(rules.allows(whole), added, np.inf)
    positions = costs.argmin(axis=0)
    return costs[positions, np.arange(len(customers))], positions


def _lengthened(rules: Feasibility, stops: IntArray, onward: IntArray, customers: IntArray, added: IntArray) -> Segment:
    """The whole route with each customer at each position; without time windows, sums say it all."""
    length, new = int(onward.sum()), rules.stops.take(customers)
    return Segment(
        load=int(rules.stops.load[stops].sum()) + new.load,
        distance=length + added,
        duration=int(rules.stops.duration[stops].sum()) + new.duration + length + added,
        earliest=0,
        latest=0,
        late=0,
    )


def _rescheduled(
    rules: Feasibility,
    stops: IntArray,
    onward: IntArray,
    customers: IntArray,
    before: IntArray,
    after: IntArray,
) -> Segment:
    """The same with time windows: what is before the position, the customer, and what is after it, joined."""
    heads = [rules.start]
    for stop, length in zip(stops[1:], onward[:-1], strict=True):
        heads.append(rules.join(heads[-1], rules.stops.take(stop), length))
    tails = [rules.end]
    for stop, length in zip(stops[:0:-1], onward[:0:-1], strict=True):
        tails.append(rules.join(rules.stops.take(stop), tails[-1], length))
    head, tail = (Segment(*np.array(part).T[:, :, None]) for part in (heads, tails[::-1]))
    return rules.join(rules.join(head, rules.stops.take(customers), before), tail, after)
