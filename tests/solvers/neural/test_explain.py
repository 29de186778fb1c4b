"""An explanation follows routes step by step, and tells the probabilities that the network gives them."""

import itertools
import json
import math
from typing import Any

import pytest

from instances.problems import problem_of
from instances.routing.generators import generate
from instances.routing.solution import Routes
from services.runner.machine import core_slots
from services.runner.slot import Slot, Task, encode
from solvers.neural.pointer_solver import PointerSolver


class Once:
    """A search that keeps the last solution reported."""

    budget, seed, threads = 60.0, 1, 1

    def __init__(self) -> None:
        self.solution = Routes(())

    def running(self) -> bool:
        return True

    def remaining(self) -> float:
        return 60.0

    def report(self, solution: Routes) -> None:
        self.solution = solution


def followed(steps: list[dict[str, Any]], depot: int) -> set[tuple[int, ...]]:
    """The routes that steps make, each from its lesser end."""
    walk = [step["chosen"] for step in steps]
    routes = [tuple(part) for is_depot, part in itertools.groupby(walk, lambda at: at == depot) if not is_depot]
    return {min(route, route[::-1]) for route in routes}


@pytest.mark.parametrize("problem", ["cvrp", "tsp"])
def test_steps_follow_the_routes_with_their_probabilities(problem: str) -> None:
    """The steps join up to the routes; at most ten probabilities, the chosen one among them, sum to at most 1."""
    (instance,) = generate("uniform", size=20, count=1, seed=3, problem=problem)
    solver = PointerSolver(decode="starts")
    ready, search = solver.prepare(), Once()
    ready.solve(instance, search)
    said = ready.explain(instance, search.solution)
    steps = said["steps"]
    assert all(one["chosen"] == following["at"] for one, following in itertools.pairwise(steps))
    assert followed(steps, instance.depot) == {min(route, route[::-1]) for route in search.solution.routes}
    for step in steps:
        names, likely = zip(*step["probabilities"], strict=True)
        assert step["chosen"] in names
        assert len(set(names)) == len(names) <= 10
        assert 0 < sum(likely) <= 1.001
        assert step["at"] not in names or step["at"] == instance.depot


def test_best_greedy_tour_from_the_depot_is_the_likeliest_step_by_step() -> None:
    """What the network constructs greedily from the depot it also finds likeliest at every step."""
    (instance,) = generate("uniform", size=20, count=1, seed=3, problem="tsp")
    ready, search = PointerSolver(decode="greedy").prepare(), Once()
    ready.solve(instance, search)
    steps = ready.explain(instance, search.solution)["steps"]
    assert all(step["probabilities"][0][0] == step["chosen"] for step in steps)
    assert math.isclose(steps[-1]["probabilities"][0][1], 1.0)


def test_child_explains_and_solves_on() -> None:
    """Through the runner: a document of the run's solution; then the same child makes the next run."""
    (instance,) = generate("uniform", size=20, count=1, seed=3)
    document = encode(problem_of(instance), instance)
    with Slot(core_slots(1, 1)[0], 1, 4 * 1024**3) as slot:
        task = Task("k", document, instance.digest, "pointer", "pointer:decode=starts", 0, 1, 5.0)
        run = slot.run(task)
        assert run.trace[-1].solution is not None
        said = slot.explain(task.spec, document, run.trace[-1].solution)
        again = slot.run(task)
    assert again.cost == run.cost
    assert again.setup_seconds == run.setup_seconds
    routes = [tuple(route) for route in json.loads(run.trace[-1].solution)]
    assert followed(said["steps"], 0) == {min(route, route[::-1]) for route in routes}
