"""What OR-Tools and PyVRP have in common: features honoured exactly, improving reports, seeds, edges."""

from dataclasses import replace
from functools import cache
from itertools import pairwise, permutations
from typing import Any

import numpy as np
import pytest

from instances.routing.generators.catalogue import generate
from instances.routing.instance import RoutingInstance
from instances.routing.referee import verify
from instances.routing.rounding import Rounding
from instances.routing.solution import Routes
from solvers.conformance import RecordingSearch
from solvers.routing.iterated_local_search import PyVrp
from solvers.routing.or_tools import OrTools

SOLVERS = {
    "ruin-and-recreate": OrTools(iterations=300, ruin="both"),
    "guided-local-search": OrTools(metaheuristic="guided_local_search", iterations=150),
    "pyvrp": PyVrp(iterations=300),
}

VARIANTS: dict[str, dict[str, Any]] = {
    "tsp": {"num_vehicles": 1},
    "capacity": {"capacity": 12},
    "open": {"open_routes": True, "capacity": 12},
    "open, one vehicle": {"open_routes": True, "num_vehicles": 1},
    "distance": {"max_route_distance": 210},
    "duration": {"max_route_duration": 200, "services": True},
    "windows": {"windows": True, "services": True},
    "windows and duration": {"windows": True, "services": True, "max_route_duration": 170},
    "open, windows and duration": {"open_routes": True, "windows": True, "max_route_duration": 80},
    "asymmetric": {"matrix": True, "capacity": 14},
    "asymmetric, open and windows": {"matrix": True, "open_routes": True, "windows": True},
}
SEEDS = (0, 1, 3)


def make(variant: dict[str, Any], seed: int) -> RoutingInstance:
    """Five customers around a depot that is location 2."""
    rng = np.random.default_rng(seed)
    size, depot = 6, 2
    fields = dict(variant)
    demand = rng.integers(1, 9, size)
    services = rng.integers(0, 20, size)
    opening = rng.integers(0, 150, size)
    windows = np.stack((opening, opening + rng.integers(40, 150, size)), axis=1)
    demand[depot], services[depot], windows[depot] = 0, 0, (20, 400)
    coordinates, matrix = rng.integers(0, 80, (size, 2)), rng.integers(10, 90, (size, size))
    np.fill_diagonal(matrix, 0)
    given: dict[str, Any] = {"demand": demand} if "capacity" in fields else {}
    if fields.pop("windows", False):
        given["time_windows"] = windows
    if fields.pop("services", False):
        given["service_times"] = services
    if fields.pop("matrix", False):
        given |= {"rounding": Rounding.EXPLICIT, "matrix": matrix}
    else:
        given |= {"rounding": Rounding.NEAREST, "coordinates": coordinates}
    return RoutingInstance(depot=depot, **given, **fields)


@cache
def all_solutions(customers: tuple[int, ...]) -> set[Routes]:
    """Every set of routes over the customers."""
    found = set()
    for order in permutations(customers):
        for cuts in range(2 ** (len(order) - 1)):
            routes: list[tuple[int, ...]] = [order[:1]]
            for position in range(1, len(order)):
                if cuts >> (position - 1) & 1:
                    routes.append((order[position],))
                else:
                    routes[-1] += (order[position],)
            found.add(Routes(tuple(sorted(routes))))
    return found


@cache
def optimum(instance: RoutingInstance) -> int | None:
    verdicts = [verify(instance, solution) for solution in all_solutions(tuple(instance.customers.tolist()))]
    return min((verdict.cost for verdict in verdicts if verdict.cost is not None), default=None)


