"""The recurrent network against a slow reference that reads one location at a time, by the papers' formulas."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from instances.routing.generators.uniform import sample_uniform
from instances.routing.generators.x import sample_x
from instances.routing.referee import verify
from instances.routing.rounding import Rounding
from instances.routing.solution import Routes
from solvers.neural.batch import Batch, from_sample, make_batch
from solvers.neural.pointer_lstm import PointerLSTM, PointerLSTMConfig
from solvers.neural.rollout import Rollout, log_likelihood, path_of, rollout
from solvers.neural.state import State, all_starts


@pytest.fixture(params=["cvrp", "tsp"])
def batch(request: pytest.FixtureRequest) -> Batch:
    return from_sample(sample_uniform(np.random.default_rng(5), 2, 6, request.param))


@pytest.fixture
def policy() -> PointerLSTM:
    torch.manual_seed(6)
    network = PointerLSTM(PointerLSTMConfig(width=16, attention=8))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2.0)  # away from the near-uniform scores of a fresh network
    return network


def sampled(policy: PointerLSTM, batch: Batch, seed: int = 7) -> Rollout:
    return rollout(policy, policy.encode(batch), batch, all_starts(batch), torch.Generator().manual_seed(seed))


def reference_lstm(policy: PointerLSTM, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """One step of an LSTM on one vector, shape (D,)."""
    memory = policy.memory
    gates = memory.weight_ih_l0 @ x + memory.bias_ih_l0 + memory.weight_hh_l0 @ hidden + memory.bias_hh_l0
    enter, forget, update, leave = gates.chunk(4)
    cell = forget.sigmoid() * cell + enter.sigmoid() * update.tanh()
    return leave.sigmoid() * cell.tanh(), cell


def reference_likelihood(policy: PointerLSTM, batch: Batch, rollouts: Rollout) -> Tensor:
    """Log-likelihoods by replaying each trajectory on a state of its own, over allowed locations only."""
    size, num_starts = rollouts.cost.shape
    result = torch.zeros(size, num_starts)
    sharpness = math.log(batch.num_locations) / math.log(50)
    for i in range(size):
        points = batch.coordinates[i]
        static = [policy.embed_static(point) for point in points]
        if batch.has_depot:
            static[0] = policy.embed_depot(points[0])
        share = batch.demand[i, :, None] / batch.capacity[i].clamp(min=1)
        elements = [static[j] + policy.embed_demand(share[j]) for j in range(len(points))]
        for s in range(num_starts):
            state = State.begin(batch[i : i + 1], rollouts.first[i : i + 1, s : s + 1])
            hidden = cell = torch.zeros(policy.config.width)
            for action in rollouts.action[i, :, s]:
                last = int(state.last)
                allowed = state.mask[0, 0].nonzero()[:, 0].tolist()
                hidden, cell = reference_lstm(policy, static[last], hidden, cell)
                seen = hidden + policy.embed_load(state.load[0])
                looks = [
                    policy.glimpse_score(torch.tanh(policy.glimpse_key(elements[j]) + policy.glimpse_query(seen)))
                    for j in allowed
                ]
                weights = torch.cat(looks).softmax(0)
                glimpse = sum(weight * elements[j] for weight, j in zip(weights, allowed, strict=True))
                query = policy.pointer_query(torch.cat((seen, glimpse)))
                logits = []
                for j in allowed:
                    content = policy.pointer_score(torch.tanh(policy.pointer_key(elements[j]) + query))
                    distance = (points[last] - points[j]).norm().clamp(min=1e-6)
                    logits.append(sharpness * 50 * torch.tanh(content - distance.log()))
                result[i, s] = result[i, s] + torch.cat(logits).log_softmax(0)[allowed.index(int(action))]
                state = state.step(action.view(1, 1))
    return result


def test_likelihood_and_gradients_equal_the_reference(policy: PointerLSTM, batch: Batch) -> None:
    """One pass of the LSTM over whole paths and one of the attentions give the reference's values and gradients."""
    rollouts = sampled(policy, batch)
    weight = torch.randn(rollouts.cost.shape, generator=torch.Generator().manual_seed(8))
    fast = log_likelihood(policy, policy.encode(batch), rollouts, batch.has_depot)
    slow = reference_likelihood(policy, batch, rollouts)
    torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-4)
    assert (fast < -0.1).any()
    gradients = []
    for likelihood in (fast, slow):
        policy.zero_grad()
        (likelihood * weight).sum().backward()
        gradients.append({name: parameter.grad for name, parameter in policy.named_parameters()})
    for name, gradient in gradients[0].items():
        assert (gradient is None) == (name.startswith("embed_depot") and not batch.has_depot), name
        expected = gradients[1][name]
        if gradient is not None and expected is not None:
            torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-3, msg=name)


