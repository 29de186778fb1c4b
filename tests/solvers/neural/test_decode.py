"""Decoding: the same steps as training's rollouts, exact prices, and tables that lead back to the incumbent."""

import dataclasses
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from instances.routing.generators.kool import make_set
from instances.routing.referee import verify
from instances.routing.solution import Routes
from solvers.neural.beam import beam_search
from solvers.neural.checkpoint import Network
from solvers.neural.decode import Decoder, Group, Incumbents, follow, group_of
from solvers.neural.pointer import Pointer, PointerConfig
from solvers.neural.pointer_lstm import PointerLSTM, PointerLSTMConfig
from solvers.neural.rollout import rollout
from solvers.neural.state import State, all_starts

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Many threads for small tensors mostly wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["pointer", "pointer-lstm"])
def policy(request: pytest.FixtureRequest) -> Network:
    torch.manual_seed(6)
    if request.param == "pointer":
        network: Network = Pointer(PointerConfig(width=16, heads=4, layers=2, hidden=32))
    else:
        network = PointerLSTM(PointerLSTMConfig(width=16))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.5)
    return network.requires_grad_(False)


@pytest.fixture(params=["tsp", "cvrp"])
def group(request: pytest.FixtureRequest) -> Group:
    return group_of(make_set(20, 3, 1234, request.param), CPU)


def always() -> bool:
    return True


def incumbents_of(group: Group) -> tuple[Incumbents, list[list[Routes]]]:
    """Incumbents and, for each instance, what they report."""
    reports: list[list[Routes]] = [[] for _ in group.instances]
    return Incumbents(group, [kept.append for kept in reports]), reports


def test_follows_the_rollouts_of_training(policy: Network, group: Group) -> None:
    """Greedy steps, and steps drawn with an equal seed, are those that training would make."""
    keys, starts = policy.encode(group.batch), all_starts(group.batch)
    for seed in (None, 4):
        generators = [None if seed is None else torch.Generator().manual_seed(seed) for _ in range(2)]
        theirs = rollout(policy, keys, group.batch, starts, generators[0]).tours[..., 1:]
        ours = follow(policy, keys, State.begin(group.batch, starts), always, generators[1])
        assert ours is not None
        steps = ours.shape[-1]
        assert ours.equal(theirs[..., :steps])
        assert (theirs[..., steps:] == theirs[..., steps - 1 : steps]).all()


def test_incumbents_have_the_referees_price(policy: Network, group: Group) -> None:
    """Costs kept are exact, what is reported improves, and the best of all rows is kept for each instance."""
    incumbents, reports = incumbents_of(group)
    decoder = Decoder(policy, group, incumbents, always)
    for stage in (decoder.greedy, decoder.starts, decoder.augmented):
        stage()
        for instance, cost, kept in zip(group.instances, incumbents.costs, reports, strict=True):
            costs = [verify(instance, solution).cost for solution in kept]
            assert costs[-1] == cost == min(cost for cost in costs if cost is not None)
            assert len(set(costs)) == len(costs)


def test_chunks_do_not_change_what_is_found(policy: Network, group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small chunks of rows, starts and views give the same incumbents."""
    found = []
    for chunk, pairs in ((30_000, 250_000), (400, 2_000)):
        monkeypatch.setattr("solvers.neural.decode.CHUNK", chunk)
        monkeypatch.setattr("solvers.neural.decode.PAIRS", pairs)
        incumbents, _ = incumbents_of(group)
        decoder = Decoder(policy, group, incumbents, always)
        for stage in (decoder.greedy, decoder.starts, decoder.augmented):
            stage()
        found.append(incumbents.costs)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-3)


def test_table_makes_the_incumbent_as_likely_as_sigma_allows(policy: Network, group: Group) -> None:
    """Greedy with a large sigma repeats the incumbent; the policy alone does not. Elsewhere the table is 0."""
    one = dataclasses.replace(group, instances=group.instances[:1], nodes=group.nodes[:1], batch=group.batch[:1])
    incumbents, _ = incumbents_of(one)
    decoder = Decoder(policy, one, incumbents, always)
    decoder.sample(torch.Generator().manual_seed(1), 1)
    tour = torch.from_numpy(incumbents.tours[0])
    batch, keys = decoder.search_views()
    table = decoder._table(batch, keys, 0.5, 1e12)
    walk = [0, *tour.tolist()] if batch.has_depot else [int(tour[-1]), *tour.tolist()]
    assert {tuple(pair) for pair in table[0].nonzero().tolist()} == set(pairwise(walk))
    assert (table >= 0).all()
    start = State.begin(batch, tour[:1].expand(len(batch), 1))
    guided, free = (follow(policy, keys, start, always, table=part, exponent=0.5) for part in (table, None))
    assert guided is not None and free is not None
    if batch.has_depot:
        # The depot has an edge for each route, so that their order is free.
        assert {frozenset(route) for route in _routes(tour)} == {frozenset(r) for r in _routes(guided[0, 0], tour[0])}
    else:
        assert guided[:, 0].equal(tour[1:].expand(len(batch), -1))
    assert not free[0, 0].equal(tour[1:])


def _routes(steps: torch.Tensor, first: Any = None) -> list[list[int]]:
    routes: list[list[int]] = [[] if first is None else [int(first)]]
    for location in steps.tolist():
        if location:
            routes[-1].append(location)
        else:
            routes.append([])
    return [route for route in routes if route]


def test_beam_search_finds_no_less_than_greedy_and_more_when_wider(policy: Network, group: Group) -> None:
    """Its first simulation is the greedy trajectory; every simulation is feasible; wide beams find shorter routes."""
    keys, costs = policy.encode(group.batch), []
    for width, expansion in ((1, 1), (1, 4), (8, 4)):
        incumbents, reports = incumbents_of(group)
        assert beam_search(policy, group.batch, keys, incumbents, always, width, expansion)
        costs.append(incumbents.costs)
        for instance, kept in zip(group.instances, reports, strict=True):
            assert kept and all(verify(instance, solution).feasible for solution in kept)
    greedy, _ = incumbents_of(group)
    Decoder(policy, group, greedy, always).greedy()
    assert costs[0] == greedy.costs
    assert all(one <= other for one, other in zip(costs[1], costs[0], strict=True))
    assert sum(costs[2]) < sum(costs[1]) < sum(costs[0])


def test_stops_within_a_trajectory(policy: Network, group: Group) -> None:
    """What is unfinished when the time is over is dropped."""
    answers = iter([True] * 5 + [False] * 100)
    keys = policy.encode(group.batch)
    assert follow(policy, keys, State.begin(group.batch, all_starts(group.batch)), lambda: next(answers)) is None
    answers = iter([True] * 30 + [False] * 100)
    incumbents, _ = incumbents_of(group)
    assert not beam_search(policy, group.batch, keys, incumbents, lambda: next(answers), 4, 4)
