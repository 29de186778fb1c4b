"""``versus fetch``: published instances from their official site."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(fetch)


def fetch(
    reference: Annotated[
        str, typer.Argument(help="An instance or a whole set: cvrplib:X-n101-k25, cvrplib:X, tsplib:berlin52.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
) -> None:
    """Download published instances with their solutions; files that are there already are kept."""
    from services.cli.terminal import notice
    from services.fetch import fetch as download

    for file in download(reference, out, on_progress=notice):
        typer.echo(str(file))
