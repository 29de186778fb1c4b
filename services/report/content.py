"""What the report's tables say: plain values made from the results in one pass each."""

import itertools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from instances.problem import Description
from instances.problems import problem_named
from services.analysis.comparable import declined_by_nature
from services.analysis.grid import Array, Grid
from services.analysis.metrics import GAP_CAP, percent_gap, reference_costs, solved_or_not
from services.analysis.solved import seconds_to_solve
from services.analysis.wording import cost_words, number, seconds_words
from services.figures.gaps import family
from services.figures.maps import DRAWINGS
from services.records import Results, Run, Status

MAX_MAPS = 12
MAX_MAP_LOCATIONS = 3_000
MAX_FAILURES = 40
MAX_SENTENCES = 15
LOG_TAIL_LINES = 25
LOG_TAIL_CHARACTERS = 3_000

Medians = Mapping[str, Mapping[str, float]]
"""Medians over seeds by solver and digest: inf where unanswered, nan where not run."""


@dataclass(frozen=True)
class Cell:
    """What a solver did on an instance: its percent gap or, with ``value`` nan, how its runs ended.

    Where costs only say solved or not, the seconds to the answer stand for the gap.
    """

    words: str
    value: float
    detail: str
    best: bool = False


@dataclass(frozen=True)
class InstanceRow:
    """An instance with a cell per solver, costs in display units."""

    description: Description
    reference: str
    reference_kind: str
    found: str
    improvement: str
    """Words where a cost below the best-known one was found, else empty."""
    suspicious: bool
    """Whether that best-known one was published as proven optimal."""
    answer: str
    """The best solution in words, where it is not drawn."""
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Ending:
    """How a solver's runs ended, and what was noted on the way."""

    solver: str
    num_runs: int
    statuses: Mapping[Status, int]
    num_rejected: int
    num_late: int
    num_disturbed: int
    setup_seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Failure:
    """Runs of one solver that ended alike without counting as answers or before their time."""

    solver: str
    status: Status
    reason: str
    num_runs: int
    instances: tuple[str, ...]
    log: str


def median_costs(results: Results) -> Medians:
    """Median costs in integer units: what rankings and pairs go by."""
    grid = Grid.of(results)
    return _by_names(grid, grid.costs())


def _by_names(grid: Grid, medians: Array) -> Medians:
    rows = zip(grid.labels, medians.tolist(), strict=True)
    return {label: dict(zip(grid.digests, row, strict=True)) for label, row in rows}


def instance_rows(results: Results, medians: Medians) -> list[InstanceRow]:
    """A row per instance of one problem in the order of the comparison."""
    references = reference_costs(results)
    grid = Grid.of(results)
    seconds = _by_names(grid, seconds_to_solve(grid)) if solved_or_not(results) else None
    answers = _answers(results)
    runs_of: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in results.runs:
        if run.status is not Status.CANCELLED:
            runs_of[run.instance, run.solver].append(run)
    rows = []
    for digest, description in results.instances.items():
        reference, kind = references[digest]
        compared = (of_solver[digest] for of_solver in (seconds or medians).values())
        lowest = min(filter(math.isfinite, compared), default=None)
        costs = [
            run.cost for label in medians for run in runs_of[digest, label] if run.answered and run.cost is not None
        ]
        known = description.best_known
        better = known is not None and min(costs, default=known.cost) < known.cost
        proven = known is not None and known.proven_optimal
        rows.append(
            InstanceRow(
                description=description,
                reference="none" if reference is None else cost_words(reference, description),
                reference_kind=kind,
                found=cost_words(min(costs), description) if costs else "none",
                improvement=("below a proven optimum" if proven else "better than the best-known") if better else "",
                suspicious=better and proven,
                answer=answers.get(digest, ""),
                cells=tuple(
                    _solved_cell(runs_of[digest, label], seconds[label][digest], lowest)
                    if seconds is not None
                    else _cell(runs_of[digest, label], median[digest], reference, lowest, description)
                    for label, median in medians.items()
                ),
            )
        )
    return rows


