"""Simulation-guided beam search: a beam whose members are judged by greedy trajectories from there on.

Shapes: R rows, W members of the beam, E children of each, S = W * E, N locations.

References
----------
J. Choo et al., Simulation-guided beam search for neural combinatorial optimization, NeurIPS 2022, section 3.
"""

from typing import Any

import torch
from torch import Tensor

from solvers.neural.batch import Batch
from solvers.neural.checkpoint import Network
from solvers.neural.decode import Incumbents, Memory, Running, follow, next_scores
from solvers.neural.state import State, tour_lengths


@torch.no_grad()
def beam_search(
    policy: Network, batch: Batch, keys: Any, incumbents: Incumbents, running: Running, width: int, expansion: int
) -> bool:
    """One search from the beginning in every row; every simulated trajectory is offered to the incumbents.

    Parameters
    ----------
    policy, batch, keys
        The network, R rows, and what it made of them.
    incumbents
        Where the trajectories go.
    running
        Whether to go on.
    width
        Members that go on to the next step, the paper's beta.
    expansion
        Most likely children of each that are simulated, the paper's gamma.

    Returns
    -------
    bool
        Whether it came to the end.
    """
    size, nodes = len(batch), batch.num_locations
    start = torch.zeros((size, 1), dtype=torch.long, device=batch.coordinates.device)
    state, memory = State.begin(batch, start), None
    prefix = start[..., None]  # shape: (R, W, steps so far)
    while not bool(state.finished.all()):
        # Expansion (section 3.1)
        scores, memory = next_scores(policy, keys, state, memory)
        number = min(nodes, expansion * max(1, width // state.last.shape[1]))
        value, action = scores.topk(number, dim=-1)
        parent = torch.arange(state.last.shape[1], device=action.device)[:, None].expand_as(action).flatten(1)
        impossible = value.isneginf().flatten(1)
        # In place of a child that is not allowed stands its likelier sibling, which does not count.
        action = torch.where(value.isneginf(), action[..., :1], action).flatten(1)
        state, memory = _take(state, parent), _take_memory(memory, parent)
        state = state.step(action)
        prefix = torch.cat((_gather(prefix, parent), action[..., None]), dim=-1)
        # Simulation (section 3.2)
        steps = follow(policy, keys, state, running, memory=memory)
        if steps is None:
            return False
        tours = torch.cat((prefix, steps), dim=-1)
        incumbents.offer(tours)
        # Pruning (section 3.3)
        closed = torch.nn.functional.pad(tours, (1, 0)) if batch.has_depot else tours
        cost = tour_lengths(batch, closed).masked_fill(impossible, torch.inf)
        best = cost.topk(min(width, cost.shape[1]), dim=1, largest=False).indices
        state, memory, prefix = _take(state, best), _take_memory(memory, best), _gather(prefix, best)
    return True


def _gather(values: Tensor, index: Tensor) -> Tensor:
    """Values (R, S, K) of the trajectories at ``index`` (R, S')."""
    return values.gather(1, index[..., None].expand(-1, -1, values.shape[-1]))


def _take(state: State, index: Tensor) -> State:
    """The state of the trajectories at ``index``, int64, shape (R, S')."""
    return State(
        demand=state.demand,
        capacity=state.capacity,
        first=state.first.gather(1, index),
        last=state.last.gather(1, index),
        remaining=state.remaining.gather(1, index),
        visited=_gather(state.visited, index),
        num_unvisited=state.num_unvisited.gather(1, index),
        has_depot=state.has_depot,
    )


def _take_memory(memory: Memory, index: Tensor) -> Memory:
    """The memory of an LSTM, (1, R * S, D) twice, of the trajectories at ``index``."""
    if memory is None:
        return None
    size = len(index)
    return tuple(_gather(part.view(size, -1, part.shape[-1]), index).flatten(0, 1)[None] for part in memory)
