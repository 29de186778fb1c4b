"""``versus solve``: one run, live."""

import json
from pathlib import Path
from typing import Annotated

import typer

from services.cli.options import Budget, Json, Memory, RoundingOption, Server, Threads


def register(app: typer.Typer) -> None:
    app.command()(solve)


def solve(
    file: Annotated[Path, typer.Argument(help="Instance file.")],
    solver: Annotated[str, typer.Option(help="Solver spec: NAME or NAME:field=value,field=value.")],
    server: Server = None,
    budget: Budget = "2s",
    seed: Annotated[
        int, typer.Option(help="Seed of the solver, 0 to 2^31 - 1; a server's run derives its own from it.")
    ] = 1,
    threads: Threads = 1,
    memory: Memory = "4G",
    rounding: RoundingOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the solution here: .sol, .tour, .factors or .json.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Run one solver on one instance, showing the current incumbent and its gap.

    Exit code 1 if it declines, finds no solution, or only one that leaves something to do.
    """
    from instances.errors import InvalidInput
    from instances.files import read_path
    from instances.problems import problem_of
    from instances.text import suffix
    from services.analysis.metrics import percent_gap
    from services.cli.remote import solve_on
    from services.cli.terminal import cost_text, counted_cost, fail, notice, stdout
    from services.export import json_text
    from services.quantities import parse_bytes, parse_seconds
    from services.records import Incumbent, Status
    from services.runner.machine import core_slots
    from services.runner.slot import Slot, Task, encode

    if not 0 <= seed < 2**31:
        raise InvalidInput(f"is {seed}; accepted are 0 to 2^31 - 1", "--seed")
    entries = read_path(file, rounding)
    if len(entries) != 1:
        fail(f"{file}: holds {len(entries)} instances; solve takes one, compare takes many")
    entry = entries[0]
    for note in entry.notes:
        notice(f"{entry.path}: {note}")
    problem = problem_of(entry.instance)
    description = problem.describe(entry.instance)
    known = description.best_known
    seconds = parse_seconds(budget)
    if out is not None and not out.parent.is_dir():
        raise InvalidInput("the folder does not exist", f"--out {out}")
    if out is not None and suffix(out) not in problem.solution_suffixes:
        raise InvalidInput(f"accepted are {', '.join(problem.solution_suffixes)}", f"--out {out}")

    def line(incumbent: Incumbent) -> str:
        cost = counted_cost(incumbent.cost, description.decimals, problem.cost_unit)
        text = f"{incumbent.seconds:9.3f} s  {cost}"
        if known is not None and known.cost > 0:
            text += f"  gap {percent_gap(incumbent.cost, known.cost):.2f} %"
        return text

    def show(incumbent: Incumbent) -> None:
        notice(line(incumbent))

    if server is None:
        task = Task("", encode(problem, entry.instance), description.digest, solver, solver, 0, seed, seconds)
        with Slot(core_slots(1, threads)[0], threads, parse_bytes(memory)) as slot:
            run = slot.run(task, on_incumbent=show)
    else:
        terms = {"solver": solver, "budget": f"{seconds!r}s", "seed": seed, "threads": threads, "memory": memory}
        run = solve_on(server, {"document": problem.dump(entry.instance), **terms}, show)
    if run.status is Status.UNAVAILABLE:
        fail(f"solver {solver!r} is unavailable: {run.reason}")
    best = run.trace[-1] if run.trace else None
    document = json.loads(best.solution) if best and best.solution else None
    solution = problem.load_solution(document) if best else None
    notes = problem.verify(entry.instance, solution).notes if best else ()
    if best is not None and out is not None:
        problem.write_solution(entry.instance, solution, best.cost, out)
    if as_json:
        result = {
            "instance": description.name,
            "solver": run.solver,
            "seed": run.seed,
            "status": run.status,
            "reason": run.reason,
            "cost": cost_text(best.cost, description.decimals) if best else None,
            "complete": run.answered,
            "notes": notes,
            "gap": percent_gap(best.cost, known.cost) if best and known else None,
            "seconds_to_best": best.seconds if best else None,
            "setup_seconds": run.setup_seconds,
            "solution": document,
        }
        typer.echo(json_text(result))
    else:
        reason = f" ({run.reason})" if run.reason else ""
        answer = f"{line(best).strip()}  {problem.solution_words(solution)}" if best else "no solution"
        stdout.print(f"{run.status}{reason}: {answer}", markup=False, highlight=False)
        for note in notes if run.answered else ():
            notice(f"  {note}")
    raise typer.Exit(0 if run.answered else 1)
