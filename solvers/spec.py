"""Solver specs: ``name`` or ``name:field=value,field=value``, a form no shell touches."""

import dataclasses
import re
import types
import typing
from collections.abc import Mapping
from typing import Any

from instances.errors import InvalidInput

_NAME = re.compile(r"[a-z][a-z0-9+_.-]*")


def parse(spec: str) -> tuple[str, dict[str, str]]:
    """Split a spec into its name and its parameters as text.

    A comma inside a value is written ``%2C``, a percent sign ``%25``.
    """
    name, _, rest = spec.partition(":")
    if not _NAME.fullmatch(name):
        raise InvalidInput("expected NAME or NAME:field=value,field=value", f"solver {spec!r}")
    parameters: dict[str, str] = {}
    for part in rest.split(",") if rest else []:
        field, equals, value = part.partition("=")
        if not equals or not field:
            raise InvalidInput(f"{part!r} is not field=value", f"solver {spec!r}")
        if field in parameters:
            raise InvalidInput(f"{field} is given twice", f"solver {spec!r}")
        parameters[field] = value.replace("%2C", ",").replace("%25", "%")
    return name, parameters


def canonical(name: str, parameters: Mapping[str, Any]) -> str:
    """The spec with every parameter spelled out, in the order given."""
    parts = (f"{field}={text(value)}" for field, value in parameters.items())
    return f"{name}:{','.join(parts)}" if parameters else name


def text(value: Any) -> str:
    """A parameter value as it stands in a spec."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return str(value).replace("%", "%25").replace(",", "%2C")


def build(solver_class: type, parameters: Mapping[str, str], where: str) -> Any:
    """Make a solver from parameters as text, each parsed by the type of its field.

    Raises
    ------
    InvalidInput
        If a field is unknown, required but missing, or its value does not fit its type or range.
    """
    hints = typing.get_type_hints(solver_class)
    known = {field.name: field for field in dataclasses.fields(solver_class) if field.init}
    for name in parameters:
        if name not in known:
            accepted = ", ".join(known) or "none"
            raise InvalidInput(f"unknown parameter {name!r}; accepted are: {accepted}", where)
    for name, field in known.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in parameters:
            raise InvalidInput(f"parameter {name!r} is required", where)
    values = {name: _convert(text, hints[name], f"{where}, {name}") for name, text in parameters.items()}
    try:
        return solver_class(**values)
    except ValueError as error:
        raise InvalidInput(str(error), where) from error


def type_name(hint: Any) -> str:
    """How a parameter's type is shown to people: ``int``, ``float or none``, ``a|b|c``."""
    if typing.get_origin(hint) is typing.Literal:
        return "|".join(typing.get_args(hint))
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return " or ".join("none" if part is type(None) else type_name(part) for part in typing.get_args(hint))
    return str(hint.__name__)


def _convert(text: str, hint: Any, where: str) -> Any:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        parts = typing.get_args(hint)
        if type(None) in parts and text.lower() == "none":
            return None
        (hint,) = (part for part in parts if part is not type(None))
    if typing.get_origin(hint) is typing.Literal:
        if text in typing.get_args(hint):
            return text
    elif hint is bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
    elif hint is str:
        return text
    else:
        try:
            return hint(text)
        except ValueError:
            pass
    accepted = "true or false" if hint is bool else type_name(hint)
    raise InvalidInput(f"{text!r} is not accepted; accepted: {accepted}", where)
