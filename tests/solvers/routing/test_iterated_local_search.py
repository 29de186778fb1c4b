"""PyVRP: the initial solution counts, iterations are counted, numbers beyond its bound are declined."""

import numpy as np
import pytest

from instances.errors import InvalidInput
from instances.routing.generators.catalogue import generate
from instances.routing.instance import RoutingInstance
from instances.routing.referee import verify
from instances.routing.rounding import Rounding
from solvers.conformance import RecordingSearch
from solvers.routing.iterated_local_search import MAX_VALUE, PyVrp
from solvers.spec import build


def test_initial_solution_is_reported() -> None:
    """One iteration alone still leaves a solution, the one PyVRP begins with."""
    (instance,) = generate("uniform", size=20, count=1, problem="tsp")
    search = RecordingSearch(10.0, seed=1)
    PyVrp(iterations=1).solve(instance, search)
    assert search.reports
    assert verify(instance, search.reports[0][1]).feasible


def test_more_iterations_continue_the_same_run() -> None:
    """The reports of a short run are the beginning of a longer one's."""
    (instance,) = generate("x", size=40, count=1)

    def reports(iterations: int) -> list[object]:
        search = RecordingSearch(60.0, seed=3)
        PyVrp(iterations=iterations).solve(instance, search)
        return [solution for _, solution in search.reports]

    short, long = reports(50), reports(2_000)
    assert long[: len(short)] == short
    assert len(long) > len(short)


@pytest.mark.parametrize("field", ["matrix", "time_windows", "max_route_duration", "coordinates"])
def test_declines_numbers_beyond_its_bound(field: str) -> None:
    """Distances, times and limits above 2^44 are declined; the same instance at the bound is not."""

    def instance(number: int) -> RoutingInstance:
        match field:
            case "matrix":
                return RoutingInstance(rounding=Rounding.EXPLICIT, matrix=np.array([[0, number], [1, 0]]))
            case "time_windows":
                return RoutingInstance(
                    rounding=Rounding.NEAREST,
                    coordinates=np.array([[0, 0], [1, 1]]),
                    time_windows=np.array([[0, number], [0, 5]]),
                )
            case "max_route_duration":
                return RoutingInstance(
                    rounding=Rounding.NEAREST,
                    coordinates=np.array([[0, 0], [1, 1]]),
                    max_route_duration=number,
                )
            case _:
                return RoutingInstance(rounding=Rounding.NEAREST, coordinates=np.array([[0, 0], [0, number - 1]]))

    assert PyVrp().declines(instance(MAX_VALUE)) is None
    assert str(MAX_VALUE) in (PyVrp().declines(instance(MAX_VALUE + 1)) or "")


def test_a_capacity_that_cannot_bind_is_no_large_number() -> None:
    """A capacity beyond the bound is taken, as it is the total demand that counts."""
    instance = RoutingInstance(
        rounding=Rounding.NEAREST,
        coordinates=np.array([[0, 0], [3, 4], [6, 8]]),
        demand=np.array([0, 1, 1]),
        capacity=2**50,
    )
    assert PyVrp().declines(instance) is None
    search = RecordingSearch(5.0)
    PyVrp(iterations=20).solve(instance, search)
    assert verify(instance, search.reports[-1][1]).cost == 20


def test_bad_iterations_are_refused() -> None:
    with pytest.raises(InvalidInput, match="iterations is 0"):
        build(PyVrp, {"iterations": "0"}, "solver 'pyvrp'")
