"""The X generator: capacitated instances that vary depot, customers, demand and route size.

References
----------
E. Uchoa et al., New benchmark instances for the capacitated vehicle routing problem, European Journal of
Operational Research 257 (2017) 845-858, section 4.
"""

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from instances.errors import InvalidInput
from instances.routing.generators.sample import Sample
from instances.routing.instance import RoutingInstance
from instances.routing.rounding import IntArray, Rounding

EXTENT = 1000
CENTRE = 500
DECAY = 40.0
MAX_SEEDS = 8

Depot = Literal["central", "eccentric", "random"]
Customers = Literal["random", "clustered", "random-clustered"]
Demand = Literal["unitary", "1-10", "5-10", "1-100", "50-100", "quadrant", "many-small-few-large"]

_RANGES = {"unitary": (1, 1), "1-10": (1, 10), "5-10": (5, 10), "1-100": (1, 100), "50-100": (50, 100)}


@dataclass(frozen=True)
class XOptions:
    """Options of the X generator; what is not given is drawn for every instance."""

    depot: Depot | None = field(default=None, metadata={"help": "where the depot is; by default drawn"})
    customers: Customers | None = field(default=None, metadata={"help": "how customers are placed; by default drawn"})
    demand: Demand | None = field(default=None, metadata={"help": "distribution of the demand; by default drawn"})
    route_size: float | None = field(
        default=None, metadata={"help": "customers per route, at least 1; by default triangular(3, 6, 25)"}
    )

    def __post_init__(self) -> None:
        for name, accepted in (("depot", Depot), ("customers", Customers), ("demand", Demand)):
            value = getattr(self, name)
            if value is not None and value not in get_args(accepted):
                raise InvalidInput(f"is {value!r}; accepted are {', '.join(get_args(accepted))}", name)
        if self.route_size is not None and not 1 <= self.route_size <= 1000:
            raise InvalidInput(f"is {self.route_size}; accepted are 1 to 1000", "route_size")


def sample_x(rng: np.random.Generator, batch: int, size: int, options: XOptions | None = None) -> Sample:
    """X instances on the grid [0, 1000]^2; no two locations of an instance coincide.

    Parameters
    ----------
    rng
        Source of randomness.
    batch
        Number of instances.
    size
        Customers of each.
    options
        What is fixed; everything else is drawn for every instance of the batch.

    Returns
    -------
    Sample
        With N = size + 1 locations each.
    """
    options = options or XOptions()
    depot = _choice(rng, batch, Depot, options.depot)
    placement = _choice(rng, batch, Customers, options.customers)
    demand_type = _choice(rng, batch, Demand, options.demand)
    route_size = (
        rng.triangular(3, 6, 25, size=batch) if options.route_size is None else np.full(batch, options.route_size)
    )
    coordinates = _place(rng, size, depot, placement)
    demand = _demand(rng, coordinates, demand_type)
    capacity = np.ceil(route_size * demand.sum(axis=1) / size).astype(np.int64)
    return Sample(coordinates, demand, np.maximum(capacity, demand.max(axis=1)), EXTENT)


def make(rng: np.random.Generator, size: int, problem: str, options: XOptions) -> RoutingInstance:
    """One X instance; distances rounded to the nearest integer, as in the X set."""
    return sample_x(rng, 1, size, options).instance(0, rounding=Rounding.NEAREST, coordinate_decimals=0)


def _choice(rng: np.random.Generator, batch: int, accepted: object, fixed: str | None) -> npt.NDArray[np.str_]:
    return np.full(batch, fixed) if fixed is not None else rng.choice(get_args(accepted), size=batch)


