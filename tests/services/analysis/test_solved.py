"""Shares solved by size, the largest size managed and the time to solution, against hand-computed values."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import CensoredData, binomtest, ecdf

from services.analysis.overview import overview
from services.analysis.solved import largest_sizes, size_classes, solved_by_size, solved_over_time
from services.analysis.statistics import leader_by_time, pairs, rank
from services.records import Results, Status

BUDGET = 10.0


def solved_at(seconds: float | None) -> list[tuple[float, int]] | None:
    """A trace that ends with the answer, or nothing."""
    return None if seconds is None else [(seconds / 2, 9), (seconds, 0)]


def factoring(make_results, times: dict[str, Sequence[Sequence[float | None]]], sizes: Sequence[int]) -> Results:
    """Results of times to the answer, ``times[solver][instance][seed]``, on instances of these sizes in bits."""
    traces = {label: [[solved_at(time) for time in seeds] for seeds in of] for label, of in times.items()}
    results = make_results(traces, 0, budget=BUDGET)
    instances = {
        digest: replace(instance, problem="factoring", size=size, size_unit="bits")
        for (digest, instance), size in zip(results.instances.items(), sizes, strict=True)
    }
    return replace(results, instances=instances)


SIZES = [16, 16, 24, 24, 32, 32]
TIMES = {"sieve": [[1], [1], [2], [2], [3], [None]], "trial": [[1], [2], [None], [9], [None], [None]]}


def test_share_solved_by_size(make_results) -> None:
    """Each size is a class; counts by hand, intervals Wilson's."""
    sieve, trial = solved_by_size(factoring(make_results, TIMES, SIZES))
    assert (sieve.solver, sieve.unit) == ("sieve", "bits")
    assert [(shares.low, shares.num_solved, shares.num_instances) for shares in sieve.classes] == [
        (16, 2, 2), (24, 2, 2), (32, 1, 2)
    ]  # fmt: skip
    assert [shares.share.value for shares in trial.classes] == [1, 0.5, 0]
    low, high = binomtest(1, 2).proportion_ci(method="wilson")
    assert (trial.classes[1].share.low, trial.classes[1].share.high) == pytest.approx((low, high))


def test_largest_size_is_that_up_to_which_all_or_half_were_solved(make_results) -> None:
    """Of every smaller size too: what is solved beyond a size that was missed is a lucky one, told apart."""
    sieve, trial = largest_sizes(factoring(make_results, TIMES, SIZES))
    assert sieve.all is not None and sieve.half is not None
    assert (sieve.all.high, sieve.half.high, sieve.solved) == (24, 32, 32)
    assert trial.all is not None and trial.half is not None
    assert (trial.all.high, trial.half.high, trial.solved) == (16, 24, 24)
    lucky = {"a": [[None], [None], [1], [1], [None], [5]]}
    (row,) = largest_sizes(factoring(make_results, lucky, SIZES))
    assert (row.all, row.half, row.solved) == (None, None, 32)
    (row,) = largest_sizes(factoring(make_results, {"a": [[None]] * 6}, SIZES))
    assert row.solved is None


def test_solved_is_by_the_median_over_seeds(make_results) -> None:
    """Two of three seeds solve an instance, one of three or of two does not."""
    times = {"a": [[1, 2, None], [1, None, None], [1, None]]}
    (row,) = solved_by_size(factoring(make_results, times, [16, 16, 16]))
    assert [shares.num_solved for shares in row.classes] == [1]


def test_a_partial_answer_is_not_solved(make_results, change_runs) -> None:
    """A factor found but a composite left is no answer, neither in shares nor in times nor in the ranking."""
    results = change_runs(factoring(make_results, {"a": [[1]], "b": [[1]]}, [16]), "a", partial=True)
    assert [row.classes[0].num_solved for row in solved_by_size(results)] == [0, 1]
    assert [curve.share[-1].value for curve in solved_over_time(results)] == [0, 1]
    assert [(row.solver, row.num_answered, row.num_reached) for row in rank(results)] == [("b", 1, 1), ("a", 0, 0)]


def test_size_classes_hold_all_sizes() -> None:
    """Few sizes stand for themselves; many are parted into classes of about equal count, without gap or overlap."""
    assert size_classes([8, 3, 3, 5], 3) == [(3, 3), (5, 5), (8, 8)]
    classes = size_classes([*range(100), 7, 7], 8)
    assert len(classes) == 8
    assert (classes[0][0], classes[-1][1]) == (0, 99)
    assert all(low == high + 1 for (_, high), (low, _) in pairwise(classes))
    assert size_classes([], 8) == []


def test_solved_over_time_by_hand(make_results) -> None:
    """Of four instances one is solved at 1 s, two at 3 s, one never: 0, 1/4, 3/4, and so to the budget."""
    (curve,) = solved_over_time(factoring(make_results, {"a": [[3], [1], [None], [3]]}, [16] * 4))
    assert curve.seconds == (0, 1, 3, BUDGET)
    assert [share.value for share in curve.share] == [0, 0.25, 0.75, 0.75]
    assert curve.num_instances == 4


