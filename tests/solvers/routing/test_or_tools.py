"""OR-Tools: every setting works, scarce fleets get a solution, parameters are checked."""

import math
import weakref
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

from instances.errors import InvalidInput
from instances.routing.generators.catalogue import generate
from instances.routing.instance import RoutingInstance
from instances.routing.referee import verify
from instances.routing.rounding import Rounding
from instances.routing.solution import Routes
from solvers.conformance import RecordingSearch
from solvers.routing import or_tools
from solvers.routing.or_tools import FirstSolution, Metaheuristic, OrTools
from solvers.spec import build


def last_cost(solver: OrTools, instance: RoutingInstance, budget: float = 5.0) -> int | None:
    search = RecordingSearch(budget, seed=1)
    solver.solve(instance, search)
    return verify(instance, search.reports[-1][1]).cost if search.reports else None


@pytest.mark.parametrize("first_solution", get_args(FirstSolution))
def test_every_first_solution_is_feasible(first_solution: FirstSolution) -> None:
    (instance,) = generate("x", size=40, count=1)
    solver = OrTools(first_solution=first_solution, metaheuristic="greedy_descent")
    assert last_cost(solver, instance) is not None


@pytest.mark.parametrize("metaheuristic", get_args(Metaheuristic))
def test_every_metaheuristic_improves_the_first_solution(metaheuristic: Metaheuristic) -> None:
    (instance,) = generate("x", size=40, count=1)
    search = RecordingSearch(0.5, seed=1)
    OrTools(first_solution="savings", metaheuristic=metaheuristic).solve(instance, search)
    first, *_, last = (verify(instance, solution).cost for _, solution in search.reports)
    assert first is not None
    assert last is not None
    assert last < first


@pytest.mark.parametrize("ruin", ["strings", "walk", "both"])
@pytest.mark.parametrize("removed", [1, 3, 500])
def test_every_ruin_is_feasible_whatever_it_removes(ruin: Any, removed: int) -> None:
    """Removing one customer or more than there are is a step like any other."""
    (instance,) = generate("x", size=20, count=1)
    assert last_cost(OrTools(ruin=ruin, removed=removed, iterations=50), instance) is not None


@pytest.mark.parametrize("vehicles", ["fewest", "tight", "customers"])
def test_number_of_vehicles_grows_where_few_are_infeasible(vehicles: Any) -> None:
    """Demands of just over half the capacity need a vehicle each, far more than their sum tells."""
    points = np.random.default_rng(1).integers(0, 100, (21, 2))
    demand = np.full(21, 51)
    demand[0] = 0
    instance = RoutingInstance(rounding=Rounding.NEAREST, coordinates=points, demand=demand, capacity=100)
    alone = Routes(tuple((customer,) for customer in range(1, 21)))
    assert last_cost(OrTools(vehicles=vehicles, iterations=20), instance) == verify(instance, alone).cost


def test_scarce_fleet_gets_a_solution_where_parallel_savings_find_none() -> None:
    """With not one vehicle to spare the next first solution takes over."""
    instance = generate("x", size=100, count=4)[3]
    assert instance.demand is not None
    assert instance.capacity is not None
    fleet = math.ceil(instance.demand.sum() / instance.capacity)
    scarce = replace(instance, num_vehicles=fleet)
    assert last_cost(OrTools(iterations=5), scarce) is not None


def test_tight_time_windows_get_a_solution_where_savings_find_none() -> None:
    """With windows that defeat parallel and sequential savings, insertion takes over."""
    instance = generate("solomon", size=60, count=3, seed=78)[2]
    assert last_cost(OrTools(iterations=5), instance) is not None


def test_rounds_go_on_from_the_best_and_free_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ruin and recreate in many short rounds improves from round to round, and keeps one model at a time."""
    monkeypatch.setattr(or_tools, "_ROUND_SECONDS", 0.1)
    models: weakref.WeakSet[object] = weakref.WeakSet()
    most = []
    build_model = or_tools._Model.__init__

    def counted(self: Any, *arguments: Any) -> None:
        build_model(self, *arguments)
        models.add(self._routing)
        most.append(len(models))

    monkeypatch.setattr(or_tools._Model, "__init__", counted)
    (instance,) = generate("x", size=60, count=1)
    search = RecordingSearch(1.0, seed=1)
    OrTools().solve(instance, search)
    costs = [verify(instance, solution).cost or 0 for _, solution in search.reports]
    assert costs == sorted(set(costs), reverse=True)
    assert len(most) >= 8
    assert max(most) <= 2
    assert len(models) == 0


def test_rounds_by_iterations_depend_on_the_seed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several rounds of a few steps each give the same reports again, more than the first round's."""
    monkeypatch.setattr(or_tools, "_ROUND_STEPS", 45 * 100)
    (instance,) = generate("x", size=40, count=1)

    def reports(iterations: int) -> list[Routes]:
        search = RecordingSearch(60.0, seed=1)
        OrTools(iterations=iterations).solve(instance, search)
        return [solution for _, solution in search.reports]

    assert reports(1_000) == reports(1_000)
    assert reports(1_000)[: len(reports(50))] == reports(50)


def test_few_vehicles_do_not_bind_where_time_windows_ask_for_more() -> None:
    """Windows that allow one customer per route get a vehicle each, though the demand fits into one."""
    points = np.array([[0, 0], [10, 0], [0, 10], [10, 10], [5, 5]])
    windows = np.array([[0, 100]] + [[20, 21]] * 4)
    instance = RoutingInstance(
        rounding=Rounding.NEAREST,
        coordinates=points,
        demand=np.array([0, 1, 1, 1, 1]),
        capacity=10,
        time_windows=windows,
    )
    search = RecordingSearch(5.0, seed=1)
    OrTools(iterations=20).solve(instance, search)
    assert len(search.reports[-1][1].routes) == 4


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"removed": "0"}, "removed is 0"),
        ({"penalty": "-1"}, "penalty is -1"),
        ({"penalty": "nan"}, "penalty is nan"),
        ({"iterations": "0"}, "iterations is 0"),
        ({"first_solution": "sweep"}, "parallel_savings"),
        ({"metaheuristic": "genetic"}, "guided_local_search"),
    ],
)
def test_bad_parameters_are_refused_with_what_is_accepted(parameters: dict[str, str], expected: str) -> None:
    with pytest.raises(InvalidInput, match=expected):
        build(OrTools, parameters, "solver 'ortools'")
