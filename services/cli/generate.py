"""``versus generate``: instances from seeded generators."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

generate = typer.Typer(help="Make instances with seeded generators.", no_args_is_help=True)


class Format(StrEnum):
    """File formats of generated instances; jsonl puts all into one file."""

    JSONL = "jsonl"
    JSON = "json"
    VRP = "vrp"
    TSP = "tsp"
    TXT = "txt"


def register(app: typer.Typer) -> None:
    app.add_typer(generate, name="generate")


@generate.command()
def routing(
    kind: Annotated[
        str,
        typer.Argument(help="uniform, x, clustered, explosion, rotation, solomon, road, or kool (a published set)."),
    ],
    size: Annotated[int, typer.Option(help="Customers; for TSP cities.")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    count: Annotated[int, typer.Option(help="Number of instances.")] = 1,
    seed: Annotated[int | None, typer.Option(help="Seed.", show_default="the kind's own")] = None,
    problem: Annotated[
        str | None, typer.Option(help="tsp, cvrp or vrptw, as far as the kind makes it.", show_default="the kind's own")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="An option of the kind, as name=value.", show_default=False)
    ] = None,
    format: Annotated[Format, typer.Option(help="jsonl writes one file, the others one each.")] = Format.JSONL,
) -> None:
    """Make vehicle-routing instances."""
    from instances.errors import InvalidInput
    from instances.files import write_instance, write_jsonl
    from instances.routing.generators import KINDS
    from instances.routing.generators import generate as make
    from solvers import spec

    if kind not in KINDS:
        raise InvalidInput(f"unknown kind; accepted are {', '.join(KINDS)}", kind)
    _, given = spec.parse("options:" + ",".join(option or ()))
    chosen = spec.build(KINDS[kind].options, given, f"--option of {kind}")
    options = {name: getattr(chosen, name) for name in given}
    made = make(kind, size=size, count=count, seed=seed, problem=problem, **options)
    out.mkdir(parents=True, exist_ok=True)
    if format is Format.JSONL:
        file = out / f"{made[0].name.rpartition('-')[0]}.jsonl"
        write_jsonl(made, file)
        typer.echo(str(file))
        return
    for instance in made:
        file = out / f"{instance.name}.{format}"
        write_instance(instance, file)
        typer.echo(str(file))
