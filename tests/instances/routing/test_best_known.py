"""Best-known values are matched by content, under the right rounding and objective, or not at all."""

import csv
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from instances.files import read_path, write_instance
from instances.routing import best_known
from instances.routing.formats import solomon
from instances.routing.instance import RoutingInstance
from instances.routing.rounding import Rounding
from instances.text import read_text

# The same content under two names: 1274 is the lower of its two published values.
SAME_CONTENT = {"M-n200-k17": Decimal(1274)}


def test_every_instance_at_hand_has_its_published_value(shared_data: Path) -> None:
    """Each of the 149 instances gets the value of bks.csv by its content, and proven where that says so."""
    with (shared_data / "bks.csv").open(newline="") as stream:
        published = {shared_data / record["file"]: record for record in csv.DictReader(stream)}
    for path, record in published.items():
        (entry,) = read_path(path)
        found = best_known.find(replace(entry.instance, name="anything else"))
        expected = SAME_CONTENT.get(record["name"], Decimal(record["best_known_cost"]))
        assert found is not None and found.cost == expected * 10**entry.instance.decimals, record["name"]
        assert found.proven_optimal == (record["proven_optimal"] == "yes")
        assert found.source and found.date
    assert len(published) == 149


def test_every_published_row_is_in_the_table(shared_data: Path) -> None:
    """The table has the 901 rows of bks_more.csv and the 14 of Christofides, Mingozzi and Toth."""
    with (shared_data / "bks_more.csv").open(newline="") as stream:
        published = [
            (record["name"].removesuffix("_distance"), Decimal(record["best_known_cost"]))
            for record in csv.DictReader(stream)
        ]
    rows = [(row.name, row.cost) for row in best_known.rows() if row.set != "CMT"]
    assert len(published) == 901 and sorted(rows) == sorted(published)
    assert len(best_known.rows()) == 915


def test_another_rounding_is_another_instance(shared_data: Path) -> None:
    """X-n101-k25 with truncated distances has no published value; C101 has one under each of two rules."""
    path = shared_data / "cvrp" / "X" / "X-n101-k25.vrp"
    assert [best_known.find(entry.instance) for entry in read_path(path, "truncated")] == [None]
    path = shared_data / "vrptw" / "C101.txt"
    costs = [best_known.find(solomon.read(read_text(path), rule)) for rule in (None, Rounding.UNROUNDED)]
    assert [found.cost if found else None for found in costs] == [8273, 828_940_000]
    assert best_known.find(solomon.read(read_text(path), Rounding.NEAREST)) is None


def test_a_changed_instance_is_not_the_published_one(shared_data: Path) -> None:
    """One unit of demand, one more constraint or one moved customer, and the name proves nothing."""
    (entry,) = read_path(shared_data / "cvrp" / "A" / "A-n32-k5.vrp")
    instance = entry.instance
    demand, coordinates = instance.demand.copy(), instance.coordinates.copy()
    demand[1] -= 1
    coordinates[1] += 1
    for changes in (
        {"demand": demand},
        {"coordinates": coordinates},
        {"open_routes": True},
        {"num_vehicles": 9},
    ):
        assert best_known.find(replace(instance, **changes)) is None
        assert best_known.other_roundings(replace(instance, **changes)) == ()


def golden(rounding: Rounding = Rounding.UNROUNDED, name: str = "Golden_9", **changes: object) -> RoutingInstance:
    """An instance with the name, locations and capacity of Golden_9, which is not at hand."""
    fields: dict[str, object] = {
        "coordinates": np.stack([np.arange(256), np.zeros(256, int)], axis=1),
        "demand": np.arange(256),
        "capacity": 1000,
    }
    return RoutingInstance(rounding=rounding, name=name, **(fields | changes))  # type: ignore[arg-type]


