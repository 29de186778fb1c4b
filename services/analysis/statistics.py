"""What can and cannot be concluded from a comparison; docs/statistics.md is the protocol.

A solver's value on an instance is the median over its seeds, a run without an answer counting as infinitely
bad; an instance is answered where that median is finite. Means are over the instances that every solver was
run on. Every function takes the results of one problem, as :meth:`services.records.Results.by_problem` parts them,
and raises InvalidInput for several and for runs that :mod:`services.analysis.comparable` refuses.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from services.analysis.grid import Grid, Mask
from services.analysis.inference import (
    ALPHA,
    MIN_INSTANCES,
    holm,
    mean_intervals,
    rank_biserial,
    signed_rank_p,
    wilson_interval,
)
from services.analysis.metrics import costs_at, dimacs_integral, primal_integral, seconds_to_best, solved_or_not
from services.analysis.summary import GapCurve, Interval, Lead, Measure, Pair, Profile, RankRow
from services.records import Comparison, Results

TIME_SHIFT = 10.0
"""Seconds added inside shifted geometric means."""

_NUM_CURVE_RESAMPLES = 1999  # Of the bands of curves, which have many points and are looked at, not quoted.

Array = npt.NDArray[np.float64]


def rank(results: Results) -> list[RankRow]:
    """Solvers by mean capped gap, best first, over all instances; an unanswered one counts at the cap.

    Where costs only say solved or not, the mean gap is the share unsolved, and its interval is Wilson's.
    """
    grid = Grid.of(results)
    budget = results.comparison.budget
    counted = grid.complete()
    num_instances = int(counted.sum())
    costs = grid.costs()[:, counted]
    gaps = grid.capped_gaps(grid.costs())[:, counted]
    reached = costs <= np.array(grid.references, dtype=float)[counted]
    metrics = [gaps, _primal_integrals(grid, budget)[:, counted]]
    known = {digest: instance.best_known for digest, instance in results.instances.items()}
    positive = {digest: best.cost for digest, best in known.items() if best is not None and best.cost > 0}
    if len(positive) == len(known):
        integrals = [dimacs_integral(run, positive[run.instance], budget) for run in grid.runs]
        metrics.append(grid.medians(integrals)[:, counted])
    intervals = mean_intervals(np.concatenate(metrics).T)
    if solved_or_not(results) and num_instances:
        for place in np.flatnonzero(grid.ran()).tolist():
            share = wilson_interval(num_instances - int(reached[place].sum()), num_instances)
            intervals[place] = Interval(100 * share.value, 100 * share.low, 100 * share.high)
    rows = []
    for place, label in enumerate(grid.labels):
        of_solver = intervals[place :: len(grid.labels)]
        runs = [run for run in grid.runs if run.solver == label]
        arrivals = [seconds for run in runs if (seconds := seconds_to_best(run)) is not None]
        rows.append(
            RankRow(
                solver=label,
                num_instances=num_instances,
                num_answered=int(np.isfinite(costs[place]).sum()),
                num_reached=int(reached[place].sum()),
                num_runs=len(runs),
                num_disturbed=sum(run.disturbed for run in runs),
                gap=of_solver[0],
                median_gap=float(np.median(gaps[place])) if counted.any() else math.nan,
                primal_integral=of_solver[1],
                dimacs_integral=of_solver[2] if len(of_solver) > 2 else None,
                seconds_to_best=shifted_geometric_mean(arrivals),
            )
        )
    return sorted(rows, key=lambda row: (math.isnan(row.gap.value), row.gap.value, row.primal_integral.value))


def declared_pairs(comparison: Comparison) -> list[tuple[str, str]]:
    """The pairs a comparison declares: each solver with the reference, or without one all pairs."""
    if comparison.reference is not None:
        return [(label, comparison.reference) for label in comparison.solvers if label != comparison.reference]
    return list(itertools.combinations(comparison.solvers, 2))


def pairs(results: Results) -> list[Pair]:
    """The declared pairs, and which differences may be claimed.

    They are compared by cost, on the instances both answered. Where costs only say solved or not, so that two
    that solve an instance tie, they are compared by primal integral, which then is the time to solve in
    budgets, on all instances: an unsolved run counts as a whole budget.

    A difference is claimed where Holm's corrected p is below 0.05, the 95 % interval of the mean excludes 0,
    ranks and mean agree on its sign, and there are at least six instances.
    """
    grid = Grid.of(results)
    measure: Measure = "primal integral" if solved_or_not(results) else "cost"
    compared = grid.costs() if measure == "cost" else _primal_integrals(grid, results.comparison.budget)
    values = dict(zip(grid.labels, compared, strict=True))
    disturbed = dict(zip(grid.labels, grid.disturbed(), strict=True))
    declared = declared_pairs(results.comparison)
    references = np.array(grid.references, dtype=float)
    counted = [np.isfinite(values[first]) & np.isfinite(values[second]) for first, second in declared]
    differences = [
        relative_differences(values[first][both], values[second][both], references[both])
        if measure == "cost"
        else np.round(100.0 * (values[first][both] - values[second][both]), 9)
        for (first, second), both in zip(declared, counted, strict=True)
    ]
    p_values = [signed_rank_p(difference) for difference in differences]
    # The family was declared beforehand: a pair with nothing to test stays in it.
    corrected = holm(p_values)
    found = []
    for (first, second), both, difference, interval, p_value, corrected_p in zip(
        declared, counted, differences, _mean_intervals_of(differences), p_values, corrected, strict=True
    ):
        effect = rank_biserial(difference)
        tested = difference.size > 0
        found.append(
            Pair(
                first=first,
                second=second,
                num_instances=difference.size,
                difference=interval if tested else None,
                wins=int((difference < 0).sum()),
                ties=int((difference == 0).sum()),
                losses=int((difference > 0).sum()),
                p_value=p_value if tested else None,
                corrected_p=corrected_p if tested else None,
                effect=effect if tested else None,
                claimed=_claimed(difference, interval, effect, corrected_p),
                num_disturbed=int((disturbed[first] + disturbed[second])[both].sum()),
                measure=measure,
            )
        )
    return found


def _claimed(difference: Array, interval: Interval, effect: float, corrected_p: float) -> bool:
    """Whether a difference may be claimed: the one rule for the budget and for times before it."""
    agree = (interval.low > 0 and effect > 0) or (interval.high < 0 and effect < 0)
    return bool(difference.size >= MIN_INSTANCES and corrected_p < ALPHA and agree)


def _primal_integrals(grid: Grid, budget: float) -> Array:
    """Median primal integrals, shape (S, I); nan where not run."""
    integrals = [primal_integral(run, grid.reference(place), budget) for place, run in enumerate(grid.runs)]
    return grid.medians(integrals)


def relative_differences(first: Array, second: Array, reference: Array) -> Array:
    """100 (first - second) / reference, rounded to 1e-9 percent so that equal differences tie.

    Where the reference is 0 (factorisations) the larger of the two costs stands for it.
    """
    scale = np.where(reference > 0, reference, np.maximum(first, second))
    return np.round(100.0 * (first - second) / np.where(scale > 0, scale, 1.0), 9)


def _mean_intervals_of(samples: Sequence[Array]) -> list[Interval]:
    """The interval of each sample's mean; samples of one size share their resamples."""
    by_size = defaultdict(list)
    for place, sample in enumerate(samples):
        by_size[sample.size].append(place)
    intervals: dict[int, Interval] = {}
    for places in by_size.values():
        columns = np.stack([samples[place] for place in places], axis=1)
        intervals.update(zip(places, mean_intervals(columns), strict=True))
    return [intervals[place] for place in range(len(samples))]


