"""TSPLIB files: every matrix layout and edge type against values by hand, and the published folder."""

from pathlib import Path

import numpy as np
import pytest

from instances.errors import InvalidInput
from instances.files import read_path, write_instance
from instances.routing.formats import tsplib
from instances.routing.formats.matrices import LAYOUTS
from instances.routing.instance import RoutingInstance
from instances.routing.rounding import Rounding

# The distances between four nodes: 1-2 12, 1-3 13, 1-4 14, 2-3 23, 2-4 24, 3-4 34.
STREAMS = {
    "FULL_MATRIX": "0 12 13 14  12 0 23 24  13 23 0 34  14 24 34 0",
    "UPPER_ROW": "12 13 14  23 24  34",
    "LOWER_ROW": "12  13 23  14 24 34",
    "UPPER_DIAG_ROW": "0 12 13 14  0 23 24  0 34  0",
    "LOWER_DIAG_ROW": "0  12 0  13 23 0  14 24 34 0",
    "UPPER_COL": "12  13 23  14 24 34",
    "LOWER_COL": "12 13 14  23 24  34",
    "UPPER_DIAG_COL": "0  12 0  13 23 0  14 24 34 0",
    "LOWER_DIAG_COL": "0 12 13 14  0 23 24  0 34  0",
}
MATRIX = [[0, 12, 13, 14], [12, 0, 23, 24], [13, 23, 0, 34], [14, 24, 34, 0]]


def explicit(layout: str, stream: str, size: int = 4, kind: str = "TSP") -> str:
    return (
        f"NAME : hand\nTYPE : {kind}\nDIMENSION : {size}\nEDGE_WEIGHT_TYPE : EXPLICIT\n"
        f"EDGE_WEIGHT_FORMAT : {layout}\nEDGE_WEIGHT_SECTION\n{stream}\nEOF\n"
    )


def planar(edge_weight_type: str, *points: str) -> str:
    rows = "\n".join(f"{node} {point}" for node, point in enumerate(points, start=1))
    return (
        f"NAME: hand\nTYPE: TSP\nDIMENSION: {len(points)}\nEDGE_WEIGHT_TYPE: {edge_weight_type}\n"
        f"NODE_COORD_SECTION\n{rows}\nEOF\n"
    )


def test_the_streams_cover_every_layout() -> None:
    """No layout is accepted without a stream of its own here."""
    assert set(STREAMS) == set(LAYOUTS)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("breaks", ["\n", " "], ids=["a number a line", "one line"])
def test_every_layout_gives_the_same_matrix(layout: str, breaks: str) -> None:
    """The nine layouts are nine streams of one matrix, wherever the lines break."""
    instance = tsplib.read(explicit(layout, breaks.join(STREAMS[layout].split())))
    assert instance.distances.tolist() == MATRIX
    assert instance.features == {"tsp", "matrix"} and instance.num_vehicles == 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_stream_of_the_wrong_length_is_refused(layout: str) -> None:
    """One number too few or too many is refused with both numbers."""
    for stream in (STREAMS[layout].rsplit(maxsplit=1)[0], STREAMS[layout] + " 1"):
        found, expected = len(stream.split()), len(STREAMS[layout].split())
        with pytest.raises(InvalidInput, match=f"{found} numbers; {layout} of 4 nodes needs {expected}"):
            tsplib.read(explicit(layout, stream))


def test_an_atsp_keeps_its_directions_and_loses_its_forbidding_diagonal() -> None:
    """Row i, column j is the way from i to j; the 9999 on br17's diagonal is no distance."""
    instance = tsplib.read(explicit("FULL_MATRIX", "9999 1 2  3 9999 4  5 6 9999", size=3, kind="ATSP"))
    assert instance.distances.tolist() == [[0, 1, 2], [3, 0, 4], [5, 6, 0]]
    assert instance.features == {"tsp", "matrix", "asymmetric"}


def test_a_matrix_of_fractions_has_a_finer_unit() -> None:
    """Entries with up to two decimals become integers of hundredths."""
    instance = tsplib.read(explicit("UPPER_ROW", "1.5 2 0.25", size=3))
    assert (instance.distances[0, 1], instance.distances[1, 2], instance.decimals) == (150, 25, 2)


@pytest.mark.parametrize(
    ("edge_weight_type", "points", "length"),
    [
        ("EUC_2D", ("0 0", "1 1"), 1),  # 1.414
        ("EUC_2D", ("0 0", "2.5 0"), 3),  # a half is rounded up
        ("EUC_2D", ("-1.5e1 0", "0 2E+1"), 25),  # 15, 20, 25
        ("CEIL_2D", ("0 0", "1 1"), 2),
        ("CEIL_2D", ("0 0", "3 4"), 5),
        ("CEIL_2D", ("0 0", "0 1.00000001"), 2),
        ("ATT", ("0 0", "3 4"), 2),  # sqrt(25 / 10) = 1.58; rounds to 2, which is not below
        ("ATT", ("0 0", "4 5"), 3),  # sqrt(41 / 10) = 2.02; rounds to 2, which is below, hence 3
        ("ATT", ("0 0", "10 30"), 10),  # sqrt(1000 / 10), exactly
        # One degree of longitude on the equator: 6378.388 * 3.141592 / 180 = 111.32, plus 1, truncated.
        ("GEO", ("0.0 0.0", "0.0 1.0"), 112),
        # Half a degree is written .30 (minutes): 55.66 + 1.
        ("GEO", ("0.0 0.0", "0.0 0.30"), 56),
    ],
)
def test_edge_types_by_hand(edge_weight_type: str, points: tuple[str, str], length: int) -> None:
    """Each edge type follows TSPLIB's definition."""
    instance = tsplib.read(planar(edge_weight_type, *points))
    assert instance.distances.tolist() == [[0, length], [length, 0]]


