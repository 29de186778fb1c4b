"""The field's own test sets, regenerated bit for bit.

References
----------
W. Kool et al., Attention, learn to solve routing problems!, ICLR 2019; generate_data.py of its repository.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from instances.errors import InvalidInput
from instances.routing.generators.sample import UNIT_DECIMALS, Sample, on_unit_grid
from instances.routing.instance import RoutingInstance
from instances.routing.rounding import IntArray, Rounding

SET_SIZE = 10_000
TEST_SEED = 1234
VALIDATION_SEED = 4321
CAPACITIES = {10: 20, 20: 30, 50: 40, 100: 50}

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class KoolOptions:
    """The field's sets have no options."""


def raw_tsp(size: int, seed: int = TEST_SEED, count: int = SET_SIZE) -> FloatArray:
    """Cities of the first ``count`` TSP instances, float64 in [0, 1), shape (count, size, 2)."""
    return np.random.RandomState(seed).uniform(size=(count, size, 2))


def raw_cvrp(size: int, seed: int = TEST_SEED) -> tuple[FloatArray, FloatArray, IntArray]:
    """Depots (10000, 2), customers (10000, size, 2) and demands (10000, size) of the whole CVRP set.

    All depots are drawn first, then all customers, then all demands: no instance can be made alone.
    """
    rng = np.random.RandomState(seed)
    depots = rng.uniform(size=(SET_SIZE, 2))
    customers = rng.uniform(size=(SET_SIZE, size, 2))
    demand = rng.randint(1, 10, size=(SET_SIZE, size)).astype(np.int64)
    return depots, customers, demand


def make_set(size: int, count: int, seed: int, problem: str) -> list[RoutingInstance]:
    """The first ``count`` instances of a set, on the grid of 10^6, with unrounded distances.

    Raises
    ------
    InvalidInput
        If the seed is none of the field's, the set is smaller, or it has no such size (CVRP).
    """
    if seed not in (TEST_SEED, VALIDATION_SEED):
        raise InvalidInput(f"is {seed}; the sets are {TEST_SEED} (test) and {VALIDATION_SEED} (validation)", "seed")
    if count > SET_SIZE:
        raise InvalidInput(f"is {count}; the set holds {SET_SIZE}", "count")
    if problem == "tsp":
        sample = Sample(on_unit_grid(raw_tsp(size, seed, count)), None, None, 10**UNIT_DECIMALS)
    else:
        if size not in CAPACITIES:
            raise InvalidInput(f"is {size}; the CVRP sets have {', '.join(map(str, CAPACITIES))} customers", "size")
        depots, customers, demand = raw_cvrp(size, seed)
        coordinates = on_unit_grid(np.concatenate((depots[:count, None], customers[:count]), axis=1))
        padded = np.pad(demand[:count], ((0, 0), (1, 0)))
        sample = Sample(coordinates, padded, np.full(count, CAPACITIES[size]), 10**UNIT_DECIMALS)
    return [
        sample.instance(index, rounding=Rounding.UNROUNDED, coordinate_decimals=UNIT_DECIMALS) for index in range(count)
    ]