def percent_gaps(results: Results, medians: Medians) -> dict[str, dict[str, float]]:
    """Finite percent gaps of the medians, by solver label and digest; what is not answered is left out."""
    references = reference_costs(results)
    gaps: dict[str, dict[str, float]] = {label: {} for label in medians}
    for label, median in medians.items():
        for digest, cost in median.items():
            reference = references[digest][0]
            if reference is not None and math.isfinite(cost):
                gaps[label][digest] = percent_gap(cost, reference)
    return {label: {d: gap for d, gap in of.items() if math.isfinite(gap)} for label, of in gaps.items()}


def solved_percents(medians: Medians) -> dict[str, dict[str, float]]:
    """100 where an instance was solved and 0 where not, by solver label and digest; what was not run is left out."""
    return {
        label: {digest: GAP_CAP * math.isfinite(cost) for digest, cost in of.items() if not math.isnan(cost)}
        for label, of in medians.items()
    }


def endings(results: Results) -> list[Ending]:
    """How the runs of each solver on its own problem ended, in the order of the comparison."""
    runs_of: dict[str, list[Run]] = {label: [] for label in results.comparison.solvers}
    for run in results.runs:
        if not declined_by_nature(results, run):
            runs_of[run.solver].append(run)
    return [
        Ending(
            solver=label,
            num_runs=len(runs),
            statuses=Counter(run.status for run in runs),
            num_rejected=sum(run.num_rejected for run in runs),
            num_late=sum(run.num_late for run in runs),
            num_disturbed=sum(run.disturbed for run in runs),
            setup_seconds=float(np.median([run.setup_seconds for run in runs])) if runs else 0.0,
            peak_bytes=max((run.peak_bytes for run in runs), default=0),
        )
        for label, runs in runs_of.items()
    ]


def failures(results: Results) -> list[Failure]:
    """What went wrong, commonest first: runs alike in solver, status and reason together."""
    alike: dict[tuple[str, Status, str], list[Run]] = defaultdict(list)
    for run in results.runs:
        if declined_by_nature(results, run) or (run.status is Status.KILLED and run.answered):
            continue
        if run.status is not Status.FINISHED or not run.answered:
            reason = run.reason or ("a part of the answer was left open" if run.partial else "")
            alike[run.solver, run.status, reason].append(run)
    return [
        Failure(
            solver=solver,
            status=status,
            reason=clean(reason),
            num_runs=len(runs),
            instances=tuple(dict.fromkeys(results.instances[run.instance].name for run in runs)),
            log=log_tail(next((run.log for run in runs if run.log.strip()), "")),
        )
        for (solver, status, reason), runs in sorted(alike.items(), key=lambda item: -len(item[1]))
    ]


def reference_sources(results: Results) -> list[tuple[str, int]]:
    """What gaps are to, each with its number of instances, commonest first; all instances are counted."""
    counts: Counter[str] = Counter()
    for digest, (cost, _) in reference_costs(results).items():
        known = results.instances[digest].best_known
        if cost is None:
            counts["no cost to compare with: nobody answered"] += 1
        elif known is None:
            counts["the best cost found in this comparison (no best-known value)"] += 1
        else:
            proof = "proven optimal" if known.proven_optimal else "not proven optimal"
            counts[f"the best-known cost, {known.source}, {known.date} ({proof})"] += 1
    return counts.most_common()


def versions(results: Results) -> dict[str, str]:
    """The versions each solver ran with; several where they changed within the comparison."""
    found: dict[str, dict[str, None]] = {label: {} for label in results.comparison.solvers}
    for run in results.runs:
        found[run.solver][", ".join(f"{name} {version}" for name, version in run.versions.items())] = None
    return {label: "; ".join(filter(None, words)) or "not recorded" for label, words in found.items()}


