"""Which routes are feasible, for constructions: segments of a route are joined in constant time.

References
----------
T. Vidal et al., A hybrid genetic algorithm with adaptive diversity management for a large class of vehicle
routing problems with time-windows, 2013, section 4.3.
"""

from typing import Any, NamedTuple

import numpy as np

from instances.routing.instance import MAX_TOTAL, RoutingInstance
from instances.routing.rounding import IntArray

FEATURES = frozenset(
    {
        "tsp", "capacity", "fleet", "time-windows", "service-times", "route-distance", "route-duration",
        "open", "matrix", "asymmetric",
    }
)  # fmt: skip
"""All features of a routing instance: who tests each step with a :class:`Feasibility` honours them."""


class Segment(NamedTuple):
    """What feasibility needs of a sequence of stops; integers, or int64 arrays for many sequences at once.

    Departures from ``earliest`` to ``latest`` give the least ``duration`` and the least total lateness,
    ``late``. The times are all zero where the instance restricts none.
    """

    load: Any
    distance: Any
    duration: Any
    earliest: Any
    latest: Any
    late: Any

    def take(self, index: Any) -> "Segment":
        """The segments at ``index``, where the fields are arrays."""
        return Segment(*(field[index] for field in self))


class Feasibility:
    """The constraints of an instance on a single route.

    Attributes
    ----------
    stops
        One segment for each location, fields of shape (N,).
    start, end
        The depot as the begin and as the end of a route. Nothing is required at the end of an open route.
    to_end
        Length of the way from each location to the end of a route, int64, shape (N,); 0 in open routes.
    """

    def __init__(self, instance: RoutingInstance) -> None:
        size = instance.num_locations
        zeros = np.zeros(size, np.int64)
        self._instance = instance
        self._timed = instance.time_windows is not None or instance.max_route_duration is not None
        unlimited = np.full(size, MAX_TOTAL)
        windows = instance.time_windows
        service = instance.service_times
        self.stops = Segment(
            load=zeros if instance.demand is None else instance.demand,
            distance=zeros,
            duration=service if self._timed and service is not None else zeros,
            earliest=zeros if windows is None else windows[:, 0],
            latest=unlimited if windows is None else windows[:, 1],
            late=zeros,
        )
        depot = instance.depot
        self.start = self.stops.take(depot)
        self.end = Segment(0, 0, 0, 0, MAX_TOTAL, 0) if instance.open_routes else self.start
        everywhere = np.arange(size)
        self.to_end: IntArray = zeros if instance.open_routes else instance.lengths(everywhere, np.array(depot))
        self.from_start: IntArray = instance.lengths(np.array(depot), everywhere)

    def join(self, first: Segment, second: Segment, length: Any) -> Segment:
        """``second`` after ``first``, with an arc of ``length`` between them."""
        load = first.load + second.load
        distance = first.distance + second.distance + length
        if not self._timed:
            return Segment(load, distance, 0, 0, 0, 0)
        elapsed = first.duration - first.late + length
        waiting = np.maximum(0, second.earliest - elapsed - first.latest)
        late = np.maximum(0, first.earliest + elapsed - second.latest)
        return Segment(
            load,
            distance,
            duration=first.duration + second.duration + length + waiting,
            earliest=np.maximum(second.earliest - elapsed, first.earliest) - waiting,
            latest=np.minimum(second.latest - elapsed, first.latest) + late,
            late=first.late + second.late + late,
        )

    def route(self, customers: Segment, first: Any, last: Any) -> Segment:
        """The whole route whose customers from ``first`` to ``last`` are a segment."""
        begun = self.join(self.start, customers, self.from_start[first])
        return self.join(begun, self.end, self.to_end[last])

    def allows(self, route: Segment) -> Any:
        """Whether a whole route keeps every limit; a bool, or an array of them."""
        instance = self._instance
        allowed = np.equal(route.late, 0)
        if instance.capacity is not None:
            allowed = allowed & (route.load <= instance.capacity)
        if instance.max_route_distance is not None:
            allowed = allowed & (route.distance <= instance.max_route_distance)
        if instance.max_route_duration is not None:
            allowed = allowed & (route.duration <= instance.max_route_duration)
        return allowed
