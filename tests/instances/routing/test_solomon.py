"""Solomon's text format: the published files, and what is refused in a .txt."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vrplib

from instances.errors import InvalidInput
from instances.files import read_path, write_instance
from instances.routing.formats import solomon
from instances.routing.instance import RoutingInstance
from instances.routing.rounding import Rounding

SMALL = """HAND

VEHICLE
NUMBER     CAPACITY
   2          10

CUSTOMER
CUST NO.  XCOORD.   YCOORD.    DEMAND   READY TIME  DUE DATE   SERVICE   TIME

    0      40         50          0          0       1236          0
    1      45         68         10        912        967         90
    2      45         70          3        825.5      870         90
"""


def test_a_small_file_by_hand() -> None:
    """NUMBER is the fleet; times are in tenths, as distances are; sqrt(349) = 18.68 is cut to 18.6."""
    instance = solomon.read(SMALL)
    assert (instance.name, instance.num_vehicles, instance.capacity, instance.depot) == ("HAND", 2, 10, 0)
    assert instance.rounding == "truncated" and instance.distances[0].tolist() == [0, 186, 206]
    assert instance.time_windows is not None and instance.service_times is not None
    assert instance.time_windows.tolist() == [[0, 12360], [9120, 9670], [8255, 8700]]
    assert instance.service_times.tolist() == [0, 900, 900]
    assert instance.features == {"capacity", "fleet", "time-windows", "service-times"}


def test_rounding_changes_distances_and_the_unit_of_times() -> None:
    """Under 'unrounded' all is in millionths; under 'nearest' half a unit of time is refused."""
    instance = solomon.read(SMALL, Rounding.UNROUNDED)
    assert instance.time_windows is not None and instance.time_windows[2, 0] == 825_500_000
    assert instance.distances[0, 1] == 18_681_542
    with pytest.raises(InvalidInput, match=r"ready time: has 1 decimals, but .* multiples of 1 under"):
        solomon.read(SMALL, Rounding.NEAREST)


def change(old: str, new: str) -> str:
    assert SMALL.count(old) == 1
    return SMALL.replace(old, new)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Dear reader,\n\nhello\n", "line 3: 'hello' is not the 'VEHICLE' of Solomon's format"),
        ("one line", "line 1: ends before the first customer; a .txt is accepted in Solomon's format"),
        (SMALL[: SMALL.index("    0 ")], "line 8: ends before the first customer"),
        (SMALL[: SMALL.index("         70          3 ")], "line 12: 2 columns; expected 7"),
        (change("    2      45", "    3      45"), "line 12: customer '3'; expected 2"),
        (change("    2      45", "    1      45"), "line 12: customer '1'; expected 2"),
        (change("825.5", "NaN"), "line 12: 'NaN' is not a number"),
        (change("825.5", "-825"), "line 12: '-825' is out of range"),
        (change("825.5", "871"), "time_windows[2]: opens at 8710 and closes at 8700"),
        (change("825.5", "825.55"), "ready time: has 2 decimals"),
        (change("1236", "1e18"), "is out of range; accepted are magnitudes up to 2^53"),
        (
            change("1236", "9007199254740992"),
            "due date: is out of range; accepted are up to 2^53 units of 10^-1",
        ),
        (change("          3  ", "          11 "), "demand[2]: 11 exceeds the capacity 10"),
        (change("          3  ", "          1.5"), "demand: holds fractions; accepted are integers"),
        (change("   2          10", "   2          ten"), "line 5: 'ten' is not a number"),
        (change("   2          10", "   0          10"), "line 5: '0 10'; expected a positive NUMBER"),
        (change("   2          10", "   2"), "line 5: 1 columns; expected NUMBER and CAPACITY"),
        (change("DUE DATE", "DUE"), "line 8: "),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str, tmp_path: Path) -> None:
    """Each error names the file, the line or column, and what is accepted."""
    (tmp_path / "bad.txt").write_text(text)
    with pytest.raises(InvalidInput) as caught:
        read_path(tmp_path / "bad.txt")
    assert str(caught.value).startswith(f"{tmp_path / 'bad.txt'}: ") and message in str(caught.value)


def test_the_published_folder_agrees_with_vrplib_and_comes_back(shared_data: Path, tmp_path: Path) -> None:
    """All 10 files: vrplib's fields, its distances once truncated, and a round trip."""
    entries = read_path(shared_data / "vrptw")
    assert len(entries) == 10
    for entry in entries:
        instance, other = entry.instance, vrplib.read_instance(entry.path, instance_format="solomon")
        assert (instance.name, instance.num_vehicles) == (other["name"], other["vehicles"])
        np.testing.assert_array_equal(instance.demand, other["demand"])
        np.testing.assert_array_equal(instance.time_windows, 10 * other["time_window"])
        np.testing.assert_array_equal(instance.service_times, 10 * other["service_time"])
        np.testing.assert_array_equal(instance.distances, np.floor(10 * other["edge_weight"] + 1e-9))
        write_instance(instance, tmp_path / "again.txt")
        assert read_path(tmp_path / "again.txt")[0].instance == instance


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({"rounding": Rounding.NEAREST}, "rounding"),
        ({"num_vehicles": None}, "num_vehicles"),
        ({"open_routes": True, "max_route_distance": 5}, "max_route_distance, open_routes"),
        ({"demand": None, "capacity": None}, "capacity, demand"),
        ({"time_windows": None}, "time_windows"),
    ],
)
def test_what_a_solomon_file_cannot_hold_is_named(changes: dict[str, Any], lost: str, tmp_path: Path) -> None:
    """The error says which fields would be lost."""
    instance = replace(solomon.read(SMALL), **changes)
    with pytest.raises(InvalidInput, match=f"cannot hold the {lost} of this instance"):
        write_instance(instance, tmp_path / "x.txt")
    assert {field.name for field in fields(RoutingInstance)} >= set(changes)
