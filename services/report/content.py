"""What the report's tables say: plain values made from the results in one pass each."""

import itertools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from instances.problem import Description
from services.analysis.grid import Grid
from services.analysis.metrics import percent_gap, reference_costs
from services.figures.gaps import family
from services.records import Results, Run, Status
from services.wording import cost_words, number

MAX_MAPS = 12
MAX_MAP_LOCATIONS = 3_000
MAX_FAILURES = 40
MAX_SENTENCES = 15
LOG_TAIL_LINES = 25
LOG_TAIL_CHARACTERS = 3_000

Medians = Mapping[str, Mapping[str, float]]
"""Median cost over seeds in integer units, by solver and digest: inf where unanswered, nan where not run."""


@dataclass(frozen=True)
class Cell:
    """What a solver did on an instance: its percent gap or, with ``value`` nan, how its runs ended."""

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
    """What rankings and pairs go by, as nested mappings."""
    grid = Grid.of(results)
    rows = grid.costs().tolist()
    return {label: dict(zip(grid.digests, row, strict=True)) for label, row in zip(grid.labels, rows, strict=True)}


def instance_rows(results: Results, medians: Medians) -> list[InstanceRow]:
    """A row per instance in the order of the comparison."""
    references = reference_costs(results)
    runs_of: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in results.runs:
        if run.status is not Status.CANCELLED:
            runs_of[run.instance, run.solver].append(run)
    rows = []
    for digest, description in results.instances.items():
        reference, kind = references[digest]
        lowest = min((median[digest] for median in medians.values() if math.isfinite(median[digest])), default=None)
        costs = [run.cost for label in medians for run in runs_of[digest, label] if run.cost is not None]
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
                cells=tuple(
                    _cell(runs_of[digest, label], median[digest], reference, lowest, description)
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


def endings(results: Results) -> list[Ending]:
    """How the runs of each solver ended, in the order of the comparison."""
    runs_of: dict[str, list[Run]] = {label: [] for label in results.comparison.solvers}
    for run in results.runs:
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
        if run.status is Status.KILLED and run.trace:
            continue
        if run.status is not Status.FINISHED or not run.trace:
            alike[run.solver, run.status, run.reason].append(run)
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
    """What gaps are to, each with its number of instances, commonest first."""
    counts: Counter[str] = Counter()
    for description in results.instances.values():
        known = description.best_known
        if known is None:
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

    Only instances whose document and whose best solution are at hand, of at most 3,000 customers.
    """
    best: dict[str, Run] = {}
    for run in results.runs:
        if run.cost is not None and (run.instance not in best or _merit(run) < _merit(best[run.instance])):
            best[run.instance] = run
    # Their keys alone: looking a key up reads what it stands for.
    documents, solutions = set(results.documents), set(results.solutions)
    by_family: dict[str, list[Description]] = defaultdict(list)
    for digest, run in best.items():
        known = digest in documents and (run.key in solutions or run.trace[-1].solution is not None)
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


def _cell(
    runs: Sequence[Run], median: float, reference: int | None, lowest: float | None, description: Description
) -> Cell:
    if not runs:
        return Cell("not run", math.nan, "")
    unanswered = [run for run in runs if run.cost is None]
    num_disturbed = sum(run.disturbed for run in runs)
    seeds = f"{len(runs) - len(unanswered)} of {len(runs)} runs answered"
    seeds += f", {num_disturbed} disturbed" if num_disturbed else ""
    if reference is None or not math.isfinite(median):
        status = Counter(run.status for run in unanswered).most_common(1)[0][0]
        reason = next((run.reason for run in unanswered if run.reason), "")
        return Cell(str(status), math.nan, f"{seeds}. {clean(reason)[:200]}")
    gap = percent_gap(median, reference)
    return Cell(number(gap), gap, f"median cost {cost_words(median, description)}, {seeds}", median == lowest)


def _merit(run: Run) -> tuple[int, float]:
    last = run.trace[-1]
    return last.cost, last.seconds


def _spread(members: list[Description]) -> list[Description]:
    """Largest, smallest, then ever finer between: any first few of them span the sizes."""
    ordered = sorted(members, key=lambda description: (-description.size, description.name))
    places = [0, len(ordered) - 1]
    steps = [part * (len(ordered) - 1) // MAX_MAPS for part in (6, 3, 9, 1, 5, 7, 11, 2, 4, 8, 10)]
    return [ordered[place] for place in dict.fromkeys([*places, *steps])]
