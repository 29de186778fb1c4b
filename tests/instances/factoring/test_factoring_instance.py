"""What an integer to factor is, and its document: everything on the list of bad input is refused for its reason."""

import hashlib
import json
from pathlib import Path

import gmpy2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.errors import InvalidInput
from instances.factoring import document
from instances.factoring.instance import FactoringInstance
from instances.factoring.numbers import integer, shortened, text
from instances.factoring.solution import Factors
from instances.files import read_path

LONGEST = 10**10_000 - 1


def test_n_alone_is_the_identity():
    """Kind, name and comment are for people: they change neither equality nor digest."""
    plain = FactoringInstance(15)
    named = FactoringInstance(15, kind="semiprime", name="a", comment="b")
    assert plain == named
    assert hash(plain) == hash(named)
    assert plain.digest == named.digest == hashlib.sha256(b"factoring f").hexdigest()
    assert plain != FactoringInstance(21)
    assert plain.digest != FactoringInstance(21).digest


def test_an_instance_knows_its_bits_and_has_no_features():
    assert [FactoringInstance(n).bits for n in (2, 3, 4, 255, 256)] == [2, 2, 3, 8, 9]
    assert FactoringInstance(15).features == frozenset()


@pytest.mark.parametrize(
    ("n", "message"),
    [
        (1, "n: is 1; accepted are integers from 2"),
        (0, "n: is 0; accepted are integers from 2"),
        (-15, "n: is -15; accepted are integers from 2"),
        pytest.param(-(10**5000), "n: is negative; accepted are integers from 2", id="long and negative"),
        pytest.param(LONGEST + 1, "n: has more than 10000 digits", id="too long"),
        (15.0, "n: is of type float; accepted are integers"),
        (True, "n: is of type bool; accepted are integers"),
        ("15", "n: is of type str; accepted are integers"),
    ],
)
def test_what_is_no_integer_from_2_is_refused(n, message):
    """The error says what it is and what is accepted."""
    with pytest.raises(InvalidInput) as caught:
        FactoringInstance(n)
    assert str(caught.value) == message


def test_the_longest_integer_is_accepted_and_comes_back():
    """10,000 digits pass through the document, though Python's own conversions end at 4300."""
    instance = FactoringInstance(LONGEST)
    assert document.load(json.loads(json.dumps(document.dump(instance)))) == instance
    assert document.dump(instance)["n"] == "9" * 10_000


@given(st.integers(), st.booleans())
def test_text_and_integer_undo_each_other(number, upper):
    """In decimal, and in hexadecimal with its prefix."""
    assert integer(text(number)) == number
    assert text(number) == str(number)
    assert integer(hex(number).upper().replace("0X", "0X" if upper else "0x")) == number
    assert type(integer(text(number))) is int


def test_leading_zeros_are_no_octal():
    assert integer("00017") == 17
    assert integer("-017") == -17


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("ff", "'ff' is not decimal; hexadecimal digits are accepted after 0x"),
        ("0b11", "'0b11' is not decimal; hexadecimal digits are accepted after 0x"),
        ("12A", "'12A' is not decimal; hexadecimal digits are accepted after 0x"),
        *(
            (token, f"{token!r} is no integer; accepted are decimal digits, or hexadecimal after 0x")
            for token in (
                "",
                "-",
                "twelve",
                "1_000",
                "1,000",
                "12.0",
                "1e5x",
                "+12",
                "--1",
                "0x",
                "0xfg",
                "0o17",
                "1 2",
            )
        ),
        ("١٢", "'١٢' is no integer; accepted are decimal digits, or hexadecimal after 0x"),
        ("9" * 10_001, f"'{'9' * 40}...' has more than 10000 digits"),
        ("x" * 10_001, f"'{'x' * 40}...' has more than 10000 digits"),
        ("-" + "9" * 10_001, f"'-{'9' * 39}...' has more than 10000 digits"),
        ("y" * 10_000, f"'{'y' * 40}' is no integer; accepted are decimal digits, or hexadecimal after 0x"),
        ("f" * 10_000, f"'{'f' * 40}' is not decimal; hexadecimal digits are accepted after 0x"),
    ],
)
def test_other_words_are_no_integers(token, message):
    """Each is refused for its reason; too long a word before it is looked at."""
    with pytest.raises(InvalidInput) as caught:
        integer(token)
    assert str(caught.value) == message


def test_long_numbers_are_shortened_for_people():
    """Forty digits are shown; of more, both ends and their number."""
    assert shortened(10**39) == str(10**39)
    assert shortened(10**40 + 7) == "100000000000...000000000007 (41 digits)"
    assert shortened(-12) == "-12"


