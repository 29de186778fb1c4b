"""Which runs may be averaged together."""

from instances.errors import InvalidInput
from services.records import Results, Run, Status


def check_comparable(*results: Results) -> None:
    """Refuse to average runs that were not made under the same rules.

    Raises
    ------
    InvalidInput
        If comparisons differ in budget, threads, memory or batch; if an instance has two best-known costs or
        comes under two rounding rules; if one label means two specs; if the reference is no solver of its
        comparison; or if a run is there twice, or is of an instance or a solver that its comparison does not
        have.
    """
    seen: dict[tuple[str, str], object] = {}

    def same(what: str, of: str, value: object, where: str) -> None:
        other = seen.setdefault((what, of), value)
        if other != value:
            message = f"{what} is {value}, elsewhere {other}; runs that differ in it are not averaged together"
            raise InvalidInput(message, where)

    for result in results:
        comparison = result.comparison
        where = f"comparison {comparison.name!r}"
        for name in ("budget", "threads", "memory", "batch"):
            same(name, "", getattr(comparison, name), where)
        for label, spec in comparison.solvers.items():
            same("spec", label, spec, f"{where}, solver {label!r}")
        for digest, instance in result.instances.items():
            place = f"{where}, instance {instance.name!r}"
            same("rounding", f"{instance.name}/{instance.size}", instance.properties.get("rounding"), place)
            known = instance.best_known
            same("best-known cost", digest, known and f"{known.cost} ({known.source}, {known.date})", place)
        _check_runs(result, where)


def check_one_problem(results: Results) -> None:
    """Refuse to average over problems: a gap in routing and one in factoring share nothing but their name.

    Raises
    ------
    InvalidInput
        If instances are of several problems, or a solver is of another one than they are.
    """
    comparison = results.comparison
    problems = dict.fromkeys(instance.problem for instance in results.instances.values())
    if problems:
        problems |= dict.fromkeys(
            comparison.problems[label] for label in comparison.solvers.keys() & comparison.problems
        )
    if len(problems) > 1:
        message = f"holds {' and '.join(problems)}, which are not averaged together; Results.by_problem() parts them"
        raise InvalidInput(message, f"comparison {comparison.name!r}")


def declined_by_nature(results: Results, run: Run) -> bool:
    """Whether a run was declined because its solver solves another problem: no failure, and nothing to compare."""
    own = results.comparison.problems.get(run.solver)
    return run.status is Status.DECLINED and own not in (None, results.instances[run.instance].problem)


def _check_runs(results: Results, where: str) -> None:
    solvers = results.comparison.solvers
    if results.comparison.reference not in (None, *solvers):
        accepted = ", ".join(solvers)
        raise InvalidInput(f"reference {results.comparison.reference!r} is not among the solvers: {accepted}", where)
    seen = set()
    for run in results.runs:
        cell = (run.solver, run.instance, run.repetition)
        if run.solver not in solvers or run.instance not in results.instances:
            raise InvalidInput(f"run {cell} is of a solver or an instance that the comparison does not have", where)
        if cell in seen:
            raise InvalidInput(f"run {cell} is there twice; one run a solver, instance and repetition", where)
        seen.add(cell)
