"""The JSON documents of factoring: integers are decimal strings, because not every reader of JSON keeps large ones."""

from typing import Any

from instances.errors import InvalidInput
from instances.factoring.instance import MAX_DIGITS, FactoringInstance
from instances.factoring.numbers import integer, text
from instances.factoring.solution import Factors

VERSION = 1
MAX_SOLUTION_DIGITS = 5 * MAX_DIGITS
"""Digits that all factors may have together; n = 2^k has the longest true factors, 33,219 digits."""

_TEXTS = ("kind", "name", "comment")


def dump(instance: FactoringInstance) -> dict[str, Any]:
    """The instance as a JSON-serialisable document."""
    texts = {name: getattr(instance, name) for name in _TEXTS if getattr(instance, name)}
    return {"problem": "factoring", "version": VERSION, "n": text(instance.n), **texts}


def load(document: dict[str, Any]) -> FactoringInstance:
    """The instance a document describes.

    Raises
    ------
    InvalidInput
        If a key is unknown or missing, a value has the wrong type, or n is not accepted.
    """
    if not isinstance(document, dict):
        raise InvalidInput("an instance document must be a JSON object")
    if document.get("problem") != "factoring":
        raise InvalidInput(f"is {document.get('problem')!r}; expected 'factoring'", "problem")
    if document.get("version") != VERSION:
        raise InvalidInput(f"is {document.get('version')!r}; this release reads version {VERSION}", "version")
    unknown = sorted(set(document) - {"problem", "version", "n", *_TEXTS})
    if unknown:
        raise InvalidInput(f"unknown field; accepted are n, {', '.join(_TEXTS)}", unknown[0])
    if "n" not in document:
        raise InvalidInput('is missing; accepted is a decimal string, such as "15"', "n")
    texts = {name: document[name] for name in _TEXTS if name in document}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise InvalidInput(f"is {value!r}; expected a str", name)
    return FactoringInstance(_integer(document["n"], "n"), **texts)


def dump_solution(solution: Factors) -> list[str]:
    """Factors as decimal strings."""
    return [text(factor) for factor in solution.factors]


def load_solution(document: Any) -> Factors:
    """Factors from decimal strings.

    Raises
    ------
    InvalidInput
        If the document is anything but a list of strings that are integers, or they are longer than the factors
        of any instance.
    """
    if not isinstance(document, list):
        raise InvalidInput("must be a list of decimal strings", "factors")
    check_length(sum(len(value) for value in document if isinstance(value, str)))
    return Factors(tuple(_integer(value, f"factors[{place}]") for place, value in enumerate(document)))


def check_length(num_digits: int) -> None:
    """Raise InvalidInput if factors have more digits together than those of any instance."""
    if num_digits > MAX_SOLUTION_DIGITS:
        raise InvalidInput(
            f"hold more than {MAX_SOLUTION_DIGITS} digits, more than the factors of any number of {MAX_DIGITS} digits",
            "factors",
        )


def _integer(value: Any, where: str) -> int:
    if not isinstance(value, str):
        raise InvalidInput(f'must be a decimal string, such as "15", not a {type(value).__name__}', where)
    try:
        return integer(value)
    except InvalidInput as error:
        raise error.within(where) from None
