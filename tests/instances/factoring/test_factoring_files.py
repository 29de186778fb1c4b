"""Numbers and factors in files: what is read, what is refused and where, and that what is written comes back."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instances.errors import InvalidInput
from instances.factoring.instance import FactoringInstance
from instances.factoring.problem import FACTORING
from instances.factoring.solution import Factors
from instances.files import read_path, write_instance
from instances.problem import BestKnown
from instances.problems import problem_named, problem_of

FIFTEEN = FactoringInstance(15)
INSIDE = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(tmp_path: Path, content: str) -> list[FactoringInstance]:
    (tmp_path / "set.num").write_text(content)
    return [entry.instance for entry in read_path(tmp_path / "set.num")]


def test_a_num_file_holds_a_number_a_line(tmp_path):
    """Decimal or hexadecimal; comments, blank lines and carriage returns are nothing; a trailing comment is a name."""
    content = "# a set\n15\r\n\n  0x1F # thirty-one\n0XFF#255\n00012\n#15\n"
    found = read(tmp_path, content)
    assert [instance.n for instance in found] == [15, 31, 255, 12]
    assert [instance.name for instance in found] == ["set-1", "thirty-one", "255", "set-4"]


def test_a_single_number_is_called_by_its_file(tmp_path):
    assert [instance.name for instance in read(tmp_path, "15\n")] == ["set"]
    write_instance(FIFTEEN, tmp_path / "fifteen.num.gz")
    (entry,) = read_path(tmp_path / "fifteen.num.gz")
    assert (entry.instance, entry.instance.name, entry.notes) == (FIFTEEN, "fifteen", ())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0", "n: is 0; accepted are integers from 2"),
        ("1", "n: is 1; accepted are integers from 2"),
        ("-15", "n: is -15; accepted are integers from 2"),
        ("fifteen", "'fifteen' is no integer; accepted are decimal digits, or hexadecimal after 0x"),
        ("1.5e1", "'1.5e1' is no integer; accepted are decimal digits, or hexadecimal after 0x"),
        ("1_5", "'1_5' is no integer; accepted are decimal digits, or hexadecimal after 0x"),
        ("deadbeef", "'deadbeef' is not decimal; hexadecimal digits are accepted after 0x"),
        ("9" * 10_001, f"'{'9' * 40}...' has more than 10000 digits"),
        ("0x" + "f" * 9000, "n: has more than 10000 digits"),
        ("15 21", "holds 2 words; accepted is one number a line"),
    ],
)
def test_bad_numbers_are_refused_with_file_and_line(tmp_path, line, message):
    """The whole list of bad input: each for its reason, at its line."""
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path, f"# numbers\n\n15\n{line}  # name\n")
    assert str(caught.value) == f"{tmp_path / 'set.num'}: line 4: {message}"


def test_a_file_without_a_number_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"set.num: holds no number; accepted is one a line$"):
        read(tmp_path, "# nothing\n")
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path, "")
    assert str(caught.value) == f"{tmp_path / 'set.num'}: is empty"


def test_a_rounding_says_that_it_does_not_apply(tmp_path):
    (tmp_path / "x.num").write_text("15\n")
    (entry,) = read_path(tmp_path / "x.num", "nearest")
    assert entry.notes == ("--rounding does not apply: an integer has no distances",)


@INSIDE
@given(n=st.integers(2, 10**300), name=st.text(max_size=20))
def test_every_format_keeps_an_instance(tmp_path, n, name):
    """The number in each; the name in documents as it is, in a .num with its blanks made single."""
    instance = FactoringInstance(n, kind="semiprime", name=name)
    for suffix in (".num", ".json", ".jsonl", ".num.gz"):
        path = tmp_path / f"one{suffix}"
        write_instance(instance, path)
        (entry,) = read_path(path)
        assert entry.instance == instance
    assert read_path(tmp_path / "one.json")[0].instance.name == name
    assert read_path(tmp_path / "one.json")[0].instance.kind == "semiprime"


def test_names_of_several_lines_stay_on_one(tmp_path):
    """A name cannot smuggle a second number into a .num file."""
    write_instance(FactoringInstance(15, name="a\n21\t#b\0\ud800"), tmp_path / "x.num")
    assert (tmp_path / "x.num").read_text() == "15  # a 21 #b\n"
    assert read_path(tmp_path / "x.num")[0].instance.name == "a 21 #b"


def solution(tmp_path: Path, content: str, suffix: str = ".factors") -> tuple[Factors, int | None]:
    path = tmp_path / f"answer{suffix}"
    path.write_text(content)
    return FACTORING.read_solution(FIFTEEN, path)


@pytest.mark.parametrize(
    ("content", "factors"),
    [
        ("3 5", (3, 5)),
        ("3\n5\n", (3, 5)),
        ("# mine\n5 # five\n\n3\n", (5, 3)),
        ("2^3 * 3 * 5", (2, 2, 2, 3, 5)),
        ("2^2*3", (2, 2, 3)),
        ("0x1f^2 0XA", (31, 31, 10)),
        ("1 0 -3", (1, 0, -3)),
        ("7^1", (7,)),
    ],
)
def test_factors_are_read_as_people_write_them(tmp_path, content, factors):
    """Blanks, line ends or * between them, powers, hexadecimal; 1, 0 and negatives are for the referee to refuse."""
    assert solution(tmp_path, content) == (Factors(factors), None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("3\nfive", "line 2: 'five' is no integer; accepted are decimal digits, or hexadecimal after 0x"),
        ("3 x 5", "line 1: 'x' is no integer; accepted are decimal digits, or hexadecimal after 0x"),
        ("3^0", "line 1: '3^0' is no integer; accepted are decimal digits, or hexadecimal after 0x"),
        ("3^-1", "line 1: '3^-1' is no integer; accepted are decimal digits, or hexadecimal after 0x"),
        ("2^3^2", "line 1: '2^3' is no integer; accepted are decimal digits, or hexadecimal after 0x"),
        ("^2", "line 1: '^2' is no integer; accepted are decimal digits, or hexadecimal after 0x"),
        ("2^999999", "line 1: '2^999999' is no integer; accepted are decimal digits, or hexadecimal after 0x"),
        ("c0de", "line 1: 'c0de' is not decimal; hexadecimal digits are accepted after 0x"),
        ("9" * 10_001, f"line 1: '{'9' * 40}...' has more than 10000 digits"),
        (
            "3 5\n2^50000",
            "line 2: factors: hold more than 50000 digits, more than the factors of any number of 10000 digits",
        ),
        ("# nothing", "holds no factor; accepted are factors such as 7 or 2^3, between blanks or *"),
        (" * ", "holds no factor; accepted are factors such as 7 or 2^3, between blanks or *"),
    ],
)
def test_bad_factors_are_refused_with_file_and_line(tmp_path, content, message):
    """Before anything long is built."""
    with pytest.raises(InvalidInput) as caught:
        solution(tmp_path, content)
    assert str(caught.value) == f"{tmp_path / 'answer.factors'}: {message}"


def test_json_factors_may_claim_a_cost(tmp_path):
    """The claim is an integer, or absent."""
    assert solution(tmp_path, '{"factors": ["3", "5"], "cost": 0}', ".json") == (Factors((3, 5)), 0)
    assert solution(tmp_path, '{"factors": ["15"]}', ".json") == (Factors((15,)), None)


ACCEPTED = 'accepted is {"factors": ["3", "5"], "cost": 0}, the cost being optional'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "line 1, column 2: is not JSON: "),
        ('{"factors": ["3"], "factors": ["5"]}', "factors: occurs twice; accepted is once"),
        ("[" * 100_000, "is not JSON that can be read: "),
        ('["3", "5"]', ACCEPTED),
        ('{"cost": 0}', ACCEPTED),
        ('{"factors": ["3"], "n": "3"}', ACCEPTED),
        ('{"factors": ["3"], "cost": "0"}', "cost: is '0'; accepted is an integer"),
        ('{"factors": ["3"], "cost": 0.5}', "cost: is '0.5'; accepted is an integer"),
        ('{"factors": ["3"], "cost": true}', "cost: is 'True'; accepted is an integer"),
        ('{"factors": [3]}', 'factors[0]: must be a decimal string, such as "15", not a int'),
    ],
)
def test_bad_json_factors_are_refused(tmp_path, content, message):
    """The error names the file and what is accepted."""
    with pytest.raises(InvalidInput) as caught:
        solution(tmp_path, content, ".json")
    assert str(caught.value).startswith(f"{tmp_path / 'answer.json'}: {message}")


@INSIDE
@given(st.lists(st.integers(2, 10**60), min_size=1, max_size=6), st.integers(0, 300))
def test_factors_come_back(tmp_path, factors, cost):
    """In both formats; .factors sorts them and claims no cost."""
    found = Factors(tuple(factors))
    for suffix, again in ((".factors", (Factors(tuple(sorted(factors))), None)), (".json", (found, cost))):
        path = tmp_path / f"x{suffix}"
        FACTORING.write_solution(FIFTEEN, found, cost, path)
        assert FACTORING.read_solution(FIFTEEN, path) == again


def test_repeated_factors_are_written_as_powers(tmp_path):
    FACTORING.write_solution(FIFTEEN, Factors((5, 2, 5, 5)), 0, tmp_path / "x.factors")
    assert (tmp_path / "x.factors").read_text() == "2\n5^3\n"
    FACTORING.write_solution(FIFTEEN, Factors((5, 2)), 0, tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text()) == {"factors": ["5", "2"], "cost": 0}


def test_other_suffixes_hold_no_factors(tmp_path):
    """The error says which do."""
    message = r"x.sol: '.sol' is no format of solutions; accepted are .factors, .json$"
    (tmp_path / "x.sol").write_text("3 5\n")
    with pytest.raises(InvalidInput, match=message):
        FACTORING.write_solution(FIFTEEN, Factors((3, 5)), 0, tmp_path / "x.sol")
    with pytest.raises(InvalidInput, match=message):
        FACTORING.read_solution(FIFTEEN, tmp_path / "x.sol")


def test_integers_are_described_by_their_bits():
    """Size, digits, kind, and the cost that every integer can reach."""
    found = FACTORING.describe(FactoringInstance(10**30 + 57, kind="prime", name="p"))
    assert (found.problem, found.name, found.size, found.size_unit) == ("factoring", "p", 100, "bits")
    assert found.digest == FactoringInstance(10**30 + 57).digest
    assert (found.features, found.decimals) == ((), 0)
    assert found.properties == {"digits": 31, "kind": "prime", "family": "prime"}
    assert found.best_known == BestKnown(0, True, "every integer has a complete factorisation", "1801")
    assert FACTORING.describe(FIFTEEN).properties == {"digits": 2, "kind": None, "family": None}


def test_factors_are_put_in_one_line_of_words():
    """Ascending, with powers; long ones shortened."""
    assert FACTORING.solution_words(Factors((5, 2, 2, 10**50))) == "2^2 * 5 * 100000000000...000000000000 (51 digits)"


def test_the_problem_owns_its_instances_and_passes_documents_through():
    """Load undoes dump, and verify is the referee's word."""
    assert problem_of(FIFTEEN) is problem_named("factoring") is FACTORING
    assert not FACTORING.owns(15)
    assert FACTORING.load(FACTORING.dump(FIFTEEN)) == FIFTEEN
    assert FACTORING.load_solution(FACTORING.dump_solution(Factors((3, 5)))) == Factors((3, 5))
    assert FACTORING.verify(FIFTEEN, Factors((3, 5))).cost == 0
