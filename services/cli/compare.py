"""``versus compare``: the batch evaluation."""

import contextlib
import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.options import Json, Memory, RoundingOption, Server, Threads

if TYPE_CHECKING:
    from rich.progress import Progress

    from services.batch import Plan
    from services.definition import Definition
    from services.records import Results
    from services.store.store import Store


def register(app: typer.Typer) -> None:
    app.command()(compare)


def compare(
    context: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(help="Instance files and folders; or one .toml file that defines a comparison.")
    ],
    solver: Annotated[
        list[str] | None, typer.Option(help="Solver spec; give the option once for each.", show_default=False)
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Wall time of a run, e.g. 500ms, 2s, 5m.", show_default="2s")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Repetitions of each run, each with its own seed.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the results; for a .toml file, by default its own.", show_default=False),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(help="Runs at a time; by default one physical core stays free.", show_default=False)
    ] = None,
    threads: Threads = 1,
    memory: Memory = "4G",
    batch: Annotated[
        int,
        typer.Option(help="Instances a solver gets at once, within one budget; above 1, most solvers decline."),
    ] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the comparison; runs derive theirs from it.")] = 0,
    reference: Annotated[
        str | None, typer.Option(help="Compare every solver with this one only, not all pairs.", show_default=False)
    ] = None,
    rounding: RoundingOption = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Compare solvers on instances under equal conditions: a table here, a report in the folder.

    What was interrupted goes on where it stopped. With --server the runs are made there, and the results kept here.
    Exit code 0 when every run ended finished, declined, or killed at its limit with an answer, and every instance has
    a verified answer; 1 otherwise.
    """
    from instances.errors import InvalidInput
    from services import definition as definitions
    from services.definition import Definition
    from services.quantities import parse_bytes, parse_seconds

    if len(paths) == 1 and paths[0].suffix == ".toml":
        fixed = [name for name in context.params if name not in ("paths", "out", "jobs", "server", "as_json")]
        for name in fixed:
            if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE":
                message = (
                    f"defines the comparison, so --{name} does not go with it; --out, --jobs, --json and --server do"
                )
                raise InvalidInput(message, str(paths[0]))
        definition = definitions.read(paths[0])
        out = out or paths[0].parent
    else:
        if out is None:
            raise InvalidInput("is needed: the folder for the results", "--out")
        try:
            definition = Definition(
                paths=tuple(paths),
                solvers=tuple(solver or ()),
                budget=parse_seconds(budget or "2s", "budget"),
                seeds=seeds,
                seed=seed,
                threads=threads,
                memory=parse_bytes(memory, "memory"),
                batch=batch,
                reference=reference,
                rounding=rounding,
                name=out.resolve().name,
            )
        except InvalidInput as error:
            # The file's keys are the options' names, but that one is given once for each solver.
            option = "solver" if error.where == "solvers" else error.where
            raise InvalidInput(error.message, f"--{option}") from None
    if server is None:
        raise typer.Exit(_compare(definition, out, jobs, as_json))
    if jobs is not None:
        raise InvalidInput("does not go with --server: how many runs are made at a time, its workers decide", "--jobs")
    raise typer.Exit(_compare_on(server, definition, out, as_json))


def _compare(definition: "Definition", out: Path, jobs: int | None, as_json: bool) -> int:
    from services.batch import complete, open_results, plan
    from services.cli.terminal import fail, notice
    from services.remote import check_made_here
    from services.runner.process import Unavailable

    check_made_here(out)
    try:
        planned = plan(definition, jobs)
    except Unavailable as error:
        fail(str(error))
    for note in planned.notes:
        notice(note)
    store, planned = open_results(planned, out, _command())
    try:
        try:
            results = _execute(planned, store)
        except KeyboardInterrupt:
            fail("interrupted; the same command goes on from here", code=130)
        report = out / "report.html"
        _show(results, report, as_json)
    finally:
        store.close()
    return 0 if complete(results) else 1


def _compare_on(server: str, definition: "Definition", out: Path, as_json: bool) -> int:
    from services import remote
    from services.batch import complete, read_instances
    from services.cli.remote import connection
    from services.cli.terminal import fail, notice

    instances, notes = read_instances(definition)
    for note in notes:
        notice(note)
    place = ""
    with connection(server) as client:
        try:
            # Whether it is there at all is soon seen; later on it is waited for.
            client.system()
            client.patience = math.inf
            id = remote.begin(client, definition, instances, out, notice)
            place = f"; comparison {id} goes on at {client.url}"
            store, comparison = remote.open_results(client, id, definition, instances, out, _command())
            with contextlib.closing(store):
                num_runs = len(instances) * len(comparison.solvers) * comparison.num_seeds
                with _progress() as progress:
                    bar = progress.add_task("runs", total=num_runs)
                    for state in client.watch(id):
                        progress.update(bar, completed=state["counts"]["ended"])
                results = remote.fetch(client, id, store, comparison)
                if state["state"] == "cancelled":
                    notice(f"comparison {id} was cancelled")
                _show(results, out / "report.html", as_json)
        except KeyboardInterrupt:
            fail(f"interrupted{place}; the same command goes on from here", code=130)
    return 0 if complete(results) and len(results.runs) == num_runs else 1


def _command() -> str:
    return shlex.join(["versus", *sys.argv[1:]])


def _progress() -> "Progress":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from services.cli.terminal import stderr

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TimeRemainingColumn(), TextColumn("left"),
    )  # fmt: skip
    return Progress(*columns, console=stderr, speed_estimate_period=600)


def _execute(planned: "Plan", store: "Store") -> "Results":
    from services.batch import execute
    from services.records import Run

    done = len(store.run_keys(planned.comparison.name))
    with _progress() as progress:
        bar = progress.add_task("runs", total=planned.num_runs, completed=done)

        def on_run(run: Run) -> None:
            progress.update(bar, advance=1)

        return execute(planned, store, on_run)


def _show(results: "Results", report: Path, as_json: bool) -> None:
    from services.analysis.overview import overviews
    from services.analysis.sentences import other_problems
    from services.cli.tables import overview_parts
    from services.cli.terminal import notice, stdout
    from services.export import json_text
    from services.report import render_report

    parts, closing = overviews(results), other_problems(results)
    render_report(results, report)
    if as_json:
        problems = {problem: part.document() for problem, part in parts.items()}
        typer.echo(json_text({"problems": problems, "notes": closing, "report": str(report)}))
        return
    for part in overview_parts(parts, closing):
        stdout.print(part)
    notice(f"report: {report}")
