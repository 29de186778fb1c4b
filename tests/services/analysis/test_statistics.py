"""Rankings, pairs, curves and sentences on synthetic results with known answers."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from instances.errors import InvalidInput
from services.analysis.comparable import check_comparable
from services.analysis.overview import overview, overviews
from services.analysis.sentences import listed, other_problems
from services.analysis.statistics import (
    declared_pairs,
    default_times,
    gap_over_time,
    leader_by_time,
    pairs,
    performance_profile,
    rank,
    relative_differences,
    shifted_geometric_mean,
)
from services.records import Results, Status
from services.report.content import reference_sources


def conclusion(results: Results) -> list[str]:
    return list(overview(results).sentences)


def constant(cost, num_instances=8, num_seeds=1):
    return [[cost] * num_seeds] * num_instances


# --- Ranking


def test_rank_is_the_mean_over_instances_of_the_median_over_seeds(make_results) -> None:
    """Gaps 1, 2, 9 have the median 2; with 4 on the other instance the mean is 3."""
    first, second = rank(make_results({"bad": constant(150, 2, 3), "good": [[101, 109, 102], [104, 104, 104]]}, 100))
    assert (first.solver, second.solver) == ("good", "bad")
    assert first.gap.value == pytest.approx(3)
    assert first.median_gap == pytest.approx(3)
    assert (first.num_instances, first.num_answered, first.num_runs) == (2, 2, 6)


def test_an_unanswered_instance_counts_at_the_cap_and_is_counted(make_results) -> None:
    """Two of three seeds without a solution leave an instance unanswered; one of three does not."""
    (row,) = rank(make_results({"a": [[None, None, 100], [None, 120, 110]]}, 100))
    assert row.gap.value == pytest.approx((100 + 20) / 2)
    assert (row.num_instances, row.num_answered) == (2, 1)


def test_an_answer_worse_than_the_cap_counts_as_much_as_none(make_results) -> None:
    rows = rank(make_results({"a": constant(900), "b": constant(None)}, 100))
    assert [row.gap.value for row in rows] == [100, 100]
    assert [row.num_answered for row in rows] == [8, 0]


def test_rank_counts_disturbed_runs(make_results, change_runs) -> None:
    results = change_runs(make_results({"a": constant(1), "b": constant(2)}), "a", disturbed=True)
    assert {row.solver: row.num_disturbed for row in rank(results)} == {"a": 8, "b": 0}


def test_rank_integrals_and_seconds(make_results) -> None:
    """Found at half of the budget: half of the time at no gap; DIMACS charges 10 % for the other half."""
    (row,) = rank(make_results({"a": [[[(1.0, 100)]]] * 3}, 100, budget=2.0))
    assert row.primal_integral.value == pytest.approx(0.5)
    assert row.dimacs_integral is not None
    assert row.dimacs_integral.value == pytest.approx(5)
    assert row.seconds_to_best == pytest.approx(1)


def test_dimacs_needs_a_positive_best_known_cost_everywhere(make_results) -> None:
    for known in ([100, None], [100, 0]):
        (row,) = rank(make_results({"a": [[100], [100]]}, known))
        assert row.dimacs_integral is None


def test_rank_counts_the_instances_at_the_reference(make_results) -> None:
    """Reached or beaten, by the median over seeds; what is not answered is not reached."""
    (row,) = rank(make_results({"a": [[100, 100, 101], [99], [101], [None]]}, 100))
    assert (row.num_reached, row.num_answered, row.num_instances) == (2, 3, 4)


def test_rank_takes_only_instances_every_solver_was_run_on(make_results) -> None:
    """An interrupted comparison does not compare means over different instances."""
    results = make_results({"a": [[110], [190]], "b": [[110], [110]]}, 100)
    cut = replace(results, runs=tuple(run for run in results.runs if run.key != "b/digest-1/0"))
    assert [(row.num_instances, row.gap.value) for row in rank(cut)] == [(1, pytest.approx(10))] * 2


def test_cancelled_runs_are_not_run(make_results, change_runs) -> None:
    """A solver that was cancelled throughout has no numbers, and the others keep theirs."""
    results = change_runs(make_results({"a": constant(110), "b": constant(105)}, 100), "b", status=Status.CANCELLED)
    first, second = rank(results)
    assert (first.solver, first.gap.value) == ("a", pytest.approx(10))
    assert (second.solver, second.num_runs, second.num_answered) == ("b", 0, 0)
    assert math.isnan(second.gap.value)
    assert "The comparison is incomplete: 8 of 16 runs were made." in conclusion(results)


def test_rank_of_one_instance_has_no_interval(make_results) -> None:
    (row,) = rank(make_results({"a": [[110]]}, 100))
    assert row.gap.value == pytest.approx(10)
    assert math.isnan(row.gap.low) and math.isnan(row.gap.high)


def test_nothing_run_at_all(make_results) -> None:
    """Every function copes with a comparison that has not begun."""
    results = replace(make_results({"a": constant(1), "b": constant(1)}), runs=())
    assert all(math.isnan(row.gap.value) and math.isnan(row.seconds_to_best) for row in rank(results))
    assert [pair.difference for pair in pairs(results)] == [None]
    assert all(math.isnan(point.value) for curve in gap_over_time(results) for point in curve.gap)
    assert leader_by_time(results) == []
    assert [profile.num_answered for profile in performance_profile(results)] == [0, 0]
    assert [row.num_reached for row in rank(results)] == [0, 0]
    assert conclusion(results)[0] == "Nothing can be concluded: no instance was run by every solver."


# --- Pairs


def test_pair_of_a_plain_difference(make_results) -> None:
    """Better by 1 % of the reference on all of eight instances: claimed, with the exact p of 2 / 2^8."""
    (pair,) = pairs(make_results({"a": constant(102), "b": constant(103)}, 100))
    assert (pair.first, pair.second, pair.num_instances) == ("a", "b", 8)
    assert pair.difference is not None
    assert (pair.difference.value, pair.difference.low, pair.difference.high) == pytest.approx((-1, -1, -1))
    assert (pair.wins, pair.ties, pair.losses, pair.effect) == (8, 0, 0, -1)
    assert pair.p_value == pair.corrected_p == pytest.approx(2 / 2**8)
    assert pair.claimed


def test_nothing_is_claimed_below_six_instances(make_results) -> None:
    for num_instances in (1, 2, 5):
        (pair,) = pairs(make_results({"a": constant(1, num_instances), "b": constant(2, num_instances)}, 1))
        assert not pair.claimed
    (pair,) = pairs(make_results({"a": constant(1, 6), "b": constant(2, 6)}, 1))
    assert pair.claimed


def test_equal_solvers(make_results) -> None:
    """All differences zero: p is 1, the interval is 0, nothing is claimed, and no warning is raised."""
    (pair,) = pairs(make_results({"a": constant(7), "b": constant(7)}))
    assert (pair.wins, pair.ties, pair.losses, pair.p_value, pair.effect) == (0, 8, 0, 1, 0)
    assert pair.difference is not None
    assert (pair.difference.low, pair.difference.high) == (0, 0)
    assert not pair.claimed


def test_pairs_use_the_instances_both_answered(make_results) -> None:
    (pair,) = pairs(make_results({"a": [[5], [None], [6]], "b": [[5], [1], [None]]}))
    assert (pair.num_instances, pair.ties) == (1, 1)


def test_pair_without_a_common_answer(make_results) -> None:
    results = make_results({"a": [[None], [1]], "b": [[1], [None]]})
    (pair,) = pairs(results)
    assert (pair.num_instances, pair.difference, pair.p_value, pair.corrected_p, pair.effect) == (
        0,
        *[None] * 4,
    )
    assert "No difference can be claimed between a and b: no instance was answered by both." in conclusion(results)


def test_holm_corrects_over_the_declared_pairs(make_results) -> None:
    """Three pairs with p = 2 / 2^8 each: corrected by 3; with a reference there are two, corrected by 2."""
    costs = {"a": constant(101), "b": constant(102), "c": constant(103)}
    p = 2 / 2**8
    assert [pair.corrected_p for pair in pairs(make_results(costs, 100))] == pytest.approx([3 * p] * 3)
    with_reference = pairs(make_results(costs, 100, reference="b"))
    assert [(pair.first, pair.second) for pair in with_reference] == [("a", "b"), ("c", "b")]
    assert [pair.corrected_p for pair in with_reference] == pytest.approx([2 * p] * 2)


def test_a_pair_that_cannot_be_tested_stays_in_the_family(make_results) -> None:
    """Pairs are declared before the answers are known, so failing does not sharpen the other tests."""
    costs = {"a": constant(101), "b": constant(102), "c": constant(None)}
    corrected = [pair.corrected_p for pair in pairs(make_results(costs, 100))]
    assert corrected == [pytest.approx(3 * 2 / 2**8), None, None]


def test_no_claim_where_rank_and_mean_disagree(make_results) -> None:
    """Better on most instances, far worse on a few: significant by rank, of the other sign in the mean."""
    rng = np.random.default_rng(0)
    costs = [[1000 - int(step)] for step in rng.integers(1, 10, 34)] + [[1400]] * 6
    (pair,) = pairs(make_results({"a": costs, "b": constant(1000, 40)}, 1000))
    assert pair.difference is not None
    assert pair.difference.low > 0
    assert pair.corrected_p is not None
    assert pair.effect is not None and pair.effect < 0 and pair.corrected_p < 0.05
    assert not pair.claimed


def test_relative_differences() -> None:
    """In percent of the reference; where that is 0, of the larger cost; 0 where all is 0."""
    first, second, reference = np.array([[103, 0, 6, 0], [100, 8, 3, 0], [100, 0, 0, 0]], dtype=float)
    assert relative_differences(first, second, reference).tolist() == [3, -100, 50, 0]


def test_declared_pairs_without_a_reference_are_all(make_results) -> None:
    comparison = make_results({"a": [[1]], "b": [[1]], "c": [[1]]}).comparison
    assert declared_pairs(comparison) == [("a", "b"), ("a", "c"), ("b", "c")]


def test_pairs_count_disturbed_runs_on_common_instances(make_results, change_runs) -> None:
    results = make_results({"a": [[5], [None]], "b": [[5], [1]], "c": [[5], [1]]})
    counted = [pair.num_disturbed for pair in pairs(change_runs(results, "b", disturbed=True))]
    assert counted == [1, 0, 2]


def test_statistics_are_deterministic(make_results) -> None:
    costs = np.random.default_rng(3).integers(100, 130, (2, 9, 3)).tolist()
    results = make_results({"a": costs[0], "b": costs[1]}, 100)
    assert rank(results) == rank(results)
    assert pairs(results) == pairs(results)
    assert conclusion(results) == conclusion(results)


# --- Curves, profiles, times


def test_gap_over_time_reads_the_traces(make_results) -> None:
    """100 % before the first answer, then the mean over instances of the median over seeds."""
    trace = [(0.2, 120), (0.6, 110)]
    (curve,) = gap_over_time(make_results({"a": [[trace, trace, None], [[(0.2, 130)]] * 3]}, 100), [0.1, 0.2, 0.7])
    assert curve.seconds == (0.1, 0.2, 0.7)
    assert [point.value for point in curve.gap] == pytest.approx([100, 25, 20])
    assert curve.gap[2].low <= 20 <= curve.gap[2].high


def test_default_times_end_at_the_budget() -> None:
    times = default_times(10.0)
    assert (times[0], times[-1], len(times)) == (pytest.approx(0.01), 10.0, 61)


def test_leader_by_time(make_results) -> None:
    """Nobody before any answer, the quick one first, the thorough one last, clear over eight instances."""
    quick, thorough = [[(0.1, 110)]], [[(0.5, 101)]]
    leads = leader_by_time(
        make_results({"quick": [quick] * 8, "thorough": [thorough] * 8}, 100), [0.05, 0.1, 0.3, 0.5, 1.0]
    )
    assert [(lead.start, lead.end, lead.solver, lead.clear) for lead in leads] == [
        (0.05, 0.1, None, False),
        (0.1, 0.5, "quick", True),
        (0.5, 1.0, "thorough", True),
    ]


def test_a_lead_on_five_instances_or_by_chance_is_not_clear(make_results) -> None:
    few = make_results({"a": constant(101, 5), "b": constant(102, 5)}, 100)
    chance = make_results({"a": [[101], [109]] * 5, "b": [[108], [103]] * 5}, 100)
    for results in (few, chance):
        (lead,) = leader_by_time(results, [0.5, 1.0])
        assert lead.solver is not None and not lead.clear


def test_performance_profile(make_results) -> None:
    """Shares of instances within each ratio of the best; an unanswered instance is never within."""
    first, second = performance_profile(make_results({"a": [[10], [20], [None]], "b": [[15], [20], [5]]}))
    assert (first.ratios, first.fractions) == ((1.0,), (pytest.approx(2 / 3),))
    assert second.ratios == (1.0, 1.5)
    assert second.fractions == pytest.approx((2 / 3, 1))
    assert (first.num_answered, second.num_answered, first.num_instances) == (2, 3, 3)


def test_performance_profile_of_cost_zero(make_results) -> None:
    """A factorisation solved by one only: the other is infinitely far, not divided by zero."""
    first, second = performance_profile(make_results({"a": [[0]], "b": [[3]]}))
    assert (first.fractions, second.fractions, second.num_answered) == ((1.0,), (0.0,), 0)


def test_shifted_geometric_mean() -> None:
    assert shifted_geometric_mean([0.0, 30.0]) == pytest.approx(math.sqrt(10 * 40) - 10)
    assert shifted_geometric_mean([1.0, 4.0], shift=0.0) == pytest.approx(2)
    assert math.isnan(shifted_geometric_mean([]))


# --- Sentences


def test_conclusion_claims_and_does_not_claim(make_results) -> None:
    """The leader against each: a plain difference is a claim, noise is not; the reference of gaps is told."""
    noisy = [[104 + sign] for sign in (1, -1, 1, -1, 1, -1, 1, -2)]
    said = conclusion(make_results({"a": constant(104), "b": noisy, "c": constant(110)}, 100))
    assert said[0].startswith("b has the lowest mean gap: 3.88 % [")
    (unclaimed,) = [line for line in said if line.startswith("No difference can be claimed between a and b: ")]
    assert re.search(
        r": a is 0\.12 % \[−\d\.\d+, \d\.\d+\] worse than b at 1 s on 8 instances both answered \(mean", unclaimed
    )
    assert unclaimed.endswith(", which may be chance.") and "-" not in unclaimed
    assert any(
        re.match(r"b beats c by 6\.12 % \[.*\] at 1 s on 8 instances both answered \(mean", line) for line in said
    )
    assert not any("between a and c" in line or "a beats c" in line for line in said)
    assert "Gaps are to the best-known cost on 8 instances." in said


def test_conclusion_tells_all_pairs_with_the_reference(make_results) -> None:
    said = conclusion(make_results({"a": constant(104), "b": constant(105), "c": constant(110)}, 100, reference="c"))
    assert [line.split(" by ")[0] for line in said if " beats " in line] == ["a beats c", "b beats c"]


def test_conclusion_says_where_ranks_and_mean_disagree(make_results) -> None:
    """Worse in the mean, better on most instances: neither chance nor a claim."""
    rng = np.random.default_rng(0)
    costs = [[1000 - int(step)] for step in rng.integers(1, 10, 34)] + [[1400]] * 6
    said = conclusion(make_results({"a": costs, "b": constant(1000, 40)}, 1000))
    (line,) = [line for line in said if line.startswith("No difference can be claimed between a and b: a is ")]
    assert "worse than b" in line and line.endswith(", while by ranks it is the better one.")


def test_conclusion_on_equal_solvers(make_results) -> None:
    said = conclusion(make_results({"a": constant(7), "b": constant(7)}))
    basis = "at 1 s on 8 instances both answered (mean difference, corrected p = 1)"
    assert f"No difference can be claimed between a and b: they differ by 0.00 % [0.00, 0.00] {basis}." in said


def test_conclusion_says_why_nothing_is_claimed(make_results) -> None:
    few = conclusion(make_results({"a": constant(1, 3), "b": constant(2, 3)}))
    assert any("3 instances both answered are too few, at least 6 are needed" in line for line in few)
    one = conclusion(make_results({"a": constant(1, 1), "b": constant(2, 1)}))
    assert any("one instance gives no interval" in line for line in one)


def test_conclusion_tells_the_limits(make_results, change_runs) -> None:
    """Unanswered instances, disturbed runs, what gaps are to, and a beaten best-known cost."""
    results = make_results({"a": [[9], [5], [None]], "b": [[None], [6], [None]]}, [10, None, None])
    said = conclusion(change_runs(results, "a", disturbed=True))
    assert "b left 2 of 3 instances unanswered; each counts at a gap of 100 %." in said
    assert "3 of 6 runs were disturbed by other load: a 3." in said
    to = "the best-known cost on 1 instance and the best cost of this comparison on 1 instance"
    assert f"Gaps are to {to}; nobody answered 1 instance." in said
    assert sum(number for _, number in reference_sources(results)) == 3
    assert "a found a better solution than the best-known one of instance-0: 9 against 10." in said


def test_conclusion_where_nobody_answered(make_results) -> None:
    said = conclusion(make_results({"a": constant(None), "b": constant(None)}))
    assert said[0] == "No solver answered any instance."


# --- What may be averaged


def renamed(results: Results, **changes: object) -> Results:
    return replace(results, comparison=replace(results.comparison, **changes))


@pytest.mark.parametrize("change", [{"budget": 2.0}, {"threads": 4}, {"memory": 1}, {"batch": 8}])
def test_different_rules_are_not_averaged(make_results, change) -> None:
    results = make_results({"a": [[1]]})
    (name,) = change
    with pytest.raises(InvalidInput, match=f"{name} is .*, elsewhere .*not averaged together"):
        check_comparable(results, renamed(results, **change))
    check_comparable(results, renamed(results, name="another", seed=3))


def test_different_facts_of_instances_are_not_averaged(make_results) -> None:
    """Another best-known cost of the same instance, or the same instance under another rounding."""
    results = make_results({"a": [[1]]}, 10)
    with pytest.raises(InvalidInput, match=r"instance 'instance-0': best-known cost is 11 .*, elsewhere 10 "):
        check_comparable(results, make_results({"a": [[1]]}, 11))
    other = replace(results.instances["digest-0"], digest="other", properties={"rounding": "exact"})
    with pytest.raises(InvalidInput, match="rounding is exact, elsewhere nearest"):
        rank(replace(results, instances={**results.instances, "other": other}))


def test_problems_are_not_averaged(make_results) -> None:
    """Neither instances of two problems nor a solver of another one; by_problem() parts them."""
    results = make_results({"a": [[1], [1]], "b": [[1], [1]]}, 10)
    known = results.instances
    mixed = replace(results, instances={**known, "digest-1": replace(known["digest-1"], problem="factoring")})
    for function in (rank, pairs, gap_over_time, leader_by_time, performance_profile):
        with pytest.raises(InvalidInput, match=r"holds routing and factoring, which are not averaged together"):
            function(mixed)
    with pytest.raises(InvalidInput, match="holds routing and factoring"):
        rank(renamed(results, problems={"a": "routing", "b": "factoring"}))
    parts = renamed(mixed, problems={"a": "routing", "b": "factoring"}).by_problem()
    assert {problem: [row.solver for row in rank(part)] for problem, part in parts.items()} == {
        "routing": ["a"],
        "factoring": ["b"],
    }


def test_a_problem_that_no_solver_solves_is_said(make_results) -> None:
    """No crash: there is nothing to rank, and the sentence says why."""
    results = renamed(make_results({"a": [[None]] * 3}, 10), problems={"a": "factoring"})
    part = overviews(results)["routing"]
    assert part.sentences == ("No solver of this comparison solves routing: nothing is said of its 3 instances.",)
    assert (part.ranking, part.pairs) == ((), ())


def test_declines_of_another_problem_are_one_sentence(make_results, change_runs) -> None:
    """Solvers of one problem together; a decline within the own problem is another matter."""
    results = make_results({"a": [[None]] * 2, "b": [[None]] * 2, "c": [[1], [None]]}, 10)
    results = renamed(results, problems={"a": "factoring", "b": "factoring", "c": "routing"})
    for solver in ("a", "b", "c"):
        results = change_runs(results, solver, status=Status.DECLINED)
    assert other_problems(results) == ["a and b solve factoring; they declined the 2 routing instances."]
    one = change_runs(results, "b", status=Status.CRASHED)
    assert other_problems(one) == ["a solves factoring; it declined the 2 routing instances."]


def test_listed() -> None:
    assert [listed(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]


def test_one_label_means_one_solver(make_results) -> None:
    results = make_results({"a": [[1]]})
    with pytest.raises(InvalidInput, match="solver 'a': spec is a:x=2, elsewhere a"):
        check_comparable(results, renamed(results, solvers={"a": "a:x=2"}))


def test_runs_that_do_not_belong_are_refused(make_results) -> None:
    results = make_results({"a": [[1]], "b": [[1]]})
    with pytest.raises(InvalidInput, match="is there twice"):
        rank(replace(results, runs=(*results.runs, results.runs[0])))
    with pytest.raises(InvalidInput, match="does not have"):
        pairs(renamed(results, solvers={"a": "a"}))
    with pytest.raises(InvalidInput, match="reference 'z' is not among the solvers: a, b"):
        pairs(renamed(results, reference="z"))
