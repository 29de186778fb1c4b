"""``versus info`` and ``versus verify``: what an instance is, and what the referee says of a solution."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.options import Json, RoundingOption, Server


def register(app: typer.Typer) -> None:
    app.command()(info)
    app.command()(verify)


def info(
    file: Annotated[Path, typer.Argument(help="Instance file, or a folder of them.")],
    rounding: RoundingOption = None,
    as_json: Json = False,
) -> None:
    """Say what an instance is: features, size, rounding, best-known cost."""
    from dataclasses import asdict

    from instances.files import read_path
    from instances.problems import problem_of
    from services.cli.terminal import cost_text, notice, stdout
    from services.export import json_text

    described = []
    for entry in read_path(file, rounding):
        for note in entry.notes:
            notice(f"{entry.path}: {note}")
        described.append(problem_of(entry.instance).describe(entry.instance))
    if as_json:
        typer.echo(json_text([asdict(description) for description in described]))
        return
    for description in described:
        rows = {
            "problem": description.problem,
            description.size_unit: description.size,
            "features": ", ".join(description.features) or "none",
            **description.properties,
            "digest": description.digest,
        }
        known = description.best_known
        if known is None:
            rows["best-known cost"] = "none in the table"
        else:
            proof = "proven optimal" if known.proven_optimal else "not proven"
            rows["best-known cost"] = (
                f"{cost_text(known.cost, description.decimals)} ({proof}; {known.source}, {known.date})"
            )
        stdout.print(description.name or "unnamed", style="bold", markup=False, highlight=False)
        for label, value in rows.items():
            stdout.print(f"  {label:<18} {value}", highlight=False, markup=False)


def verify(
    file: Annotated[Path, typer.Argument(help="Instance file.")],
    solution: Annotated[Path, typer.Argument(help="Solution file: .sol, .tour, .factors or .json.")],
    rounding: RoundingOption = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Let the referee check a solution: its exact cost, or everything that is wrong with it.

    Exit code 1 if it is infeasible, if it leaves something to do, or if the cost it claims is not its cost.
    """
    from dataclasses import asdict
    from decimal import Decimal

    from instances.files import read_path
    from instances.problems import problem_of
    from services.cli.remote import verdict_on
    from services.cli.terminal import cost_text, counted_cost, fail, notice, stdout
    from services.export import json_text

    entries = read_path(file, rounding)
    if len(entries) != 1:
        fail(f"{file}: holds {len(entries)} instances; verify takes one")
    entry = entries[0]
    for note in entry.notes:
        notice(f"{entry.path}: {note}")
    problem = problem_of(entry.instance)
    decimals = problem.describe(entry.instance).decimals
    answer, claimed = problem.read_solution(entry.instance, solution)
    if server is None:
        verdict = problem.verify(entry.instance, answer)
    else:
        verdict = verdict_on(server, problem.dump(entry.instance), problem.dump_solution(answer))
    honest = verdict.feasible and claimed in (None, verdict.cost)

    def shown(cost: int | Decimal | None) -> str | None:
        if isinstance(cost, Decimal):
            return str(cost.scaleb(-decimals))
        return None if cost is None else cost_text(cost, decimals)

    if as_json:
        document = {
            "feasible": verdict.feasible,
            "complete": verdict.feasible and verdict.complete,
            "cost": shown(verdict.cost),
            "claimed_cost": shown(claimed),
            "violations": [asdict(violation) for violation in verdict.violations],
            "notes": list(verdict.notes),
        }
        typer.echo(json_text(document))
    elif verdict.cost is None:
        stdout.print("infeasible", style="bold red")
        for violation in verdict.violations:
            stdout.print(f"  {violation.message}", markup=False, highlight=False)
    else:
        if honest:
            state = "feasible," if verdict.complete else "feasible, but not complete:"
            agreed = "as claimed" if claimed is not None else "no cost claimed"
            text = f"{state} {counted_cost(verdict.cost, decimals, problem.cost_unit)} ({agreed})"
        else:
            text = f"feasible, but it costs {shown(verdict.cost)} and claims {shown(claimed)}"
        stdout.print(text, style=None if honest and verdict.complete else "bold red", highlight=False)
        for note in verdict.notes:
            stdout.print(f"  {note}", markup=False, highlight=False)
    raise typer.Exit(0 if honest and verdict.complete else 1)
