"""Small instances, one for each feature and corner, on which a solver shows how it behaves."""

from typing import Any

import numpy as np

from instances.routing.instance import RoutingInstance
from instances.routing.rounding import Rounding

# The depot is location 0 in the middle; locations 3 and 7 coincide.
_POINTS = np.array([[50, 50], [20, 20], [30, 80], [80, 70], [70, 20], [10, 50], [55, 90], [80, 70], [45, 30]])
_DEMAND = np.array([0, 3, 4, 2, 5, 1, 3, 2, 4])
_SERVICE = np.array([0, 5, 5, 10, 5, 0, 5, 5, 10])
# Every customer can be served alone, at once or after waiting.
_WINDOWS = np.array([[0, 400], [60, 200], [0, 120], [100, 250], [50, 150], [0, 400], [30, 300], [120, 260], [0, 90]])
_SKEW = np.arange(81).reshape(9, 9) % 7


def examples() -> dict[str, RoutingInstance]:
    """The instances by what is special about them; every one of them has a feasible solution."""
    matrix = np.abs(_POINTS[:, None] - _POINTS[None]).sum(axis=2)
    asymmetric = matrix + np.where(matrix > 0, _SKEW, 0)
    load: dict[str, Any] = {"demand": _DEMAND, "capacity": 10}
    times: dict[str, Any] = {"time_windows": _WINDOWS, "service_times": _SERVICE}
    return {
        "no constraint": _planar(),
        "a tour": _planar(num_vehicles=1),
        "a tour on a matrix": _explicit(matrix, num_vehicles=1),
        "a tour on an asymmetric matrix": _explicit(asymmetric, num_vehicles=1),
        "capacity": _planar(**load),
        "capacity, depot in the corner": _planar(demand=np.roll(_DEMAND, 1), capacity=10, depot=1),
        "capacity and fleet": _planar(**load, num_vehicles=6),
        "capacity on an asymmetric matrix": _explicit(asymmetric, **load),
        "capacity and open routes": _planar(**load, open_routes=True),
        "time windows": _planar(**load, time_windows=_WINDOWS),
        "time windows, service and fleet": _planar(**load, **times, num_vehicles=8),
        "route distance": _planar(**load, max_route_distance=160),
        "route duration and service": _planar(**load, service_times=_SERVICE, max_route_duration=180),
        "everything": _explicit(
            asymmetric,
            **load,
            **times,
            num_vehicles=8,
            max_route_distance=250,
            max_route_duration=350,
            open_routes=True,
        ),
        "unrounded distances": _planar(**load, rounding=Rounding.UNROUNDED),
        "a single customer": _some(2, demand=_DEMAND[:2], capacity=10),
        "no customer": _some(1, demand=_DEMAND[:1], capacity=10),
        "a tour of one city": _some(1, num_vehicles=1),
        "a tour of two cities": _some(2, num_vehicles=1),
        "a tour of three cities": _some(3, num_vehicles=1),
    }


def _planar(rounding: Rounding = Rounding.NEAREST, **fields: Any) -> RoutingInstance:
    return RoutingInstance(rounding=rounding, coordinates=_POINTS, **fields)


def _explicit(matrix: Any, **fields: Any) -> RoutingInstance:
    return RoutingInstance(rounding=Rounding.EXPLICIT, matrix=matrix, **fields)


def _some(size: int, **fields: Any) -> RoutingInstance:
    return RoutingInstance(rounding=Rounding.NEAREST, coordinates=_POINTS[:size], **fields)
