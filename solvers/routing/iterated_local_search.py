"""PyVRP: iterated local search with late acceptance, for every constraint of a routing instance.

References
----------
N. A. Wouda, L. Lan and W. Kool, PyVRP: a high-performance VRP solver package, 2024.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyvrp
from pyvrp.IteratedLocalSearch import IteratedLocalSearchCallbacks, IteratedLocalSearchParams

from instances.routing.instance import RoutingInstance
from instances.routing.rounding import Rounding
from instances.routing.solution import Routes
from solvers.routing.segments import FEATURES
from solvers.search import Search

MAX_LOCATIONS = 5_000
"""Above it the dense matrices no longer fit in a run's 4 GB."""

MAX_VALUE = 2**44
"""PyVRP's own bound on distances and times."""

_FOREVER = 2**63 - 1
"""PyVRP's default where there is no limit."""


@dataclass(frozen=True)
class PyVrp:
    """PyVRP: iterated local search, the strongest of the classical solvers here.

    Its parameters are PyVRP's own defaults, but that penalties may grow with the distances. With ``iterations`` and
    time enough, runs with equal seeds report the same solutions.
    """

    iterations: int | None = field(default=None, metadata={"help": "stop after so many iterations, beside the time"})

    problem: ClassVar[str] = "routing"
    honours: ClassVar[frozenset[str]] = FEATURES
    packages: ClassVar[tuple[str, ...]] = ("pyvrp", "numpy")

    def __post_init__(self) -> None:
        if self.iterations is not None and self.iterations < 1:
            raise ValueError(f"iterations is {self.iterations}; it must be at least 1")

    def declines(self, instance: RoutingInstance) -> str | None:
        if instance.num_locations > MAX_LOCATIONS:
            return f"{instance.num_locations} locations; it needs dense matrices and takes up to {MAX_LOCATIONS}"
        largest = _largest(instance)
        if largest > MAX_VALUE:
            return f"numbers up to {largest}; it takes up to {MAX_VALUE}"
        return None

    def prepare(self) -> "PyVrp":
        return self

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        self.solve_from(instance, search, None)

    def solve_from(self, instance: RoutingInstance, search: Search, start: Routes | None) -> None:
        """Solve, beginning with ``start``, a feasible solution; None leaves the beginning to PyVRP."""
        if instance.num_customers == 0:
            search.report(Routes(()))
            return
        data = _data(instance)
        initial = None
        if start is not None:
            clients = {customer: client for client, customer in enumerate(instance.customers.tolist())}
            initial = pyvrp.Solution(data, [[clients[customer] for customer in route] for route in start.routes])
        parameters = pyvrp.SolveParams(
            ils=IteratedLocalSearchParams(callbacks=_Reporter(instance, search)),
            penalty=pyvrp.PenaltyParams(max_penalty=_max_penalty(_largest(instance))),
        )
        pyvrp.solve(
            data,
            _Stop(search, self.iterations),
            seed=search.seed,
            collect_stats=False,
            display=False,
            params=parameters,
            initial_solution=initial,
        )


class _Stop:
    """True when the search is over or the iterations are used up; PyVRP asks before every iteration."""

    def __init__(self, search: Search, iterations: int | None) -> None:
        self._search = search
        self._iterations = iterations
        self._done = 0

    def __call__(self, best_cost: float) -> bool:
        if not self._search.running() or self._done == self._iterations:
            return True
        self._done += 1
        return False


class _Reporter(IteratedLocalSearchCallbacks):
    """Reports the initial solution, of which PyVRP does not call back, and every best one."""

    def __init__(self, instance: RoutingInstance, search: Search) -> None:
        self._customers = instance.customers.tolist()
        self._search = search

    def on_start(self, ils: pyvrp.IteratedLocalSearch) -> None:
        self.on_best(ils.initial_solution)

    def on_best(self, best: pyvrp.Solution) -> None:
        if not best.is_feasible():
            return
        routes = (tuple(self._customers[stop.idx] for stop in route if stop.is_client()) for route in best.routes())
        self._search.report(Routes(tuple(routes)))


def _max_penalty(largest: int) -> float:
    """PyVRP's own bound, raised where numbers are so large that infeasible solutions would stay cheaper.

    The bound of 100,000 suits distances up to about 1,000; with six decimals they are a thousand times that.
    """
    return max(pyvrp.PenaltyParams().max_penalty, min(100.0 * largest, float(MAX_VALUE)))


def _largest(instance: RoutingInstance) -> int:
    """An upper bound of all numbers that PyVRP is given, cheap where there is no matrix."""
    if instance.matrix is not None:
        numbers = [int(instance.matrix.max())]
    elif instance.rounding is Rounding.GEO:
        numbers = [20_040]
    else:
        assert instance.coordinates is not None
        span = np.ptp(instance.coordinates, axis=0).astype(float)
        numbers = [int(np.hypot(*span) * 10.0 ** (instance.decimals - instance.coordinate_decimals)) + 1]
    numbers += [int(array.max()) for array in (instance.time_windows, instance.service_times) if array is not None]
    numbers += [limit for limit in (instance.max_route_distance, instance.max_route_duration) if limit is not None]
    return max(*numbers, *_load(instance), 0)


def _load(instance: RoutingInstance) -> list[int]:
    """The capacity as PyVRP's list of load dimensions, at most the total demand; empty without a limit."""
    if instance.capacity is None or instance.demand is None:
        return []
    return [min(instance.capacity, int(instance.demand.sum()))]


def _data(instance: RoutingInstance) -> pyvrp.ProblemData:
    """The instance in PyVRP's terms.

    An open route is one whose way to the depot is free in distance and time and may end at any time.
    """
    depot, customers = instance.depot, instance.customers.tolist()
    distances: Any = instance.distances
    if instance.open_routes:
        distances = distances.copy()
        distances[:, depot] = 0
    timed = instance.time_windows is not None or instance.max_route_duration is not None
    windows: list[list[int]] = [[0, _FOREVER]] * instance.num_locations
    if instance.time_windows is not None:
        windows = instance.time_windows.tolist()
    earliest, latest = windows[depot]
    capacity = _load(instance)
    clients = [
        pyvrp.Client(
            customer,
            delivery=[int(instance.demand[customer])] if capacity and instance.demand is not None else [],
            service_duration=0 if instance.service_times is None else int(instance.service_times[customer]),
            tw_early=windows[customer][0],
            tw_late=windows[customer][1],
        )
        for customer in customers
    ]
    most = len(customers) if instance.num_vehicles is None else min(instance.num_vehicles, len(customers))
    vehicles = pyvrp.VehicleType(
        most,
        capacity=capacity,
        tw_early=earliest,
        tw_late=_FOREVER if instance.open_routes else latest,
        start_late=latest,
        max_distance=_FOREVER if instance.max_route_distance is None else instance.max_route_distance,
        shift_duration=_FOREVER if instance.max_route_duration is None else instance.max_route_duration,
    )
    return pyvrp.ProblemData(
        [pyvrp.Location(0, 0)] * instance.num_locations,
        clients,
        [pyvrp.Depot(depot)],
        [vehicles],
        [distances],
        [distances if timed else np.zeros_like(distances)],
    )