def chosen_for_maps(results: Results) -> list[Run]:
    """The best runs of at most twelve instances, spread over families and sizes, smallest first.

    Only instances that can be drawn, whose document and whose best solution are at hand, of at most 3,000
    customers.
    """
    best = {digest: run for digest, run in _best_runs(results).items() if results.instances[digest].problem in DRAWINGS}
    # Their keys alone: looking a key up reads what it stands for.
    documents, solutions = set(results.documents), set(results.solutions)
    by_family: dict[str, list[Description]] = defaultdict(list)
    for digest, run in best.items():
        known = digest in documents and run.key in solutions
        if known and results.instances[digest].size <= MAX_MAP_LOCATIONS:
            by_family[family(results.instances[digest])].append(results.instances[digest])
    # Round after round, one of each family.
    rounds = itertools.zip_longest(*(_spread(members) for _, members in sorted(by_family.items())))
    chosen = [description for taken in rounds for description in taken if description is not None][:MAX_MAPS]
    chosen.sort(key=lambda description: (description.size, description.name))
    return [best[description.digest] for description in chosen]


def clean(words: str) -> str:
    """Text of a solver without terminal escapes and control characters."""
    words = re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", words)
    return re.sub(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", " ", words)


def log_tail(log: str) -> str:
    """The last lines of a log."""
    return "\n".join(clean(log.replace("\r", "\n")).strip()[-LOG_TAIL_CHARACTERS:].split("\n")[-LOG_TAIL_LINES:])


def _best_runs(results: Results) -> dict[str, Run]:
    """By digest, the answered run of the lowest cost, the earlier one of equals."""
    best: dict[str, Run] = {}
    for run in results.runs:
        if run.answered and (run.instance not in best or _merit(run) < _merit(best[run.instance])):
            best[run.instance] = run
    return best


def _answers(results: Results) -> dict[str, str]:
    """The best solutions in words, by digest, of the problems whose solutions are not drawn."""
    found = {}
    for digest, run in _best_runs(results).items():
        if (name := results.instances[digest].problem) not in DRAWINGS:
            document = results.solutions.get(run.key)
            if document is not None:
                problem = problem_named(name)
                found[digest] = problem.solution_words(problem.load_solution(document))
    return found


def _cell(
    runs: Sequence[Run], median: float, reference: int | None, lowest: float | None, description: Description
) -> Cell:
    if not runs:
        return Cell("not run", math.nan, "")
    if reference is None or not math.isfinite(median):
        return _unanswered_cell(runs)
    gap = percent_gap(median, reference)
    detail = f"median cost {cost_words(median, description)}, {_seeds_words(runs)}"
    return Cell(number(gap), gap, detail, median == lowest)


def _solved_cell(runs: Sequence[Run], seconds: float, lowest: float | None) -> Cell:
    if not runs:
        return Cell("not run", math.nan, "")
    if not math.isfinite(seconds):
        return _unanswered_cell(runs)
    detail = f"solved, median time in seconds, {_seeds_words(runs)}"
    return Cell(seconds_words(seconds), seconds, detail, seconds == lowest)


def _unanswered_cell(runs: Sequence[Run]) -> Cell:
    unanswered = [run for run in runs if not run.answered]
    words = Counter("partial" if run.partial else str(run.status) for run in unanswered).most_common(1)[0][0]
    reason = next((run.reason for run in unanswered if run.reason), "")
    return Cell(words, math.nan, f"{_seeds_words(runs)}. {clean(reason)[:200]}")


def _seeds_words(runs: Sequence[Run]) -> str:
    num_disturbed = sum(run.disturbed for run in runs)
    words = f"{sum(run.answered for run in runs)} of {len(runs)} runs answered"
    return words + (f", {num_disturbed} disturbed" if num_disturbed else "")


def _merit(run: Run) -> tuple[int, float]:
    last = run.trace[-1]
    return last.cost, last.seconds


def _spread(members: list[Description]) -> list[Description]:
    """Largest, smallest, then ever finer between: any first few of them span the sizes."""
    ordered = sorted(members, key=lambda description: (-description.size, description.name))
    places = [0, len(ordered) - 1]
    steps = [part * (len(ordered) - 1) // MAX_MAPS for part in (6, 3, 9, 1, 5, 7, 11, 2, 4, 8, 10)]
    return [ordered[place] for place in dict.fromkeys([*places, *steps])]
