"""The ``versus`` command: its subcommands and how errors leave it."""

import signal
import sys

import typer

from instances.errors import InvalidInput
from services.cli import compare, fetch, generate, inspect, keys, results, serve, service, solve, solvers, train

app = typer.Typer(
    name="versus",
    help="Honest comparison of neural and heuristic solvers: on these instances, with this much time, which is better?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for module in (generate, inspect, solvers, solve, compare, results, fetch, train, keys, serve, service):
    module.register(app)


def main() -> None:
    """Run the command; exit with 2 for bad input, an unusable path too, and with 130 when interrupted.

    SIGTERM interrupts as Ctrl-C does. (The exit code is Typer's.)
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except (InvalidInput, OSError) as error:
        print(f"versus: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