def test_rollout_scores_are_those_of_the_batched_pass(policy: PointerLSTM, batch: Batch) -> None:
    """Remembered step by step, as a rollout goes, a path has the same likelihood as read at once."""
    keys, rollouts = policy.encode(batch), sampled(policy, batch)
    total, memory = torch.zeros_like(rollouts.cost), None
    for step in range(rollouts.action.shape[1]):
        last = rollouts.last[:, step]
        hidden, memory = policy.remember(keys, last[:, None], memory)
        scores = policy.scores(keys, last, rollouts.load[:, step], rollouts.mask[:, step], hidden[:, 0])
        total += scores.log_softmax(-1).gather(-1, rollouts.action[:, step, :, None])[..., 0]
    expected = log_likelihood(policy, keys, rollouts, batch.has_depot)
    torch.testing.assert_close(total, expected, rtol=1e-5, atol=1e-4)


def test_score_depends_on_the_path(policy: PointerLSTM) -> None:
    """From the same location with the same load, another way there gives other scores: there is a memory."""
    batch = from_sample(sample_uniform(np.random.default_rng(9), 1, 6, "tsp"))
    keys = policy.encode(batch)
    hidden, _ = policy.remember(keys, torch.tensor([[[0, 1], [1, 0], [2, 2]]]))
    mask = torch.tensor([[[False, False, False, True, True, True]] * 2])
    scores = policy.scores(keys, torch.tensor([[2, 2]]), torch.ones(1, 2), mask, hidden[:, -1])
    assert (scores[0, 0, 3:] - scores[0, 1, 3:]).abs().max() > 1e-3


def test_greedy_takes_the_most_likely_step(policy: PointerLSTM, batch: Batch) -> None:
    """Without a generator every step is the argmax of the scores along the path so far."""
    keys = policy.encode(batch)
    rollouts = rollout(policy, keys, batch, all_starts(batch))
    path = path_of(policy, keys, rollouts, batch.has_depot)
    assert path is not None
    for step in range(rollouts.action.shape[1]):
        scores = policy.scores(
            keys, rollouts.last[:, step], rollouts.load[:, step], rollouts.mask[:, step], path[:, step]
        )
        assert rollouts.action[:, step].equal(scores.argmax(-1))


@pytest.mark.parametrize("seed", range(4))
def test_sampled_routes_are_feasible(policy: PointerLSTM, seed: int) -> None:
    """The referee accepts every trajectory from every start, at any capacity, and its cost is the rollout's."""
    sample = sample_x(np.random.default_rng(seed), 3, 5 + 3 * seed)
    rollouts = sampled(policy, from_sample(sample), seed)
    for index in range(3):
        instance = sample.instance(index, rounding=Rounding.UNROUNDED, coordinate_decimals=0)
        for tour, length in zip(rollouts.tours[index].tolist(), rollouts.cost[index].tolist(), strict=True):
            routes: list[list[int]] = [[]]
            for stop in tour:
                routes = [*routes, []] if stop == 0 else [*routes[:-1], [*routes[-1], stop]]
            verdict = verify(instance, Routes(tuple(tuple(route) for route in routes if route)))
            assert verdict.violations == () and verdict.cost is not None
            assert length == pytest.approx(verdict.cost / 10**instance.decimals / sample.extent, rel=1e-4)


def test_solutions_are_invariant_under_translation_and_scaling(policy: PointerLSTM) -> None:
    """The greedy tours of an instance do not depend on its origin or unit, and costs scale with it."""
    points = np.random.default_rng(11).random((4, 8, 2))
    demand, capacity = np.tile([0, 3, 4, 2, 5, 1, 6, 2], (4, 1)), np.full(4, 9)
    batch = make_batch(points, demand, capacity)
    moved = make_batch(points * 1024.0 + 4096.0, demand, capacity)
    tours = [rollout(policy, policy.encode(part), part, all_starts(part)) for part in (batch, moved)]
    assert tours[0].tours.equal(tours[1].tours)
    torch.testing.assert_close(tours[0].cost * 1024, tours[1].cost)


def test_instances_of_a_batch_do_not_touch(policy: PointerLSTM, batch: Batch) -> None:
    """An instance is decoded alike alone and among others."""
    together = rollout(policy, policy.encode(batch), batch, all_starts(batch))
    part = batch[1:2]
    alone = rollout(policy, policy.encode(part), part, all_starts(part))
    assert together.action[1:2, : alone.action.shape[1]].equal(alone.action)
