"""The JSON document keeps every field exactly and refuses everything else."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.errors import InvalidInput
from instances.routing.document import dump, dump_solution, load, load_solution
from instances.routing.instance import RoutingInstance
from instances.routing.rounding import Rounding
from instances.routing.solution import Routes

FULL = RoutingInstance(
    rounding=Rounding.TRUNCATED,
    coordinates=np.array([[0, 0], [30, 40], [-5, 2]]),
    coordinate_decimals=1,
    demand=np.array([3, 0, 2]),
    capacity=7,
    num_vehicles=2,
    time_windows=np.array([[0, 99], [0, 99], [5, 50]]),
    service_times=np.array([1, 0, 2]),
    max_route_distance=500,
    max_route_duration=600,
    open_routes=True,
    depot=1,
    name="full",
    comment="every field",
)
EXPLICIT = RoutingInstance(
    rounding=Rounding.EXPLICIT, matrix=np.array([[0, 5], [4, 0]]), matrix_decimals=2, num_vehicles=1
)


def through_json(instance: RoutingInstance) -> RoutingInstance:
    return load(json.loads(json.dumps(dump(instance))))


@pytest.mark.parametrize("instance", [FULL, EXPLICIT], ids=["full", "explicit"])
def test_every_field_survives(instance: RoutingInstance) -> None:
    """Writing and reading gives the same instance, name and comment included."""
    again = through_json(instance)
    assert again == instance and (again.name, again.comment) == (instance.name, instance.comment)
    assert dump(again) == dump(instance)


def test_fields_at_their_default_are_left_out() -> None:
    """A plain instance has a short document."""
    assert dump(EXPLICIT) == {
        "problem": "routing",
        "version": 1,
        "rounding": "explicit",
        "matrix": [[0, 5], [4, 0]],
        "matrix_decimals": 2,
        "num_vehicles": 1,
    }


whole = st.integers(0, 10**6)


@given(
    st.lists(st.tuples(whole, whole, whole), min_size=1, max_size=8),
    st.sampled_from(["nearest", "att", "ceiling"]),
)
def test_any_instance_survives(rows: list[tuple[int, int, int]], rule: str) -> None:
    """Coordinates and demands of any instance come back exactly."""
    x, y, demand = np.array(rows).T
    demand[0] = 0
    instance = RoutingInstance(rounding=Rounding(rule), coordinates=np.stack((x, y), axis=1), demand=demand)
    assert through_json(instance) == instance


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"problem": None}, "problem"),
        ({"problem": "factoring"}, "problem"),
        ({"version": 2}, "version"),
        ({"version": "1"}, "version"),
        ({"rounding": "up"}, "rounding"),
        ({"rounding": 1}, "rounding"),
        ({"rounding": ["nearest"]}, "rounding"),
        ({"speed": 1}, "speed"),
        ({"capacity": 7.0}, "capacity"),
        ({"capacity": "7"}, "capacity"),
        ({"capacity": True}, "capacity"),
        ({"open_routes": 1}, "open_routes"),
        ({"name": 5}, "name"),
        ({"demand": [3, 0, 2.0]}, "demand"),
        ({"demand": [3, 0, None]}, "demand"),
        ({"demand": [3, 0, True]}, "demand"),
        ({"demand": [True, False, True]}, "demand"),
        ({"demand": [3, 0, "2"]}, "demand"),
        ({"demand": [3, 0, 2**64]}, "demand"),
        ({"demand": "302"}, "demand"),
        ({"demand": {"1": 3}}, "demand"),
        ({"demand": []}, "demand"),
        ({"demand": [[3], [0], [2]]}, "demand"),
        ({"coordinates": [[0, 0], [30, 40], [-5]]}, "coordinates"),
        ({"coordinates": [0, 0, 30]}, "coordinates"),
        ({"coordinates": [[0, 0], [30, 40], [float("nan"), 2]]}, "coordinates"),
        ({"time_windows": [[0, 99], [0, 99], [50, 5]]}, "time_windows[2]"),
        ({"demand": [3, 1, 2]}, "demand"),
        ({"depot": 7}, "depot"),
    ],
)
def test_wrong_documents_are_refused(change: dict[str, Any], where: str) -> None:
    """A wrong type, an unknown field or a contradiction raises InvalidInput naming the field."""
    with pytest.raises(InvalidInput) as caught:
        load({**dump(FULL), **change})
    assert caught.value.where == where


@pytest.mark.parametrize("field", ["problem", "version", "rounding", "coordinates"])
def test_missing_fields_are_named(field: str) -> None:
    """A document without a necessary field is refused for that."""
    document = dump(replace(FULL, demand=None, time_windows=None, service_times=None, depot=0))
    del document[field]
    with pytest.raises(InvalidInput) as caught:
        load(document)
    assert caught.value.where == field


@pytest.mark.parametrize("document", [None, [], "routing", 3])
def test_only_objects_are_documents(document: Any) -> None:
    """Anything but a JSON object is refused."""
    with pytest.raises(InvalidInput, match="must be a JSON object"):
        load(document)


def test_solutions_survive() -> None:
    """Routes come back as they were, empty ones included."""
    solution = Routes(((1, 3), (), (2,)))
    assert dump_solution(solution) == [[1, 3], [], [2]]
    assert load_solution(json.loads(json.dumps(dump_solution(solution)))) == solution


@pytest.mark.parametrize("document", [None, 3, {"1": [2]}, [1, 2], [[1], 2], [[1.0]], [["1"]], [[True]], [[None]]])
def test_wrong_solutions_are_refused(document: Any) -> None:
    """Anything but lists of integers is refused."""
    with pytest.raises(InvalidInput, match=r"list of routes|integers only"):
        load_solution(document)