def test_solved_over_time_is_one_minus_kaplan_and_meier(make_results) -> None:
    """scipy's estimate from the censored sample says the same, times with several seeds being medians."""
    rng = np.random.default_rng(1)
    drawn = rng.exponential(8, 40).round(1)
    times = {"a": [[None if time > BUDGET else float(time)] for time in drawn]}
    (curve,) = solved_over_time(factoring(make_results, times, [16] * 40))
    survival = ecdf(CensoredData.right_censored(np.minimum(drawn, BUDGET), drawn > BUDGET)).sf
    assert [share.value for share in curve.share] == pytest.approx(1 - survival.evaluate(np.array(curve.seconds)))


def test_a_solver_that_was_not_run_has_no_share(make_results, change_runs) -> None:
    """Nothing is said of a cancelled solver: 0 of n would be a lie."""
    results = change_runs(factoring(make_results, TIMES, SIZES), "trial", status=Status.CANCELLED)
    assert [row.solver for row in solved_by_size(results)] == ["sieve"]
    assert [row.solver for row in largest_sizes(results)] == ["sieve"]
    assert [curve.solver for curve in solved_over_time(results)] == ["sieve"]
    assert np.isnan({row.solver: row.gap.value for row in rank(results)}["trial"])


def test_mean_gap_is_the_share_unsolved(make_results) -> None:
    """With Wilson's interval, which does not vanish where all is solved; equals are ranked by primal integral."""
    times = {"slow": [[9]] * 4, "quick": [[1]] * 4, "bad": [[1], [None], [1], [1]]}
    rows = rank(factoring(make_results, times, [16] * 4))
    assert [(row.solver, row.num_reached, row.gap.value) for row in rows] == [
        ("quick", 4, 0), ("slow", 4, 0), ("bad", 3, 25)
    ]  # fmt: skip
    low, high = binomtest(0, 4).proportion_ci(method="wilson")
    assert (rows[0].gap.low, rows[0].gap.high) == pytest.approx((100 * low, 100 * high), abs=1e-9)
    assert rows[0].seconds_to_best == pytest.approx(1)
    assert rows[0].dimacs_integral is None


def test_pairs_compare_the_time_to_solve_on_all_instances(make_results) -> None:
    """One second quicker of ten on all that both solve is 10 % of the budget; unsolved counts as all of it."""
    times = {"a": [[1], [2], [3], [None], [1], [2]], "b": [[2], [3], [4], [None], [None], [3]]}
    (pair,) = pairs(factoring(make_results, times, [16] * 6))
    assert pair.measure == "primal integral"
    assert (pair.num_instances, pair.wins, pair.ties, pair.losses) == (6, 5, 1, 0)
    assert pair.difference is not None
    # Differences of -10 %, four times, 0, and 10 % against the whole.
    assert pair.difference.value == pytest.approx((4 * -10 + 0 - 90) / 6)


def test_pairs_are_by_cost_where_costs_say_more(make_results) -> None:
    """One positive best-known cost is enough: the data decide."""
    results = make_results({"a": [[0], [5]], "b": [[0], [6]]}, [0, 5])
    assert [pair.measure for pair in pairs(results)] == ["cost"]


def test_conclusion_says_who_solved_the_most(make_results) -> None:
    """How many and in what part of the budget, the others' numbers, and claims in primal integral."""
    times = {"a": [[1]] * 8, "b": [[None], *[[2]] * 7]}
    said = overview(factoring(make_results, times, [16] * 8)).sentences
    assert said[0] == "a solved the most: 8 of 8 instances; on average it took 10.0 % [10.0, 10.0] of the budget."
    assert said[1] == "Solved by the others: b 7. An unsolved run counts as the whole budget."
    assert said[2].startswith("a beats b by 20.0 % [10.0, ")
    basis = "at 10 s on 8 instances (mean difference, corrected p = 0.0078)"
    assert said[2].endswith(f" of the budget in primal integral {basis}.")
    assert len(said) == 3


def test_conclusion_says_when_the_order_is_reversed(make_results) -> None:
    """By the primal integral up to then: who solves nine at once is ahead until the other solves all 24."""
    times = {"a": [*[[0.01]] * 9, *[[None]] * 15], "b": [[1]] * 24}
    said = overview(factoring(make_results, times, [16] * 24)).sentences
    assert (
        said[2].startswith("b beats a by ") and " of the budget in primal integral at 10 s on 24 instances" in said[2]
    )
    assert said[2].endswith("; stopped earlier, at 1 s, the order is reversed.")
    assert {(lead.solver, lead.clear) for lead in leader_by_time(factoring(make_results, times, [16] * 24))} >= {
        ("a", True), ("b", True)
    }  # fmt: skip


def test_conclusion_names_who_solved_as_many(make_results) -> None:
    times = {"a": [[2]] * 3, "b": [[1]] * 3, "c": [[5]] * 3}
    said = overview(factoring(make_results, times, [16] * 3)).sentences
    assert said[0].startswith("b solved 3 of 3 instances, as many as a and c, and took the least of the budget")
    assert any("3 instances are too few, at least 6 are needed" in line for line in said)