def costs(instance: RoutingInstance, search: RecordingSearch) -> list[int]:
    """Costs of all reports, of which none may be infeasible."""
    verdicts = [verify(instance, solution) for _, solution in search.reports]
    assert [verdict.violations for verdict in verdicts if not verdict.feasible] == []
    return [verdict.cost for verdict in verdicts if verdict.cost is not None]


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_finds_the_optimum_under_every_constraint(variant: dict[str, Any], solver: Any) -> None:
    """On five customers the last report is the optimum of an enumeration, and no report is infeasible."""
    for seed in SEEDS:
        instance = make(variant, seed)
        search = RecordingSearch(budget=2.0, seed=seed)
        solver.solve(instance, search)
        assert min(costs(instance, search), default=None) == optimum(instance)


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name != "tsp"])
def test_every_constraint_of_the_variants_binds(variant: str) -> None:
    """Leaving out any of its constraints changes the optimum for some seed, so that ignoring one would show."""
    features = VARIANTS[variant]
    for left_out in features.keys() - {"matrix"}:
        rest = {name: value for name, value in features.items() if name != left_out}
        assert any(optimum(make(features, seed)) != optimum(make(rest, seed)) for seed in SEEDS), left_out


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
def test_reports_ever_better_solutions(solver: Any) -> None:
    """Every report is better than all before it."""
    (instance,) = generate("x", size=60, count=1)
    search = RecordingSearch(budget=10.0, seed=1)
    solver.solve(instance, search)
    found = costs(instance, search)
    assert len(found) > 1
    assert all(later < earlier for earlier, later in pairwise(found))


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
@pytest.mark.parametrize("kind", ["x", "solomon"])
def test_equal_seeds_give_equal_solutions(kind: str, solver: Any) -> None:
    """With iterations the reports depend on the instance and the seed alone, and they do on the seed."""
    (instance,) = generate(kind, size=30, count=1)

    def reports(seed: int) -> list[Any]:
        search = RecordingSearch(budget=60.0, seed=seed)
        replace(solver, iterations=60).solve(instance, search)
        return [solution for _, solution in search.reports]

    assert reports(1) == reports(1)
    assert reports(1) != reports(2)


@pytest.mark.parametrize("solver", [OrTools(), OrTools(metaheuristic="guided_local_search"), PyVrp()], ids=str)
def test_stops_when_the_time_is_over(solver: Any) -> None:
    """Without iterations it uses the budget and ends with it."""
    (instance,) = generate("x", size=60, count=1)
    solver = solver.prepare()
    search = RecordingSearch(budget=0.4, seed=1)
    solver.solve(instance, search)
    assert search.remaining() < 0.05
    late = RecordingSearch(budget=0.4, seed=1)
    solver.solve(instance, late)
    assert late.reports[-1][0] < 0.4 + 0.2


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
def test_takes_instances_with_nothing_to_decide(solver: Any) -> None:
    """No customer gives no route, one customer one route."""
    for size, expected in ((1, ()), (2, ((1,),))):
        points = np.array([[0, 0], [3, 4]])[:size]
        instance = RoutingInstance(rounding=Rounding.NEAREST, coordinates=points)
        search = RecordingSearch(budget=5.0)
        solver.solve(instance, search)
        assert search.reports[-1][1] == Routes(expected)


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
def test_reports_nothing_where_nothing_is_feasible(solver: Any) -> None:
    """A customer beyond the route limit leaves no solution, and none is reported."""
    points = np.array([[0, 0], [0, 10], [500, 0]])
    instance = RoutingInstance(rounding=Rounding.NEAREST, coordinates=points, max_route_distance=100)
    search = RecordingSearch(budget=1.0)
    solver.solve(instance, search)
    assert search.reports == []


@pytest.mark.parametrize("solver", [OrTools(), PyVrp()], ids=["ortools", "pyvrp"])
def test_declines_what_is_too_large_and_says_how_much_it_takes(solver: Any) -> None:
    points = np.stack((np.arange(5_001), np.zeros(5_001, np.int64)), axis=1)
    instance = RoutingInstance(rounding=Rounding.NEAREST, coordinates=points)
    assert "5001 locations" in solver.declines(instance)
    smaller = RoutingInstance(rounding=Rounding.NEAREST, coordinates=points[:1_000])
    assert solver.declines(smaller) is None
