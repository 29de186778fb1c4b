"""What one run is worth: gaps, integrals over its trace, times, and the flat row that is exported."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from instances.problem import Description
from services.records import Comparison, Results, Run

GAP_CAP = 100.0
"""Percent at which gaps are capped in means, and what an unanswered instance counts."""

_DIMACS_START = 1.1  # Cost, in best-known costs, that a run is charged with until it has something better.

Array = npt.NDArray[np.float64]


def percent_gap(cost: float, reference: float) -> float:
    """100 (cost - reference) / reference; negative when better than the reference.

    To a reference of 0 (a factorisation) the gap is 0 when reached and infinite before.
    """
    if cost == reference:
        return 0.0
    return 100.0 * (cost - reference) / reference if reference > 0 else math.inf


def primal_gap(cost: float | None, reference: float | None) -> float:
    """|cost - reference| / max(|cost|, |reference|) in [0, 1]; 1 without a cost, 0 if better than it.

    References
    ----------
    Berthold, T. (2013). Measuring the impact of primal heuristics. Operations Research
    Letters 41(6), 611-614.
    """
    if cost is None or reference is None or (cost > reference and cost * reference < 0):
        return 1.0
    if cost <= reference:
        return 0.0
    return (cost - reference) / max(abs(cost), abs(reference))


def primal_integral(run: Run, reference: int | None, horizon: float) -> float:
    """Mean of the primal gap over [0, horizon] seconds of a run, in [0, 1]: 0 is perfect, 1 is no incumbent.

    References
    ----------
    Berthold, T. (2013). Measuring the impact of primal heuristics. Operations Research
    Letters 41(6), 611-614.
    """
    return _mean_over_time(run, [primal_gap(found.cost, reference) for found in run.trace], 1.0, horizon)


def dimacs_integral(run: Run, best_known: int, horizon: float) -> float:
    """Primal integral of the 12th DIMACS challenge, in percent: 0 is perfect, 10 is nothing useful found.

    The run is charged with 1.1 times the best-known cost until it has a better one. Below 0 where the
    best-known cost is beaten.

    References
    ----------
    12th DIMACS Implementation Challenge: Vehicle Routing (2022). CVRP competition rules.
    """
    charged = [min(_DIMACS_START, found.cost / best_known) for found in run.trace]
    return 100.0 * (_mean_over_time(run, charged, _DIMACS_START, horizon) - 1.0)


def costs_at(run: Run, seconds: Sequence[float] | Array) -> Array:
    """Cost of the incumbent at each time, read off the trace; inf before the first.

    For a time below the budget this is the answer within a run of the whole budget, not that of a shorter
    run.
    """
    arrivals = [found.seconds for found in run.trace]
    costs = np.array([math.inf, *(found.cost for found in run.trace)])
    return costs[np.searchsorted(arrivals, seconds, side="right")]


def seconds_to_best(run: Run) -> float | None:
    """Arrival of the last incumbent; None without an answer."""
    return run.trace[-1].seconds if run.answered else None


def solved_or_not(results: Results) -> bool:
    """Whether costs say no more than solved or not: every best-known cost is 0, as that of a factorisation."""
    known = [instance.best_known for instance in results.instances.values()]
    return bool(known) and all(best is not None and best.cost == 0 for best in known)


def reference_costs(results: Results) -> dict[str, tuple[int | None, str]]:
    """What gaps of each instance are to, and its kind: ``best-known``, else ``best of comparison``."""
    best: dict[str, int] = {}
    for run in results.runs:
        if run.cost is not None and run.answered:
            best[run.instance] = min(run.cost, best.get(run.instance, run.cost))
    return {
        digest: (known.best_known.cost, "best-known")
        if known.best_known is not None
        else (best.get(digest), "best of comparison")
        for digest, known in results.instances.items()
    }


def display_cost(cost: int | None, description: Description) -> float | None:
    """A cost in the units people see: the integer times 10^-decimals, correctly rounded."""
    return None if cost is None else cost / 10**description.decimals


def run_rows(results: Results) -> list[dict[str, Any]]:
    """One flat row a run, in the order of the runs; None where a value does not exist.

    ``cost`` and ``reference_cost`` are in display units, ``gap`` in percent (not capped), ``dimacs_integral``
    in percent and only where there is a positive best-known cost, times in seconds, ``peak_bytes`` in bytes.
    """
    references = reference_costs(results)
    return [
        _row(run, results.comparison, results.instances[run.instance], *references[run.instance])
        for run in results.runs
    ]


def _row(run: Run, comparison: Comparison, instance: Description, reference: int | None, kind: str) -> dict[str, Any]:
    known = instance.best_known
    gap = percent_gap(run.cost, reference) if run.cost is not None and reference is not None else math.inf
    return {
        "comparison": comparison.name,
        "instance": instance.name,
        "instance_digest": instance.digest,
        "problem": instance.problem,
        "size": instance.size,
        "solver": run.solver,
        "spec": run.spec,
        "repetition": run.repetition,
        "seed": run.seed,
        "status": str(run.status),
        "reason": run.reason,
        "answered": run.answered,
        "cost": display_cost(run.cost, instance),
        "reference_cost": display_cost(reference, instance),
        "reference_kind": kind,
        "gap": gap if math.isfinite(gap) else None,
        "seconds_to_best": seconds_to_best(run),
        "primal_integral": primal_integral(run, reference, comparison.budget),
        "dimacs_integral": (
            dimacs_integral(run, known.cost, comparison.budget) if known is not None and known.cost > 0 else None
        ),
        "num_reported": run.num_reported,
        "num_rejected": run.num_rejected,
        "num_late": run.num_late,
        "setup_seconds": run.setup_seconds,
        "wall_seconds": run.wall_seconds,
        "cpu_seconds": run.cpu_seconds,
        "peak_bytes": run.peak_bytes,
        "involuntary_switches": run.involuntary_switches,
        "disturbed": run.disturbed,
        "budget": comparison.budget,
        "threads": comparison.threads,
        "memory": comparison.memory,
        "batch": comparison.batch,
        "versions": ", ".join(f"{name} {version}" for name, version in run.versions.items()),
        "machine": run.machine,
        "finished_at": run.finished_at,
    }


def _mean_over_time(run: Run, values: Sequence[float], start: float, horizon: float) -> float:
    """Mean over [0, horizon] of the step function that is ``start`` and takes each value at its incumbent."""
    edges = np.array([0.0, *(found.seconds for found in run.trace), horizon]).clip(0.0, horizon)
    return float(np.diff(edges) @ np.array([start, *values]) / horizon)
