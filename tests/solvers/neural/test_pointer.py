"""The network against a slow reference that follows the papers' formulas one query at a time."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from instances.routing.generators.uniform import sample_uniform
from solvers.neural import pointer
from solvers.neural.batch import Batch, from_sample, make_batch
from solvers.neural.pointer import Pointer, PointerConfig
from solvers.neural.rollout import Rollout, log_likelihood, rollout
from solvers.neural.state import State, all_starts

CONFIG = PointerConfig(width=16, heads=4, layers=2, hidden=32)


@pytest.fixture(params=["cvrp", "tsp"])
def batch(request: pytest.FixtureRequest) -> Batch:
    return from_sample(sample_uniform(np.random.default_rng(5), 2, 6, request.param))


@pytest.fixture(params=["tables", "attention"])
def policy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Pointer:
    """The network in both forms of its decoder."""
    monkeypatch.setattr(pointer, "FEW", 100 if request.param == "tables" else 0)
    torch.manual_seed(6)
    network = Pointer(CONFIG)
    with torch.no_grad():
        network.load.normal_()
        for parameter in network.parameters():
            parameter.mul_(2.0)  # away from the near-uniform scores of a fresh network
    return network


def reference_attention(query: Tensor, key: Tensor, value: Tensor, heads: int, sharpness: float) -> Tensor:
    """Multi-head attention of one query, shape (D,), to K locations, shapes (K, D)."""
    parts = []
    for q, k, v in zip(query.chunk(heads), key.chunk(heads, -1), value.chunk(heads, -1), strict=True):
        parts.append((sharpness * (k @ q) / math.sqrt(len(q))).softmax(0) @ v)
    return torch.cat(parts)


def reference_embedding(policy: Pointer, batch: Batch, index: int) -> Tensor:
    """The encoder on one instance, location by location, shape (N, D)."""
    points, demand = batch.coordinates[index], batch.demand[index] / batch.capacity[index].clamp(min=1)
    nodes, sharpness = len(points), math.log(len(points)) / math.log(50)
    features = torch.cat((points, demand[:, None]), dim=-1)
    rows = [policy.embed_location(row) for row in features]
    if batch.has_depot:
        rows[0] = policy.embed_depot(points[0])
    x = torch.stack(rows)
    for layer in policy.layers:
        query, key, value = layer.project(layer.norm1(x)).chunk(3, dim=-1)
        attended = [reference_attention(query[i], key, value, policy.config.heads, sharpness) for i in range(nodes)]
        x = x + layer.combine(torch.stack(attended))
        x = x + layer.feed_forward(layer.norm2(x))
    return policy.norm(x)


def reference_likelihood(policy: Pointer, batch: Batch, rollouts: Rollout) -> Tensor:
    """Log-likelihoods by replaying each trajectory on a state of its own, over allowed locations only."""
    size, num_starts = rollouts.cost.shape
    result = torch.zeros(size, num_starts)
    width, sharpness = policy.config.width, math.log(batch.num_locations) / math.log(50)
    for i in range(size):
        x = reference_embedding(policy, batch, i)
        q_last, q_first, key, value, point, source = policy.project(x).chunk(6, dim=-1)
        for s in range(num_starts):
            state = State.begin(batch[i : i + 1], rollouts.first[i : i + 1, s : s + 1])
            for action in rollouts.action[i, :, s]:
                last, first = int(state.last), int(state.first)
                allowed = state.mask[0, 0].nonzero()[:, 0]
                query = q_last[last] + q_first[first] + state.load[0, 0] * policy.load
                glimpse = reference_attention(query, key[allowed], value[allowed], policy.config.heads, sharpness)
                logits = []
                for j in allowed:
                    compatible = (glimpse @ point[j] + source[last] @ x[j]) / math.sqrt(width)
                    distance = (batch.coordinates[i, last] - batch.coordinates[i, j]).norm().clamp(min=1e-6)
                    logits.append(sharpness * 50 * torch.tanh(compatible - distance.log()))
                chosen = (allowed == action).nonzero()[0, 0]
                result[i, s] = result[i, s] + torch.stack(logits).log_softmax(0)[chosen]
                state = state.step(action.view(1, 1))
    return result


def sampled(policy: Pointer, batch: Batch, seed: int = 7) -> Rollout:
    keys = policy.encode(batch)
    return rollout(policy, keys, batch, all_starts(batch), torch.Generator().manual_seed(seed))


def test_likelihood_and_gradients_equal_the_reference(policy: Pointer, batch: Batch) -> None:
    """One batched pass over all steps gives the reference's log-likelihoods and gradients."""
    rollouts = sampled(policy, batch)
    weight = torch.randn(rollouts.cost.shape, generator=torch.Generator().manual_seed(8))
    gradients = []
    fast = log_likelihood(policy, policy.encode(batch), rollouts, batch.has_depot)
    slow = reference_likelihood(policy, batch, rollouts)
    torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-4)
    assert (fast < -0.1).any()
    for likelihood in (fast, slow):
        policy.zero_grad()
        (likelihood * weight).sum().backward()
        gradients.append({name: parameter.grad for name, parameter in policy.named_parameters()})
    for name, gradient in gradients[0].items():
        assert (gradient is None) == (name.startswith("embed_depot") and not batch.has_depot), name
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-3, atol=1e-3, msg=name)


