"""Road networks: connected, metric, not Euclidean, asymmetric where streets are one-way."""

from typing import Any

import numpy as np
import pytest

from instances.routing.generators import generate
from instances.routing.instance import RoutingInstance
from instances.routing.rounding import IntArray


def road(size: int = 40, **options: Any) -> RoutingInstance:
    return generate("road", size=size, count=1, seed=2, **options)[0]


def matrix_of(instance: RoutingInstance) -> IntArray:
    assert instance.matrix is not None
    return instance.matrix


@pytest.mark.parametrize(
    "options", [{}, {"removed": 0.0}, {"removed": 1.0}, {"one_way": 1.0}, {"removed": 0.6, "one_way": 0.5}]
)
def test_distances_are_shortest_paths(options: dict[str, float]) -> None:
    """Every location is reached from every other, and no detour over a third is shorter."""
    matrix = matrix_of(road(**options))
    assert (matrix[~np.eye(41, dtype=bool)] > 0).all()
    assert (matrix[:, :, None] <= matrix[:, None, :] + matrix.T[None, :, :]).all()


def test_streets_are_longer_than_the_straight_line() -> None:
    """No path beats the straight line (rounding apart), and most are clearly longer."""
    instance = road(removed=0.3)
    matrix, points = matrix_of(instance), instance.coordinates
    assert points is not None
    straight = np.linalg.norm(points[:, None] - points[None], axis=-1)
    rounding = 2 + straight / 100  # half a metre a street, and streets are at least 50 m long
    assert (matrix >= straight - rounding).all()
    apart = ~np.eye(len(matrix), dtype=bool)
    assert (matrix[apart] / straight[apart]).mean() > 1.1


def test_one_way_streets_make_it_asymmetric() -> None:
    """Without one-way streets both directions are equally long; with them some are not."""
    assert "asymmetric" not in road().features
    one_way = road(one_way=0.5)
    assert {"matrix", "asymmetric"} <= one_way.features
    matrix = matrix_of(one_way)
    assert (matrix != matrix.T).mean() > 0.2


def test_missing_streets_lengthen_ways() -> None:
    """The more streets are missing, the longer the ways."""
    means = [matrix_of(road(removed=removed)).mean() for removed in (0.0, 0.5, 1.0)]
    assert means[0] < means[1] < means[2]


def test_demand_and_capacity_are_the_uniform_ones() -> None:
    """A CVRP has demands of 1 to 9 and the field's capacity, a TSP one vehicle and none."""
    instance = road(50)
    assert instance.capacity == 40 and instance.demand is not None
    assert (instance.demand[0], instance.demand[1:].min(), instance.demand[1:].max()) == (0, 1, 9)
    assert road(50, problem="tsp").features == {"tsp", "matrix"}


def test_locations_are_distinct_crossings() -> None:
    """No two locations share a crossing."""
    coordinates = road(200).coordinates
    assert coordinates is not None and len(np.unique(coordinates, axis=0)) == 201
