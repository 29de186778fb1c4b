"""``versus generate``: instances from seeded generators."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from instances.problem import Instance

generate = typer.Typer(help="Make instances with seeded generators.", no_args_is_help=True)


class RoutingFormat(StrEnum):
    """File formats of generated routing instances; jsonl puts all into one file."""

    JSONL = "jsonl"
    JSON = "json"
    VRP = "vrp"
    TSP = "tsp"
    TXT = "txt"


class FactoringFormat(StrEnum):
    """File formats of generated integers; jsonl puts all into one file."""

    JSONL = "jsonl"
    JSON = "json"
    NUM = "num"


Out = Annotated[Path, typer.Option(help="Folder to write to.")]
Count = Annotated[int, typer.Option(help="Number of instances.")]
Options = Annotated[list[str] | None, typer.Option(help="An option of the kind, as name=value.", show_default=False)]
FORMAT_HELP = "jsonl writes one file, the others one each."


def register(app: typer.Typer) -> None:
    app.add_typer(generate, name="generate")


@generate.command()
def routing(
    kind: Annotated[
        str,
        typer.Argument(help="uniform, x, clustered, explosion, rotation, solomon, road, or kool (a published set)."),
    ],
    size: Annotated[int, typer.Option(help="Customers; for TSP cities.")],
    out: Out,
    count: Count = 1,
    seed: Annotated[int | None, typer.Option(help="Seed.", show_default="the kind's own")] = None,
    problem: Annotated[
        str | None, typer.Option(help="tsp, cvrp or vrptw, as far as the kind makes it.", show_default="the kind's own")
    ] = None,
    option: Options = None,
    format: Annotated[RoutingFormat, typer.Option(help=FORMAT_HELP)] = RoutingFormat.JSONL,
) -> None:
    """Make vehicle-routing instances."""
    from instances.routing.generators import KINDS
    from instances.routing.generators import generate as make

    options = _options(KINDS, kind, option)
    _write(make(kind, size=size, count=count, seed=seed, problem=problem, **options), out, format)


@generate.command()
def factoring(
    kind: Annotated[
        str,
        typer.Argument(
            help="semiprime (two primes of equal length), unbalanced, close, pm1-smooth, smooth, prime-power, prime, "
            "carmichael, mersenne or fermat."
        ),
    ],
    bits: Annotated[int, typer.Option(help="Bit length; of Mersenne and Fermat numbers the least.")],
    out: Out,
    count: Count = 1,
    seed: Annotated[int, typer.Option(help="Seed.")] = 1,
    split: Annotated[
        str | None,
        typer.Option(help="Whose primes to take: training, validation, test or any.", show_default="test"),
    ] = None,
    option: Options = None,
    format: Annotated[FactoringFormat, typer.Option(help=FORMAT_HELP)] = FactoringFormat.JSONL,
) -> None:
    """Make integers to factor."""
    from instances.factoring.generators import KINDS
    from instances.factoring.generators import generate as make

    options = _options(KINDS, kind, option)
    _write(make(kind, bits=bits, count=count, seed=seed, split=split, **options), out, format)


def _options(kinds: Mapping[str, Any], kind: str, option: list[str] | None) -> dict[str, Any]:
    """The options given as ``name=value``, with the types of the kind's options."""
    from instances.errors import InvalidInput
    from solvers import spec

    if kind not in kinds:
        raise InvalidInput(f"unknown kind; accepted are {', '.join(kinds)}", kind)
    _, given = spec.parse("options:" + ",".join(option or ()))
    chosen = spec.build(kinds[kind].options, given, f"--option of {kind}")
    return {name: getattr(chosen, name) for name in given}


def _write(made: Sequence[Instance], out: Path, format: StrEnum) -> None:
    """Write instances into the folder and name the files."""
    from instances.files import write_instance, write_jsonl

    out.mkdir(parents=True, exist_ok=True)
    if format == "jsonl":
        file = out / f"{made[0].name.rpartition('-')[0]}.jsonl"
        write_jsonl(made, file)
        typer.echo(str(file))
        return
    for instance in made:
        file = out / f"{instance.name}.{format}"
        write_instance(instance, file)
        typer.echo(str(file))
