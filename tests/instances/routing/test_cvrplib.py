"""CVRPLIB files: the published folder, every keyword, and every way in which a file can be malformed."""

import time
from pathlib import Path

import numpy as np
import pytest
import vrplib

from instances.errors import InvalidInput
from instances.files import read_path, write_instance
from instances.routing.formats import tsplib
from instances.routing.instance import RoutingInstance
from instances.routing.rounding import Rounding

SMALL = """NAME : small-k5
COMMENT : four by hand
TYPE : CVRP
DIMENSION : 4
EDGE_WEIGHT_TYPE : EUC_2D
CAPACITY : 10
NODE_COORD_SECTION
1 0 0
2 3 4
3 6 8
4 -3 4
DEMAND_SECTION
1 0
2 4
3 10
4 5
DEPOT_SECTION
 1
 -1
EOF
"""


def test_a_small_file_by_hand() -> None:
    """Every field is where it belongs; the fleet of a CVRP is not limited by the k in its name."""
    instance = tsplib.read(SMALL)
    assert instance.distances[0].tolist() == [0, 5, 10, 5]
    assert instance.demand is not None and instance.demand.tolist() == [0, 4, 10, 5]
    assert (instance.capacity, instance.num_vehicles, instance.depot) == (10, None, 0)
    assert (instance.name, instance.comment) == ("small-k5", "four by hand")
    assert instance.features == {"capacity"}


def test_the_same_content_is_the_same_instance_however_it_is_written() -> None:
    """Order of nodes, spelling of numbers, line ends, tabs and colons do not matter."""
    text = SMALL.replace("2 3 4\n3 6 8\n", "3\t6.0 8e0\n2 +3.00  .4E1\n").replace(" : ", "\t:")
    text = text.replace("DEMAND_SECTION", "DEMAND_SECTION\t").replace("\n", "\r\n").replace("EOF\r\n", "")
    assert tsplib.read(text) == tsplib.read(SMALL)


def test_any_node_may_be_the_depot() -> None:
    """DEPOT_SECTION names the depot; the others keep their indices."""
    text = SMALL.replace(" 1\n -1", "3 -1").replace("\n3 10", "\n3 0")
    instance = tsplib.read(text)
    assert instance.depot == 2 and instance.customers.tolist() == [0, 1, 3]


def test_distance_limits_a_route_or_with_service_its_duration() -> None:
    """DISTANCE alone is a length; with SERVICE_TIME, as in CMT6, it is a duration. VEHICLES is the fleet."""
    alone = tsplib.read(SMALL.replace("CAPACITY", "DISTANCE : 200.00000\nVEHICLES : 3\nCAPACITY"))
    assert (alone.max_route_distance, alone.max_route_duration, alone.num_vehicles) == (200, None, 3)
    assert alone.features == {"capacity", "fleet", "route-distance"}
    served = tsplib.read(SMALL.replace("CAPACITY", "DISTANCE : 200\nSERVICE_TIME : 10.0\nCAPACITY"))
    assert (served.max_route_distance, served.max_route_duration) == (None, 200)
    assert served.service_times is not None and served.service_times.tolist() == [0, 10, 10, 10]
    unrounded = tsplib.read(
        SMALL.replace("CAPACITY", "DISTANCE : 200.5\nSERVICE_TIME : 10\nCAPACITY"), Rounding.UNROUNDED
    )
    assert unrounded.max_route_duration == 200_500_000
    assert unrounded.service_times is not None and unrounded.service_times[1] == 10_000_000


def test_time_windows_and_service_times_by_node() -> None:
    """VRPLIB's sections for time windows; times are in the unit of the distances."""
    sections = "TIME_WINDOW_SECTION\n1 0 100\n2 5 20.5\n3 0 90\n4 1 2\nSERVICE_TIME_SECTION\n1 0\n2 7\n3 0\n4 1\nEOF"
    text = SMALL.replace("TYPE : CVRP", "TYPE : VRPTW").replace("EOF", sections)
    instance = tsplib.read(text, Rounding.TRUNCATED)
    assert instance.time_windows is not None and instance.service_times is not None
    assert instance.time_windows.tolist() == [[0, 1000], [50, 205], [0, 900], [10, 20]]
    assert instance.service_times.tolist() == [0, 70, 0, 10]
    with pytest.raises(InvalidInput, match="TIME_WINDOW_SECTION: has 1 decimals"):
        tsplib.read(text)


