"""Files and folders of instances: what is read, what is refused, and that all bad files are named at once."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instances.errors import InvalidInput
from instances.files import read_path, read_paths, write_instance, write_jsonl
from instances.problems import PROBLEMS, problem_named, problem_of
from instances.routing.instance import RoutingInstance
from instances.routing.rounding import Rounding
from instances.text import MAX_BYTES


def instance(name: str = "one", num_locations: int = 3) -> RoutingInstance:
    points = np.stack([np.arange(num_locations)] * 2, axis=1)
    return RoutingInstance(
        rounding=Rounding.NEAREST, coordinates=points, demand=np.arange(num_locations), capacity=9, name=name
    )


def names(path: Path) -> list[str]:
    return [entry.instance.name for entry in read_path(path)]


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path: Path) -> None:
    """Below it, all known suffixes, also compressed; solutions and other files are passed over."""
    (tmp_path / "b").mkdir()
    for name in ("c.vrp", "b/z.json", "b/a.vrp.gz", "a.JSON"):
        write_instance(instance(name), tmp_path / name)
    write_jsonl([instance("d1"), instance("d2")], tmp_path / "d.jsonl")
    for name in ("x.sol", "x.opt.tour", "README.md", "table.csv"):
        (tmp_path / name).write_text("not an instance")
    assert names(tmp_path) == ["a.JSON", "b/a.vrp.gz", "b/z.json", "c.vrp", "d1", "d2"]


@pytest.mark.parametrize("name", ["x.json", "x.jsonl", "x.vrp", "x.json.gz", "x.jsonl.gz", "x.vrp.gz"])
def test_each_suffix_comes_back(name: str, tmp_path: Path) -> None:
    """What is written is read as the same instance, and equal content is equal bytes."""
    write_instance(instance(), tmp_path / name)
    assert [entry.instance for entry in read_path(tmp_path / name)] == [instance()]
    before = (tmp_path / name).read_bytes()
    write_instance(instance(), tmp_path / name)
    assert (tmp_path / name).read_bytes() == before
    assert (before[:2] == b"\x1f\x8b") == name.endswith(".gz")


def test_a_jsonl_holds_many_instances_in_order(tmp_path: Path) -> None:
    """A set is one file; blank lines are nothing; a bad line is named by its number."""
    write_jsonl([instance(f"i{number}") for number in range(1000)], tmp_path / "set.jsonl")
    assert names(tmp_path / "set.jsonl") == [f"i{number}" for number in range(1000)]
    text = (tmp_path / "set.jsonl").read_text()
    (tmp_path / "set.jsonl").write_text("\n" + text + '\n{"problem": "routing", "version": 7}\n')
    with pytest.raises(InvalidInput, match=r"set.jsonl: line 1003: version: is 7; this release reads version 1"):
        read_path(tmp_path / "set.jsonl")


DOCUMENT = json.dumps(
    {
        "problem": "routing",
        "version": 1,
        "rounding": "nearest",
        "coordinates": [[0, 0], [1, 1]],
        "num_vehicles": 1,
    }
)


def change(old: str, new: str) -> str:
    assert DOCUMENT.count(old) == 1
    return DOCUMENT.replace(old, new)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1, column 2: is not JSON"),
        ('{\n"a": 1,\n}', "column 1: is not JSON"),
        ("[" * 100_000, "is not JSON that can be read"),
        ("[1]", "must be a JSON object with \"problem\", one of 'routing', 'factoring'"),
        ("{}", "must be a JSON object with \"problem\", one of 'routing', 'factoring'"),
        (change('"routing"', '"sudoku"'), "problem: is 'sudoku'; accepted are routing, factoring"),
        (change('"version": 1', '"version": 2'), "version: is 2; this release reads version 1"),
        (change("[1, 1]", "[1, NaN]"), "NaN is not a number"),
        (change("[1, 1]", "[1, 1.5]"), "coordinates: must be a list of lists of integers"),
        (change("[1, 1]", '[1, "1"]'), "coordinates: must be a list of lists of integers"),
        (change("[1, 1]", "[1]"), "coordinates: must be a list of lists of integers"),
        (change("[1, 1]", f"[1, {10**30}]"), "coordinates: must be a list of lists of integers within int64"),
        (change("[1, 1]", f"[1, {2**60}]"), "coordinates[1, 1]: value 1152921504606846976 is outside"),
        (change("[1, 1]", "[1, " + "9" * 5000 + "]"), "is not JSON that can be read"),
        (change('"num_vehicles": 1', '"num_vehicles": -1'), "num_vehicles: is -1; accepted are 1 to"),
        (change('"num_vehicles": 1', '"capacity": true'), "capacity: is True; expected a int"),
        (change('"num_vehicles": 1', '"wheels": 1'), "wheels: unknown field; accepted are rounding"),
        (change('"num_vehicles": 1', '"version": 1'), "version: occurs twice; accepted is once"),
        (change('"rounding": "nearest", ', ""), "rounding: is missing; accepted are nearest"),
        (change("nearest", "NEAREST"), "rounding: is 'NEAREST'; accepted are nearest"),
    ],
)
@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_malformed_documents_are_refused(text: str, message: str, suffix: str, tmp_path: Path) -> None:
    """The error names the file, the line of a .jsonl, the field, and what is accepted."""
    path = tmp_path / f"bad{suffix}"
    path.write_text(text.replace("\n", " ") if suffix == ".jsonl" else text)
    with pytest.raises(InvalidInput) as caught:
        read_path(path)
    place = f"{path}: line 1: " if suffix == ".jsonl" else f"{path}: "
    assert str(caught.value).startswith(place)
    assert (message if suffix == ".json" else message.replace("column 1:", "column 11:")) in str(caught.value)


@pytest.mark.parametrize("name", ["x.vrp", "x.tsp", "x.txt", "x.json", "x.jsonl"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\t\n", "is empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "is a binary file; accepted is text"),
        (gzip.compress(b"NAME : x"), "is a binary file; accepted is text"),
        ("NAME : x".encode("utf-16"), "is a binary file; accepted is text"),
    ],
    ids=["empty", "blank", "picture", "compressed", "utf-16"],
)
def test_what_is_no_text_is_refused_before_it_is_parsed(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    """The same for every format."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        read_path(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: {message}"


