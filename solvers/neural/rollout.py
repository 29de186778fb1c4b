"""Rollouts of a policy without gradients, and their log-likelihood with gradients in one batched pass.

A rollout records what each decision saw. All decisions of all trajectories are then scored at once, which is
faster than keeping the graph of one step after the other.

Shapes: B instances, S trajectories of each, T steps, N locations.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from solvers.neural.batch import Batch
from solvers.neural.checkpoint import Network
from solvers.neural.pointer_lstm import Memory, PointerLSTM
from solvers.neural.state import State, tour_lengths

Keys = Any  # what the policy's own ``encode`` returned


@dataclass(frozen=True, eq=False)
class Rollout:
    """Finished trajectories and the decisions that made them.

    Parameters
    ----------
    cost
        float32, shape (B, S): lengths in the instances' own unit.
    first
        int64, shape (B, S): the start, which was given.
    action, last
        int64, shape (B, T, S): where each decision led, and from where; a finished trajectory stays.
    load
        float32, shape (B, T, S).
    mask
        bool, shape (B, T, S, N).
    """

    cost: Tensor
    first: Tensor
    action: Tensor
    last: Tensor
    load: Tensor
    mask: Tensor

    @property
    def tours(self) -> Tensor:
        """Locations in order, from the start on, int64, shape (B, S, T + 1)."""
        return torch.cat((self.first[..., None], self.action.transpose(1, 2)), dim=-1)

    def part(self, part: slice) -> "Rollout":
        """The rollouts of some of the instances."""
        tensors = (self.cost, self.first, self.action, self.last, self.load, self.mask)
        return Rollout(*(tensor[part] for tensor in tensors))


@torch.no_grad()
def rollout(
    policy: Network, keys: Keys, batch: Batch, starts: Tensor, generator: torch.Generator | None = None
) -> Rollout:
    """Follow the policy from ``starts``, int64, shape (B, S), to the end.

    Parameters
    ----------
    policy
        The network.
    keys
        What ``policy.encode(batch)`` returned.
    batch
        The instances.
    starts
        First locations; 0 leaves the first customer of CVRP to the policy.
    generator
        Source of randomness for sampling; None takes the most likely step (greedy).
    """
    state = State.begin(batch, starts)
    path = None if batch.has_depot else state.first
    memory: Memory | None = None
    steps: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    while len(steps) < batch.num_locations - 1 or not bool(state.finished.all()):
        mask, load = state.mask, state.load
        if isinstance(policy, PointerLSTM):
            hidden, memory = policy.remember(keys, state.last[:, None], memory)
            path = hidden[:, 0]
        scores = policy.scores(keys, state.last, load, mask, path)  # type: ignore[arg-type]
        if generator is not None:
            action = draw(scores.softmax(dim=-1), generator)
        else:
            action = scores.argmax(dim=-1)
        steps.append((action, state.last, load, mask))
        state = state.step(action)
    action, last, load, mask = (torch.stack(column, dim=1) for column in zip(*steps, strict=True))
    tours = torch.cat((starts[..., None], action.transpose(1, 2)), dim=-1)
    if batch.has_depot:
        tours = functional.pad(tours, (1, 0))
    return Rollout(tour_lengths(batch, tours), starts, action, last, load, mask)


def draw(probabilities: Tensor, generator: torch.Generator) -> Tensor:
    """An index of each row, drawn by inverting the row's distribution function: one random number a row."""
    steps = probabilities.cumsum(dim=-1)
    uniform = torch.rand(steps[..., :1].shape, generator=generator, device=steps.device)
    # Just below 1, so that rounding cannot lift the threshold to the total.
    threshold = uniform * (1 - 2**-20) * steps[..., -1:]
    return torch.searchsorted(steps, threshold, right=True)[..., 0]


def path_of(policy: Network, keys: Keys, rollouts: Rollout, has_depot: bool) -> Tensor | None:
    """What the policy knows of each path beyond where it is, at each decision; shape (B, T, S, ...).

    The hidden states of a recurrent policy, with gradients, in one pass over all steps; for a tour its start,
    int64; else None.
    """
    if isinstance(policy, PointerLSTM):
        return policy.remember(keys, rollouts.last)[0]
    return None if has_depot else rollouts.first[:, None].expand_as(rollouts.last)


def log_likelihood(
    policy: Network, keys: Keys, rollouts: Rollout, has_depot: bool, path: Tensor | None = None
) -> Tensor:
    """Log-probability of each trajectory given its start, with gradients; float32, shape (B, S).

    ``path`` is what :func:`path_of` returned, if that was called already.
    """
    size, steps, num_starts, nodes = rollouts.mask.shape
    if path is None:
        path = path_of(policy, keys, rollouts, has_depot)
    scores = policy.scores(
        keys,
        rollouts.last.reshape(size, -1),
        rollouts.load.reshape(size, -1),
        rollouts.mask.reshape(size, -1, nodes),
        None if path is None else path.flatten(1, 2),  # type: ignore[arg-type]
    )
    surprise = functional.cross_entropy(scores.view(-1, nodes), rollouts.action.reshape(-1), reduction="none")
    return -surprise.view(size, steps, num_starts).sum(dim=1)