@pytest.mark.parametrize(
    ("rounding", "length"),
    [("nearest", 14), ("truncated", 141), ("ceiling", 15), ("att", 5), ("unrounded", 14142136)],
)
def test_rounding_replaces_the_rule_of_planar_files(rounding: str, length: int) -> None:
    """sqrt(200) = 14.1421356..., under each rule that may be asked for."""
    for edge_weight_type in ("EUC_2D", "CEIL_2D", "ATT"):
        text = planar(edge_weight_type, "0 0", "10 10")
        instance = tsplib.read(text, Rounding(rounding))
        assert (instance.rounding, instance.distances[0, 1]) == (rounding, length)


def test_rounding_leaves_geo_and_explicit_files_alone(tmp_path: Path) -> None:
    """Their distances are not planar; the entry says that they stay."""
    (tmp_path / "a.tsp").write_text(planar("GEO", "0.0 0.0", "0.0 1.0"))
    (tmp_path / "b.tsp").write_text(explicit("LOWER_ROW", STREAMS["LOWER_ROW"]))
    geo, matrix = read_path(tmp_path, "unrounded")
    assert (geo.instance.rounding, matrix.instance.rounding) == ("geo", "explicit")
    assert geo.notes == ("distances stay geo: --rounding applies to planar coordinates",)
    assert len(matrix.notes) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            planar("EUC_3D", "0 0"),
            "line 4: EDGE_WEIGHT_TYPE is 'EUC_3D'; accepted are EUC_2D, CEIL_2D, ATT, GEO",
        ),
        (explicit("FUNCTION", "1"), "line 5: EDGE_WEIGHT_FORMAT is 'FUNCTION'; accepted are FULL_MATRIX"),
        (explicit("UPPER_ROW", "1 nan 3", size=3), "line 7: 'nan' is not a number"),
        (explicit("UPPER_ROW", "nan 2 3", size=3), "line 7: 'nan' is not a number"),
        (
            explicit("UPPER_ROW", "1 -2 3", size=3),
            "line 7: '-2' is out of range; accepted are numbers from 0",
        ),
        (
            explicit("UPPER_ROW", "1 2 3", size=3).replace("EDGE_WEIGHT_SECTION\n1 2 3\n", ""),
            "SECTION: is missing",
        ),
        (planar("EUC_2D", "0 0").replace("TYPE: TSP", "TYPE: HCP"), "TYPE is 'HCP'; accepted are TSP, ATSP"),
        (planar("EUC_2D", "0 0").replace("TYPE: TSP\n", ""), "TYPE: is missing"),
        (planar("EUC_2D", "0 0").replace("EOF", "CAPACITY: 3\nEOF"), "CAPACITY: is not accepted in a TSP"),
        (
            planar("EUC_2D", "0 0").replace("EOF", "EDGE_WEIGHT_SECTION\n0\nEOF"),
            "with EDGE_WEIGHT_TYPE EXPLICIT only",
        ),
        (
            planar("EUC_2D", "0 0").replace("EOF", "FIXED_EDGES_SECTION\n1 1\nEOF"),
            "unknown keyword 'FIXED_EDGES_SECTION'",
        ),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    """Each error names the line or keyword, and what is accepted."""
    with pytest.raises(InvalidInput) as caught:
        tsplib.read(text)
    assert message in str(caught.value)


def test_comments_may_repeat_and_types_carry_remarks() -> None:
    """TSPLIB repeats COMMENT and adds remarks to TYPE (si175: ``TSP (M.~Hofmeister)``)."""
    text = planar("EUC_2D", "0 0", "3 4").replace("TYPE: TSP", "TYPE: TSP (M.~H)\nCOMMENT: a\nCOMMENT: b")
    assert tsplib.read(text).comment == "a b"


TOURS = [
    RoutingInstance(rounding=rounding, num_vehicles=1, **fields)
    for rounding, fields in (
        (Rounding.NEAREST, {"coordinates": np.array([[0, 0], [3, -4]]), "name": "a b"}),
        (Rounding.GEO, {"coordinates": np.array([[3824, 2042], [-3957, 2615]]), "coordinate_decimals": 2}),
        (Rounding.ATT, {"coordinates": np.array([[0, 0], [3, 4], [1, 1]]), "depot": 2}),
        (Rounding.EXPLICIT, {"matrix": np.array([[0, 15], [2, 0]]), "matrix_decimals": 1}),
        (
            Rounding.EXPLICIT,
            {"matrix": np.array(MATRIX), "coordinates": np.eye(4, 2, dtype=int), "comment": "drawn"},
        ),
    )
]


@pytest.mark.parametrize("instance", TOURS)
@pytest.mark.parametrize("name", ["x.tsp", "x.tsp.gz"])
def test_tours_come_back_as_they_were(instance: RoutingInstance, name: str, tmp_path: Path) -> None:
    """What is written is read as the same instance, names included."""
    write_instance(instance, tmp_path / name)
    (entry,) = read_path(tmp_path / name)
    assert entry.instance == instance
    assert (entry.instance.name, entry.instance.comment) == (instance.name, instance.comment)


def test_the_published_folder_comes_back_as_it_was(shared_data: Path, tmp_path: Path) -> None:
    """All 29 files, of all edge types, survive a round trip through a .tsp."""
    entries = read_path(shared_data / "tsp")
    assert len(entries) == 29
    assert {entry.instance.rounding.value for entry in entries} == {"nearest", "att", "geo", "explicit"}
    for entry in entries:
        write_instance(entry.instance, tmp_path / "again.tsp")
        assert read_path(tmp_path / "again.tsp")[0].instance == entry.instance, entry.path.name
