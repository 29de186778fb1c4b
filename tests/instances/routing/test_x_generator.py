"""The X generator follows section 4 of Uchoa et al. 2017."""

from typing import Any, get_args

import numpy as np
import pytest

from instances.routing.generators import generate, sample_x
from instances.routing.generators.x import Customers, Demand, Depot, XOptions, _attract, _repeated
from instances.routing.rounding import Rounding


def draw(batch: int, size: int, seed: int = 0, **options: Any) -> Any:
    return sample_x(np.random.default_rng(seed), batch, size, XOptions(**options))


@pytest.mark.parametrize("customers", get_args(Customers))
def test_no_two_locations_coincide(customers: Any) -> None:
    """Locations of an instance are distinct points of the grid, also where clusters are dense."""
    sample = draw(30, 120, customers=customers)
    assert sample.coordinates.min() >= 0 and sample.coordinates.max() <= 1000
    for member in sample.coordinates:
        assert len(np.unique(member, axis=0)) == 121


def test_depot_positions() -> None:
    """Central is (500, 500), eccentric is (0, 0), random is anywhere; all occur when drawn."""
    assert (draw(5, 10, depot="central").coordinates[:, 0] == 500).all()
    assert (draw(5, 10, depot="eccentric").coordinates[:, 0] == 0).all()
    assert len(np.unique(draw(50, 10, depot="random").coordinates[:, 0], axis=0)) > 45
    drawn = draw(600, 5).coordinates[:, 0]
    central, eccentric = (drawn == 500).all(axis=1).mean(), (drawn == 0).all(axis=1).mean()
    assert abs(central - 1 / 3) < 0.06 and abs(eccentric - 1 / 3) < 0.06 and len(get_args(Depot)) == 3


@pytest.mark.parametrize(
    ("demand", "low", "high"),
    [
        ("unitary", 1, 1),
        ("1-10", 1, 10),
        ("5-10", 5, 10),
        ("1-100", 1, 100),
        ("50-100", 50, 100),
    ],
)
def test_demand_ranges(demand: Any, low: int, high: int) -> None:
    """Demands are uniform integers in the range that names them."""
    found = draw(80, 100, demand=demand).demand
    assert (found[:, 0] == 0).all()
    values, counts = np.unique(found[:, 1:], return_counts=True)
    assert values.tolist() == list(range(low, high + 1))
    expected = found[:, 1:].size / len(values)
    assert ((counts - expected) ** 2 / expected).sum() < len(values) + 5 * np.sqrt(2 * len(values))


def test_quadrant_demand() -> None:
    """Even quadrants have demands of 1 to 50, odd ones 51 to 100."""
    sample = draw(20, 100, demand="quadrant")
    right, up = sample.coordinates[:, 1:, 0] >= 500, sample.coordinates[:, 1:, 1] >= 500
    odd, demand = right == up, sample.demand[:, 1:]
    assert (demand[odd].min(), demand[odd].max()) == (51, 100)
    assert (demand[~odd].min(), demand[~odd].max()) == (1, 50)


def test_many_small_few_large_demand() -> None:
    """70 to 95 % of the customers demand 1 to 10, the others 50 to 100."""
    demand = draw(40, 1000, demand="many-small-few-large").demand[:, 1:]
    small, large = demand <= 10, demand >= 50
    assert (small | large).all()
    assert 0.65 < small.mean(axis=1).min() < 0.75 and 0.90 < small.mean(axis=1).max() < 0.98


@pytest.mark.parametrize("demand", get_args(Demand))
def test_capacity_serves_the_route_size(demand: Any) -> None:
    """Q = ceil(r * total demand / n), and never below the largest demand."""
    sample = draw(50, 60, demand=demand, route_size=7.5)
    total, largest = sample.demand.sum(axis=1), sample.demand.max(axis=1)
    expected = np.maximum([-(-15 * int(t) // 120) for t in total], largest)
    np.testing.assert_array_equal(sample.capacity, expected)


def test_route_size_is_triangular() -> None:
    """The route size has the mean (3 + 6 + 25) / 3 and the range [3, 25] of its triangular distribution."""
    sample = draw(4000, 10, demand="unitary", customers="random")
    assert abs(sample.capacity.mean() - (34 / 3 + 0.5)) < 0.3
    assert sample.capacity.min() >= 3 and sample.capacity.max() <= 25


def test_random_clustered_is_half_and_half() -> None:
    """Half the customers are clustered: the mean distance to the nearest other lies in between."""

    def spacing(customers: Any) -> float:
        points = draw(40, 100, customers=customers).coordinates[:, 1:].astype(float)
        distances = np.linalg.norm(points[:, :, None] - points[:, None], axis=-1)
        distances[:, np.arange(100), np.arange(100)] = np.inf
        return float(distances.min(axis=2).mean())

    assert spacing("clustered") < 0.75 * spacing("random-clustered") < 0.75 * spacing("random")


@pytest.mark.parametrize(
    "seeds",
    [
        [[500, 500], [500, 520], [510, 505]],  # overlapping, so that the probability is capped at 1
        [[0, 0], [1000, 400], [300, 995]],  # at the edge, so that much attraction falls outside the grid
    ],
)
def test_attraction_is_the_papers_law(seeds: list[list[int]]) -> None:
    """By a chi-square test, customers are attracted as min(1, sum of exp(-d / 40)) over the grid."""
    side = np.arange(1001)
    grid = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1)
    law = np.minimum(1.0, sum(np.exp(-np.hypot(*np.moveaxis(grid - seed, -1, 0)) / 40) for seed in seeds))
    num_seeds, draws = len(seeds), 400_000
    padded = np.array([*seeds, *[[530, 540]] * (8 - num_seeds)])  # what lies beyond num_seeds must not matter
    tiled = np.broadcast_to(padded, (draws, 8, 2))
    points, accepted = _attract(np.random.default_rng(7), tiled, np.full(draws, num_seeds))
    found = np.zeros((1001, 1001))
    np.add.at(found, tuple(points[accepted].T), 1)

    def binned(values: Any) -> Any:
        edges = np.unique(np.concatenate((np.arange(0, 1001, 125), np.arange(440, 580, 10), [4, 12, 30])))
        return np.add.reduceat(np.add.reduceat(values, edges, axis=0), edges, axis=1).ravel()

    expected, observed = binned(law) / law.sum() * accepted.sum(), binned(found)
    rare = expected < 5
    expected = np.append(expected[~rare], expected[rare].sum())
    observed = np.append(observed[~rare], observed[rare].sum())
    statistic, freedom = ((observed - expected) ** 2 / expected).sum(), len(expected) - 1
    assert accepted.mean() > 0.2
    assert statistic < freedom + 4 * np.sqrt(2 * freedom)


def test_repeated_finds_the_later_of_equal_points() -> None:
    """The first of equal points stays, the later ones and the unset ones are to be drawn."""
    points = np.array([[[1, 1], [2, 2], [1, 1], [2, 2], [3, 3], [1, 1]]])
    unset = np.array([[False, False, False, False, True, False]])
    assert _repeated(points, unset).tolist() == [[False, False, True, True, True, True]]
    unset[0, 0] = True
    assert _repeated(points, unset).tolist() == [[True, False, False, True, True, True]]


def test_generated_instances_follow_the_x_convention() -> None:
    """Integer coordinates, distances to the nearest integer, no fleet limit."""
    instance = generate("x", size=30, count=1)[0]
    assert (instance.rounding, instance.coordinate_decimals) == (Rounding.NEAREST, 0)
    assert instance.features == {"capacity"}
