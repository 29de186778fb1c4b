"""A routing instance refuses what makes no sense, says where, and knows its features and digest."""

import re
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest

from instances.errors import InvalidInput
from instances.routing.instance import MAX_LOCATIONS, MAX_VALUE, RoutingInstance
from instances.routing.rounding import Rounding

SQUARE = np.array([[0, 0], [3, 4], [0, 4], [3, 0]])
MATRIX = np.array([[0, 5, 4], [5, 0, 3], [4, 3, 0]])


def planar(**fields: Any) -> RoutingInstance:
    return RoutingInstance(**{"rounding": Rounding.NEAREST, "coordinates": SQUARE, **fields})


def explicit(**fields: Any) -> RoutingInstance:
    return RoutingInstance(**{"rounding": Rounding.EXPLICIT, "matrix": MATRIX, **fields})


@pytest.mark.parametrize(
    ("make", "fields", "where", "what"),
    [
        (planar, {"rounding": Rounding.EXPLICIT}, "rounding", "if and only if"),
        (explicit, {"rounding": Rounding.NEAREST}, "rounding", "if and only if"),
        (planar, {"coordinates": None}, "coordinates", "either coordinates or a matrix"),
        (planar, {"coordinates": np.zeros((0, 2), int)}, "coordinates", "0 locations"),
        (planar, {"coordinates": np.zeros((MAX_LOCATIONS + 1, 2), int)}, "coordinates", "100001 locations"),
        (planar, {"coordinates": np.zeros((4, 3), int)}, "coordinates", "shape (4, 3); expected (4, 2)"),
        (planar, {"coordinates": SQUARE * 0.5}, "coordinates", "integers"),
        (planar, {"coordinates": SQUARE.astype(object)}, "coordinates", "integers"),
        (planar, {"coordinates": np.full((2, 2), 2**63, np.uint64)}, "coordinates", "integers"),
        (planar, {"coordinates": SQUARE - MAX_VALUE - 1}, "coordinates[0, 0]", "is outside"),
        (planar, {"coordinates": SQUARE + MAX_VALUE}, "coordinates[1, 0]", "is outside"),
        (
            planar,
            {"coordinates": SQUARE * (MAX_VALUE // 4), "rounding": Rounding.UNROUNDED},
            "coordinates",
            "2^62",
        ),
        (explicit, {"matrix": MATRIX[:2]}, "matrix", "expected (2, 2)"),
        (explicit, {"matrix": -MATRIX}, "matrix[0, 1]", "is outside 0"),
        (explicit, {"matrix": MATRIX + 1}, "matrix", "zero on the diagonal"),
        (explicit, {"coordinates": SQUARE}, "coordinates", "expected (3, 2)"),
        (planar, {"demand": [0, 1, 2]}, "demand", "shape (3,)"),
        (planar, {"demand": [0, 1, -2, 3]}, "demand[2]", "is outside 0"),
        (planar, {"demand": [1, 1, 2, 3]}, "demand", "at the depot"),
        (planar, {"demand": [0, 1, 9, 3], "capacity": 8}, "demand[2]", "exceeds the capacity 8"),
        (planar, {"capacity": -1}, "capacity", "accepted are 0"),
        (planar, {"capacity": MAX_VALUE + 1}, "capacity", "accepted are 0"),
        (planar, {"num_vehicles": 0}, "num_vehicles", "accepted are 1"),
        (planar, {"max_route_distance": -1}, "max_route_distance", "accepted are 0"),
        (planar, {"max_route_duration": -1}, "max_route_duration", "accepted are 0"),
        (planar, {"service_times": [1, 0, 0, 0]}, "service_times", "depot"),
        (planar, {"service_times": [0, 0, 0, -1]}, "service_times[3]", "is outside 0"),
        (planar, {"time_windows": [[0, 9]] * 3}, "time_windows", "shape (3, 2)"),
        (
            planar,
            {"time_windows": [[0, 9], [0, 9], [5, 4], [0, 9]]},
            "time_windows[2]",
            "opens at 5 and closes at 4",
        ),
        (planar, {"time_windows": [[-1, 9]] * 4}, "time_windows[0, 0]", "is outside 0"),
        (planar, {"coordinate_decimals": 19}, "coordinate_decimals", "0 to 18"),
        (explicit, {"matrix_decimals": -1}, "matrix_decimals", "0 to 18"),
        (planar, {"depot": 4}, "depot", "accepted are 0 to 3"),
        (planar, {"depot": -1}, "depot", "accepted are 0 to 3"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, fields: dict[str, Any], where: str, what: str) -> None:
    """Each wrong field raises InvalidInput naming the field and what is wrong."""
    with pytest.raises(InvalidInput, match=re.escape(what)) as caught:
        make(**fields)
    assert caught.value.where == where


def test_the_limits_themselves_are_accepted() -> None:
    """The largest coordinate, capacity and service time make an instance."""
    planar(capacity=MAX_VALUE, service_times=[0, MAX_VALUE, 0, 0], demand=[0, MAX_VALUE, 0, 0])
    planar(coordinates=[[-MAX_VALUE, 0], [MAX_VALUE, 0]], time_windows=[[0, MAX_VALUE], [5, 5]])


def test_neutral_defaults_constrain_nothing() -> None:
    """Without optional fields nothing is constrained."""
    instance = planar()
    assert instance.features == frozenset()
    assert (instance.num_locations, instance.num_customers, instance.decimals) == (4, 3, 0)
    assert instance.customers.tolist() == [1, 2, 3]
    assert planar(depot=2).customers.tolist() == [0, 1, 3]


@pytest.mark.parametrize(
    ("fields", "features"),
    [
        ({"capacity": 5}, {"capacity"}),
        ({"num_vehicles": 1}, {"tsp"}),
        ({"num_vehicles": 2}, {"fleet"}),
        ({"num_vehicles": 1, "capacity": 5}, {"fleet", "capacity"}),
        ({"num_vehicles": 1, "open_routes": True}, {"fleet", "open"}),
        ({"time_windows": [[0, 9]] * 4}, {"time-windows"}),
        ({"service_times": [0, 1, 1, 1]}, {"service-times"}),
        ({"max_route_distance": 9}, {"route-distance"}),
        ({"max_route_duration": 9}, {"route-duration"}),
    ],
)
def test_features_follow_the_fields(fields: dict[str, Any], features: set[str]) -> None:
    """A feature is there if and only if its field is set; one unconstrained vehicle is a TSP."""
    assert planar(**fields).features == features


def test_matrix_features() -> None:
    """A matrix shows as a feature, and its asymmetry as another."""
    assert explicit().features == {"matrix"}
    lopsided = MATRIX.copy()
    lopsided[0, 1] += 1
    assert explicit(matrix=lopsided, num_vehicles=1).features == {"tsp", "matrix", "asymmetric"}


def test_distances() -> None:
    """The full matrix, the lengths of arcs, and the units agree with the rule."""
    instance = planar()
    assert instance.distances.tolist() == [[0, 5, 4, 3], [5, 0, 3, 4], [4, 3, 0, 5], [3, 4, 5, 0]]
    assert instance.lengths(np.array([0, 1]), np.array([2, 3])).tolist() == [4, 4]
    assert not instance.distances.flags.writeable
    assert planar(rounding=Rounding.TRUNCATED).decimals == 1
    assert explicit(matrix_decimals=2).decimals == 2
    assert explicit().distances is explicit().matrix or explicit().distances.tolist() == MATRIX.tolist()
    assert explicit().lengths(np.array([2]), np.array([1])).tolist() == [3]


def test_geographical_distances_broadcast() -> None:
    """The matrix of a GEO instance equals its arcs one by one."""
    points = np.array([[3824, 2042], [3957, 2615], [4056, 2532]])
    instance = RoutingInstance(rounding=Rounding.GEO, coordinates=points, coordinate_decimals=2)
    for i in range(3):
        for j in range(3):
            assert instance.distances[i, j] == instance.lengths(np.array([i]), np.array([j]))[0]


def test_digest_is_the_content() -> None:
    """The digest changes with every field but name and comment; equality and hash follow it."""
    base = planar(demand=[0, 1, 2, 3], capacity=9, name="a")
    assert base == replace(base, name="b", comment="c") and hash(base) == hash(replace(base, name="b"))
    changes: list[dict[str, Any]] = [
        {"rounding": Rounding.TRUNCATED},
        {"coordinates": SQUARE + 1},
        {"coordinate_decimals": 1},
        {"matrix_decimals": 1},
        {"demand": [0, 1, 2, 4]},
        {"capacity": 10},
        {"num_vehicles": 9},
        {"time_windows": [[0, 9]] * 4},
        {"service_times": [0, 1, 1, 1]},
        {"max_route_distance": 9},
        {"max_route_duration": 9},
        {"open_routes": True},
        {"depot": 3, "demand": [3, 1, 2, 0]},
    ]
    digests = {replace(base, **change).digest for change in changes}
    assert len(digests) == len(changes) and base.digest not in digests
    assert base != "a"


def test_digest_is_stable() -> None:
    """The digest of a known instance never changes: stored runs are found by it."""
    expected = "c48024413169acd5d6d5691880a9547e68706bca842b9d02232f9039f37f9123"
    assert planar(demand=[0, 1, 2, 3], capacity=9).digest == expected


def test_arrays_are_copied_and_frozen() -> None:
    """What callers do to their arrays afterwards does not reach the instance; nobody can write to it."""
    mine = SQUARE.copy()
    instance = planar(coordinates=mine)
    mine[0, 0] = 99
    assert instance.coordinates is not None and instance.coordinates[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        instance.coordinates[0, 0] = 1
    with pytest.raises(FrozenInstanceError):
        instance.capacity = 3  # type: ignore[misc]
