"""The JSON document of a routing instance: it keeps every field, exactly.

A document is an object with ``"problem": "routing"``, ``"version": 1`` and the fields of
:class:`~instances.routing.instance.RoutingInstance`; fields at their neutral default are left out.
"""

from dataclasses import fields
from itertools import chain
from typing import Any

import numpy as np

from instances.errors import InvalidInput
from instances.routing.instance import RoutingInstance
from instances.routing.rounding import Rounding
from instances.routing.solution import Routes

VERSION = 1
_ARRAYS = {"coordinates": 2, "matrix": 2, "demand": 1, "time_windows": 2, "service_times": 1}
_FIELDS = {field.name: field for field in fields(RoutingInstance)}


def dump(instance: RoutingInstance) -> dict[str, Any]:
    """The instance as a JSON-serialisable document."""
    document: dict[str, Any] = {"problem": "routing", "version": VERSION}
    for name, field in _FIELDS.items():
        value = getattr(instance, name)
        if isinstance(value, np.ndarray):
            document[name] = value.tolist()
        elif value is not None and value != field.default:
            document[name] = value
    return document


def load(document: dict[str, Any]) -> RoutingInstance:
    """The instance a document describes.

    Raises
    ------
    InvalidInput
        If a key is unknown, a value has the wrong type, or the instance is inconsistent.
    """
    if not isinstance(document, dict):
        raise InvalidInput("an instance document must be a JSON object")
    if document.get("problem") != "routing":
        raise InvalidInput(f"is {document.get('problem')!r}; expected 'routing'", "problem")
    if document.get("version") != VERSION:
        raise InvalidInput(f"is {document.get('version')!r}; this release reads version {VERSION}", "version")
    unknown = sorted(set(document) - set(_FIELDS) - {"problem", "version"})
    if unknown:
        raise InvalidInput(f"unknown field; accepted are {', '.join(_FIELDS)}", unknown[0])
    if "rounding" not in document:
        raise InvalidInput(f"is missing; accepted are {', '.join(Rounding)}", "rounding")
    return RoutingInstance(**{name: _value(name, document[name]) for name in _FIELDS if name in document})


def _value(name: str, value: Any) -> Any:
    if name == "rounding":
        try:
            return Rounding(value)
        except ValueError:
            raise InvalidInput(f"is {value!r}; accepted are {', '.join(Rounding)}", name) from None
    if name in _ARRAYS:
        return _array(name, value)
    wanted: type = {"open_routes": bool, "name": str, "comment": str}.get(name, int)
    if type(value) is not wanted:
        raise InvalidInput(f"is {value!r}; expected a {wanted.__name__}", name)
    return value


def _array(name: str, value: Any) -> np.ndarray:
    rank = _ARRAYS[name]
    try:
        array = np.array(value)
    except (ValueError, OverflowError):
        array = np.array(None)
    entries = chain.from_iterable(value) if array.ndim == rank == 2 else value
    if array.ndim != rank or array.dtype.kind != "i" or set(map(type, entries)) != {int}:
        raise InvalidInput(f"must be a {'list' if rank == 1 else 'list of lists'} of integers within int64", name)
    return array


def dump_solution(solution: Routes) -> list[list[int]]:
    """Routes as lists of location indices."""
    return [list(route) for route in solution.routes]


def load_solution(document: Any) -> Routes:
    """Routes from lists of location indices.

    Raises
    ------
    InvalidInput
        If the document is anything but a list of lists of integers.
    """
    if not isinstance(document, list) or not all(isinstance(route, list) for route in document):
        raise InvalidInput("a routing solution must be a list of routes, each a list of location indices")
    if not all(type(customer) is int for route in document for customer in route):
        raise InvalidInput("a route must hold integers only")
    return Routes(tuple(tuple(route) for route in document))