def default_times(budget: float) -> Array:
    """61 times from a thousandth of the budget to the budget, evenly spaced in the logarithm."""
    times = np.geomspace(budget / 1000, budget, 61)
    times[-1] = budget
    return times


def gap_over_time(results: Results, times: Sequence[float] | Array | None = None) -> list[GapCurve]:
    """Each solver's mean capped gap at each time (default: :func:`default_times`), with 95 % bands."""
    seconds = default_times(results.comparison.budget) if times is None else np.asarray(times, dtype=float)
    grid, gaps = _gaps_at(results, seconds)
    num_solvers, num_instances = gaps.shape[:2]
    columns = gaps.transpose(1, 0, 2).reshape(num_instances, num_solvers * seconds.size)
    intervals = mean_intervals(columns, _NUM_CURVE_RESAMPLES)
    return [
        GapCurve(
            label,
            tuple(seconds.tolist()),
            tuple(intervals[place * seconds.size : (place + 1) * seconds.size]),
        )
        for place, label in enumerate(grid.labels)
    ]


def stops(budget: float) -> Array:
    """The ten times at which it is asked who leads: a thousandth of the budget, and on by 1, 2 and 5 to the budget."""
    return budget / np.array([1000.0, 500.0, 200.0, 100.0, 50.0, 20.0, 10.0, 5.0, 2.0, 1.0])


