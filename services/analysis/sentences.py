"""What a comparison says, in sentences that claim no more than its statistics."""

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence

from services.analysis.comparable import declined_by_nature
from services.analysis.inference import ALPHA, MIN_INSTANCES
from services.analysis.metrics import GAP_CAP, reference_costs, solved_or_not
from services.analysis.statistics import reversals
from services.analysis.summary import Interval, Lead, Pair, RankRow
from services.analysis.wording import cost_words, number, seconds_words
from services.records import Results, Run, Status


def sentences(results: Results, ranking: Sequence[RankRow], paired: Sequence[Pair]) -> list[str]:
    """Of one problem: the leader, its pairs (with a reference solver all declared ones), then what limits them."""
    if not ranking:
        problem = next(iter(results.instances.values())).problem
        return [
            f"No solver of this comparison solves {problem}: nothing is said of its "
            f"{count(len(results.instances), 'instance')}."
        ]
    leader = ranking[0]
    if math.isnan(leader.gap.value):
        return ["Nothing can be concluded: no instance was run by every solver.", *_limits(results, ranking)]
    if not leader.num_answered:
        said = ["No solver answered any instance."]
    elif solved_or_not(results):
        said = _most_solved(ranking)
    else:
        said = [
            f"{leader.solver} has the lowest mean gap: {percent(leader.gap)} over "
            f"{count(leader.num_instances, 'instance')}, {leader.num_answered} of them answered."
        ]
    told = [pair for pair in paired if results.comparison.reference or leader.solver in (pair.first, pair.second)]
    turned = reversals(results, [pair for pair in told if pair.claimed])
    budget = results.comparison.budget
    said += [verdict(pair, budget, turned.get((pair.first, pair.second))) for pair in told]
    return [*said, *_limits(results, ranking)]


def verdict(pair: Pair, budget: float, reversed_at: float | None = None) -> str:
    """One sentence on a pair: who beats whom and by how much, or why no difference can be claimed.

    ``reversed_at`` is a time before the budget at which the opposite is claimed.
    """
    unclaimed = f"No difference can be claimed between {pair.first} and {pair.second}"
    by_cost = pair.measure == "cost"
    if pair.difference is None or pair.corrected_p is None:
        return f"{unclaimed}: no instance was {'answered' if by_cost else 'run'} by both."
    instances = count(pair.num_instances, "instance") + " both answered" * by_cost
    first_wins = pair.difference.value < 0
    better, worse = (pair.first, pair.second) if first_wins else (pair.second, pair.first)
    difference = _negated(pair.difference) if first_wins else pair.difference
    size = percent(difference) + " of the budget" * (not by_cost)
    measure = "" if by_cost else " in primal integral"
    basis = f"at {seconds_words(budget)} s on {instances} (mean difference, corrected {_p_value(pair.corrected_p)})"
    if pair.claimed:
        turn = f"; stopped earlier, at {seconds_words(reversed_at)} s, the order is reversed" if reversed_at else ""
        return f"{better} beats {worse} by {size}{measure} {basis}{turn}."
    if math.isnan(pair.difference.low):
        return f"{unclaimed}: one instance gives no interval."
    if pair.num_instances < MIN_INSTANCES:
        return f"{unclaimed}: {instances} are too few, at least {MIN_INSTANCES} are needed."
    if pair.difference.value == 0:
        return f"{unclaimed}: they differ by {size}{measure} {basis}."
    # By the ranks alone a difference may be sure that the mean has with the other sign.
    sure = pair.corrected_p < ALPHA and difference.low > 0
    why = "while by ranks it is the better one" if sure else "which may be chance"
    return f"{unclaimed}: {worse} is {size} worse than {better}{measure} {basis}, {why}."


def who_leads_when(leads: Sequence[Lead], budget: float) -> str:
    """One sentence on who leads clearly at which time within the runs, and whether the order turns."""
    clear = [lead for lead in leads if lead.clear and lead.solver is not None]
    within = f"Stopped earlier within the runs of {seconds_words(budget)} s"
    rule = (
        "claimed as in the pairs, corrected for all pairs and for the times looked at; "
        "before its answer a solver counts at 100 %"
    )
    # A lead that is clear at the budget alone is told by the pairs.
    if all(lead.start >= budget for lead in clear):
        return f"{within}, nobody leads clearly ({rule})."
    # Of one solver's spans the first to the last, where nobody else leads clearly between.
    spans = [list(group) for _, group in itertools.groupby(clear, key=lambda lead: lead.solver)]
    if len(spans) == 1:
        only = spans[0][0]
        first = seconds_words(only.start)
        return f"{within}, {only.solver} is the only one to lead clearly, first at {first} s ({rule})."
    told = [f"{span[0].solver} {_span_words(span[0].start, span[-1].end)}" for span in spans]
    return f"{within}, the order turns: {listed(told)} lead clearly ({rule})."