@pytest.mark.parametrize("name", ["x.vrp", "x.json", "x.vrp.gz"])
def test_a_file_above_64_mb_is_refused_by_its_size(name: str, tmp_path: Path) -> None:
    """It is not opened: the file here is a hole of zeros, which would otherwise be called binary."""
    with (tmp_path / name).open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    with pytest.raises(InvalidInput) as caught:
        read_path(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: is larger than accepted: 64.0 MB, at most 64 MB"


def test_a_compressed_file_is_bounded_by_what_it_holds(tmp_path: Path) -> None:
    """100 kB that grow to 100 MB are refused; so are a damaged and a truncated file."""
    whole = gzip.compress(b"x" * 100_000_000)
    for content, message in (
        (whole, "is larger than accepted: 64.0 MB, at most 64 MB after decompression"),
        (whole[:1000], "is not a whole gzip file"),
        (b"NAME : x", "is not a whole gzip file"),
        (gzip.compress(b""), "is empty"),
    ):
        (tmp_path / "x.vrp.gz").write_bytes(content)
        with pytest.raises(InvalidInput) as caught:
            read_path(tmp_path / "x.vrp.gz")
        assert message in str(caught.value)


def test_old_comments_in_latin_1_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    """Grötschel's name is no reason to refuse a file."""
    header = "COMMENT : Grötschel\nTYPE : TSP\nDIMENSION : 1\nEDGE_WEIGHT_TYPE : EUC_2D\n"
    text = header + "NODE_COORD_SECTION\n1 0 0\n"
    for encoding in ("latin-1", "utf-8", "utf-8-sig"):
        (tmp_path / "x.tsp").write_bytes(text.encode(encoding))
        assert read_path(tmp_path / "x.tsp")[0].instance.comment == "Grötschel"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.vrp", "there is no such file"),
        ("missing.xyz", "there is no such file"),
        (
            "known.sol",
            "is no instance file; accepted are .vrp, .tsp, .atsp, .txt, .num, .json, .jsonl, each also with .gz",
        ),
        ("none", "is no instance file; accepted are .vrp"),
        ("folder", "holds no instance; accepted are .vrp"),
    ],
)
def test_paths_that_hold_no_instance_are_refused(name: str, message: str, tmp_path: Path) -> None:
    """The error names the path and what is accepted."""
    (tmp_path / "known.sol").write_text("Route #1: 1\n")
    (tmp_path / "none").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "known.sol").write_text("Route #1: 1\n")
    with pytest.raises(InvalidInput) as caught:
        read_path(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: {message}")


def test_all_bad_files_are_listed_at_once(tmp_path: Path) -> None:
    """One error has a line for each of them, and none for the good."""
    write_instance(instance(), tmp_path / "good.vrp")
    (tmp_path / "empty.vrp").write_text("")
    (tmp_path / "letter.txt").write_text("Dear reader,\nhow are you?\n")
    paths = [tmp_path, tmp_path / "missing.json", tmp_path / "good.vrp"]
    with pytest.raises(InvalidInput) as caught:
        read_paths(paths)
    first, *lines = str(caught.value).split("\n")
    assert first == "3 files cannot be read:"
    assert [line.split(": ")[0] for line in lines] == [
        str(tmp_path / name) for name in ("empty.vrp", "letter.txt", "missing.json")
    ]
    assert len(read_paths([tmp_path / "good.vrp"] * 2)) == 2


def test_a_folder_passes_over_json_that_is_no_instance(tmp_path: Path) -> None:
    """Solutions and exports lie beside instances; what says "problem" must be one, and so must a named file."""
    write_instance(instance(), tmp_path / "good.json")
    for name, text in (("answer.json", '{"routes": [[1, 2]], "cost": 4}'), ("rows.json", '[{"cost": 4}]')):
        (tmp_path / name).write_text(text)
        assert names(tmp_path) == ["one"]
        with pytest.raises(InvalidInput, match=f'{name}: must be a JSON object with "problem"'):
            read_path(tmp_path / name)
    (tmp_path / "good.json").unlink()
    with pytest.raises(InvalidInput) as caught:
        read_path(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}: holds no instance; accepted are .vrp")
    for text in ('{"problem": 1}', '{"problem": "routing"}', "{"):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(InvalidInput, match=r"bad\.json: "):
            read_path(tmp_path)
    (tmp_path / "bad.json").unlink()
    (tmp_path / "set.jsonl").write_text('{"routes": []}\n')
    with pytest.raises(InvalidInput, match=r"set\.jsonl: line 1: must be a JSON object"):
        read_path(tmp_path)


def test_an_unknown_rounding_is_refused_and_a_document_keeps_its_own(tmp_path: Path) -> None:
    """--rounding takes the planar rules; what it does not apply to says so."""
    write_instance(instance(), tmp_path / "x.vrp")
    write_instance(instance(), tmp_path / "x.json")
    for rounding in ("up", "explicit", "geo"):
        with pytest.raises(InvalidInput, match=f"rounding: is '{rounding}'; accepted are nearest, truncated, ceiling"):
            read_path(tmp_path / "x.vrp", rounding)
    document, file = read_path(tmp_path, "unrounded")
    assert (document.instance.rounding, file.instance.rounding) == ("nearest", "unrounded")
    assert document.notes == ("--rounding does not apply: a document states its own",) and file.notes == ()


def test_a_suffix_without_a_format_is_not_written(tmp_path: Path) -> None:
    """The error says which formats there are."""
    with pytest.raises(InvalidInput, match=r"x.csv: names no format of instances; accepted are .vrp"):
        write_instance(instance(), tmp_path / "x.csv")


def test_problems_are_found_by_name_and_by_instance() -> None:
    """Each problem owns its instances; an unknown name or value is refused."""
    assert problem_of(instance()) is problem_named("routing") is PROBLEMS[0]
    with pytest.raises(InvalidInput, match="problem: is 'chess'; accepted are routing, factoring"):
        problem_named("chess")
    with pytest.raises(TypeError, match="str is no instance of any problem"):
        problem_of("instance")


INTEGERS = st.integers(-(10**6), 10**6)
POSITIVE = st.integers(0, 10**4)


@st.composite
def instances(draw: st.DrawFn) -> RoutingInstance:
    """Any planar instance, its fields present or absent at will."""
    size = draw(st.integers(1, 6))
    depot = draw(st.integers(0, size - 1))

    def column() -> list[int]:
        values = draw(st.lists(POSITIVE, min_size=size, max_size=size))
        values[depot] = 0
        return values

    opening = draw(st.lists(POSITIVE, min_size=size, max_size=size))
    points = draw(st.lists(st.tuples(INTEGERS, INTEGERS), min_size=size, max_size=size))
    fields = {
        "coordinate_decimals": draw(st.integers(0, 6)),
        "demand": np.array(column()),
        "capacity": 10**4,
        "num_vehicles": draw(st.integers(1, 9)),
        "time_windows": np.array([[start, start + draw(POSITIVE)] for start in opening]),
        "service_times": np.array(column()),
        "max_route_distance": draw(POSITIVE),
        "max_route_duration": draw(POSITIVE),
        "open_routes": True,
        "depot": depot,
        "name": draw(st.text(max_size=5)),
        "comment": draw(st.text(max_size=5)),
    }
    kept = draw(st.sets(st.sampled_from(sorted(fields)))) | {"depot"}
    rounding = draw(st.sampled_from([Rounding.NEAREST, Rounding.TRUNCATED, Rounding.CEILING, Rounding.UNROUNDED]))
    return RoutingInstance(
        rounding=rounding,
        coordinates=np.array(points),
        **{name: fields[name] for name in kept},  # type: ignore[arg-type]
    )


@given(st.lists(instances(), min_size=1, max_size=3))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_instance_comes_back_from_a_document(tmp_path: Path, examples: list[RoutingInstance]) -> None:
    """Every field survives .jsonl, names included."""
    write_jsonl(examples, tmp_path / "x.jsonl")
    again = [entry.instance for entry in read_path(tmp_path / "x.jsonl")]
    assert again == examples
    assert [(item.name, item.comment) for item in again] == [(item.name, item.comment) for item in examples]


def test_control_characters_are_not_written(tmp_path):
    """What would not be read again is refused, and nothing is written."""
    instance = RoutingInstance(
        rounding=Rounding.NEAREST, coordinates=np.array([[0, 0], [1, 1]]), num_vehicles=1, comment="\x1b"
    )
    with pytest.raises(InvalidInput, match="control characters"):
        write_instance(instance, tmp_path / "x.tsp")
    assert not list(tmp_path.iterdir())


@given(instances(), st.sampled_from([".vrp", ".tsp", ".txt"]))
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_text_format_keeps_an_instance_or_refuses_it(tmp_path: Path, example: RoutingInstance, suffix: str) -> None:
    """There is no third way: nothing that is written comes back as another instance."""
    path = tmp_path / f"x{suffix}"
    path.unlink(missing_ok=True)
    try:
        write_instance(example, path)
    except InvalidInput:
        assert not path.exists()
    else:
        rounding = None if example.rounding in ("nearest", "truncated", "ceiling") else example.rounding
        assert read_path(path, rounding)[0].instance == example
