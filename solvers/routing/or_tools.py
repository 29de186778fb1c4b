"""The routing library of OR-Tools: a first solution, then a metaheuristic or ruin and recreate.

References
----------
C. Voudouris and E. Tsang, Guided local search and its application to the traveling salesman problem, 1999.
J. Christiaens and G. Vanden Berghe, Slack induction by string removals for vehicle routing problems, 2020.
"""

import math
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np
from ortools.constraint_solver import pywrapcp, routing_enums_pb2, routing_ils_pb2

from instances.routing.instance import RoutingInstance
from instances.routing.rounding import IntArray, Rounding
from instances.routing.solution import Routes
from solvers.routing.segments import FEATURES
from solvers.search import Search

MAX_LOCATIONS = 3_000
"""Above it the dense matrix and the model no longer fit in a run's 4 GB."""

FirstSolution = Literal[
    "automatic", "path_cheapest_arc", "path_most_constrained_arc", "global_cheapest_arc",
    "local_cheapest_arc", "savings", "parallel_savings", "christofides", "parallel_cheapest_insertion",
    "sequential_cheapest_insertion", "local_cheapest_insertion", "local_cheapest_cost_insertion",
]  # fmt: skip
Metaheuristic = Literal[
    "ruin_and_recreate", "guided_local_search", "simulated_annealing", "tabu_search", "generic_tabu_search",
    "greedy_descent", "automatic",
]  # fmt: skip

Ruin = Literal["strings", "walk", "both"]

_CONSTRUCTION_SHARE = 0.5
_LONGEST_STRING = 10
_UNLIMITED = 2**63 - 1
_ROUND_SECONDS = 15.0
_ROUND_STEPS = 4_000_000
"""Steps of a round times nodes of the model; a step keeps about 300 bytes for each node."""


@dataclass(frozen=True)
class OrTools:
    """Google's OR-Tools: a first solution, improved by ruin and recreate, guided local search or others.

    The defaults are the best of a measured grid, docs/ortools-defaults.md. OR-Tools' random numbers cannot be
    seeded where it draws any; the seed therefore shuffles the order in which the customers are given to it.
    With ``iterations`` and time enough, runs with equal seeds report the same solutions. Ruin and recreate
    with ``iterations`` looks at the time between its rounds alone, so that it may have to be killed.
    """

    first_solution: FirstSolution = field(
        default="parallel_savings", metadata={"help": "how the first solution is constructed"}
    )
    metaheuristic: Metaheuristic = field(
        default="ruin_and_recreate", metadata={"help": "how the first solution is improved"}
    )
    vehicles: Literal["fewest", "tight", "customers"] = field(
        default="tight",
        metadata={
            "help": "vehicles in the model where the capacity alone limits routes: one more than the demand "
            "needs, a tenth and one more, or one per customer"
        },
    )
    ruin: Ruin = field(
        default="both",
        metadata={"help": "ruin and recreate: what a step removes, strings of routes or a walk"},
    )
    removed: int = field(
        default=20,
        metadata={"help": "ruin and recreate: customers a step removes on average, at most half of all"},
    )
    penalty: float = field(default=0.1, metadata={"help": "guided local search: weight lambda of the penalties"})
    iterations: int | None = field(default=None, metadata={"help": "stop after so many solutions, beside the time"})

    problem: ClassVar[str] = "routing"
    honours: ClassVar[frozenset[str]] = FEATURES
    packages: ClassVar[tuple[str, ...]] = ("ortools", "numpy")

    def __post_init__(self) -> None:
        if self.removed < 1:
            raise ValueError(f"removed is {self.removed}; it must be at least 1")
        if not 0 <= self.penalty < math.inf:
            raise ValueError(f"penalty is {self.penalty}; it must be a number from 0")
        if self.iterations is not None and self.iterations < 1:
            raise ValueError(f"iterations is {self.iterations}; it must be at least 1")

    def declines(self, instance: RoutingInstance) -> str | None:
        if instance.num_locations > MAX_LOCATIONS:
            return f"{instance.num_locations} locations; it needs a dense matrix and takes up to {MAX_LOCATIONS}"
        return None

    def prepare(self) -> "OrTools":
        """Solve a tiny instance once, so that no run pays for the first use of the library."""
        corners = np.array([[0, 0], [0, 9], [9, 9], [9, 0]])
        tiny = RoutingInstance(rounding=Rounding.NEAREST, coordinates=corners, num_vehicles=1)
        _Model(tiny, np.arange(4), 1).construct(_parameters(self, 3), seconds=1.0)
        return self

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        self.solve_from(instance, search, None)

    def solve_from(self, instance: RoutingInstance, search: Search, start: Routes | None) -> None:
        """Solve, beginning with ``start``, a feasible solution; None constructs a first solution."""
        if instance.num_customers == 0:
            search.report(Routes(()))
            return
        shuffled = np.random.default_rng(search.seed).permutation(instance.customers)
        nodes = np.concatenate(([instance.depot], shuffled))
        attempts = list(_attempts(self, instance))
        if start is not None:
            num_vehicles, first_solution = attempts[0]
            attempts = [(max(num_vehicles, len(start.routes)), first_solution)]
        for number, (num_vehicles, first_solution) in enumerate(attempts, start=1):
            parameters = _parameters(replace(self, first_solution=first_solution), instance.num_customers)
            incumbent = _Incumbent(search)
            model = _Model(instance, nodes, num_vehicles, incumbent)
            if start is None:
                share = 1.0 if number == len(attempts) else _CONSTRUCTION_SHARE
                first = model.construct(parameters, share * search.remaining())
            else:
                first = model.restore(parameters, start, search.remaining())
            if first is None:
                continue
            if not parameters.use_iterated_local_search:
                model.improve(parameters, first, search.remaining())
            elif instance.num_customers > 1:  # with one customer it would never end
                for round_number, limited in enumerate(_rounds(parameters, search, len(nodes) + num_vehicles)):
                    if round_number:
                        model = _Model(instance, nodes, num_vehicles, incumbent)
                        model.close(limited)
                    model.ruin_and_recreate(limited, incumbent)
            return


