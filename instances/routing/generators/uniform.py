"""Uniform instances in the unit square: the distribution on which the field trains and tests.

References
----------
M. Nazari et al., Reinforcement learning for solving the vehicle routing problem, NeurIPS 2018.
W. Kool et al., Attention, learn to solve routing problems!, ICLR 2019.
"""

from dataclasses import dataclass, field

import numpy as np

from instances.errors import InvalidInput
from instances.routing.generators.sample import UNIT_DECIMALS, Sample, on_unit_grid
from instances.routing.instance import RoutingInstance
from instances.routing.rounding import Rounding

MAX_DEMAND = 9

# Up to 100 from Kool et al.; above, the capacities that later work trains with (RL4CO's table).
_CAPACITIES = {10: 20, 20: 30, 50: 40, 100: 50, 200: 70, 500: 100, 1000: 150}


@dataclass(frozen=True)
class UniformOptions:
    """Options of the uniform generator."""

    capacity: int | None = field(
        default=None, metadata={"help": "vehicle capacity, at least 9; by default the field's for the size"}
    )

    def __post_init__(self) -> None:
        if self.capacity is not None and self.capacity < MAX_DEMAND:
            raise InvalidInput(f"is {self.capacity}; demands reach {MAX_DEMAND}", "capacity")


def usual_capacity(size: int) -> int:
    """The capacity that the field uses for ``size`` customers; linear between the published sizes."""
    return round(float(np.interp(size, list(_CAPACITIES), list(_CAPACITIES.values()))))


def sample_uniform(
    rng: np.random.Generator,
    batch: int,
    size: int,
    problem: str = "cvrp",
    options: UniformOptions | None = None,
) -> Sample:
    """Depot and customers uniform in the unit square, demand uniform in 1..9.

    Parameters
    ----------
    rng
        Source of randomness.
    batch
        Number of instances.
    size
        Customers (CVRP) or cities (TSP) of each.
    problem
        ``cvrp`` or ``tsp``.
    options
        By default the field's capacity.

    Returns
    -------
    Sample
        On the grid of 10^6; N = size + 1 for CVRP, size for TSP.
    """
    if problem == "tsp":
        return Sample(on_unit_grid(rng.random((batch, size, 2))), None, None, 10**UNIT_DECIMALS)
    coordinates = on_unit_grid(rng.random((batch, size + 1, 2)))
    demand = rng.integers(1, MAX_DEMAND, size=(batch, size + 1), endpoint=True)
    demand[:, 0] = 0
    chosen = options.capacity if options is not None else None
    capacity = np.full(batch, usual_capacity(size) if chosen is None else chosen)
    return Sample(coordinates, demand, capacity, 10**UNIT_DECIMALS)


def make(rng: np.random.Generator, size: int, problem: str, options: UniformOptions) -> RoutingInstance:
    """One uniform instance; unrounded distances, as in the field's tables."""
    sample = sample_uniform(rng, 1, size, problem, options)
    return sample.instance(0, rounding=Rounding.UNROUNDED, coordinate_decimals=UNIT_DECIMALS)
