"""What services are told of a routing instance."""

from pathlib import Path

import numpy as np

from instances.files import read_path
from instances.routing.instance import RoutingInstance
from instances.routing.problem import ROUTING
from instances.routing.rounding import Rounding
from instances.routing.solution import Routes


def test_routes_are_described_by_their_customers(shared_data: Path) -> None:
    """Size, features, load and convention of C101, with its best-known cost in tenths."""
    (entry,) = read_path(shared_data / "vrptw" / "C101.txt")
    found = ROUTING.describe(entry.instance)
    assert (found.problem, found.name, found.size, found.size_unit) == ("routing", "C101", 100, "customers")
    assert found.features == ("capacity", "fleet", "service-times", "time-windows")
    assert found.digest == entry.instance.digest and found.decimals == 1
    assert found.properties == {
        "rounding": "truncated",
        "edges": "planar",
        "capacity": 200,
        "total_demand": 1810,
        "vehicles": 25,
        "max_route_distance": None,
        "max_route_duration": None,
        "depot": 0,
    }
    assert found.best_known is not None and found.best_known.cost == 8273


def test_tours_are_described_by_their_cities() -> None:
    """A tour through three cities has size 3; a matrix and GEO are edges of their own."""
    matrix = np.array([[0, 1, 2], [1, 0, 3], [2, 3, 0]])
    tour = RoutingInstance(rounding=Rounding.EXPLICIT, matrix=matrix, num_vehicles=1)
    found = ROUTING.describe(tour)
    assert (found.size, found.size_unit, found.features) == (3, "cities", ("matrix", "tsp"))
    assert (found.properties["edges"], found.best_known) == ("matrix", None)
    globe = RoutingInstance(rounding=Rounding.GEO, coordinates=np.array([[0, 0], [1, 1]]), num_vehicles=1)
    assert ROUTING.describe(globe).properties["edges"] == "geographical"


def test_documents_and_verdicts_pass_through() -> None:
    """Load undoes dump for instances and solutions, and verify is the referee's word."""
    points = np.array([[0, 0], [3, 4], [6, 8]])
    instance, solution = RoutingInstance(rounding=Rounding.NEAREST, coordinates=points), Routes(((1, 2),))
    assert ROUTING.load(ROUTING.dump(instance)) == instance
    assert ROUTING.load_solution(ROUTING.dump_solution(solution)) == solution
    assert ROUTING.verify(instance, solution).cost == 20
    assert ROUTING.solution_words(solution) == "1 route"
    assert ROUTING.solution_words(Routes(((1,), (2,)))) == "2 routes"
