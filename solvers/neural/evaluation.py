"""Greedy evaluation: the best of all starts and of eight augmentations, on the field's own sets.

References
----------
Y.-D. Kwon et al., POMO: Policy optimization with multiple optima for reinforcement learning, NeurIPS 2020.
"""

import numpy as np
import torch
from torch import Tensor

from instances.routing.generators.kool import TEST_SEED, raw_cvrp, raw_tsp
from instances.routing.generators.uniform import usual_capacity
from solvers.neural.batch import Batch, make_batch
from solvers.neural.pointer import Pointer
from solvers.neural.rollout import rollout
from solvers.neural.state import all_starts

CHUNK = 30_000  # locations x starts decoded at once: what the cache holds


def kool_batch(problem: str, size: int, count: int, seed: int = TEST_SEED) -> Batch:
    """The first ``count`` instances of the field's test set (or, by its seed, of the validation set), raw."""
    if problem == "tsp":
        return make_batch(raw_tsp(size, seed, count))
    depots, customers, demand = raw_cvrp(size, seed)
    coordinates = np.concatenate((depots[:count, None], customers[:count]), axis=1)
    return make_batch(
        coordinates, np.pad(demand[:count], ((0, 0), (1, 0))), np.full(count, usual_capacity(size), np.int64)
    )


@torch.no_grad()
def best_costs(policy: Pointer, batch: Batch, augment: bool = True) -> Tensor:
    """Best greedy cost of each instance over all starts and eight augmentations, float32, shape (B,).

    The costs are the network's own sums; a published figure comes from the referee.
    """
    nodes = batch.num_locations
    size = max(1, CHUNK // (nodes * nodes * (8 if augment else 1)))
    best = []
    for begin in range(0, len(batch), size):
        part = batch[begin : begin + size]
        views = part.augmented() if augment else part
        costs = rollout(policy, policy.encode(views), views, all_starts(views)).cost
        best.append(costs.amin(dim=1).view(-1, len(part)).amin(dim=0))
    return torch.cat(best)