def other_problems(results: Results) -> list[str]:
    """Who declined which instances because they are of another problem than its own, in a sentence for each."""
    declined: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for run in results.runs:
        own = results.comparison.problems.get(run.solver)
        other = results.instances[run.instance].problem
        if declined_by_nature(results, run) and own is not None:
            declined[own, other][run.solver].add(run.instance)
    said = []
    for (own, other), of_solver in declined.items():
        num = len(set().union(*of_solver.values()))
        verb, pronoun = ("solves", "it") if len(of_solver) == 1 else ("solve", "they")
        said.append(
            f"{listed(list(of_solver))} {verb} {own}; {pronoun} declined the {count(num, f'{other} instance')}."
        )
    return said


def listed(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def percent(interval: Interval) -> str:
    """``1.3 % [1.1, 1.5]``, with two significant digits of the half-width and a true minus sign."""
    half_width = (interval.high - interval.low) / 2
    if not half_width > 0:
        half_width = max(abs(interval.value) / 10, 0.1)
    digits = min(6, max(1, 1 - math.floor(math.log10(half_width))))
    value, low, high = (
        number(round(bound, digits) + 0.0, digits) for bound in (interval.value, interval.low, interval.high)
    )
    return f"{value} %" if math.isnan(interval.low) else f"{value} % [{low}, {high}]"


def count(number: int, noun: str) -> str:
    """``1 instance``, ``2 instances``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _most_solved(ranking: Sequence[RankRow]) -> list[str]:
    """Who solved the most, of those in the least of the budget; and how many the others solved."""
    leader, *others = ranking
    equals = [row.solver for row in others if row.num_answered == leader.num_answered]
    of_all = f"{leader.num_answered} of {count(leader.num_instances, 'instance')}"
    took = percent(_scaled(leader.primal_integral, 100.0))
    if equals:
        said = [
            f"{leader.solver} solved {of_all}, as many as {listed(equals)}, "
            f"and took the least of the budget on average: {took}."
        ]
    else:
        said = [f"{leader.solver} solved the most: {of_all}; on average it took {took} of the budget."]
    if others:
        said.append(f"Solved by the others: {', '.join(f'{row.solver} {row.num_answered}' for row in others)}.")
    if any(row.num_answered < row.num_instances for row in ranking):
        said[-1] += " An unsolved run counts as the whole budget."
    return said


def _limits(results: Results, ranking: Sequence[RankRow]) -> list[str]:
    """What a reader must know beside: gaps to what, unanswered, disturbed, missing, new best costs."""
    said = []
    kinds = [kind if cost is not None else None for cost, kind in reference_costs(results).values()]
    unpriced = kinds.count(None)
    if unpriced < len(kinds) and not solved_or_not(results):
        parts = [("best-known cost", "best-known"), ("best cost of this comparison", "best of comparison")]
        said.append(
            "Gaps are to the "
            + " and the ".join(f"{what} on {count(num, 'instance')}" for what, of in parts if (num := kinds.count(of)))
            + f"; nobody answered {count(unpriced, 'instance')}" * (unpriced > 0)
            + "."
        )
    said += [
        f"{row.solver} left {missed} of {count(row.num_instances, 'instance')} unanswered; "
        f"each counts at a gap of {GAP_CAP:g} %."
        for row in ranking
        if not solved_or_not(results) and (missed := row.num_instances - row.num_answered)
    ]
    disturbed = [row for row in ranking if row.num_disturbed]
    if disturbed:
        num, num_runs = sum(row.num_disturbed for row in disturbed), sum(row.num_runs for row in ranking)
        by_solver = ", ".join(f"{row.solver} {row.num_disturbed}" for row in disturbed)
        said.append(
            f"{num} of {count(num_runs, 'run')} {'was' if num == 1 else 'were'} disturbed by other load: {by_solver}."
        )
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
        if run.answered and run.cost is not None and bound is not None and run.cost < bound:
            beaten[run.instance] = run
    said = []
    for digest, run in beaten.items():
        instance = results.instances[digest]
        cost, known = (
            "none" if value is None else cost_words(value, instance)
            for value in (run.cost, _known_cost(results, digest))
        )
        said.append(
            f"{run.solver} found a better solution than the best-known one of {instance.name}: {cost} against {known}."
        )
    return said


def _known_cost(results: Results, digest: str) -> int | None:
    known = results.instances[digest].best_known
    return known.cost if known is not None else None


def _span_words(start: float, end: float) -> str:
    """``from 0.1 s to 0.5 s``; a span that is a moment is ``at 0.5 s``."""
    first, last = seconds_words(start), seconds_words(end)
    return f"at {first} s" if first == last else f"from {first} s to {last} s"


def _negated(interval: Interval) -> Interval:
    return Interval(-interval.value, -interval.high, -interval.low)


def _scaled(interval: Interval, factor: float) -> Interval:
    return Interval(factor * interval.value, factor * interval.low, factor * interval.high)


def _p_value(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"
