"""One routing instance type for every variant: TSP, CVRP, VRPTW and the rest are fields with neutral defaults."""

import hashlib
import json
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from instances.errors import InvalidInput
from instances.routing.rounding import (
    IntArray,
    Rounding,
    geographical_distances,
    nearest_with_tsplib_ties,
    planar_distances,
)

MAX_LOCATIONS = 100_000
MAX_VALUE = 2**53
MAX_TOTAL = 2**62


@dataclass(frozen=True, eq=False, kw_only=True)
class RoutingInstance:
    """A frozen vehicle-routing instance over N locations, of which one is the depot and the others are customers.

    All numbers are integers. Coordinates are in units of ``10**-coordinate_decimals``; distances, time windows,
    service times, route limits and costs share one unit, ``10**-decimals``. Travel time equals distance.

    Parameters
    ----------
    rounding
        The rule that makes distances; ``explicit`` if and only if ``matrix`` is given.
    coordinates
        int64, shape (N, 2). Required unless there is a matrix, where it serves for display only.
    coordinate_decimals
        Decimals of a coordinate.
    matrix
        int64, shape (N, N); may be asymmetric.
    matrix_decimals
        Decimals of the matrix's entries.
    demand
        int64, shape (N,); zero at the depot. None means no demand anywhere.
    capacity
        Largest load of a route; None means unlimited.
    num_vehicles
        Fleet size: at most this many routes are allowed; None means unlimited.
    time_windows
        int64, shape (N, 2): service starts within [earliest, latest]; waiting is allowed. The depot's window bounds
        departure and return. None means no windows.
    service_times
        int64, shape (N,); zero at the depot. None means no service time.
    max_route_distance, max_route_duration
        Limits on every route; the duration counts travel, service and waiting from the best departure time.
    open_routes
        True if a route ends at its last customer.
    depot
        Index of the depot.
    name, comment
        For people; not part of the digest.

    Raises
    ------
    InvalidInput
        If a field is missing, of the wrong shape, out of range, or in contradiction to another.
    """

    rounding: Rounding
    coordinates: IntArray | None = None
    coordinate_decimals: int = 0
    matrix: IntArray | None = None
    matrix_decimals: int = 0
    demand: IntArray | None = None
    capacity: int | None = None
    num_vehicles: int | None = None
    time_windows: IntArray | None = None
    service_times: IntArray | None = None
    max_route_distance: int | None = None
    max_route_duration: int | None = None
    open_routes: bool = False
    depot: int = 0
    name: str = ""
    comment: str = ""

    def __post_init__(self) -> None:
        for field in ("coordinates", "matrix", "demand", "time_windows", "service_times"):
            value = getattr(self, field)
            if value is not None:
                object.__setattr__(self, field, _frozen_array(field, value))
        _check(self)

    @property
    def num_locations(self) -> int:
        reference = self.matrix if self.matrix is not None else self.coordinates
        assert reference is not None
        return len(reference)

    @property
    def num_customers(self) -> int:
        return self.num_locations - 1

    @cached_property
    def customers(self) -> IntArray:
        """All location indices but the depot's, ascending, shape (N - 1,)."""
        return np.delete(np.arange(self.num_locations), self.depot)

    @property
    def decimals(self) -> int:
        """Decimals of distances, times and costs."""
        return self.matrix_decimals if self.matrix is not None else self.rounding.decimals

    @property
    def features(self) -> frozenset[str]:
        """The constraints this instance uses, derived from its fields.

        ``tsp`` stands alone for a single uncapacitated vehicle without further constraints.
        """
        found = {
            "capacity": self.capacity is not None,
            "fleet": self.num_vehicles is not None,
            "time-windows": self.time_windows is not None,
            "service-times": self.service_times is not None,
            "route-distance": self.max_route_distance is not None,
            "route-duration": self.max_route_duration is not None,
            "open": self.open_routes,
        }
        names = frozenset(name for name, present in found.items() if present)
        tour = names == {"fleet"} and self.num_vehicles == 1
        shape = {"tsp"} if tour else names
        if self.matrix is not None:
            shape = shape | {"matrix"}
            if not np.array_equal(self.matrix, self.matrix.T):
                shape = shape | {"asymmetric"}
        return frozenset(shape)

    def lengths(self, origins: IntArray, destinations: IntArray) -> IntArray:
        """Distances from ``origins`` to ``destinations`` (location indices that broadcast), int64."""
        if self.matrix is not None:
            return self.matrix[origins, destinations]
        assert self.coordinates is not None
        start, end = self.coordinates[origins], self.coordinates[destinations]
        if self.rounding is Rounding.GEO:
            start, end = np.broadcast_arrays(start, end)
            return geographical_distances(start, end, self.coordinate_decimals)
        if self.rounding is Rounding.NEAREST and self.coordinate_decimals:
            return nearest_with_tsplib_ties(start, end, self.coordinate_decimals)
        return planar_distances(
            start[..., 0] - end[..., 0], start[..., 1] - end[..., 1], self.coordinate_decimals, self.rounding
        )

    @cached_property
    def distances(self) -> IntArray:
        """The full distance matrix, int64, shape (N, N), read-only. It takes 8 N^2 bytes."""
        if self.matrix is not None:
            return self.matrix
        index = np.arange(self.num_locations)
        matrix = self.lengths(index[:, None], index[None, :])
        matrix.setflags(write=False)
        return matrix

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, as 64 hex digits; name and comment do not enter."""
        sha = hashlib.sha256()
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ("name", "comment") or value is None:
                continue
            sha.update(field.name.encode())
            if isinstance(value, np.ndarray):
                sha.update(str(value.shape).encode() + value.astype("<i8").tobytes())
            else:
                sha.update(json.dumps(value).encode())
        return sha.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RoutingInstance) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


def _frozen_array(field: str, value: object) -> IntArray:
    array = np.asarray(value)
    if array.dtype.kind not in "iu" or (array.dtype.kind == "u" and array.size and array.max() > MAX_VALUE):
        raise InvalidInput("must hold integers", field)
    frozen = np.array(array, dtype=np.int64, order="C")
    frozen.setflags(write=False)
    return frozen


def _check(instance: RoutingInstance) -> None:
    """Raise InvalidInput at the first field that is wrong."""
    if (instance.rounding is Rounding.EXPLICIT) != (instance.matrix is not None):
        raise InvalidInput("must be 'explicit' if and only if a matrix is given", "rounding")
    if instance.matrix is None and instance.coordinates is None:
        raise InvalidInput("either coordinates or a matrix must be given", "coordinates")
    size = instance.num_locations
    if not 1 <= size <= MAX_LOCATIONS:
        raise InvalidInput(f"{size} locations; accepted are 1 to {MAX_LOCATIONS}", "coordinates")
    shapes: dict[str, tuple[int, ...]] = {
        "coordinates": (size, 2),
        "matrix": (size, size),
        "demand": (size,),
        "time_windows": (size, 2),
        "service_times": (size,),
    }
    for field, shape in shapes.items():
        array: IntArray | None = getattr(instance, field)
        if array is None:
            continue
        if array.shape != shape:
            raise InvalidInput(f"has shape {array.shape}; expected {shape} for {size} locations", field)
        low = -MAX_VALUE if field == "coordinates" else 0
        outside = np.argwhere((array < low) | (array > MAX_VALUE))
        if len(outside):
            place = tuple(int(i) for i in outside[0])
            raise InvalidInput(f"value {array[place]} is outside {low} to {MAX_VALUE}", f"{field}{list(place)}")
    for field, low in (
        ("capacity", 0), ("num_vehicles", 1), ("max_route_distance", 0), ("max_route_duration", 0)
    ):  # fmt: skip
        number: int | None = getattr(instance, field)
        if number is not None and not low <= number <= MAX_VALUE:
            raise InvalidInput(f"is {number}; accepted are {low} to {MAX_VALUE}", field)
    for field in ("coordinate_decimals", "matrix_decimals"):
        if not 0 <= getattr(instance, field) <= 18:
            raise InvalidInput("must be 0 to 18", field)
    if not 0 <= instance.depot < size:
        raise InvalidInput(f"is {instance.depot}; accepted are 0 to {size - 1}", "depot")
    _check_content(instance)


def _check_content(instance: RoutingInstance) -> None:
    if instance.demand is not None:
        if instance.demand[instance.depot] != 0:
            raise InvalidInput(f"is {instance.demand[instance.depot]} at the depot; it must be 0 there", "demand")
        if instance.capacity is not None and (instance.demand > instance.capacity).any():
            location = int(np.argmax(instance.demand > instance.capacity))
            raise InvalidInput(
                f"{instance.demand[location]} exceeds the capacity {instance.capacity}", f"demand[{location}]"
            )
    if instance.service_times is not None and instance.service_times[instance.depot] != 0:
        raise InvalidInput("must be 0 at the depot", "service_times")
    if instance.time_windows is not None:
        closed = instance.time_windows[:, 0] > instance.time_windows[:, 1]
        if closed.any():
            location = int(np.argmax(closed))
            earliest, latest = instance.time_windows[location]
            raise InvalidInput(f"opens at {earliest} and closes at {latest}", f"time_windows[{location}]")
    if instance.matrix is not None:
        if np.diagonal(instance.matrix).any():
            raise InvalidInput("must be zero on the diagonal", "matrix")
        longest = int(instance.matrix.max())
    elif instance.rounding is Rounding.GEO:
        longest = 20_040
    else:
        assert instance.coordinates is not None
        span = (instance.coordinates.max(axis=0) - instance.coordinates.min(axis=0)).astype(float)
        longest = int(np.hypot(*span) * 10.0 ** (instance.decimals - instance.coordinate_decimals)) + 1
    service = 0 if instance.service_times is None else int(instance.service_times.max())
    if 2 * instance.num_locations * (longest + service) >= MAX_TOTAL:
        raise InvalidInput("distances are so long that a solution's cost could exceed 2^62", "coordinates")