def test_an_explicit_matrix_takes_the_unit_of_its_times() -> None:
    """Half a unit of service makes the unit of an explicit matrix ten times finer."""
    text = SMALL.replace("EUC_2D", "EXPLICIT\nEDGE_WEIGHT_FORMAT : UPPER_ROW\nSERVICE_TIME : 0.5")
    instance = tsplib.read(text.replace("EOF", "EDGE_WEIGHT_SECTION\n1 2 3 4 5 6\nEOF"))
    assert instance.distances[0].tolist() == [0, 10, 20, 30] and instance.decimals == 1
    assert instance.service_times is not None and instance.service_times.tolist() == [0, 5, 5, 5]


def test_ovrp_is_open() -> None:
    """The type OVRP means open routes."""
    assert tsplib.read(SMALL.replace("CVRP", "OVRP")).features == {"capacity", "open"}


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("4 -3 4", "line 10: NODE_COORD_SECTION lacks node 4: it has 3 of 4 nodes"),
        ("3 10\n", "line 14: DEMAND_SECTION lacks node 3: it has 2 of 4 nodes"),
        ("NODE_COORD", "NODE_COORD_SECTION: is missing"),
        ("DEMAND", "DEMAND_SECTION: is missing"),
        ("DEPOT", "DEPOT_SECTION: is missing"),
    ],
)
def test_truncated_files_are_refused(start: str, message: str, tmp_path: Path) -> None:
    """A file that ends early is refused at the section that is not whole."""
    refuse(SMALL[: SMALL.index(start)], message, tmp_path / "bad.vrp")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("3 6 8\n", "", "NODE_COORD_SECTION lacks node 3: it has 3 of 4 nodes", id="missing node"),
        pytest.param("3 6 8", "2 6 8", "line 10: node 2 occurs again, after line 9", id="duplicate node"),
        pytest.param("3 10\n", "2 10\n", "line 15: node 2 occurs again, after line 14", id="duplicate demand"),
        pytest.param("3 6 8", "5 6 8", "line 10: '5' is not a node; accepted are 1 to 4", id="node too large"),
        pytest.param("3 6 8", "0 6 8", "line 10: '0' is not a node; accepted are 1 to 4", id="node zero"),
        pytest.param("3 6 8", "x 6 8", "line 10: 'x' is not a node; accepted are 1 to 4", id="node a word"),
        pytest.param("3 6 8", "3 6 eight", "line 10: 'eight' is not a number", id="not a number"),
        pytest.param("3 6 8", "3 6 NaN", "line 10: 'NaN' is not a number", id="NaN"),
        pytest.param("3 6 8", "3 6 inf", "line 10: 'inf' is not a number", id="infinity"),
        pytest.param("3 6 8", "3 6 1_0", "line 10: '1_0' is not a number", id="underscore"),
        pytest.param("3 6 8", "3 6 0x8", "line 10: '0x8' is not a number", id="hexadecimal"),
        pytest.param("3 6 8", "3 6 ٨", "line 10: '٨' is not a number", id="foreign digit"),
        pytest.param("3 6 8", "3 6 8 9", "line 10: 4 columns in NODE_COORD_SECTION; expected 3", id="too wide"),
        pytest.param("3 6 8", "3 6", "line 10: 2 columns in NODE_COORD_SECTION; expected 3", id="too narrow"),
        pytest.param("3 6 8", "3 6 1e19", "line 10: '1e19' is too large", id="overflow"),
        pytest.param("3 6 8", "3 6 1e999", "line 10: '1e999' is too large", id="overflow of a float"),
        pytest.param("3 6 8", "3 6 1e999999999", "line 10: '1e999999999' is not a number", id="exponent bomb"),
        pytest.param("3 6 8", "3 6 9007199254740993", "line 10: '9007199254740993' is out of range", id="above 2^53"),
        pytest.param(
            "3 6 8",
            "3 6 -9223372036854775808",
            "is out of range; accepted are magnitudes up to 2^53",
            id="lowest int64",
        ),
        pytest.param("3 6 8", "3 6 " + "9" * 5000, "has too many digits", id="5000 digits"),
        pytest.param("3 6 8", "3 6 1e-19", "line 10: '1e-19' has more than 18 decimals", id="too many decimals"),
        pytest.param(
            "3 6 8", "3 900000000 0.0000000001", "line 10: '900000000' is out of range", id="too wide a range"
        ),
        pytest.param(
            "3 10\n",
            "3 -10\n",
            "line 15: '-10' is out of range; accepted are numbers from 0",
            id="negative demand",
        ),
        pytest.param(
            "3 10\n",
            "3 10.5\n",
            "DEMAND_SECTION: holds fractions; accepted are integers",
            id="fraction of demand",
        ),
        pytest.param("3 10\n", "3 11\n", "demand[2]: 11 exceeds the capacity 10", id="demand above capacity"),
        pytest.param("\n1 0\n", "\n1 1\n", "demand: is 1 at the depot; it must be 0 there", id="demand at the depot"),
        pytest.param("CAPACITY : 10", "CAPACITY : -10", "line 6: '-10' is out of range", id="negative capacity"),
        pytest.param(
            "CAPACITY : 10",
            "CAPACITY : 9.5",
            "line 6: CAPACITY is '9.5'; accepted are integers from 0",
            id="fraction of capacity",
        ),
        pytest.param("CAPACITY : 10", "CAPACITY : ten", "line 6: 'ten' is not a number", id="capacity a word"),
        pytest.param("CAPACITY : 10", "CAPACITY :", "line 6: CAPACITY is ''; expected one number", id="capacity empty"),
        pytest.param("CAPACITY : 10\n", "", "CAPACITY: is missing", id="no capacity"),
        pytest.param(
            "CAPACITY : 10",
            "CAPACITY : 10\nCAPACITY : 10",
            "line 7: CAPACITY occurs again, after line 6",
            id="capacity twice",
        ),
        pytest.param("CAPACITY : 10", "CAPACITY 10", "'CAPACITY 10' should read 'CAPACITY : value'", id="no colon"),
        pytest.param(
            "CAPACITY : 10",
            "CAPACITIES : 10",
            "line 6: unknown keyword 'CAPACITIES'; accepted are NAME",
            id="unknown keyword",
        ),
        pytest.param(
            "DEMAND_SECTION",
            "DEMANDS_SECTION",
            "line 12: unknown keyword 'DEMANDS_SECTION'",
            id="unknown section",
        ),
        pytest.param(
            "DEPOT_SECTION",
            "DEMAND_SECTION",
            "line 17: DEMAND_SECTION occurs again, after line 12",
            id="section twice",
        ),
        pytest.param(
            "EUC_2D",
            "MAN_2D",
            "line 5: EDGE_WEIGHT_TYPE is 'MAN_2D'; accepted are EUC_2D, CEIL_2D",
            id="unknown edge type",
        ),
        pytest.param("EDGE_WEIGHT_TYPE : EUC_2D\n", "", "EDGE_WEIGHT_TYPE: is missing", id="no edge type"),
        pytest.param("TYPE : CVRP", "TYPE : PDPTW", "line 3: TYPE is 'PDPTW'; accepted are TSP", id="unknown type"),
        pytest.param(
            "DIMENSION : 4",
            "DIMENSION : 5",
            "NODE_COORD_SECTION lacks node 5: it has 4 of 5 nodes",
            id="dimension too large",
        ),
        pytest.param(
            "DIMENSION : 4",
            "DIMENSION : 3",
            "line 11: '4' is not a node; accepted are 1 to 3",
            id="dimension too small",
        ),
        pytest.param(
            "DIMENSION : 4",
            "DIMENSION : 0",
            "line 4: DIMENSION is '0'; accepted are integers from 1",
            id="dimension zero",
        ),
        pytest.param(
            "DIMENSION : 4",
            "DIMENSION : 99999999",
            "DIMENSION: is 99999999; accepted are 1 to 100000",
            id="dimension huge",
        ),
        pytest.param("DIMENSION : 4\n", "", "DIMENSION: is missing", id="no dimension"),
        pytest.param(" 1\n -1", " 1\n 2\n -1", "line 17: 2 depots; accepted is exactly one", id="two depots"),
        pytest.param(" 1\n -1", " -1", "line 17: 0 depots; accepted is exactly one", id="no depot"),
        pytest.param(" 1\n -1", " 7\n -1", "line 18: '7' is not a node; accepted are 1 to 4", id="depot elsewhere"),
        pytest.param("NAME : small-k5", "1 2 3", "line 1: '1 2 3' stands outside a section", id="row outside"),
    ],
)
def test_malformed_files_are_refused_at_the_place(old: str, new: str, message: str, tmp_path: Path) -> None:
    """The one message names the file, the line or field, and what is accepted."""
    assert SMALL.count(old) == 1
    refuse(SMALL.replace(old, new), message, tmp_path / "bad.vrp")


