"""What a comparison says, in sentences that claim no more than its statistics."""

import math
from collections.abc import Sequence

from services.analysis.inference import MIN_INSTANCES
from services.analysis.metrics import GAP_CAP, display_cost, reference_costs
from services.analysis.summary import Interval, Pair, RankRow
from services.records import Results, Run, Status


def sentences(results: Results, ranking: Sequence[RankRow], paired: Sequence[Pair]) -> list[str]:
    """The leader, its pairs (with a reference solver all declared ones), then what limits them."""
    leader = ranking[0]
    if math.isnan(leader.gap.value):
        return ["Nothing can be concluded: no instance was run by every solver.", *_limits(results, ranking)]
    said = []
    if leader.num_answered:
        said.append(
            f"{leader.solver} has the lowest mean gap: {percent(leader.gap)} over "
            f"{count(leader.num_instances, 'instance')}, {leader.num_answered} of them answered."
        )
    else:
        said.append("No solver answered any instance.")
    told = [pair for pair in paired if results.comparison.reference or leader.solver in (pair.first, pair.second)]
    said += [verdict(pair) for pair in told]
    return [*said, *_limits(results, ranking)]


def verdict(pair: Pair) -> str:
    """One sentence on a pair: who beats whom and by how much, or why no difference can be claimed."""
    unclaimed = f"No difference can be claimed between {pair.first} and {pair.second}"
    if pair.difference is None or pair.corrected_p is None:
        return f"{unclaimed}: no instance was answered by both."
    numbers = f"mean over {count(pair.num_instances, 'instance')} both answered, {_p_value(pair.corrected_p)}"
    if pair.claimed:
        first_wins = pair.difference.value < 0
        winner, loser = (pair.first, pair.second) if first_wins else (pair.second, pair.first)
        size = _negated(pair.difference) if first_wins else pair.difference
        return f"{winner} beats {loser} by {percent(size)} ({numbers})."
    if math.isnan(pair.difference.low):
        why = "one instance gives no interval"
    elif pair.num_instances < MIN_INSTANCES:
        why = f"{pair.num_instances} instances both answered are too few, at least {MIN_INSTANCES} are needed"
    else:
        why = f"{percent(pair.difference)} ({numbers})"
    return f"{unclaimed}: {why}."


def percent(interval: Interval) -> str:
    """``1.3 % [1.1, 1.5]``, with two significant digits of the half-width."""
    half_width = (interval.high - interval.low) / 2
    if not half_width > 0:
        half_width = max(abs(interval.value) / 10, 0.1)
    digits = min(6, max(1, 1 - math.floor(math.log10(half_width))))
    value, low, high = (
        f"{round(bound, digits) + 0.0:.{digits}f}" for bound in (interval.value, interval.low, interval.high)
    )
    return f"{value} %" if math.isnan(interval.low) else f"{value} % [{low}, {high}]"


def count(number: int, noun: str) -> str:
    """``1 instance``, ``2 instances``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _limits(results: Results, ranking: Sequence[RankRow]) -> list[str]:
    """What a reader must know beside: gaps to what, unanswered, disturbed, missing, new best costs."""
    said = []
    kinds = [kind for cost, kind in reference_costs(results).values() if cost is not None]
    to_known = kinds.count("best-known")
    if kinds:
        parts = [("best-known cost", to_known), ("best cost of this comparison", len(kinds) - to_known)]
        said.append(
            "Gaps are to the "
            + " and the ".join(f"{what} on {count(num, 'instance')}" for what, num in parts if num)
            + "."
        )
    said += [
        f"{row.solver} left {missed} of {count(row.num_instances, 'instance')} unanswered; "
        f"each counts at a gap of {GAP_CAP:g} %."
        for row in ranking
        if (missed := row.num_instances - row.num_answered)
    ]
    said += [
        f"{row.num_disturbed} of {count(row.num_runs, 'run')} of {row.solver} were disturbed by other load."
        for row in ranking
        if row.num_disturbed
    ]
    expected = len(results.instances) * len(results.comparison.solvers) * results.comparison.num_seeds
    done = sum(run.status is not Status.CANCELLED for run in results.runs)
    if done < expected:
        said.append(f"The comparison is incomplete: {done} of {expected} runs were made.")
    return said + _new_best(results)


def _new_best(results: Results) -> list[str]:
    """A sentence for each instance whose best-known cost was beaten."""
    beaten: dict[str, Run] = {}
    for run in results.runs:
        best = beaten.get(run.instance)
        bound = best.cost if best is not None else _known_cost(results, run.instance)
        if run.cost is not None and bound is not None and run.cost < bound:
            beaten[run.instance] = run
    said = []
    for digest, run in beaten.items():
        instance = results.instances[digest]
        cost, known = (
            f"{display_cost(value, instance):.{instance.decimals}f}"
            for value in (run.cost, _known_cost(results, digest))
        )
        said.append(
            f"{run.solver} found a better solution than the best-known one of {instance.name}: {cost} against {known}."
        )
    return said


def _known_cost(results: Results, digest: str) -> int | None:
    known = results.instances[digest].best_known
    return known.cost if known is not None else None


def _negated(interval: Interval) -> Interval:
    return Interval(-interval.value, -interval.high, -interval.low)


def _p_value(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"
