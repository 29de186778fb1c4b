"""``versus keys``: the API keys of a service."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from services.store.store import Store

DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the service's SQLite store; by default the store that VERSUS_DATABASE_URL names, "
        "else VERSUS_DATA_DIR.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    keys = typer.Typer(no_args_is_help=True, help="Make, list and revoke the API keys of a service.")
    keys.command()(add)
    keys.command("list")(list_keys)
    keys.command()(revoke)
    app.add_typer(keys, name="keys")


def add(
    name: Annotated[str, typer.Argument(help="Whose the key is, or what for.")],
    scope: Annotated[
        list[str], typer.Option(help="What it may do: read, submit or admin (delete comparisons). May be repeated.")
    ],
    data_dir: DataDir = None,
) -> None:
    """Make a key and print it, this once: the store keeps only a hash of it."""
    from services.cli.terminal import notice
    from services.store.keys import Keys

    store = _store(data_dir)
    try:
        token = Keys(store.engine).add(name, scope)
    finally:
        store.close()
    notice("Keep this key; it is not shown again.")
    typer.echo(token)


def list_keys(data_dir: DataDir = None) -> None:
    """Show all keys without their secrets."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from services.cli.terminal import stdout
    from services.store.keys import SCOPES, Keys

    store = _store(data_dir)
    try:
        keys = Keys(store.engine).list()
    finally:
        store.close()
    table = Table("id", "name", "scopes", "made", "revoked", box=box.SIMPLE_HEAD, pad_edge=False)
    for key in keys:
        scopes = ", ".join(scope for scope in SCOPES if scope in key.scopes)
        table.add_row(key.id, escape(key.name), scopes, _minute(key.created_at), _minute(key.revoked_at or ""))
    stdout.print(table)


def revoke(
    id: Annotated[str, typer.Argument(help="The key's id, as `versus keys list` shows it.")], data_dir: DataDir = None
) -> None:
    """Let a key open nothing any more, within a few seconds."""
    from services.cli.terminal import notice
    from services.store.keys import Keys

    store = _store(data_dir)
    try:
        Keys(store.engine).revoke(id)
    finally:
        store.close()
    notice(f"Key {id} is revoked.")


def _store(folder: Path | None) -> "Store":
    """The service's store; a folder is not locked, for a running `versus serve` holds it and may well go on."""
    from services.cli.terminal import fail
    from services.startup import Unreachable, located, open_store, read_settings

    settings = read_settings()
    if folder is not None:
        settings = settings.model_copy(update={"data_dir": folder, "database_url": None})
    try:
        return open_store(located(settings))
    except Unreachable as error:
        fail(str(error))


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")
