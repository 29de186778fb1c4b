"""A batch of routing instances of one size as tensors, in the frame that the networks see."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from instances.routing.generators.sample import Sample


@dataclass(frozen=True, eq=False)
class Batch:
    """B instances of N locations each, centred and scaled by one factor for both axes.

    Parameters
    ----------
    coordinates
        float32, shape (B, N, 2): the bounding box is centred at 0 and its longer side is 1. Location 0 is the
        depot if there is one.
    demand
        int64, shape (B, N); zero at the depot and for TSP.
    capacity
        int64, shape (B,); zero for TSP.
    scale
        float64, shape (B,): a length times the scale is the length in the instance's own unit.
    has_depot
        True for CVRP, False for TSP, where all N locations are alike.
    """

    coordinates: Tensor
    demand: Tensor
    capacity: Tensor
    scale: Tensor
    has_depot: bool

    def __len__(self) -> int:
        return len(self.coordinates)

    @property
    def num_locations(self) -> int:
        return self.coordinates.shape[1]

    @property
    def distances(self) -> Tensor:
        """Euclidean distances in the batch's frame, float32, shape (B, N, N)."""
        legs = self.coordinates[:, :, None] - self.coordinates[:, None]
        distances: Tensor = torch.linalg.vector_norm(legs, dim=-1)
        return distances

    def __getitem__(self, part: slice) -> "Batch":
        return Batch(self.coordinates[part], self.demand[part], self.capacity[part], self.scale[part], self.has_depot)

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        return Batch(
            self.coordinates.to(device),
            self.demand.to(device),
            self.capacity.to(device),
            self.scale.to(device),
            self.has_depot,
        )

    def augmented(self) -> "Batch":
        """Its eight reflections and rotations, one whole batch after the other: 8 * B instances."""
        x, y = self.coordinates.unbind(-1)
        signs = [(sx, sy) for sx in (1, -1) for sy in (1, -1)]
        views = [torch.stack((sx * a, sy * b), dim=-1) for a, b in ((x, y), (y, x)) for sx, sy in signs]
        return Batch(
            torch.cat(views),
            self.demand.repeat(8, 1),
            self.capacity.repeat(8),
            self.scale.repeat(8),
            self.has_depot,
        )


def make_batch(
    coordinates: npt.NDArray[np.float64],
    demand: npt.NDArray[np.int64] | None = None,
    capacity: npt.NDArray[np.int64] | None = None,
) -> Batch:
    """A batch from arrays in any unit.

    Parameters
    ----------
    coordinates
        Shape (B, N, 2), the depot first.
    demand, capacity
        Shapes (B, N) and (B,); None for TSP.
    """
    low, high = coordinates.min(axis=1), coordinates.max(axis=1)
    scale = (high - low).max(axis=1)
    scale[scale == 0] = 1.0
    centred = (coordinates - (low + high)[:, None] / 2) / scale[:, None, None]
    if demand is None or capacity is None:
        demand, capacity = np.zeros(coordinates.shape[:2], np.int64), np.zeros(len(coordinates), np.int64)
        has_depot = False
    else:
        has_depot = True
    return Batch(
        torch.from_numpy(centred.astype(np.float32)),
        torch.from_numpy(demand.astype(np.int64)),
        torch.from_numpy(capacity.astype(np.int64)),
        torch.from_numpy(scale.astype(np.float64)),
        has_depot,
    )


def from_sample(sample: Sample) -> Batch:
    """A batch from what the generators return, in units of the unit square."""
    return make_batch(sample.unit_coordinates, sample.demand, sample.capacity)
