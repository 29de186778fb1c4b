"""Options that several commands share."""

from typing import Annotated

import typer

RoundingOption = Annotated[
    str | None,
    typer.Option(
        "--rounding",
        help="Distance rule of the files read: nearest, truncated (to 0.1), ceiling or unrounded. "
        "By default each format's own.",
        show_default=False,
    ),
]
Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        envvar="VERSUS_SERVER",
        metavar="URL",
        help="Do it on a server, http://HOST:PORT; the key, if it asks for one, in VERSUS_API_KEY.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Memory = Annotated[str, typer.Option(help="Memory limit of a run, e.g. 512M or 4G.")]
Threads = Annotated[int, typer.Option(help="Threads a solver may use.")]
Budget = Annotated[str, typer.Option(help="Wall time of a run, e.g. 500ms, 2s, 5m.")]
