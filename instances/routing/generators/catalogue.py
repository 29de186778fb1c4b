"""The kinds of instances that can be made, and the one function that makes them."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from instances.errors import InvalidInput
from instances.routing.generators import kool, road, shifts, solomon, uniform, x
from instances.routing.generators.streams import Stream, stream_seed
from instances.routing.instance import RoutingInstance

MAX_SIZE = 50_000


@dataclass(frozen=True)
class Kind:
    """A kind of instance: name, a line of help, the problems it makes (the first by default), options.

    ``make`` makes one instance; None if the kind exists only as a whole set.
    """

    name: str
    help: str
    problems: tuple[str, ...]
    options: type
    make: Callable[[np.random.Generator, int, str, Any], RoutingInstance] | None


_ROUTING = ("cvrp", "tsp")

KINDS = {
    kind.name: kind
    for kind in (
        Kind("uniform", "uniform in the unit square", _ROUTING, uniform.UniformOptions, uniform.make),
        Kind("x", "the X set's generator (Uchoa et al. 2017)", ("cvrp",), x.XOptions, x.make),
        Kind("clustered", "Gaussian clusters", _ROUTING, shifts.ClusteredOptions, shifts.make_clustered),
        Kind("explosion", "uniform with a hole", _ROUTING, shifts.ExplosionOptions, shifts.make_explosion),
        Kind("rotation", "uniform, in part rotated", _ROUTING, shifts.RotationOptions, shifts.make_rotation),
        Kind("solomon", "time windows in Solomon's manner", ("vrptw",), solomon.SolomonOptions, solomon.make),
        Kind("road", "shortest paths in a street network", _ROUTING, road.RoadOptions, road.make),
        Kind("kool", "the field's own test set (Kool et al. 2019)", _ROUTING, kool.KoolOptions, None),
    )
}


def generate(
    kind: str,
    *,
    size: int,
    count: int,
    seed: int | None = None,
    problem: str | None = None,
    stream: Stream = "test",
    **options: Any,
) -> list[RoutingInstance]:
    """``count`` instances of a kind; instance i depends on everything but ``count``, so it can be made again.

    Parameters
    ----------
    kind
        A key of ``KINDS``.
    size
        Customers; for TSP cities.
    count
        Number of instances.
    seed
        Not negative; by default 1. The kind ``kool`` has the field's seeds alone, 1234 (test) and 4321
        (validation).
    problem
        One of the kind's problems; by default its first.
    stream
        What the instances are for; those of different streams are independent.
    options
        Fields of the kind's options.

    Raises
    ------
    InvalidInput
        If the kind, the problem or an option is unknown, or a value is out of range.
    """
    if kind not in KINDS:
        raise InvalidInput(f"unknown kind; accepted are {', '.join(KINDS)}", kind)
    chosen = KINDS[kind]
    problem = chosen.problems[0] if problem is None else problem
    if problem not in chosen.problems:
        raise InvalidInput(f"is {problem!r}; {kind} makes {', '.join(chosen.problems)}", "problem")
    for name, number, low, high in (
        ("size", size, 1, MAX_SIZE),
        ("count", count, 1, 10**6),
        ("seed", seed, 0, 2**63),
    ):
        if number is not None and not low <= number <= high:
            raise InvalidInput(f"is {number}; accepted are {low} to {high}", name)
    known = [option.name for option in fields(chosen.options)]
    for name in options:
        if name not in known:
            raise InvalidInput(f"unknown option of {kind}; accepted are {', '.join(known) or 'none'}", name)
    settings = chosen.options(**options)
    if chosen.make is None:
        if stream == "training":
            raise InvalidInput(f"{kind} is a test set: training must never draw from it", "stream")
        if seed is None:
            seed = kool.TEST_SEED if stream == "test" else kool.VALIDATION_SEED
        made = kool.make_set(size, count, seed, problem)
    else:
        seed = 1 if seed is None else seed
        family = zlib.crc32(f"{kind} {problem}".encode())
        seeds = (stream_seed(stream, seed, family, size, index) for index in range(count))
        made = [chosen.make(np.random.default_rng(source), size, problem, settings) for source in seeds]
    return [
        _named(instance, chosen, problem, size, seed, index, stream, options) for index, instance in enumerate(made)
    ]


def _named(
    instance: RoutingInstance,
    kind: Kind,
    problem: str,
    size: int,
    seed: int,
    index: int,
    stream: Stream,
    options: dict[str, Any],
) -> RoutingInstance:
    """The instance with its name and, as comment, what makes it again."""
    variant = [text for text, usual in ((problem, kind.problems[0]), (stream, "test")) if text != usual]
    family = "-".join((kind.name, *variant, *(str(value) for value in options.values() if value is not None)))
    recipe = {"problem": problem, "size": size, "seed": seed, "number": index, "stream": stream, **options}
    return replace(
        instance,
        name=f"{family}-n{size}-s{seed}-{index:04d}",
        comment=f"generator {kind.name}: {', '.join(f'{key}={value}' for key, value in recipe.items())}",
    )
