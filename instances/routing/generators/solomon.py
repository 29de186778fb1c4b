"""Instances with time windows in Solomon's manner: R, C and RC placement, short and long horizons.

References
----------
M. M. Solomon, Algorithms for the vehicle routing and scheduling problems with time window constraints,
Operations Research 35 (1987) 254-265, section 4.
"""

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from instances.errors import InvalidInput
from instances.routing.instance import RoutingInstance
from instances.routing.rounding import IntArray, Rounding

Customers = Literal["random", "clustered", "random-clustered"]
Horizon = Literal["short", "long"]

DENSITIES = (0.25, 0.5, 0.75, 1.0)
CLUSTER_SIZE = 10
CLUSTER_DEVIATION = 3.0

# (horizon, capacity, service time) of Solomon's R1, R2, C1, C2, RC1 and RC2.
_CLASSES = {
    ("random", "short"): (230, 200, 10),
    ("random", "long"): (1000, 1000, 10),
    ("clustered", "short"): (1236, 200, 90),
    ("clustered", "long"): (3390, 700, 90),
    ("random-clustered", "short"): (240, 200, 10),
    ("random-clustered", "long"): (960, 1000, 10),
}


@dataclass(frozen=True)
class SolomonOptions:
    """Options of the Solomon generator; what is not given is drawn for every instance."""

    customers: Customers | None = field(default=None, metadata={"help": "how customers are placed; by default drawn"})
    horizon: Horizon | None = field(default=None, metadata={"help": "length of the day; by default drawn"})
    density: float | None = field(
        default=None,
        metadata={"help": "share of customers with a window, 0 to 1; by default 0.25, 0.5, 0.75 or 1"},
    )
    half_width: float | None = field(
        default=None,
        metadata={"help": "mean half-width of a window as a share of the horizon; by default uniform in 0.02 to 0.2"},
    )

    def __post_init__(self) -> None:
        for name, accepted in (("customers", Customers), ("horizon", Horizon)):
            value = getattr(self, name)
            if value is not None and value not in get_args(accepted):
                raise InvalidInput(f"is {value!r}; accepted are {', '.join(get_args(accepted))}", name)
        for name in ("density", "half_width"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise InvalidInput(f"is {value}; accepted are 0 to 1", name)


def make(rng: np.random.Generator, size: int, problem: str, options: SolomonOptions) -> RoutingInstance:
    """A feasible VRPTW whose distances are truncated to one decimal.

    The square has side 100 and the depot in its middle. Above 100 customers the square and the horizon grow
    with the square root of the size, so that customers stay as dense. Windows of C instances are centred on
    the arrivals of constructed routes, those of R and RC anywhere that a vehicle can reach and return from;
    half-widths are normal. The fleet is one vehicle for four customers, or what a greedy construction needs,
    if that is more.
    """
    placement = options.customers or str(rng.choice(get_args(Customers)))
    horizon_class = options.horizon or str(rng.choice(get_args(Horizon)))
    density = float(rng.choice(DENSITIES)) if options.density is None else options.density
    half_width = rng.uniform(0.02, 0.2) if options.half_width is None else options.half_width
    growth = max(1.0, float(np.sqrt(size / 100)))
    horizon, capacity, service = _CLASSES[placement, horizon_class]
    day, service = 10 * round(horizon * growth), 10 * service

    clusters = np.arange(size) // CLUSTER_SIZE if placement != "random" else np.full(size, -1)
    if placement == "random-clustered":
        clusters[size // 2 :] = -1
    coordinates = _place(rng, clusters, round(100 * growth))
    demand = np.concatenate(([0], _demand(rng, size, placement == "clustered")))
    services = np.full(size + 1, service)
    services[0] = 0
    places = RoutingInstance(rounding=Rounding.TRUNCATED, coordinates=coordinates)
    from_depot = places.lengths(np.zeros(size + 1, np.int64), np.arange(size + 1))
    latest = day - from_depot - services
    open_windows = np.stack((np.zeros(size + 1, np.int64), latest), axis=1)

    if placement == "clustered":
        centres, _ = _construct(places, open_windows, services, demand, capacity)
    else:
        centres = rng.integers(from_depot, latest, endpoint=True)
    windows = open_windows.copy()
    narrowed = 1 + rng.permutation(size)[: round(density * size)]
    half = np.rint(np.maximum(rng.normal(half_width, half_width / 5, len(narrowed)), 0.0) * day).astype(np.int64)
    windows[narrowed, 0] = np.maximum(centres[narrowed] - half, 0)
    windows[narrowed, 1] = np.minimum(centres[narrowed] + half, latest[narrowed])
    _, num_routes = _construct(places, windows, services, demand, capacity)
    return RoutingInstance(
        rounding=Rounding.TRUNCATED,
        coordinates=coordinates,
        demand=demand,
        capacity=capacity,
        num_vehicles=max(-(-size // 4), num_routes),
        time_windows=windows,
        service_times=services,
    )


def _place(rng: np.random.Generator, clusters: IntArray, side: int) -> IntArray:
    """Depot in the middle, customers with a cluster number around its centre, the others (-1) anywhere."""
    points = rng.uniform(0, side, size=(len(clusters), 2))
    centres = rng.uniform(0.1 * side, 0.9 * side, size=(len(clusters), 2))
    near = rng.normal(centres[clusters], CLUSTER_DEVIATION)
    points = np.where((clusters >= 0)[:, None], np.clip(near, 0, side), points)
    coordinates: IntArray = np.rint(np.concatenate(([[side / 2, side / 2]], points))).astype(np.int64)
    return coordinates


def _demand(rng: np.random.Generator, size: int, clustered: bool) -> IntArray:
    """Demands like Solomon's: multiples of 10 with mean 18 in C, about normal with mean 15 in R and RC."""
    if clustered:
        tens: IntArray = 10 * rng.choice(np.arange(1, 5), size=size, p=[0.45, 0.35, 0.15, 0.05])
        return tens
    demand: IntArray = np.clip(np.rint(rng.normal(15, 10, size)), 1, 41).astype(np.int64)
    return demand


def _construct(
    places: RoutingInstance, windows: IntArray, services: IntArray, demand: IntArray, capacity: int
) -> tuple[IntArray, int]:
    """Each location's start of service, and the number of routes, of a greedy construction.

    Each route goes on to the customer whose service can start first. Every customer must be reachable from
    the depot within its window, and its window end early enough for the return.
    """
    starts = np.zeros(len(demand), np.int64)
    waiting = np.arange(1, len(demand))
    num_routes = position = time = load = 0
    while len(waiting):
        arrival = time + services[position] + places.lengths(np.array(position), waiting)
        feasible = (arrival <= windows[waiting, 1]) & (load + demand[waiting] <= capacity)
        if position == 0:
            num_routes += 1
        elif not feasible.any():
            position = time = load = 0
            continue
        start = np.where(feasible, np.maximum(arrival, windows[waiting, 0]), np.iinfo(np.int64).max)
        chosen = int(np.argmin(start))
        position, time = int(waiting[chosen]), int(start[chosen])
        load += int(demand[position])
        starts[position] = time
        waiting = np.delete(waiting, chosen)
    return starts, num_routes