def leader_by_time(
    results: Results, times: Sequence[float] | Array | None = None, paired: Sequence[Pair] | None = None
) -> list[Lead]:
    """Who has the lowest mean capped gap when (default: at :func:`stops`); nobody where the lowest is shared.

    A lead lasts to the start of the next. It is ``clear`` where the leader is claimed to be better than every other
    solver that answered at all: at the budget by :func:`pairs`, of all solvers; before it by the same rule on the
    same instances, corrected for all pairs and times. ``paired`` is what :func:`pairs` found, if that is at hand.
    """
    budget = results.comparison.budget
    seconds = stops(budget) if times is None else np.asarray(times, dtype=float)
    grid, gaps = _gaps_at(results, seconds)
    ran = [place for place in range(len(grid.labels)) if not np.isnan(gaps[place]).any()]
    if not ran or not gaps.shape[1]:
        return []
    means = gaps[ran].mean(axis=1)  # shape: (S, T)
    leaders = [ran[place] for place in means.argmin(axis=0)]
    shared = (means == means.min(axis=0)).sum(axis=0) > 1
    answering = np.flatnonzero(_counted(results, grid).any(axis=1))
    rivals = [place for place in ran if place in answering]
    early = seconds[seconds < budget]
    asked = [(leaders[time], rival, time) for time in range(early.size) for rival in rivals if rival != leaders[time]]
    better = {question for question, sure in zip(asked, _claimed_at(results, grid, early, asked), strict=True) if sure}
    for winner, loser in _winners(results, paired) if early.size < seconds.size else ():
        places = grid.labels.index(winner), grid.labels.index(loser)
        better |= {(*places, time) for time in range(early.size, seconds.size)}
    states: list[tuple[str | None, bool]] = []
    for time, (leader, tie) in enumerate(zip(leaders, shared, strict=True)):
        others = [rival for rival in rivals if rival != leader]
        clear = bool(others) and all((leader, rival, time) in better for rival in others)
        states.append((None, False) if tie else (grid.labels[leader], clear))
    leads = []
    start = 0
    for state, group in itertools.groupby(states):
        end = start + len(list(group))
        leads.append(Lead(float(seconds[start]), float(seconds[min(end, seconds.size - 1)]), *state))
        start = end
    return leads


def reversals(results: Results, claimed: Sequence[Pair]) -> dict[tuple[str, str], float]:
    """The last of the earlier :func:`stops` at which the opposite of a claimed pair is claimed, in seconds.

    By first and second solver; pairs without such a time are left out. Judged and corrected as in
    :func:`leader_by_time`.
    """
    grid, early = Grid.of(results), stops(results.comparison.budget)[:-1]
    places = {label: place for place, label in enumerate(grid.labels)}
    asked, names = [], []
    for pair in claimed:
        winner, loser = _in_order(pair)
        for time in range(early.size):
            asked.append((places[loser], places[winner], time))
            names.append((pair.first, pair.second))
    found = {}
    for name, (*_, time), is_claimed in zip(names, asked, _claimed_at(results, grid, early, asked), strict=True):
        if is_claimed:
            found[name] = float(early[time])
    return found


