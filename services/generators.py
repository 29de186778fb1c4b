"""What generators of instances there are, and what each can be told."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any, get_args, get_type_hints

from instances.factoring.generators import KINDS as FACTORING_KINDS
from instances.factoring.generators.catalogue import MAX_BITS
from instances.factoring.generators.primes import Split
from instances.routing.generators import KINDS as ROUTING_KINDS
from instances.routing.generators.catalogue import MAX_SIZE
from solvers import spec


def describe_generators() -> list[dict[str, Any]]:
    """All kinds of instances that can be made, with their parameters."""
    return [*_routing(), *_factoring()]


def _routing() -> Iterator[dict[str, Any]]:
    for kind in ROUTING_KINDS.values():
        own = [
            _parameter("size", "int", None, f"customers, for TSP cities; at most {MAX_SIZE}"),
            _parameter("problem", "|".join(kind.problems), kind.problems[0], "the variant to make"),
        ]
        yield {
            "problem": "routing", "kind": kind.name, "summary": kind.help, "parameters": own + _options(kind.options)
        }  # fmt: skip


def _factoring() -> Iterator[dict[str, Any]]:
    for kind in FACTORING_KINDS.values():
        splits = get_args(Split) if kind.divided else ("any",)
        own = [
            _parameter(
                "bits", "int", None, f"bit length, at most {MAX_BITS}; of Mersenne and Fermat numbers the least"
            ),
            _parameter("split", "|".join(splits), "test" if kind.divided else "any", "which primes may be factors"),
        ]
        yield {
            "problem": "factoring", "kind": kind.name, "summary": kind.help, "parameters": own + _options(kind.options)
        }  # fmt: skip


def _options(options: type[Any]) -> list[dict[str, Any]]:
    """The parameters that a kind has besides those that all have."""
    hints: Mapping[str, Any] = get_type_hints(options)
    return [
        _parameter(
            field.name,
            spec.type_name(hints[field.name]),
            None if field.default is MISSING else spec.text(field.default),
            field.metadata.get("help", ""),
        )
        for field in fields(options)
    ]


def _parameter(name: str, kind: str, default: str | None, help: str) -> dict[str, Any]:
    return {"name": name, "type": kind, "default": default, "required": default is None, "help": help}