def test_a_document_keeps_every_field():
    """Empty texts are left out; n is a decimal string."""
    full = {
        "problem": "factoring",
        "version": 1,
        "n": "15",
        "kind": "semiprime",
        "name": "fifteen",
        "comment": "small",
    }
    loaded = document.load(full)
    assert (loaded.n, loaded.kind, loaded.name, loaded.comment) == (15, "semiprime", "fifteen", "small")
    assert document.dump(loaded) == full
    assert document.dump(FactoringInstance(15)) == {"problem": "factoring", "version": 1, "n": "15"}
    assert document.load(full | {"n": "0x1F"}).n == 31


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"problem": "routing"}, "problem: is 'routing'; expected 'factoring'"),
        ({"version": 2}, "version: is 2; this release reads version 1"),
        ({"prime": True}, "prime: unknown field; accepted are n, kind, name, comment"),
        ({"n": None}, 'n: must be a decimal string, such as "15", not a NoneType'),
        ({"n": 15}, 'n: must be a decimal string, such as "15", not a int'),
        ({"n": "1"}, "n: is 1; accepted are integers from 2"),
        ({"n": "0"}, "n: is 0; accepted are integers from 2"),
        ({"n": "-15"}, "n: is -15; accepted are integers from 2"),
        ({"n": "fifteen"}, "n: 'fifteen' is no integer; accepted are decimal digits, or hexadecimal after 0x"),
        ({"n": "1f"}, "n: '1f' is not decimal; hexadecimal digits are accepted after 0x"),
        ({"n": "9" * 10_001}, f"n: '{'9' * 40}...' has more than 10000 digits"),
        ({"n": "0x" + "f" * 9_000}, "n: has more than 10000 digits"),
        ({"kind": 1}, "kind: is 1; expected a str"),
        ({"name": None}, "name: is None; expected a str"),
    ],
)
def test_bad_documents_are_refused(changes, message):
    """The error names the field and what is accepted."""
    with pytest.raises(InvalidInput) as caught:
        document.load({"problem": "factoring", "version": 1, "n": "15"} | changes)
    assert str(caught.value) == message


def test_a_document_without_n_or_without_fields_is_refused():
    with pytest.raises(InvalidInput, match=r'^n: is missing; accepted is a decimal string, such as "15"$'):
        document.load({"problem": "factoring", "version": 1})
    with pytest.raises(InvalidInput, match=r"^an instance document must be a JSON object$"):
        document.load([])  # type: ignore[arg-type]


def test_bad_documents_in_files_are_named_by_file_and_line(tmp_path: Path):
    """As for every problem."""
    good = json.dumps(document.dump(FactoringInstance(15)))
    (tmp_path / "x.jsonl").write_text(f"{good}\n{good.replace('15', '1')}\n")
    with pytest.raises(InvalidInput, match=r"x.jsonl: line 2: n: is 1; accepted are integers from 2$"):
        read_path(tmp_path / "x.jsonl")


@given(st.lists(st.integers(-(10**50), 10**50)))
def test_solutions_pass_through_their_document(factors):
    """Any integers do, as decimal strings: whether they are factors is the referee's word."""
    stored = document.dump_solution(Factors(tuple(factors)))
    assert stored == [str(factor) for factor in factors]
    assert document.load_solution(stored) == Factors(tuple(factors))


def test_solvers_may_report_gmpy2_integers():
    assert document.dump_solution(Factors((gmpy2.mpz(3), gmpy2.mpz(5)))) == ["3", "5"]


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ("15", "factors: must be a list of decimal strings"),
        ({"factors": ["3"]}, "factors: must be a list of decimal strings"),
        ([3, 5], 'factors[0]: must be a decimal string, such as "15", not a int'),
        (["3", "five"], "factors[1]: 'five' is no integer; accepted are decimal digits, or hexadecimal after 0x"),
        (["3", "9" * 10_001], f"factors[1]: '{'9' * 40}...' has more than 10000 digits"),
        (
            ["2"] * 50_001,
            "factors: hold more than 50000 digits, more than the factors of any number of 10000 digits",
        ),
    ],
)
def test_bad_solutions_are_refused(stored, message):
    """The error names the factor's place."""
    with pytest.raises(InvalidInput) as caught:
        document.load_solution(stored)
    assert str(caught.value) == message


def test_the_longest_true_factorisation_is_accepted():
    """The greatest power of 2 has the most factors, and more digits than n; they stay within the limit."""
    exponent = LONGEST.bit_length() - 1
    assert document.load_solution(["2"] * exponent) == Factors((2,) * exponent)
    # No factorisation is longer: k factors of d digits in all multiply to at least 10^(d - k) and at least 2^k.
    assert 10_000 + exponent < document.MAX_SOLUTION_DIGITS