def test_prose_is_refused(tmp_path: Path) -> None:
    """A file in no format at all is refused at its first line, with the keywords there are."""
    refuse("hello world\n", "line 1: unknown keyword 'HELLO'; accepted are NAME, COMMENT", tmp_path / "bad.vrp")


def refuse(text: str, message: str, path: Path) -> None:
    path.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        read_path(path)
    assert str(caught.value).startswith(f"{path}: ") and message in str(caught.value)


def test_the_published_folder_agrees_with_vrplib(shared_data: Path) -> None:
    """All 110 files: the fields that vrplib reads, and its distances once they are rounded."""
    entries = read_path(shared_data / "cvrp")
    assert len(entries) == 110
    for entry in entries:
        instance, other = entry.instance, vrplib.read_instance(entry.path)
        assert instance.features - {"matrix"} == {"capacity"}, entry.path.name
        assert (instance.name, instance.capacity) == (other["name"], other["capacity"])
        assert instance.demand.tolist() == other["demand"].tolist()
        assert [instance.depot] == other["depot"].tolist()
        np.testing.assert_array_equal(np.diag(instance.distances), 0)
        expected = other["edge_weight"]
        if instance.matrix is None:
            assert np.allclose(instance.coordinates / 10**instance.coordinate_decimals, other["node_coord"])
            # At an exact half, binary fractions may fall on either side; see docs/formats.md.
            tie = np.abs(expected % 1 - 0.5) < 1e-6
            expected = np.where(tie, instance.distances, np.floor(expected + 0.5))
        np.testing.assert_array_equal(instance.distances, expected, entry.path.name)


