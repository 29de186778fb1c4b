"""The field's own test sets, bit for bit."""

import hashlib
import pickle

import numpy as np
import pytest

from instances.errors import InvalidInput
from instances.routing.generators import generate
from instances.routing.generators.kool import CAPACITIES, SET_SIZE, raw_cvrp, raw_tsp

SHA256 = {
    ("tsp", 20): "f295536568ad9161",
    ("tsp", 50): "ce72f5a3bf332fb2",
    ("tsp", 100): "faac0de508792b3b",
    ("cvrp", 20): "dab80798d2d8930c",
    ("cvrp", 50): "e42d23c65aed4b9d",
    ("cvrp", 100): "57a52668ef67cdf8",
}
FIRST_DEMANDS = {
    20: [5, 3, 5, 8, 5, 1, 8, 4],
    50: [9, 2, 7, 5, 7, 6, 6, 4],
    100: [1, 3, 1, 4, 4, 1, 6, 3],
}


@pytest.mark.parametrize(
    ("problem", "size"),
    [pytest.param(*key, marks=() if key[1] == 20 else pytest.mark.slow) for key in SHA256],
)
def test_whole_set_has_the_published_hash(problem: str, size: int) -> None:
    """The pickle that the field's code writes has the known SHA-256."""
    if problem == "tsp":
        content = raw_tsp(size).tolist()
    else:
        depots, customers, demand = raw_cvrp(size)
        capacities = np.full(SET_SIZE, float(CAPACITIES[size])).tolist()
        content = list(zip(depots.tolist(), customers.tolist(), demand.tolist(), capacities, strict=True))
    assert hashlib.sha256(pickle.dumps(content, protocol=4)).hexdigest()[:16] == SHA256[problem, size]


@pytest.mark.parametrize(("size", "total"), [(20, 999780), (50, 2500179), (100, 5000827)])
def test_cvrp_vectors(size: int, total: int) -> None:
    """Depot, demands and total demand are the known ones."""
    depots, _, demand = raw_cvrp(size)
    assert depots[0].tolist() == [0.1915194503788923, 0.6221087710398319]
    assert demand[0, :8].tolist() == FIRST_DEMANDS[size]
    assert int(demand.sum()) == total


def test_instances_are_the_raw_arrays_on_the_grid() -> None:
    """Coordinates are rounded to the grid of 10^6, demand and capacity are kept, distances are unrounded."""
    depots, customers, demand = raw_cvrp(20)
    assert customers[0, 0].tolist() == [0.5542693865183056, 0.1809782379192011]
    instance = generate("kool", size=20, count=3)[2]
    assert instance.name == "kool-n20-s1234-0002"
    assert instance.coordinates is not None and instance.demand is not None
    points = np.concatenate((depots[2:3], customers[2])) * 1e6
    assert np.abs(instance.coordinates - points).max() <= 0.5
    assert instance.demand.tolist() == [0, *demand[2].tolist()]
    assert (instance.capacity, instance.decimals, instance.features) == (30, 6, {"capacity"})


def test_tsp_instances() -> None:
    """A part of the TSP set is a part of the whole, of any size."""
    np.testing.assert_array_equal(raw_tsp(7, count=4), raw_tsp(7)[:4])
    instance = generate("kool", size=7, count=2, problem="tsp")[1]
    assert instance.coordinates is not None
    assert np.abs(instance.coordinates - raw_tsp(7)[1] * 1e6).max() <= 0.5
    assert instance.features == {"tsp"}


def test_validation_set_is_another() -> None:
    """The validation set has the seed 4321, by its seed or by its stream."""
    by_seed, by_stream = (
        generate("kool", size=20, count=1, seed=4321)[0],
        generate("kool", size=20, count=1, stream="validation")[0],
    )
    assert by_seed.digest == by_stream.digest != generate("kool", size=20, count=1)[0].digest


@pytest.mark.parametrize(
    ("request_", "where"),
    [
        ({"size": 30}, "size"),
        ({"seed": 1}, "seed"),
        ({"seed": 0}, "seed"),
        ({"count": 10_001}, "count"),
        ({"stream": "training"}, "stream"),
    ],
)
def test_what_the_field_does_not_have_is_refused(request_: dict[str, object], where: str) -> None:
    """Other sizes and seeds, and training on the test set, are refused."""
    with pytest.raises(InvalidInput) as caught:
        generate("kool", **{"size": 20, "count": 1, **request_})  # type: ignore[arg-type]
    assert caught.value.where == where
