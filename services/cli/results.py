"""``versus report`` and ``versus export``: a comparison's results again, as a page or as data."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from services.records import Results


class Format(StrEnum):
    """Formats of exported data."""

    CSV = "csv"
    PARQUET = "parquet"
    JSON = "json"


Folder = Annotated[Path, typer.Argument(help="Folder that `versus compare --out` made.")]


def register(app: typer.Typer) -> None:
    app.command()(report)
    app.command()(export)


def report(
    folder: Folder,
    out: Annotated[
        Path | None, typer.Option(help="File to write; by default report.html in the folder.", show_default=False)
    ] = None,
) -> None:
    """Make the report of a comparison again."""
    from services.report import render_report

    file = out or folder / "report.html"
    render_report(_results(folder), file)
    typer.echo(str(file))


def export(
    folder: Folder,
    format: Annotated[Format, typer.Option(help="Format of the data.")] = Format.CSV,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write; by default standard output (parquet: runs.parquet in the folder)."),
    ] = None,
) -> None:
    """Write the data, one row a run."""
    from services.analysis.metrics import run_rows
    from services.export import json_text, write_csv, write_parquet

    rows = run_rows(_results(folder))
    if format is Format.PARQUET:
        file = out or folder / "runs.parquet"
        write_parquet(rows, file)
        typer.echo(str(file))
        return
    text = write_csv(rows) if format is Format.CSV else json_text(rows) + "\n"
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text)
        typer.echo(str(out))


def _results(folder: Path) -> "Results":
    from instances.errors import InvalidInput
    from services.store.store import Store

    store = Store.in_folder(folder, write=False)
    try:
        comparisons = store.comparisons()
        if not comparisons:
            raise InvalidInput("holds no comparison", str(folder))
        return store.results(comparisons[-1].name)
    finally:
        store.close()