def test_the_published_folder_comes_back_as_it_was(shared_data: Path, tmp_path: Path) -> None:
    """A file of each set survives a round trip, also compressed and also as a document."""
    for path in sorted((shared_data / "cvrp").glob("*/*.vrp"))[::7]:
        (entry,) = read_path(path)
        for name in ("again.vrp", "again.vrp.gz", "again.json"):
            write_instance(entry.instance, tmp_path / name)
            (again,) = read_path(tmp_path / name)
            assert again.instance == entry.instance and again.instance.name == entry.instance.name


def test_the_largest_published_file_here_is_read_within_its_bound(shared_data: Path) -> None:
    """X-n1001-k43 takes less than 50 ms, the best of three."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        read_path(shared_data / "cvrp" / "X" / "X-n1001-k43.vrp")
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.05


def test_fifty_thousand_customers_are_accepted(tmp_path: Path) -> None:
    """Reading needs no dense matrix."""
    size = 50_001
    rng = np.random.default_rng(1)
    points = rng.integers(0, 10**6, (size, 2))
    rows = "\n".join(f"{node} {x}.25 {y}" for node, (x, y) in enumerate(points.tolist(), start=1))
    demands = "\n".join(f"{node} {int(node > 1)}" for node in range(1, size + 1))
    (tmp_path / "large.vrp").write_text(
        f"TYPE : CVRP\nDIMENSION : {size}\nEDGE_WEIGHT_TYPE : EUC_2D\nCAPACITY : 50\n"
        f"NODE_COORD_SECTION\n{rows}\nDEMAND_SECTION\n{demands}\nDEPOT_SECTION\n1\n-1\nEOF\n"
    )
    (entry,) = read_path(tmp_path / "large.vrp")
    assert entry.instance.num_customers == 50_000
    assert entry.instance.coordinates[1, 0] == points[1, 0] * 100 + 25


KEPT = [
    RoutingInstance(
        rounding=Rounding.NEAREST,
        coordinates=np.array([[0, 0], [35, 40], [1, 2]]),
        coordinate_decimals=1,
        demand=np.array([3, 0, 4]),
        capacity=9,
        depot=1,
        num_vehicles=2,
        max_route_distance=77,
    ),
    RoutingInstance(
        rounding=Rounding.CEILING,
        coordinates=np.array([[0, 0], [3, 4]]),
        demand=np.array([0, 4]),
        capacity=4,
        time_windows=np.array([[0, 50], [3, 9]]),
        service_times=np.array([0, 2]),
        max_route_duration=30,
        open_routes=True,
    ),
    RoutingInstance(
        rounding=Rounding.EXPLICIT,
        matrix=np.array([[0, 15], [21, 0]]),
        matrix_decimals=1,
        time_windows=np.array([[0, 500], [30, 90]]),
    ),
]


@pytest.mark.parametrize("instance", KEPT, ids=["limit", "windows", "matrix"])
def test_every_field_a_vrp_holds_comes_back(instance: RoutingInstance, tmp_path: Path) -> None:
    """What is written to a .vrp is read as the same instance."""
    write_instance(instance, tmp_path / "x.vrp")
    assert read_path(tmp_path / "x.vrp")[0].instance == instance


BASE = KEPT[1]


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        (
            {"rounding": Rounding.UNROUNDED},
            "rounding (unrounded; a file can say nearest, ceiling, att, geo, ",
        ),
        ({"max_route_distance": 9}, "max_route_distance (beside service times, DISTANCE means a duration)"),
        ({"service_times": None}, "max_route_duration (without service times, DISTANCE means a length)"),
        ({"capacity": None}, "demand or capacity without the other"),
        (
            {"capacity": None, "demand": None, "open_routes": False, "time_windows": None},
            "the lack of a capacity",
        ),
    ],
)
def test_what_a_vrp_cannot_hold_is_named(changes: dict[str, object], lost: str, tmp_path: Path) -> None:
    """Nothing is written, and the error says which fields would be lost."""
    fields = {name: getattr(BASE, name) for name in ("rounding", "coordinates", "demand", "capacity")}
    fields |= {
        name: getattr(BASE, name) for name in ("time_windows", "service_times", "max_route_duration", "open_routes")
    }
    path = tmp_path / "x.vrp"
    with pytest.raises(InvalidInput) as caught:
        write_instance(RoutingInstance(**(fields | changes)), path)
    assert lost in str(caught.value) and ".json holds all" in str(caught.value) and not path.exists()


def test_what_would_come_back_in_another_unit_is_not_written(tmp_path: Path) -> None:
    """A matrix of whole numbers in tenths would come back in units; its costs would be other integers."""
    instance = RoutingInstance(
        rounding=Rounding.EXPLICIT, matrix=np.array([[0, 10], [20, 0]]), matrix_decimals=1, num_vehicles=1
    )
    with pytest.raises(InvalidInput, match="would not come back"):
        write_instance(instance, tmp_path / "x.tsp")


def test_a_tour_and_routes_have_their_own_suffixes(tmp_path: Path) -> None:
    """A tour is not written as a .vrp, nor routes as a .tsp."""
    tour = RoutingInstance(rounding=Rounding.NEAREST, coordinates=np.array([[0, 0], [1, 1]]), num_vehicles=1)
    with pytest.raises(InvalidInput, match="a tour belongs into a"):
        write_instance(tour, tmp_path / "x.vrp")
    with pytest.raises(InvalidInput, match="only a tour belongs into a"):
        write_instance(KEPT[0], tmp_path / "x.tsp")
