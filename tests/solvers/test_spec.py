"""Solver specs: parsed, spelled out, and turned into solvers, or refused with the place."""

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from instances.errors import InvalidInput
from solvers import spec


@dataclass(frozen=True)
class Example:
    """A class with a parameter of each type."""

    number: int
    rate: float = 0.5
    flag: bool = False
    text: str = ""
    limit: int | None = None
    way: Literal["up", "down"] = "up"
    derived: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ValueError(f"number is {self.number}; accepted are 0 and more")


def build(text: str) -> Any:
    return spec.build(Example, spec.parse(text)[1], "here")


def test_a_name_alone_has_no_parameters() -> None:
    """Also with a colon and nothing behind it."""
    assert spec.parse("simulated-annealing") == ("simulated-annealing", {})
    assert spec.parse("nearest:") == ("nearest", {})


def test_parameters_are_split_at_commas_and_the_first_equals_sign() -> None:
    """Values may hold equals signs and colons."""
    assert spec.parse("exec:command=a b=c:d,margin=1") == ("exec", {"command": "a b=c:d", "margin": "1"})


@pytest.mark.parametrize("value", ["a,b", "100%", "%2C", "%25,%", "", "plain"])
def test_any_text_survives_a_spec(value: str) -> None:
    """Commas and percent signs are escaped, and come back."""
    text = spec.canonical("x", {"text": value})
    assert spec.parse(text) == ("x", {"text": value})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected NAME"),
        ("Big", "expected NAME"),
        ("a b", "expected NAME"),
        ("x:depth", "'depth' is not field=value"),
        ("x:=3", "'=3' is not field=value"),
        ("x:a=1,", "'' is not field=value"),
        ("x:a=1,a=2", "a is given twice"),
    ],
)
def test_a_malformed_spec_is_refused(text: str, message: str) -> None:
    """With the spec as the place."""
    with pytest.raises(InvalidInput, match=message) as refused:
        spec.parse(text)
    assert refused.value.where == f"solver {text!r}"


def test_each_type_is_parsed_and_spelled_out() -> None:
    """What is built spells itself as it was given, with every default."""
    built = build("x:number=3,rate=2,flag=TRUE,text=t,limit=7,way=down")
    assert built == Example(3, 2.0, True, "t", 7, "down")
    values = {"number": 3, "rate": 0.5, "flag": False, "text": "", "limit": None, "way": "up"}
    assert spec.canonical("x", values) == "x:number=3,rate=0.5,flag=false,text=,limit=none,way=up"
    assert build(spec.canonical("x", values)) == Example(3)
    assert spec.canonical("x", {}) == "x"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "parameter 'number' is required"),
        (
            "x:number=1,nope=2",
            "unknown parameter 'nope'; accepted are: number, rate, flag, text, limit, way$",
        ),
        ("x:number=1,derived=2", "unknown parameter 'derived'"),
        ("x:number=one", "number: 'one' is not accepted; accepted: int"),
        ("x:number=1.5", "number: '1.5' is not accepted; accepted: int"),
        ("x:number=none", "number: 'none' is not accepted"),
        ("x:number=1,flag=yes", "flag: 'yes' is not accepted; accepted: true or false"),
        ("x:number=1,limit=many", "limit: 'many' is not accepted"),
        ("x:number=1,way=left", "way: 'left' is not accepted; accepted: up|down"),
        ("x:number=-1", "here: number is -1; accepted are 0 and more"),
    ],
)
def test_a_wrong_parameter_is_refused(text: str, message: str) -> None:
    """With the parameter and what is accepted."""
    with pytest.raises(InvalidInput, match=message):
        build(text)


def test_types_are_named_for_people() -> None:
    """As lists of solvers show them."""
    hints = (int, float | None, Literal["a", "b"], Literal["a"] | None)
    assert [spec.type_name(hint) for hint in hints] == ["int", "float or none", "a|b", "a or none"]
