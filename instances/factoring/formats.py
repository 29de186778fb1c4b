"""Text files of factoring: numbers in ``.num``, factors in ``.factors`` and JSON."""

import json
import re
from collections import Counter
from collections.abc import Iterator

from instances.errors import InvalidInput
from instances.factoring.document import check_length, dump_solution, load_solution
from instances.factoring.instance import FactoringInstance
from instances.factoring.numbers import integer, shortened, text
from instances.factoring.solution import Factors
from instances.text import parse_json

SUFFIXES = (".factors", ".json")
MAX_SHOWN = 12
_POWER = re.compile(r"(.+)\^([1-9][0-9]{0,4})")


def read_numbers(content: str) -> list[FactoringInstance]:
    """The instances of a ``.num`` file: one number a line; what follows it after ``#`` is its name.

    Raises
    ------
    InvalidInput
        If a line holds anything else, or there is no number; with the line.
    """
    found = []
    for line, (tokens, comment) in _lines(content):
        if not tokens:
            continue
        try:
            if len(tokens) > 1:
                raise InvalidInput(f"holds {len(tokens)} words; accepted is one number a line")
            found.append(FactoringInstance(integer(tokens[0]), name=comment))
        except InvalidInput as error:
            raise error.within(f"line {line}") from None
    if not found:
        raise InvalidInput("holds no number; accepted is one a line")
    return found


def write_number(instance: FactoringInstance) -> str:
    """The text of a ``.num`` file with one number and its name, all on one line."""
    name = " ".join("".join(sign if sign.isprintable() else " " for sign in instance.name).split())
    return f"{text(instance.n)}{f'  # {name}' if name else ''}\n"


def read_factors(content: str, suffix: str) -> tuple[Factors, int | None]:
    """The factors of a file's text and the cost it claims; whether they are any good is for the referee.

    Raises
    ------
    InvalidInput
        If the text does not follow the format; with the line.
    """
    match suffix:
        case ".factors":
            return _read_words(content), None
        case ".json":
            return _read_json(content)
        case _:
            raise InvalidInput(f"{suffix!r} is no format of solutions; accepted are {', '.join(SUFFIXES)}")


def write_factors(solution: Factors, cost: int, suffix: str) -> str:
    """The text of a solution file; ``.factors`` holds a factor a line, ascending, and no cost.

    Raises
    ------
    InvalidInput
        If the suffix names no format of solutions.
    """
    match suffix:
        case ".factors":
            powers = sorted(Counter(solution.factors).items())
            return "".join(f"{text(factor)}{f'^{times}' if times > 1 else ''}\n" for factor, times in powers)
        case ".json":
            return json.dumps({"factors": dump_solution(solution), "cost": cost}) + "\n"
        case _:
            raise InvalidInput(f"{suffix!r} is no format of solutions; accepted are {', '.join(SUFFIXES)}")


def words(solution: Factors) -> str:
    """The factors as people write them, ascending: ``2^3 * 5``; of more than twelve different ones the first eleven."""
    powers = sorted(Counter(solution.factors).items())
    shown = [f"{shortened(factor)}{f'^{times}' if times > 1 else ''}" for factor, times in powers]
    if len(shown) > MAX_SHOWN:
        shown[MAX_SHOWN - 1 :] = [f"... ({len(powers) - MAX_SHOWN + 1} more)"]
    return " * ".join(shown)


def _lines(content: str) -> Iterator[tuple[int, tuple[list[str], str]]]:
    """Per line, from 1: its words, and its comment."""
    for number, line in enumerate(content.split("\n"), start=1):
        before, _, comment = line.partition("#")
        yield number, (before.split(), comment.strip())


def _read_words(content: str) -> Factors:
    factors: list[int] = []
    num_digits = 0
    for line, (tokens, _) in _lines(content.replace("*", " ")):
        for token in tokens:
            power = _POWER.fullmatch(token)
            base, times = (power[1], int(power[2])) if power else (token, 1)
            try:
                num_digits += len(base) * times
                check_length(num_digits)
                factors += [integer(base)] * times
            except InvalidInput as error:
                raise error.within(f"line {line}") from None
    if not factors:
        raise InvalidInput("holds no factor; accepted are factors such as 7 or 2^3, between blanks or *")
    return Factors(tuple(factors))


def _read_json(content: str) -> tuple[Factors, int | None]:
    document = parse_json(content)
    if not isinstance(document, dict) or "factors" not in document or set(document) - {"factors", "cost"}:
        raise InvalidInput('accepted is {"factors": ["3", "5"], "cost": 0}, the cost being optional')
    cost = document.get("cost")
    if cost is not None and type(cost) is not int:
        raise InvalidInput(f"is {str(cost)[:40]!r}; accepted is an integer", "cost")
    return load_solution(document["factors"]), cost