def _place(
    rng: np.random.Generator, size: int, depot: npt.NDArray[np.str_], placement: npt.NDArray[np.str_]
) -> IntArray:
    """Depot, then customers: first the clusters' seeds, then the random ones, then those that seeds attract.

    Returns
    -------
    int64, shape (B, size + 1, 2)
    """
    batch, column = len(depot), np.arange(size + 1)
    points = rng.integers(0, EXTENT, size=(batch, size + 1, 2), endpoint=True)
    points[depot == "central", 0] = CENTRE
    points[depot == "eccentric", 0] = 0
    num_clustered = np.select([placement == "clustered", placement == "random-clustered"], [size, size - size // 2], 0)
    num_seeds = np.minimum(rng.integers(3, MAX_SEEDS, size=batch, endpoint=True), num_clustered)
    attracted = column > (size - num_clustered + num_seeds)[:, None]

    while (missing := _repeated(points, attracted) & ~attracted).any():
        points[missing] = rng.integers(0, EXTENT, size=(int(missing.sum()), 2), endpoint=True)
    missing, seeds = attracted, points[:, 1 : MAX_SEEDS + 1]
    while missing.any():
        row = np.nonzero(missing)[0]
        proposal, accepted = _attract(rng, seeds[row], num_seeds[row])
        points[missing] = proposal
        unset = missing.copy()
        unset[missing] = ~accepted
        missing = _repeated(points, unset)
    return points


def _attract(rng: np.random.Generator, seeds: IntArray, num_seeds: IntArray) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Propose a grid point near a seed for each of K rows, and say which proposals stand.

    The paper proposes uniform grid points x and accepts with probability min(1, f(x)), where f(x) is the sum
    over the seeds s of exp(-|x - s| / 40): a few in a hundred stand. The same law at a fraction of the cost:
    draw y in the plane with density proportional to f (a random seed, a Gamma(2, 40) radius, a random angle),
    let x be its nearest grid point, and accept inside the grid with probability min(1, f(x)) / (c f(y)),
    where c = exp(1 / (40 sqrt 2)) is at least f(x) / f(y). Integrated over the cell of x, of area 1, f(y)
    cancels: every x is accepted in proportion to min(1, f(x)).
    """
    rows = np.arange(len(seeds))
    origin = seeds[rows, rng.integers(0, num_seeds)]
    radius, angle = rng.gamma(2.0, DECAY, len(seeds)), rng.uniform(0.0, 2.0 * np.pi, len(seeds))
    y = origin + radius[:, None] * np.stack((np.cos(angle), np.sin(angle)), axis=-1)
    x = np.rint(y)
    inside = ((x >= 0) & (x <= EXTENT)).all(axis=-1)
    used = np.arange(seeds.shape[1]) < num_seeds[:, None]

    def attraction(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        distance = np.hypot(*np.moveaxis(points[:, None] - seeds, -1, 0))
        total: npt.NDArray[np.float64] = np.where(used, np.exp(-distance / DECAY), 0.0).sum(axis=-1)
        return total

    bound = np.exp(1.0 / (DECAY * np.sqrt(2.0))) * attraction(y)
    accepted = inside & (rng.random(len(seeds)) * bound < np.minimum(1.0, attraction(x)))
    return x.astype(np.int64), accepted


def _repeated(points: IntArray, unset: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which locations are unset, or repeat a location before them; shape (B, N)."""
    codes = points[..., 0] * (EXTENT + 1) + points[..., 1]
    codes[unset] = -1 - np.nonzero(unset)[1]
    order = np.argsort(codes, axis=1, kind="stable")
    ranked = np.take_along_axis(codes, order, axis=1)
    later = np.zeros(codes.shape, dtype=bool)
    np.put_along_axis(later, order[:, 1:], ranked[:, 1:] == ranked[:, :-1], axis=1)
    return later | unset


def _demand(rng: np.random.Generator, coordinates: IntArray, demand_type: npt.NDArray[np.str_]) -> IntArray:
    """Demand of each location by the instance's type, shape (B, N); zero at the depot."""
    shape = coordinates.shape[:2]
    low, high = np.ones(shape, np.int64), np.ones(shape, np.int64)
    for name, (smallest, largest) in _RANGES.items():
        low[demand_type == name], high[demand_type == name] = smallest, largest
    x, y = coordinates[..., 0] >= CENTRE, coordinates[..., 1] >= CENTRE
    quadrant = (demand_type == "quadrant")[:, None]
    low, high = (
        np.where(quadrant, np.where(x == y, 51, 1), low),
        np.where(quadrant, np.where(x == y, 100, 50), high),
    )
    mixed = (demand_type == "many-small-few-large")[:, None]
    small = rng.random(shape) < rng.uniform(0.70, 0.95, size=(len(demand_type), 1))
    low, high = np.where(mixed, np.where(small, 1, 50), low), np.where(mixed, np.where(small, 10, 100), high)
    demand = rng.integers(low, high, endpoint=True)
    demand[:, 0] = 0
    return demand
