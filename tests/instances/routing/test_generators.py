"""The generators: reproducible, of the stated size, in independent streams, plain about bad requests."""

from typing import Any

import numpy as np
import pytest

from instances.errors import InvalidInput
from instances.routing import document
from instances.routing.generators import KINDS, generate, sample_uniform, sample_x, shifts, stream_seed
from instances.routing.generators.uniform import usual_capacity

SEEDED = [(kind.name, problem) for kind in KINDS.values() if kind.make is not None for problem in kind.problems]


@pytest.mark.parametrize(("kind", "problem"), SEEDED)
def test_instance_depends_on_seed_and_number_alone(kind: str, problem: str) -> None:
    """Asking for more, or again, gives the same first instances; other numbers and seeds give others."""
    many = generate(kind, size=15, count=4, seed=5, problem=problem)
    few = generate(kind, size=15, count=2, seed=5, problem=problem)
    other = generate(kind, size=15, count=2, seed=6, problem=problem)
    assert [member.digest for member in many[:2]] == [member.digest for member in few]
    assert len({member.digest for member in [*many, *other]}) == 6


@pytest.mark.parametrize(("kind", "problem"), SEEDED)
@pytest.mark.parametrize("size", [1, 2, 3, 9, 30, 130])
def test_size_counts_customers_or_cities(kind: str, problem: str, size: int) -> None:
    """Every kind makes any small size, with a depot of its own unless it is a TSP."""
    instance = generate(kind, size=size, count=1, seed=1, problem=problem)[0]
    assert instance.num_locations == (size if problem == "tsp" else size + 1)
    assert ("tsp" in instance.features) == (problem == "tsp")
    assert ("time-windows" in instance.features) == (problem == "vrptw")
    assert document.load(document.dump(instance)) == instance


def test_names_tell_instances_apart() -> None:
    """A name holds the kind, what differs from the usual, size, seed and number."""
    assert generate("x", size=7, count=4, seed=1)[3].name == "x-n7-s1-0003"
    tsp = generate("rotation", size=7, count=1, problem="tsp", share=0.25, stream="validation")[0]
    assert tsp.name == "rotation-tsp-validation-0.25-n7-s1-0000"
    assert tsp.comment == ("generator rotation: problem=tsp, size=7, seed=1, number=0, stream=validation, share=0.25")


@pytest.mark.parametrize("stream", ["training", "validation"])
def test_streams_are_disjoint(stream: Any) -> None:
    """The same seed in another stream gives other instances and other random numbers."""
    test, other = (generate("uniform", size=5, count=3, seed=9, stream=name) for name in ("test", stream))
    assert not {member.digest for member in test} & {member.digest for member in other}
    first, second = (np.random.default_rng(stream_seed(name, 9)).random(4) for name in ("test", stream))
    assert not np.intersect1d(first, second).size


@pytest.mark.parametrize(
    ("request_", "where"),
    [
        ({"kind": "unifrom"}, "unifrom"),
        ({"problem": "vrptw"}, "problem"),
        ({"kind": "x", "problem": "tsp"}, "problem"),
        ({"size": 0}, "size"),
        ({"size": 50_001}, "size"),
        ({"count": 0}, "count"),
        ({"seed": -1}, "seed"),
        ({"radius": 0.1}, "radius"),
        ({"capacity": 8}, "capacity"),
        ({"kind": "clustered", "num_clusters": 0}, "num_clusters"),
        ({"kind": "explosion", "radius": 0.0}, "radius"),
        ({"kind": "rotation", "share": 1.5}, "share"),
        ({"kind": "x", "depot": "north"}, "depot"),
        ({"kind": "x", "route_size": 0.5}, "route_size"),
        ({"kind": "solomon", "horizon": "endless"}, "horizon"),
        ({"kind": "solomon", "density": 2.0}, "density"),
        ({"kind": "road", "removed": -0.1}, "removed"),
        ({"kind": "road", "size": 2001}, "size"),
    ],
)
def test_bad_request_names_the_field(request_: dict[str, Any], where: str) -> None:
    """What cannot be made is refused, with the field and what is accepted."""
    with pytest.raises(InvalidInput, match=r"accepted|makes|demands|at most") as caught:
        generate(**{"kind": "uniform", "size": 10, "count": 1, **request_})
    assert caught.value.where == where


def test_every_option_has_help() -> None:
    """The command line shows every option with its help."""
    for kind in KINDS.values():
        for field in kind.options.__dataclass_fields__.values():
            assert field.metadata["help"]


def test_batches_are_what_generate_makes() -> None:
    """Training's batches and the test instances come from one sampler."""
    one = np.random.default_rng(stream_seed("test", 4))
    sample = sample_uniform(one, 1, 12)
    again = np.random.default_rng(stream_seed("test", 4))
    settings = KINDS["uniform"].options()
    assert KINDS["uniform"].make is not None
    instance = KINDS["uniform"].make(again, 12, "cvrp", settings)
    assert instance.coordinates is not None and instance.demand is not None
    np.testing.assert_array_equal(instance.coordinates, sample.coordinates[0])
    np.testing.assert_array_equal(instance.demand, sample.demand[0] if sample.demand is not None else None)


