"""Savings, nearest neighbour and insertion: feasible, as good as their textbooks, deterministic."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instances.files import read_path
from instances.routing.instance import RoutingInstance
from instances.routing.referee import verify
from instances.routing.rounding import Rounding
from instances.routing.solution import Routes
from solvers.conformance import RecordingSearch
from solvers.routing import nearest
from solvers.routing.insertion import MAX_CUSTOMERS as MAX_INSERTION
from solvers.routing.insertion import Insertion
from solvers.routing.nearest import Nearest
from solvers.routing.savings import MAX_CUSTOMERS as MAX_SAVINGS
from solvers.routing.savings import Savings

CONSTRUCTIONS = [Savings(), Nearest(), Insertion(), Insertion(kind="cheapest")]
each_construction = pytest.mark.parametrize("solver", CONSTRUCTIONS, ids=repr)


def solutions(solver: Any, instance: RoutingInstance, seconds: float = 60) -> list[Routes]:
    """What a solver reports."""
    search = RecordingSearch(seconds)
    solver.solve(instance, search)
    return [solution for _, solution in search.reports]


def best_cost(solver: Any, instance: RoutingInstance) -> int:
    """The referee's cost of the best solution; every solution must be feasible."""
    verdicts = [verify(instance, solution) for solution in solutions(solver, instance)]
    assert all(verdict.feasible for verdict in verdicts), [verdict.violations[:2] for verdict in verdicts]
    return min(verdict.cost for verdict in verdicts if verdict.cost is not None)


def line(*places: int, **fields: Any) -> RoutingInstance:
    """Locations on a line, the depot first."""
    points = np.array([[place, 0] for place in places])
    return RoutingInstance(rounding=Rounding.NEAREST, coordinates=points, **fields)


def uniform(size: int, seed: int, **fields: Any) -> RoutingInstance:
    """Uniform points with demands of 1 to 9 and a capacity of 50."""
    rng = np.random.default_rng(seed)
    demand = rng.integers(1, 10, size + 1)
    demand[0] = 0
    fields = {"rounding": Rounding.NEAREST, "demand": demand, "capacity": 50} | fields
    return RoutingInstance(coordinates=rng.integers(0, 1000, (size + 1, 2)), **fields)


def test_savings_joins_what_saves_most() -> None:
    """By hand: savings 2-3: 40, 1-4: 20, all others less; a load of two fits."""
    demand = np.array([0, 1, 1, 1, 1])
    instance = line(0, 10, 20, 30, -10, demand=demand, capacity=2)
    assert solutions(Savings(), instance) == [Routes(((1,), (2, 3), (4,)))]


def test_savings_reverses_routes_only_where_direction_does_not_matter() -> None:
    """1 and 2 save most, then 1 and 3, for which 1, the first of its route, must become its last."""
    points = np.array([[0, 0], [100, 0], [101, -10], [80, 60]])
    closed = RoutingInstance(rounding=Rounding.NEAREST, coordinates=points)
    assert solutions(Savings(), closed) == [Routes(((2, 1, 3),))]
    windows = np.array([[0, 900], [0, 100], [110, 150], [300, 400]])
    timed = RoutingInstance(rounding=Rounding.NEAREST, coordinates=points, time_windows=windows)
    assert solutions(Savings(), timed) == [Routes(((1, 2, 3),))]


def test_savings_joins_at_a_loss_for_the_fleet_only() -> None:
    """Two customers on opposite sides of an asymmetric depot stay apart unless there is one vehicle."""
    matrix = np.array([[0, 1, 1], [1, 0, 9], [1, 9, 0]])
    free = RoutingInstance(rounding=Rounding.EXPLICIT, matrix=matrix)
    one = RoutingInstance(rounding=Rounding.EXPLICIT, matrix=matrix, num_vehicles=1)
    assert len(solutions(Savings(), free)[0].routes) == 2
    assert len(solutions(Savings(), one)[0].routes) == 1


