"""The networkx solvers: tours, anytime, reproducible."""

from itertools import pairwise
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
from solvers.routing.examples import examples
from solvers.routing.tsp_graph import MAX_CITIES, Christofides, SimulatedAnnealing


def cities(size: int, seed: int = 0, depot: int = 0) -> RoutingInstance:
    """A tour of uniform cities."""
    points = np.random.default_rng(seed).integers(0, 1000, (size, 2))
    return RoutingInstance(rounding=Rounding.NEAREST, coordinates=points, num_vehicles=1, depot=depot)


def run(solver: Any, instance: RoutingInstance, seconds: float = 60, seed: int = 0) -> list[Routes]:
    """What a solver reports."""
    search = RecordingSearch(seconds, seed)
    solver.solve(instance, search)
    return [solution for _, solution in search.reports]


def costs(instance: RoutingInstance, solutions: list[Routes]) -> list[int]:
    """The referee's costs; infeasible solutions fail."""
    found = [verify(instance, solution).cost for solution in solutions]
    assert None not in found
    return [cost for cost in found if cost is not None]


def test_christofides_keeps_its_guarantee(shared_data: Path) -> None:
    """On Euclidean TSPLIB instances the tour is within 3/2 of the optimum, and usually within 15 %."""
    for name, optimum in (("eil51", 426), ("st70", 675), ("eil101", 629)):
        (entry,) = read_path(shared_data / "tsp" / f"{name}.tsp")
        (cost,) = costs(entry.instance, run(Christofides(), entry.instance))
        assert optimum <= cost <= 1.15 * optimum


def test_annealing_improves_step_by_step() -> None:
    """Each report is better than the one before, the first is nearest neighbour's, the last much better."""
    instance = cities(40)
    found = costs(instance, run(SimulatedAnnealing(iterations=20_000), instance))
    assert all(later < earlier for earlier, later in pairwise(found))
    assert found[-1] < 0.93 * found[0]


def test_annealing_is_reproducible_by_iterations() -> None:
    """The seed decides everything; another seed goes another way; more iterations go on from the same."""
    instance = cities(30)
    short = run(SimulatedAnnealing(iterations=2_000), instance, seed=5)
    assert short == run(SimulatedAnnealing(iterations=2_000), instance, seed=5)
    assert short != run(SimulatedAnnealing(iterations=2_000), instance, seed=6)
    assert short == run(SimulatedAnnealing(iterations=4_000), instance, seed=5)[: len(short)]


def test_annealing_without_iterations_reports_the_first_tour() -> None:
    """Zero moves leave the nearest-neighbour tour."""
    assert len(run(SimulatedAnnealing(iterations=0), cities(20))) == 1


def test_annealing_stops_in_time() -> None:
    """Without a number of iterations it goes on until the time is over, and not beyond."""
    search = RecordingSearch(0.3)
    SimulatedAnnealing().solve(cities(60), search)
    assert 0.3 <= search.elapsed() < 1.3


def test_results_have_not_moved() -> None:
    """A change of these numbers moves results: it belongs under that heading of the changelog."""
    instance = cities(50, seed=9)
    annealed = costs(instance, run(SimulatedAnnealing(iterations=5_000), instance, seed=1))[-1]
    assert [*costs(instance, run(Christofides(), instance)), annealed] == [6055, 5772], "this change moves results"


@pytest.mark.parametrize("solver", [Christofides(), SimulatedAnnealing(iterations=50)], ids=repr)
def test_the_depot_may_be_anywhere(solver: Any) -> None:
    """A tour starts after the depot, whichever city that is."""
    instance = cities(12, depot=7)
    assert costs(instance, run(solver, instance))


@pytest.mark.parametrize("solver", [Christofides(), SimulatedAnnealing()], ids=repr)
def test_what_is_no_symmetric_tour_is_declined(solver: Any) -> None:
    """Asymmetric distances, several vehicles and more cities than fit are declined with the reason."""
    instances = examples()
    assert "asymmetric" in solver.declines(instances["a tour on an asymmetric matrix"])
    assert "capacity" in solver.declines(instances["capacity"])
    assert f"at most {MAX_CITIES} cities" in solver.declines(cities(MAX_CITIES + 1))
    assert solver.declines(cities(MAX_CITIES)) is None


@pytest.mark.parametrize(
    "parameters", [{"temperature": 0}, {"cooling": 0}, {"cooling": 1}, {"iterations": -1}], ids=repr
)
def test_parameters_out_of_range_are_refused(parameters: Any) -> None:
    """The message names what is accepted."""
    with pytest.raises(ValueError, match="accepted are"):
        SimulatedAnnealing(**parameters)
