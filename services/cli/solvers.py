"""``versus solvers``: what can be compared."""

import typer

from services.cli.options import Json, Server


def register(app: typer.Typer) -> None:
    app.command()(solvers)


def solvers(server: Server = None, as_json: Json = False) -> None:
    """List every solver: what it honours, its parameters, version, and whether it is available."""
    from services.cli.remote import connection
    from services.cli.terminal import stdout
    from services.export import json_text
    from services.runner.catalogue import describe_all

    if server is None:
        described = describe_all()
    else:
        with connection(server) as client:
            described = client.solvers()
    if as_json:
        typer.echo(json_text(described))
        return
    for solver in described:
        if "error" in solver:
            stdout.print(f"[bold]{solver['name']}[/bold]  [red]unavailable[/red]", highlight=False)
            stdout.print(f"  {solver['error']}", markup=False, highlight=False)
            continue
        versions = ", ".join(f"{package} {version}" for package, version in solver["versions"].items())
        stdout.print(f"[bold]{solver['name']}[/bold]  {solver['problem']}  [dim]{versions}[/dim]", highlight=False)
        stdout.print(f"  {solver['summary']}", markup=False, highlight=False)
        stdout.print(f"  honours: {', '.join(solver['honours']) or 'nothing beyond plain instances'}", markup=False)
        for parameter in solver["parameters"]:
            default = "required" if parameter["required"] else f"default {parameter['default']}"
            stdout.print(
                f"  {parameter['name']}={parameter['type']}  ({default})  {parameter['help']}",
                markup=False,
                highlight=False,
            )