def _rounds(parameters: Any, search: Search, num_indices: int) -> Iterator[Any]:
    """Parameters of ruin and recreate in rounds, each in a new model from the best solution of those before.

    OR-Tools keeps some memory of every step until its model is deleted, about 100 MB a second (measured).
    The temperature falls with the time if that is limited, so it must not be where the number of solutions is to
    decide alone.
    """
    if parameters.solution_limit == _UNLIMITED:
        for left in range(math.ceil(search.remaining() / _ROUND_SECONDS), 0, -1):
            limited = _copy(parameters)
            limited.time_limit.FromMilliseconds(_milliseconds(search.remaining() / left))
            yield limited
        return
    left = parameters.solution_limit
    while left and search.running():
        limited = _copy(parameters)
        limited.solution_limit = min(left, _ROUND_STEPS // num_indices + 1)
        left -= limited.solution_limit
        yield limited


def _attempts(solver: OrTools, instance: RoutingInstance) -> Iterator[tuple[int, FirstSolution]]:
    """Numbers of vehicles to model and first solutions to try with them, until there is one.

    Every vehicle makes all neighbourhoods larger, so few are better; but where more than the capacity limits
    routes, or routes are open, short solutions may need many. Where a fleet is scarce, parallel savings may
    leave customers over; sequential savings fill vehicles better, and insertion keeps time windows better.
    """
    most = min(instance.num_customers, instance.num_vehicles or instance.num_customers)
    bounded = instance.features - {"capacity", "fleet", "matrix", "asymmetric"}
    if solver.vehicles != "customers" and not bounded and instance.demand is not None and instance.capacity:
        needed = int(instance.demand.sum()) / instance.capacity
        few = math.ceil(needed if solver.vehicles == "fewest" else 1.1 * needed) + 1
        if few < most:
            yield few, solver.first_solution
    yield most, solver.first_solution
    others: tuple[FirstSolution, ...] = ("savings", "local_cheapest_insertion", "path_cheapest_arc")
    yield from ((most, other) for other in others if other != solver.first_solution)


class _Incumbent:
    """The best solution so far, its routes as indices that all models of an instance share."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self.cost: float = math.inf
        self.routes: list[list[int]] = []


class _Model:
    """The OR-Tools model of an instance whose node i is the location ``nodes[i]``; the depot is node 0."""

    def __init__(
        self, instance: RoutingInstance, nodes: IntArray, num_vehicles: int, incumbent: _Incumbent | None = None
    ) -> None:
        settings = pywrapcp.DefaultRoutingModelParameters()
        settings.solver_parameters.store_names = False
        self._manager = pywrapcp.RoutingIndexManager(len(nodes), num_vehicles, 0)
        self._routing = pywrapcp.RoutingModel(self._manager, settings)
        self._nodes = nodes
        self._num_vehicles = num_vehicles
        lengths = instance.distances[np.ix_(nodes, nodes)]
        if instance.open_routes:
            lengths[:, 0] = 0
        transit = self._routing.RegisterTransitMatrix(lengths.tolist())
        self._routing.SetArcCostEvaluatorOfAllVehicles(transit)
        if instance.capacity is not None and instance.demand is not None:
            demand = self._routing.RegisterUnaryTransitVector(instance.demand[nodes].tolist())
            self._routing.AddDimension(demand, 0, instance.capacity, True, "load")
        if instance.max_route_distance is not None:
            self._routing.AddDimension(transit, 0, instance.max_route_distance, True, "distance")
        if instance.time_windows is not None or instance.max_route_duration is not None:
            self._add_time(instance, lengths)
        if incumbent is not None:
            self._report_to(incumbent)

    def _add_time(self, instance: RoutingInstance, lengths: IntArray) -> None:
        """Service begins at a node's cumul; until the next come the service, the travel and the waiting."""
        routing, nodes = self._routing, self._nodes
        if instance.service_times is not None:
            lengths = lengths + instance.service_times[nodes][:, None]
        transit = routing.RegisterTransitMatrix(lengths.tolist())
        if instance.time_windows is None:
            assert instance.max_route_duration is not None
            routing.AddDimension(transit, 0, instance.max_route_duration, True, "time")
            return
        windows = instance.time_windows[nodes].tolist()
        horizon = max(latest for _, latest in windows) + int(lengths.max())
        routing.AddDimension(transit, horizon, horizon, False, "time")
        time = routing.GetDimensionOrDie("time")
        for node in range(1, len(nodes)):
            time.CumulVar(self._manager.NodeToIndex(node)).SetRange(*windows[node])
        for vehicle in range(self._num_vehicles):
            start, end = time.CumulVar(routing.Start(vehicle)), time.CumulVar(routing.End(vehicle))
            start.SetRange(*windows[0])
            if not instance.open_routes:
                end.SetRange(*windows[0])
            if instance.max_route_duration is not None:
                time.SetSpanUpperBoundForVehicle(instance.max_route_duration, vehicle)
                routing.AddVariableMaximizedByFinalizer(start)
                routing.AddVariableMinimizedByFinalizer(end)

    def _report_to(self, incumbent: _Incumbent) -> None:
        """Have every accepted solution compared with the incumbent.

        C++ holds the callback for as long as it lives, so the callback must not hold the model.
        """
        num_indices = self._routing.Size()
        nexts = [self._routing.NextVar(index) for index in range(num_indices)]
        starts = [self._routing.Start(vehicle) for vehicle in range(self._num_vehicles)]
        locations = [int(self._nodes[self._manager.IndexToNode(index)]) for index in range(num_indices)]
        model = weakref.ref(self._routing)

        def report() -> None:
            routing = model()
            assert routing is not None
            cost = routing.CostVar().Value()
            if cost >= incumbent.cost:
                return
            routes = []
            for start in starts:
                route = []
                index = nexts[start].Value()
                while index < num_indices:
                    route.append(index)
                    index = nexts[index].Value()
                if route:
                    routes.append(route)
            incumbent.cost, incumbent.routes = cost, routes
            incumbent.search.report(Routes(tuple(tuple(locations[index] for index in route) for route in routes)))

        self._routing.AddAtSolutionCallback(report)

    def close(self, parameters: Any) -> None:
        """End the modelling. Some parameters are read here alone, and silently ignored later."""
        self._routing.CloseModelWithParameters(parameters)

    def construct(self, parameters: Any, seconds: float) -> Any:
        """The first solution, None if there is none or it is not found in time."""
        limited = _copy(parameters)
        limited.solution_limit = 1
        limited.time_limit.FromMilliseconds(_milliseconds(seconds))
        self.close(limited)
        return self._routing.SolveWithParameters(limited)

    def restore(self, parameters: Any, start: Routes, seconds: float) -> Any:
        """The solution ``start``, which becomes the incumbent; None if that takes too long."""
        limited = _copy(parameters)
        limited.solution_limit = 1
        limited.time_limit.FromMilliseconds(_milliseconds(seconds))
        self.close(limited)
        node_of = {location: node for node, location in enumerate(self._nodes.tolist())}
        routes = [[node_of[location] for location in route] for route in start.routes]
        first = self._routing.ReadAssignmentFromRoutes(routes, True)
        if first is None:
            raise ValueError("the solution to begin with is not feasible")
        return self._routing.SolveFromAssignmentWithParameters(first, limited)

    def improve(self, parameters: Any, first: Any, seconds: float) -> None:
        """Search on from ``first`` with a metaheuristic."""
        limited = _copy(parameters)
        limited.time_limit.FromMilliseconds(_milliseconds(seconds))
        self._routing.SolveFromAssignmentWithParameters(first, limited)

    def ruin_and_recreate(self, parameters: Any, incumbent: _Incumbent) -> None:
        """Search on from the incumbent.

        OR-Tools' iterated local search takes no solution to start from. It constructs one, under the limits of the
        solve before it; so the incumbent is restored under the limits wanted, and all of it locked, which binds
        the construction and nothing after it.
        """
        start = self._routing.solver().Assignment()
        self._routing.RoutesToAssignment(incumbent.routes, True, True, start)
        self._routing.ApplyLocksToAllVehicles(incumbent.routes, True)
        restoring = _copy(parameters)
        restoring.solution_limit = 1
        self._routing.SolveFromAssignmentWithParameters(start, restoring)
        self._routing.SolveWithIteratedLocalSearch(parameters)


def _milliseconds(seconds: float) -> int:
    return max(1, int(1000 * seconds))


def _copy(parameters: Any) -> Any:
    copy = type(parameters)()
    copy.CopyFrom(parameters)
    return copy


def _parameters(solver: OrTools, num_customers: int) -> Any:
    """OR-Tools' own defaults, and what the solver's fields say."""
    parameters = pywrapcp.DefaultRoutingSearchParameters()
    strategies = routing_enums_pb2.FirstSolutionStrategy
    parameters.first_solution_strategy = strategies.Value.Value(solver.first_solution.upper())
    parameters.guided_local_search_lambda_coefficient = solver.penalty
    if solver.iterations is not None:
        parameters.solution_limit = solver.iterations
    metaheuristic = solver.metaheuristic
    if metaheuristic == "ruin_and_recreate":
        # Anything but a descent would never hand its first local optimum over.
        metaheuristic = "greedy_descent"
        # Whoever removes all customers inserts them to the same routes for ever.
        removed = min(solver.removed, num_customers // 2 + 1)
        _set_ruin_and_recreate(parameters, solver.ruin, removed)
    parameters.local_search_metaheuristic = routing_enums_pb2.LocalSearchMetaheuristic.Value.Value(
        metaheuristic.upper()
    )
    return parameters


def _set_ruin_and_recreate(parameters: Any, ruin: Ruin, removed: int) -> None:
    """Remove some customers, insert them anew, accept by simulated annealing; no descent in between.

    The temperatures are OR-Tools' automatic ones, from 10 % to 0.1 % of the mean arc.
    """
    parameters.use_iterated_local_search = True
    settings = parameters.iterated_local_search_parameters
    settings.improve_perturbed_solution = False
    ruin_recreate = settings.ruin_recreate_parameters
    if ruin in ("strings", "both"):
        strings = ruin_recreate.ruin_strategies.add().sisr
        strings.max_removed_sequence_size = min(_LONGEST_STRING, removed)
        strings.avg_num_removed_visits = removed
        strings.bypass_factor = 0.01
    if ruin in ("walk", "both"):
        ruin_recreate.ruin_strategies.add().random_walk.num_removed_visits = removed
    ruin_recreate.ruin_composition_strategy = routing_ils_pb2.RuinCompositionStrategy.RUN_ONE_RANDOMLY
    annealing = settings.reference_solution_acceptance_strategy.simulated_annealing
    annealing.cooling_schedule_strategy = routing_ils_pb2.CoolingScheduleStrategy.EXPONENTIAL
    annealing.automatic_temperatures = True
