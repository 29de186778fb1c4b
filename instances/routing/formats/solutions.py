"""Solution files: CVRPLIB ``.sol``, TSPLIB ``.tour`` and JSON, each with the cost that it claims.

Customers are location indices in .sol and JSON (node number minus one), node numbers in .tour.
"""

import json
import re
from decimal import Decimal
from typing import Any

from instances.errors import InvalidInput
from instances.routing import document
from instances.routing.formats import numbers
from instances.routing.formats.sections import node_index, split
from instances.routing.instance import RoutingInstance
from instances.routing.solution import Routes

SUFFIXES = (".sol", ".tour", ".json")
_ROUTE = re.compile(r"route\s*#?\s*\d+\s*:(.*)", re.IGNORECASE)
_COST = re.compile(r"cost\s*:?\s+(\S+)", re.IGNORECASE)
_REMARK = re.compile(r"(?!rout|cost)[A-Za-z][\w ]*[:=]?\s.*|[A-Za-z]\w*\s*:.*", re.IGNORECASE)
_LENGTH = re.compile(r"length\s*[=:]?\s*([0-9]{1,18}(?:\.[0-9]{1,18})?)", re.IGNORECASE)


def read(text: str, suffix: str, instance: RoutingInstance) -> tuple[Routes, Decimal | None]:
    """The solution of a file's text and the cost it claims, as the decimal number that is written there.

    Routes without customers are dropped. Whether the solution is any good is for the referee.

    Raises
    ------
    InvalidInput
        If the text does not follow the format; with the line.
    """
    match suffix:
        case ".sol":
            return _read_sol(text)
        case ".tour":
            return _read_tour(text, instance)
        case ".json":
            return _read_json(text)
        case _:
            raise InvalidInput(f"{suffix!r} is no format of solutions; accepted are {', '.join(SUFFIXES)}")


def write(instance: RoutingInstance, solution: Routes, cost: int, suffix: str) -> str:
    """The text of a solution file with its cost, exactly.

    Raises
    ------
    InvalidInput
        If the suffix names no format of solutions, or a ``.tour`` is asked for more than one route.
    """
    written_cost = numbers.text_of(cost, instance.decimals)
    routes = [route for route in solution.routes if route]
    match suffix:
        case ".sol":
            lines = [f"Route #{number}: {' '.join(map(str, route))}" for number, route in enumerate(routes, start=1)]
            return "\n".join([*lines, f"Cost {written_cost}", ""])
        case ".tour":
            if len(routes) > 1:
                raise InvalidInput(f"a .tour holds one tour, not {len(routes)} routes; accepted are .sol and .json")
            nodes = [instance.depot + 1, *(customer + 1 for route in routes for customer in route)]
            header = [
                f"COMMENT : Length = {written_cost}",
                "TYPE : TOUR",
                f"DIMENSION : {len(nodes)}",
                "TOUR_SECTION",
            ]
            name = " ".join(instance.name.split())
            named = [f"NAME : {name}.tour"] if name else []
            return "\n".join([*named, *header, *map(str, nodes), "-1", "EOF", ""])
        case ".json":
            return f'{{"routes": {json.dumps(routes)}, "cost": {written_cost}}}\n'
        case _:
            raise InvalidInput(f"{suffix!r} is no format of solutions; accepted are {', '.join(SUFFIXES)}")


def _read_sol(text: str) -> tuple[Routes, Decimal | None]:
    routes: list[tuple[int, ...]] = []
    cost: Decimal | None = None
    for line, raw in enumerate(text.split("\n"), start=1):
        stripped = raw.strip()
        place = f"line {line}"
        if match := _ROUTE.fullmatch(stripped):
            routes.append(tuple(_customer(token, place) for token in match[1].split()))
        elif match := _COST.fullmatch(stripped):
            if cost is not None:
                raise InvalidInput("a second cost; accepted is one", place)
            cost = _claim(match[1], place)
        elif stripped and not _REMARK.fullmatch(stripped):
            raise InvalidInput(f"{stripped[:40]!r} is neither 'Route #1: 2 3', 'Cost 4' nor 'Word: remark'", place)
    if not routes:
        raise InvalidInput("holds no route; expected lines like 'Route #1: 2 3'")
    return Routes(tuple(route for route in routes if route)), cost


def _customer(token: str, place: str) -> int:
    if not (token.isascii() and token.isdigit() and len(token) < 10):
        raise InvalidInput(f"{token[:40]!r} is not a customer; accepted are location indices", place)
    return int(token)


def _claim(token: str, place: str) -> Decimal:
    """A cost with the digits it was written with: how many there are says how exact it is."""
    try:
        numbers.decimal(token)
    except InvalidInput as error:
        raise error.within(place) from None
    return Decimal(token)


def _read_tour(text: str, instance: RoutingInstance) -> tuple[Routes, Decimal | None]:
    """The tour, turned so that it starts at the depot; its length may stand in the comment."""
    file = split(text, ("NAME", "COMMENT", "TYPE", "DIMENSION"), ("TOUR_SECTION",))
    file.choice("TYPE", ("TOUR",))
    size = instance.num_locations
    if "DIMENSION" in file.header and file.integer("DIMENSION", 1) != size:
        raise InvalidInput(f"is {file.value('DIMENSION')}; the instance has {size} nodes", "DIMENSION")
    section = file.section("TOUR_SECTION")
    tokens = [(token, line) for line, row in section.rows for token in row]
    end = next((index for index, (token, _) in enumerate(tokens) if token == "-1"), len(tokens))
    if len(tokens) > end + 1:
        raise InvalidInput(f"{tokens[end + 1][0]!r} after the tour's end, -1", f"line {tokens[end + 1][1]}")
    tour = tuple(node_index(token, size, line) for token, line in tokens[:end])
    if instance.depot not in tour:
        raise InvalidInput(f"does not visit node {instance.depot + 1}, where it should start", f"line {section.line}")
    start = tour.index(instance.depot)
    route = tour[start + 1 :] + tour[:start]
    length = _LENGTH.fullmatch(file.header.get("COMMENT", (0, ""))[1].strip())
    cost = Decimal(length[1]) if length else None
    return Routes((route,) if route else ()), cost


def _read_json(text: str) -> tuple[Routes, Decimal | None]:
    try:
        content: Any = json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"is not JSON: {error}") from error
    accepted = '{"routes": [[1, 2], [3]], "cost": 4.5}, the cost being optional'
    if not isinstance(content, dict) or "routes" not in content or set(content) - {"routes", "cost"}:
        raise InvalidInput(f"accepted is {accepted}")
    cost = content.get("cost")
    if cost is not None and (isinstance(cost, bool) or not isinstance(cost, int | Decimal | str)):
        raise InvalidInput(f"is {str(cost)[:40]!r}; accepted is a number", "cost")
    solution = document.load_solution(content["routes"])
    claimed = None if cost is None else _claim(str(cost), "cost")
    return Routes(tuple(route for route in solution.routes if route)), claimed


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")