def test_without_a_digest_name_size_capacity_rounding_and_features_decide() -> None:
    """Golden_9 is matched by these; each of them alone makes another instance."""
    found = best_known.find(golden())
    assert found is not None and found.cost == 579_702_026
    assert (found.proven_optimal, found.date) == (False, "2024-05-24")
    assert best_known.find(golden(name="GOLDEN_9 ")) == found
    for other in (
        golden(name="Golden_10"),
        golden(Rounding.NEAREST),
        golden(capacity=1001),
        golden(max_route_distance=10**9),
        golden(open_routes=True),
        golden(coordinates=np.zeros((257, 2), int), demand=None, capacity=None),
    ):
        assert best_known.find(other) is None


def test_fewer_vehicles_first_is_another_objective() -> None:
    """c1_2_1 is in the table for that objective alone, so it has no best-known cost under this one."""
    assert [row.objective for row in best_known.rows() if row.name == "c1_2_1"] == ["vehicles, then distance"]
    windows = np.full((201, 2), [0, 10**9])
    instance = golden(
        name="c1_2_1",
        coordinates=np.zeros((201, 2), int),
        demand=np.zeros(201, int),
        capacity=200,
        num_vehicles=50,
        time_windows=windows,
        service_times=np.minimum(np.arange(201), 90),
    )
    assert best_known.find(instance) is None
    r101 = {row.objective: row.cost for row in best_known.rows() if row.name == "R101" and row.rounding == "unrounded"}
    assert r101 == {"distance": Decimal("1642.88"), "vehicles, then distance": Decimal("1645.79")}


def test_a_file_known_under_another_convention_is_read_under_that(tmp_path: Path) -> None:
    """Golden_9 is EUC_2D but published unrounded: read so, with a note, unless --rounding says otherwise."""
    write_instance(golden(Rounding.NEAREST), tmp_path / "any.vrp")
    (entry,) = read_path(tmp_path / "any.vrp")
    assert entry.instance == golden()
    (note,) = entry.notes
    assert "distances are unrounded, not nearest, as in the best-known value of Golden_9" in note
    (entry,) = read_path(tmp_path / "any.vrp", "nearest")
    assert (entry.instance, entry.notes) == (golden(Rounding.NEAREST), ())


def test_a_file_of_an_unknown_name_is_read_under_its_own_rule(tmp_path: Path) -> None:
    """The convention follows the content: neither the file's name nor the capacity alone is enough."""
    write_instance(golden(Rounding.NEAREST, name="mine"), tmp_path / "Golden_9.vrp")
    write_instance(golden(Rounding.NEAREST, capacity=1001), tmp_path / "other.vrp")
    for entry in read_path(tmp_path):
        assert (entry.instance.rounding, entry.notes) == ("nearest", ())


@pytest.mark.parametrize("name", ["CMT6", "CMT1"])
def test_cmt_limits_are_durations_with_service(name: str, tmp_path: Path) -> None:
    """CMT6 is CMT1 with a limit of 200 and 10 of service: only with them is the name CMT6's."""
    limits = "DISTANCE : 200.00000\nSERVICE_TIME : 10.0\n"
    rows = "\n".join(f"{node} {node}.00000 0.00000" for node in range(1, 52))
    demands = "\n".join(f"{node} {int(node > 1)}" for node in range(1, 52))
    for text, expected in ((limits, "CMT6"), ("", "CMT1")):
        (tmp_path / "x.vrp").write_text(
            f"NAME : {name}\nTYPE : CVRP\nDIMENSION : 51\nEDGE_WEIGHT_TYPE : EUC_2D\nCAPACITY : 160\n{text}"
            f"NODE_COORD_SECTION\n{rows}\nDEMAND_SECTION\n{demands}\nDEPOT_SECTION\n1\n-1\nEOF\n"
        )
        (entry,) = read_path(tmp_path / "x.vrp")
        assert entry.instance.rounding == ("unrounded" if name == expected else "nearest")
        found = best_known.find(entry.instance)
        cost = {"CMT6": 555_430_000, "CMT1": 524_610_000}[name]
        assert (found.cost if found else None) == (cost if name == expected else None)