def _claimed_at(results: Results, grid: Grid, early: Array, asked: Sequence[tuple[int, int, int]]) -> list[bool]:
    """Whether the first solver is claimed to be better than the second at a time before the budget, all by place.

    As in :func:`pairs`, on the instances that count there, by what the runs had by then: the capped gap, which is
    100 % before an answer, or the primal integral up to then. Bonferroni's correction is for all pairs of solvers at
    all the times, whichever of them are asked about.
    """
    if not asked:
        return []
    counted = _counted(results, grid)
    if solved_or_not(results):
        arrivals = [seconds_to_best(run) for run in grid.runs]
        waited = np.array([math.inf if seconds is None else seconds for seconds in arrivals])
        values = 100.0 * grid.medians(np.minimum(waited[:, None], early) / early)
    else:
        rows = np.array([costs_at(run, early) for run in grid.runs]).reshape(-1, early.size)
        values = grid.capped_gaps(grid.medians(rows))
    num_tests = math.comb(len(grid.labels), 2) * early.size
    found = [False] * len(asked)
    likely: dict[int, tuple[Array, float]] = {}
    for place, (first, second, time) in enumerate(asked):
        both = counted[first] & counted[second]
        difference = np.round(values[first, both, time] - values[second, both, time], 9)
        if difference.sum() < 0 and (corrected_p := num_tests * signed_rank_p(difference)) < ALPHA:
            likely[place] = difference, corrected_p
    intervals = _mean_intervals_of([difference for difference, _ in likely.values()])
    for (place, (difference, corrected_p)), interval in zip(likely.items(), intervals, strict=True):
        found[place] = _claimed(difference, interval, rank_biserial(difference), corrected_p)
    return found


def _counted(results: Results, grid: Grid) -> Mask:
    """Which instances of a solver count in pairs, shape (S, I): the answered ones, or where solved or not all run."""
    return ~np.isnan(grid.costs()) if solved_or_not(results) else np.isfinite(grid.costs())


def _winners(results: Results, paired: Sequence[Pair] | None) -> set[tuple[str, str]]:
    """(better, worse) of the claimed pairs of all solvers, whether there is a reference solver or not."""
    every = paired if results.comparison.reference is None else None
    if every is None:
        every = pairs(replace(results, comparison=replace(results.comparison, reference=None)))
    return {_in_order(pair) for pair in every if pair.claimed}


def _in_order(pair: Pair) -> tuple[str, str]:
    """The better and the worse solver of a pair with a difference."""
    assert pair.difference is not None
    return (pair.first, pair.second) if pair.difference.value < 0 else (pair.second, pair.first)


def _gaps_at(results: Results, seconds: Array) -> tuple[Grid, Array]:
    """Capped gaps of the median costs at each time, shape (S, complete instances, times)."""
    grid = Grid.of(results)
    rows = np.array([costs_at(run, seconds) for run in grid.runs]).reshape(-1, seconds.size)
    costs = grid.medians(rows)
    return grid, grid.capped_gaps(costs)[:, grid.complete()]


def performance_profile(results: Results) -> list[Profile]:
    """Share of instances that each solver brings within a ratio of the best cost of the comparison.

    References
    ----------
    Dolan, E. D. and More, J. J. (2002). Benchmarking optimization software with performance profiles.
    Mathematical Programming 91(2), 201-213.
    """
    grid = Grid.of(results)
    costs = grid.costs()[:, grid.complete()]
    costs[np.isnan(costs)] = math.inf
    num_instances = costs.shape[1]
    best = costs.min(axis=0)
    positive = (best > 0) & np.isfinite(best)
    ratios = np.where(costs == best, 1.0, math.inf)
    np.divide(costs, best, out=ratios, where=positive)
    ratios[~np.isfinite(costs)] = math.inf
    profiles = []
    for label, row in zip(grid.labels, ratios, strict=True):
        steps = np.unique([1.0, *row[np.isfinite(row)]])
        fractions = np.searchsorted(np.sort(row), steps, side="right") / max(1, num_instances)
        num_answered = int(np.isfinite(row).sum())
        profiles.append(Profile(label, num_instances, num_answered, tuple(steps.tolist()), tuple(fractions.tolist())))
    return profiles


def shifted_geometric_mean(seconds: Sequence[float] | Array, shift: float = TIME_SHIFT) -> float:
    """exp(mean(log(seconds + shift))) - shift; nan of nothing."""
    values = np.asarray(seconds, dtype=float)
    return float(np.exp(np.log(values + shift).mean()) - shift) if values.size else math.nan