def test_rollout_scores_are_those_of_the_batched_pass(policy: Pointer, batch: Batch) -> None:
    """Scored step by step, as a rollout goes, trajectories have the same log-likelihood as all at once."""
    keys, rollouts = policy.encode(batch), sampled(policy, batch)
    first = None if batch.has_depot else rollouts.first
    total = torch.zeros_like(rollouts.cost)
    for step in range(rollouts.action.shape[1]):
        scores = policy.scores(keys, rollouts.last[:, step], rollouts.load[:, step], rollouts.mask[:, step], first)
        chosen = rollouts.action[:, step, :, None]
        total += scores.log_softmax(-1).gather(-1, chosen)[..., 0]
    expected = log_likelihood(policy, keys, rollouts, batch.has_depot)
    torch.testing.assert_close(total, expected, rtol=1e-5, atol=1e-4)


def test_samples_follow_the_scores(policy: Pointer) -> None:
    """Over many samples of a first choice the frequencies are the policy's probabilities."""
    batch = from_sample(sample_uniform(np.random.default_rng(9), 1, 5))
    number = 10_000
    keys = policy.encode(batch)
    starts = torch.zeros(1, number, dtype=torch.int64)
    rollouts = rollout(policy, keys, batch, starts, torch.Generator().manual_seed(10))
    state = State.begin(batch, starts[:, :1])
    expected = policy.scores(keys, state.last, state.load, state.mask, None).softmax(-1)[0, 0]
    found = torch.bincount(rollouts.action[0, 0], minlength=6) / number
    assert found[0] == 0
    torch.testing.assert_close(found, expected.detach(), rtol=0, atol=0.025)


def test_greedy_takes_the_most_likely_step(policy: Pointer, batch: Batch) -> None:
    """Without a generator every step is the argmax of the scores, and all trajectories are complete."""
    keys = policy.encode(batch)
    rollouts = rollout(policy, keys, batch, all_starts(batch))
    first = None if batch.has_depot else rollouts.first
    scores = policy.scores(keys, rollouts.last[:, 0], rollouts.load[:, 0], rollouts.mask[:, 0], first)
    assert rollouts.action[:, 0].equal(scores.argmax(-1))
    assert all(
        set(range(int(batch.has_depot), batch.num_locations)) <= set(tour)
        for tours in rollouts.tours.tolist()
        for tour in tours
    )


def test_solutions_are_invariant_under_translation_and_scaling(policy: Pointer) -> None:
    """The greedy tours of an instance do not depend on its origin or unit, and costs scale with it."""
    points = np.random.default_rng(11).random((4, 8, 2))
    demand, capacity = np.tile([0, 3, 4, 2, 5, 1, 6, 2], (4, 1)), np.full(4, 9)
    batch = make_batch(points, demand, capacity)
    moved = make_batch(points * 1024.0 + 4096.0, demand, capacity)
    tours = [rollout(policy, policy.encode(part), part, all_starts(part)) for part in (batch, moved)]
    assert tours[0].tours.equal(tours[1].tours)
    torch.testing.assert_close(tours[0].cost * 1024, tours[1].cost)


def test_instances_of_a_batch_do_not_touch(policy: Pointer, batch: Batch) -> None:
    """An instance is encoded and decoded alike alone and among others."""
    together = rollout(policy, policy.encode(batch), batch, all_starts(batch))
    part = batch[1:2]
    alone = rollout(policy, policy.encode(part), part, all_starts(part))
    steps = alone.action.shape[1]
    assert together.action[1:2, :steps].equal(alone.action)