def test_uniform_is_the_fields_distribution() -> None:
    """Coordinates are uniform, demands uniform in 1..9 and 0 at the depot, the capacity is the field's."""
    sample = sample_uniform(np.random.default_rng(0), 500, 40)
    assert sample.coordinates.shape == (500, 41, 2) and sample.demand is not None and sample.capacity is not None
    unit = sample.unit_coordinates
    assert unit.min() >= 0 and unit.max() <= 1
    counts = np.histogram(unit, bins=10, range=(0, 1))[0] / unit.size
    assert np.abs(counts - 0.1).max() < 0.01
    assert (sample.demand[:, 0] == 0).all()
    shares = np.bincount(sample.demand[:, 1:].ravel(), minlength=10)[1:] / (500 * 40)
    assert shares.shape == (9,) and np.abs(shares - 1 / 9).max() < 0.01
    assert (sample.capacity == 37).all()


def test_usual_capacity() -> None:
    """Published sizes have their published capacity, sizes between them one between."""
    published = {10: 20, 20: 30, 50: 40, 100: 50, 200: 70, 500: 100, 1000: 150}
    assert {size: usual_capacity(size) for size in published} == published
    assert usual_capacity(1) == 20 and usual_capacity(30) == 33 and usual_capacity(5000) == 150
    assert generate("uniform", size=20, count=1, capacity=15)[0].capacity == 15


def test_clustered_customers_stay_near_their_centres() -> None:
    """A cluster spreads by 0.07; more clusters cover more of the square."""
    instance = generate("clustered", size=900, count=1, problem="tsp", num_clusters=1)[0]
    assert instance.coordinates is not None
    assert np.abs(instance.coordinates.std(axis=0) / 1e6 - 0.07).max() < 0.01
    spread = generate("clustered", size=900, count=1, problem="tsp", num_clusters=40)[0].coordinates
    assert spread is not None and spread.std(axis=0).min() / 1e6 > 0.15


def test_explosion_leaves_a_hole() -> None:
    """Nobody is left near the centre: the largest empty ball is far larger than among uniform points."""

    def hole(kind: str, **options: float) -> float:
        coordinates = generate(kind, size=400, count=1, seed=2, problem="tsp", **options)[0].coordinates
        assert coordinates is not None
        x, y = np.meshgrid(np.linspace(0, 1e6, 60), np.linspace(0, 1e6, 60))
        places = np.stack((x.ravel(), y.ravel()), axis=1)
        return float(np.linalg.norm(places[:, None] - coordinates[None], axis=-1).min(axis=1).max() / 1e6)

    assert hole("explosion", radius=0.3) > 0.17
    assert hole("uniform") < 0.12


def test_explosion_moves_only_who_is_near() -> None:
    """Outside the ball, customers stay; the depot never moves but when all is scaled."""
    near = shifts.ExplosionOptions(radius=1e-9)
    instance = shifts.make_explosion(np.random.default_rng(3), 50, "cvrp", near)
    base = sample_uniform(np.random.default_rng(3), 1, 50)
    np.testing.assert_array_equal(instance.coordinates, base.coordinates[0])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_rotation_keeps_the_shape_of_who_is_rotated(share: float) -> None:
    """With nobody rotated nothing changes; with everybody rotated all distances keep their proportions."""
    instance = shifts.make_rotation(np.random.default_rng(3), 50, "tsp", shifts.RotationOptions(share=share))
    base = sample_uniform(np.random.default_rng(3), 1, 50, "tsp").coordinates[0]
    assert instance.coordinates is not None
    if share == 0:
        np.testing.assert_array_equal(instance.coordinates, base)
        return
    before = np.linalg.norm(base[1:] - base[:-1], axis=-1)
    after = np.linalg.norm(instance.coordinates[1:] - instance.coordinates[:-1], axis=-1)
    assert np.ptp(after / before) < 1e-3
    assert not np.array_equal(instance.coordinates, base)


@pytest.mark.parametrize("kind", ["clustered", "explosion", "rotation"])
def test_shifted_instances_stay_in_the_unit_square(kind: str) -> None:
    """Whoever is thrown out of the square is brought back with all others."""
    for problem in ("cvrp", "tsp"):
        for instance in generate(kind, size=60, count=20, problem=problem):
            assert instance.coordinates is not None
            assert instance.coordinates.min() >= 0 and instance.coordinates.max() <= 10**6


def test_x_batches_scale_to_the_unit_square() -> None:
    """A batch of X instances gives training unit coordinates and positive capacities."""
    sample = sample_x(np.random.default_rng(1), 8, 30)
    assert sample.unit_coordinates.shape == (8, 31, 2) and sample.unit_coordinates.max() <= 1
    assert sample.capacity is not None and (sample.capacity > 0).all()
