"""Shifted distributions: uniform instances whose customers are clustered, exploded or rotated.

A network trained on uniform points meets these at test time. The depot of a CVRP stays uniform.

References
----------
J. Bossek et al., Evolving diverse TSP instances by means of novel and creative mutation operators, FOGA 2019,
and their package tspgen (explosion, rotation). J. Bi et al., Learning generalizable models for vehicle
routing problems via knowledge distillation, NeurIPS 2022 (clustered).
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from instances.errors import InvalidInput
from instances.routing.generators.sample import UNIT_DECIMALS, Sample, on_unit_grid
from instances.routing.generators.uniform import sample_uniform
from instances.routing.instance import RoutingInstance
from instances.routing.rounding import Rounding

Points = npt.NDArray[np.float64]

DEVIATION = 0.07
EXPLOSION_RATE = 10.0


@dataclass(frozen=True)
class ClusteredOptions:
    """Options of the clustered generator."""

    num_clusters: int = field(default=3, metadata={"help": "number of clusters"})

    def __post_init__(self) -> None:
        if self.num_clusters < 1:
            raise InvalidInput(f"is {self.num_clusters}; accepted are 1 and above", "num_clusters")


@dataclass(frozen=True)
class ExplosionOptions:
    """Options of the explosion generator."""

    radius: float | None = field(
        default=None, metadata={"help": "radius of the explosion, 0 to 1; by default uniform in 0.1 to 0.4"}
    )

    def __post_init__(self) -> None:
        if self.radius is not None and not 0 < self.radius <= 1:
            raise InvalidInput(f"is {self.radius}; accepted are 0 to 1", "radius")


@dataclass(frozen=True)
class RotationOptions:
    """Options of the rotation generator."""

    share: float = field(default=0.5, metadata={"help": "chance of each customer to be rotated, 0 to 1"})

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InvalidInput(f"is {self.share}; accepted are 0 to 1", "share")


def make_clustered(rng: np.random.Generator, size: int, problem: str, options: ClusteredOptions) -> RoutingInstance:
    """Customers in Gaussian clusters of equal size, standard deviation 0.07, centres in [0.2, 0.8]^2."""
    sample = sample_uniform(rng, 1, size, problem)
    centres = rng.uniform(0.2, 0.8, size=(options.num_clusters, 2))
    points = rng.normal(centres[np.arange(size) * options.num_clusters // size], DEVIATION)
    return _moved(sample, np.clip(points, 0.0, 1.0))


def make_explosion(rng: np.random.Generator, size: int, problem: str, options: ExplosionOptions) -> RoutingInstance:
    """Customers near a random centre are thrown out of a ball, to its radius plus an Exp(10) distance."""
    sample = sample_uniform(rng, 1, size, problem)
    points, centre = _customers(sample, size), rng.random(2)
    radius = rng.uniform(0.1, 0.4) if options.radius is None else options.radius
    offset = points - centre
    distance = np.hypot(offset[:, 0], offset[:, 1])
    near = (distance < radius) & (distance > 0)
    thrown = radius + rng.exponential(1.0 / EXPLOSION_RATE, size)
    points[near] = centre + offset[near] * (thrown[near] / distance[near])[:, None]
    return _moved(sample, points)


def make_rotation(rng: np.random.Generator, size: int, problem: str, options: RotationOptions) -> RoutingInstance:
    """A random subset of the customers is rotated about the origin by a random angle, then shifted."""
    sample = sample_uniform(rng, 1, size, problem)
    points, angle = _customers(sample, size), rng.uniform(0.0, 2.0 * np.pi)
    turned = rng.random(size) < options.share
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points[turned] = points[turned] @ rotation.T + rng.random(2)
    return _moved(sample, points)


def _customers(sample: Sample, size: int) -> Points:
    """The last ``size`` locations: the customers of a CVRP, every city of a TSP; shape (size, 2)."""
    return sample.unit_coordinates[0, -size:]


def _moved(sample: Sample, customers: Points) -> RoutingInstance:
    """The instance with its customers elsewhere; if some left the unit square, all move back into it.

    If they do not fit, one factor scales both axes, so that shapes are kept.
    """
    points = sample.unit_coordinates[0]
    points[-len(customers) :] = customers
    if points.min() < 0.0 or points.max() > 1.0:
        points = (points - points.min(axis=0)) / max(1.0, np.ptp(points, axis=0).max())
    moved = Sample(on_unit_grid(points)[None], sample.demand, sample.capacity, sample.extent)
    return moved.instance(0, rounding=Rounding.UNROUNDED, coordinate_decimals=UNIT_DECIMALS)
