"""The decoding state, without a network: whatever is played by the mask is feasible and ends."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from instances.routing.generators.uniform import UniformOptions, sample_uniform
from instances.routing.generators.x import sample_x
from instances.routing.referee import verify
from instances.routing.rounding import Rounding
from instances.routing.solution import Routes
from solvers.neural.batch import from_sample, make_batch
from solvers.neural.state import State, all_starts, tour_lengths


def play(state: State, rng: np.random.Generator) -> list[torch.Tensor]:
    """Uniformly random allowed steps until every trajectory is finished."""
    actions = []
    while not bool(state.finished.all()):
        assert state.mask.any(dim=-1).all(), "a state without an allowed step"
        luck = torch.from_numpy(rng.random(tuple(state.mask.shape)))
        action = (luck * state.mask).argmax(dim=-1)
        actions.append(action)
        state = state.step(action)
        assert len(actions) < 3 * state.mask.shape[-1], "the play does not end"
    return actions


def routes_of(tour: list[int]) -> Routes:
    """Split a sequence of locations at the depot."""
    routes: list[list[int]] = [[]]
    for location in tour:
        if location == 0:
            routes.append([])
        else:
            routes[-1].append(location)
    return Routes(tuple(tuple(route) for route in routes if route))


@settings(max_examples=40, deadline=None)
@given(size=st.integers(1, 12), seed=st.integers(0, 2**32), tight=st.booleans())
def test_random_play_of_cvrp_is_feasible(size: int, seed: int, tight: bool) -> None:
    """From every start, at any capacity, the referee accepts the play, and the length is its cost."""
    rng = np.random.default_rng(seed)
    if tight:
        sample = sample_uniform(rng, 3, size, options=UniformOptions(capacity=9))
    else:
        sample = sample_x(rng, 3, size)
    batch = from_sample(sample)
    starts = all_starts(batch)
    actions = play(State.begin(batch, starts), rng)
    tours = torch.stack([torch.zeros_like(starts), starts, *actions], dim=-1)
    lengths = tour_lengths(batch, tours)
    for index in range(3):
        instance = sample.instance(index, rounding=Rounding.UNROUNDED, coordinate_decimals=0)
        for tour, length in zip(tours[index].tolist(), lengths[index].tolist(), strict=True):
            verdict = verify(instance, routes_of(tour))
            assert verdict.violations == ()
            assert verdict.cost is not None
            cost = verdict.cost / 10**instance.decimals / sample.extent
            assert length == pytest.approx(cost, rel=1e-5, abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(size=st.integers(2, 12), seed=st.integers(0, 2**32))
def test_random_play_of_tsp_visits_every_city_once(size: int, seed: int) -> None:
    """Each trajectory begins at its own start and is a permutation of the cities."""
    rng = np.random.default_rng(seed)
    batch = from_sample(sample_uniform(rng, 2, size, "tsp"))
    starts = all_starts(batch)
    actions = play(State.begin(batch, starts), rng)
    assert len(actions) == size - 1
    tours = torch.stack([starts, *actions], dim=-1)
    assert tours[..., 0].equal(starts)
    assert tours.sort(dim=-1).values.equal(torch.arange(size).expand_as(tours))


def test_mask_of_a_small_case() -> None:
    """Forbidden are served, too large, and the depot twice in a row; a finished trajectory stays."""
    points = np.random.default_rng(0).random((1, 4, 2))
    batch = make_batch(points, np.array([[0, 5, 4, 3]]), np.array([8]))
    state = State.begin(batch, torch.tensor([[0, 1]]))
    assert state.mask.tolist() == [[[False, True, True, True], [True, False, False, True]]]
    assert state.load.tolist() == [[1.0, 0.375]]
    state = state.step(torch.tensor([[1, 3]])).step(torch.tensor([[3, 0]])).step(torch.tensor([[0, 2]]))
    assert state.mask.tolist() == [[[False, False, True, False], [True, False, False, False]]]
    state = state.step(torch.tensor([[2, 0]]))
    assert state.finished.tolist() == [[False, True]]
    state = state.step(torch.tensor([[0, 0]]))
    assert state.finished.all()
    assert state.mask.tolist() == [[[True, False, False, False]] * 2]


def test_step_leaves_the_state_as_it_was() -> None:
    """A state is a value: stepping makes another one."""
    batch = from_sample(sample_uniform(np.random.default_rng(1), 2, 5))
    state = State.begin(batch, all_starts(batch))
    before = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
    copies = {name: torch.as_tensor(value).clone() for name, value in before.items()}
    state.step(state.mask.int().argmax(dim=-1))
    assert all(torch.as_tensor(before[name]).equal(copies[name]) for name in before)


def test_loads_are_exact() -> None:
    """Demands far beyond the precision of floats neither overload a route nor forbid a full one."""
    large = 2**52 + 1
    batch = make_batch(np.random.default_rng(2).random((1, 3, 2)), np.array([[0, large, 2]]), np.array([large + 1]))
    assert State.begin(batch, torch.tensor([[1]])).mask.tolist() == [[[True, False, False]]]
    batch = dataclasses.replace(batch, capacity=torch.tensor([large + 2]))
    assert State.begin(batch, torch.tensor([[1]])).mask.tolist() == [[[True, False, True]]]


def test_batch_is_invariant_under_translation_and_scaling() -> None:
    """The networks see the same numbers wherever an instance lies and whatever its unit."""
    points = np.random.default_rng(3).random((4, 9, 2)) * [1.0, 0.3]
    batch, moved = make_batch(points), make_batch(points * 7000.0 - [123.0, -4567.0])
    torch.testing.assert_close(moved.coordinates, batch.coordinates, rtol=0, atol=1e-6)
    torch.testing.assert_close(moved.scale, batch.scale * 7000)
    assert batch.coordinates.abs().amax() == pytest.approx(0.5)


def test_augmentation_keeps_all_distances() -> None:
    """The eight views are distinct and isometric; demand, capacity and scale go along."""
    batch = from_sample(sample_uniform(np.random.default_rng(4), 2, 6))
    views = batch.augmented()
    assert len(views) == 16
    torch.testing.assert_close(views.distances, batch.distances.repeat(8, 1, 1))
    assert views.demand[2:4].equal(batch.demand)
    assert len({tuple(view.flatten().tolist()) for view in views.coordinates}) == 16


def test_coincident_locations_have_a_scale() -> None:
    """An instance whose locations all coincide is not divided by zero."""
    batch = make_batch(np.full((1, 3, 2), 5.0))
    assert batch.coordinates.equal(torch.zeros(1, 3, 2))
