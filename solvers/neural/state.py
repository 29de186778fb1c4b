"""The decoding state of TSP and CVRP: an immutable value with ``mask`` and ``step``, which knows no network.

Shapes: B instances, S trajectories of each, N locations.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from solvers.neural.batch import Batch


@dataclass(frozen=True, eq=False)
class State:
    """Where S trajectories of each of B instances stand; any sequence of allowed steps makes feasible routes.

    Numbers are integers, so a load is never wrong by rounding.

    Parameters
    ----------
    demand
        int64, shape (B, 1, N).
    capacity
        int64, shape (B, 1).
    first, last
        int64, shape (B, S): where the trajectory began, and where it is.
    remaining
        int64, shape (B, S): capacity left on the current route.
    visited
        bool, shape (B, S, N).
    num_unvisited
        int64, shape (B, S).
    has_depot
        Whether location 0 is a depot, to which routes return; False for TSP.
    """

    demand: Tensor
    capacity: Tensor
    first: Tensor
    last: Tensor
    remaining: Tensor
    visited: Tensor
    num_unvisited: Tensor
    has_depot: bool

    @classmethod
    def begin(cls, batch: Batch, starts: Tensor) -> "State":
        """The state after the first choice, ``starts``: int64, shape (B, S), the first locations visited.

        A trajectory of CVRP leaves the depot for its start; where the start is 0 it is still at the depot, and
        its first customer is left to the policy. A tour of TSP begins at its start.
        """
        size, num_starts = starts.shape
        capacity = batch.capacity[:, None]
        visited = torch.zeros(size, num_starts, batch.num_locations, dtype=torch.bool, device=starts.device)
        if batch.has_depot:
            visited[..., 0] = True
        state = cls(
            demand=batch.demand[:, None],
            capacity=capacity,
            first=torch.zeros_like(starts) if batch.has_depot else starts,
            last=torch.zeros_like(starts),
            remaining=capacity.expand(size, num_starts),
            visited=visited,
            num_unvisited=torch.full_like(starts, batch.num_locations - int(batch.has_depot)),
            has_depot=batch.has_depot,
        )
        return state.step(starts)

    @property
    def finished(self) -> Tensor:
        """bool, shape (B, S): every location is visited and a route is back at the depot."""
        everywhere = self.num_unvisited == 0
        return everywhere & (self.last == 0) if self.has_depot else everywhere

    @property
    def load(self) -> Tensor:
        """Capacity left as a fraction, float32, shape (B, S)."""
        return self.remaining / self.capacity.clamp(min=1)

    @property
    def mask(self) -> Tensor:
        """True = allowed; bool, shape (B, S, N), at least one; a finished trajectory stays."""
        allowed = ~self.visited & (self.demand <= self.remaining[..., None])
        everywhere = self.num_unvisited == 0
        if self.has_depot:
            allowed[..., 0] = (self.last != 0) | everywhere
            return allowed
        return allowed.scatter(-1, self.last[..., None], everywhere[..., None])

    def step(self, action: Tensor) -> "State":
        """The state after going to ``action``, int64, shape (B, S), which the mask must allow."""
        index = action[..., None]
        remaining = self.remaining - self.demand.expand_as(self.visited).gather(-1, index)[..., 0]
        if self.has_depot:
            remaining = torch.where(action == 0, self.capacity, remaining)
        return replace(
            self,
            last=action,
            remaining=remaining,
            visited=self.visited.scatter(-1, index, True),
            num_unvisited=self.num_unvisited - (~self.visited.gather(-1, index)[..., 0]).long(),
        )


def all_starts(batch: Batch) -> Tensor:
    """Every location as the start of a trajectory, also the depot: int64, shape (B, N)."""
    return torch.arange(batch.num_locations, device=batch.coordinates.device).expand(len(batch), -1)


def tour_lengths(batch: Batch, tours: Tensor) -> Tensor:
    """Lengths of closed tours in the instances' own unit, float32.

    Parameters
    ----------
    batch
        The instances.
    tours
        int64, shape (B, S, T): locations in order, the depot among them wherever a route begins or ends.

    Returns
    -------
    Tensor
        Shape (B, S).
    """
    size, num_starts, steps = tours.shape
    index = tours.reshape(size, -1, 1).expand(-1, -1, 2)
    points = batch.coordinates.gather(1, index).view(size, num_starts, steps, 2)
    legs = torch.linalg.vector_norm(points - points.roll(-1, dims=2), dim=-1)
    lengths: Tensor = legs.sum(dim=-1) * batch.scale[:, None]
    return lengths.float()