def test_shape_changes_the_savings() -> None:
    """A large weight of the new arc makes distant customers stay apart."""
    instance = line(0, 10, 21)
    assert solutions(Savings(shape=1.0), instance) == [Routes(((1, 2),))]
    assert solutions(Savings(shape=2.9), instance) == [Routes(((1,), (2,)))]


def test_nearest_goes_to_the_nearest_that_fits() -> None:
    """By hand: 1 is nearest, 2 does not fit after it, 3 does; then 2 by a new route."""
    instance = line(0, 10, 12, -30, demand=np.array([0, 3, 3, 2]), capacity=5)
    assert solutions(Nearest(), instance) == [Routes(((1, 3), (2,)))]


def test_nearest_waits_rather_than_misses_a_window() -> None:
    """With time windows the urgent customer comes before the near one, and both fit in one route."""
    windows = np.array([[0, 1000], [0, 900], [0, 40]])
    instance = line(0, 10, -20, time_windows=windows)
    assert solutions(Nearest(), instance) == [Routes(((2, 1),))]


@pytest.mark.parametrize("fields", [{}, {"capacity": None, "demand": None, "num_vehicles": 1}])
def test_nearest_by_neighbour_lists_is_nearest(fields: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The neighbour lists that large instances are given do not change what is nearest."""
    instance = uniform(2_100, 3, rounding=Rounding.UNROUNDED, **fields)
    quick = solutions(Nearest(), instance)
    monkeypatch.setattr(nearest, "_neighbours", lambda instance: None)
    assert quick == solutions(Nearest(), instance)


def test_insertion_by_regret_and_by_price() -> None:
    """By hand, for two vehicles that carry two: the cheapest, 1 and 2, share one.

    By regret the dearest, 4, comes first. Beside it 1 would save 20 and 2 saves 22; so 1 is left for 3.
    """
    demand = np.array([0, 1, 1, 1, 1])
    instance = line(0, 10, 11, -12, 30, demand=demand, capacity=2, num_vehicles=2)
    cheapest, *_ = solutions(Insertion(kind="cheapest"), instance)
    assert [set(route) for route in cheapest.routes] == [{1, 2}, {3, 4}]
    regret, *_ = solutions(Insertion(), instance)
    assert [set(route) for route in regret.routes] == [{4, 2}, {3, 1}]


@each_construction
@pytest.mark.parametrize("seed", range(6))
def test_random_constraints_are_honoured(solver: Any, seed: int) -> None:
    """Whatever is constrained, every solution is feasible, and there is one unless the fleet is short."""
    rng = np.random.default_rng(seed)
    size = 25
    ready = rng.integers(0, 600, size + 1)
    windows = np.stack([ready, ready + rng.integers(150, 600, size + 1)], axis=1)
    windows[:, 1] += 1_000
    windows[0] = 0, 6_000
    service = rng.integers(0, 30, size + 1)
    service[0] = 0
    base = uniform(size, seed)
    assert base.coordinates is not None
    matrix = base.distances + np.where(base.distances > 0, rng.integers(0, 90, base.distances.shape), 0)
    for shape in ({"matrix": matrix, "rounding": Rounding.EXPLICIT}, {}):
        for limits in (
            {"time_windows": windows, "service_times": service},
            {"max_route_distance": 4_000},
            {"service_times": service, "max_route_duration": 4_000},
            {"time_windows": windows, "max_route_duration": 4_500, "open_routes": True, "num_vehicles": 24},
        ):
            fields = {"rounding": Rounding.NEAREST, "coordinates": base.coordinates, **shape, **limits}
            instance = RoutingInstance(demand=base.demand, capacity=50, **fields)
            assert best_cost(solver, instance) > 0


@each_construction
def test_too_small_a_fleet_gives_nothing(solver: Any) -> None:
    """Customers that need three vehicles are not squeezed into two: there is no solution to report."""
    instance = line(0, 1, 2, 3, demand=np.array([0, 5, 5, 5]), capacity=5, num_vehicles=2)
    assert solutions(solver, instance) == []


@each_construction
def test_an_unreachable_customer_gives_nothing(solver: Any) -> None:
    """A customer whose window closes before anyone can arrive leaves no solution."""
    instance = line(0, 50, 10, time_windows=np.array([[0, 100], [0, 20], [0, 100]]))
    assert solutions(solver, instance) == []


@each_construction
def test_no_time_gives_nothing(solver: Any) -> None:
    """Without time left a construction stops before its end."""
    assert solutions(solver, uniform(300, 1), seconds=0) == []


@each_construction
def test_equal_runs_are_equal(solver: Any) -> None:
    """Constructions draw nothing: two runs report the same."""
    instance = uniform(80, 5)
    assert solutions(solver, instance) == solutions(solver, instance)


@pytest.mark.parametrize(
    ("solver", "cost"),
    [
        (Savings(), 15329),
        (Nearest(), 20086),
        (Insertion(), 15324),
        (Insertion(kind="cheapest"), 18496),
    ],
    ids=repr,
)
def test_results_have_not_moved(solver: Any, cost: int) -> None:
    """A change of these numbers moves results: it belongs under that heading of the changelog."""
    assert best_cost(solver, uniform(100, 7)) == cost, "this change moves results"


@pytest.mark.parametrize(
    ("solver", "low", "high"), [(Savings(), 3, 7), (Insertion(), 6, 12), (Nearest(), 25, 45)], ids=repr
)
def test_quality_on_the_a_set(solver: Any, low: float, high: float, shared_data: Path) -> None:
    """The mean gap to the best-known costs of Augerat's A set lies where textbooks put the method."""
    best = dict(
        line.split(",")[1:4:2]
        for line in (shared_data / "bks.csv").read_text().splitlines()
        if line.startswith("cvrp/A/")
    )
    entries = read_path(shared_data / "cvrp" / "A")
    assert len(entries) == len(best) == 27
    gaps = [best_cost(solver, entry.instance) / float(best[entry.path.stem]) - 1 for entry in entries]
    assert low < 100 * np.mean(gaps) < high


@pytest.mark.parametrize("solver", [Savings(), Insertion(), Nearest()], ids=repr)
def test_solomon_instances_are_solved(solver: Any, shared_data: Path) -> None:
    """The time-window instances of each class get feasible solutions within their fleets."""
    for name in ("C101", "R112", "RC208"):
        ((entry),) = read_path(shared_data / "vrptw" / f"{name}.txt")
        assert best_cost(solver, entry.instance) > 0


@pytest.mark.parametrize("solver", [Savings(), Insertion(), Nearest()], ids=repr)
def test_a_thousand_customers_take_no_time(solver: Any) -> None:
    """1,000 customers take well under two seconds of CPU."""
    instance = uniform(1_000, 2)
    start = time.process_time()
    assert solutions(solver, instance)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(("solver", "most"), [(Savings(), MAX_SAVINGS), (Insertion(), MAX_INSERTION)], ids=repr)
def test_large_instances_are_declined_by_those_that_compare_all_pairs(solver: Any, most: int) -> None:
    """The reason tells the size that is taken; nearest neighbour takes any."""
    fits, large = uniform(most, 1), uniform(most + 1, 1)
    assert solver.declines(fits) is None
    assert f"at most {most}" in (solver.declines(large) or "")
    assert Nearest().declines(large) is None


@pytest.mark.parametrize("shape", [0, -1, 11, float("nan")])
def test_shapes_out_of_range_are_refused(shape: float) -> None:
    """A shape outside (0, 10] is refused with its value."""
    with pytest.raises(ValueError, match="accepted are values above 0"):
        Savings(shape=shape)
