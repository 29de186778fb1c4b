"""Metrics of one run against hand-computed values."""

import math
from dataclasses import replace

import pytest

from instances.problem import BestKnown, Description
from services.analysis import metrics
from services.records import Incumbent, Run, Status


def run_of(*trace: tuple[float, int]) -> Run:
    incumbents = tuple(Incumbent(seconds, cost) for seconds, cost in trace)
    return Run("k", "digest-0", "a", "a", 0, 0, Status.FINISHED, trace=incumbents)


def test_percent_gap() -> None:
    """Percent of the reference; negative when better; 0 or infinite to a reference of 0."""
    assert metrics.percent_gap(110, 100) == 10
    assert metrics.percent_gap(95, 100) == -5
    assert metrics.percent_gap(0, 0) == 0
    assert metrics.percent_gap(7, 0) == math.inf


@pytest.mark.parametrize(
    ("cost", "reference", "gap"),
    [
        (None, 100, 1),
        (100, None, 1),
        (125, 100, 0.2),
        (100, 100, 0),
        (90, 100, 0),
        (5, 0, 1),
        (0, 0, 0),
        (5, -5, 1),
    ],
)
def test_primal_gap(cost: int | None, reference: int | None, gap: float) -> None:
    """Berthold's gap: relative to the larger magnitude, 1 without an incumbent, 0 when better."""
    assert metrics.primal_gap(cost, reference) == pytest.approx(gap)


def test_primal_integral_of_a_trace() -> None:
    """Gap 1 for 1 s, 0.5 for 2 s, 0 for 1 s of 4 s: the mean is 0.5."""
    assert metrics.primal_integral(run_of((1.0, 200), (3.0, 100)), 100, 4.0) == pytest.approx(0.5)


def test_primal_integral_bounds() -> None:
    """1 without an incumbent, 0 with the best at once, and nothing after the horizon counts."""
    assert metrics.primal_integral(run_of(), 100, 2.0) == 1
    assert metrics.primal_integral(run_of((0.0, 100)), 100, 2.0) == 0
    assert metrics.primal_integral(run_of((2.0, 100), (2.5, 90)), 90, 2.0) == 1
    assert metrics.primal_integral(run_of((0.5, 100)), None, 2.0) == 1


def test_dimacs_integral() -> None:
    """10 for nothing useful, 0 for the best-known at once, below 0 for better, else the formula by hand."""
    assert metrics.dimacs_integral(run_of(), 100, 4.0) == pytest.approx(10)
    assert metrics.dimacs_integral(run_of((0.0, 200)), 100, 4.0) == pytest.approx(10)
    assert metrics.dimacs_integral(run_of((0.0, 100)), 100, 4.0) == pytest.approx(0)
    assert metrics.dimacs_integral(run_of((0.0, 98)), 100, 4.0) == pytest.approx(-2)
    by_hand = 100 * ((110 * 1.0 + 104 * 2.0 + 101 * 1.0) / (4.0 * 100) - 1)
    assert metrics.dimacs_integral(run_of((1.0, 104), (3.0, 101)), 100, 4.0) == pytest.approx(by_hand)


def test_costs_at_reads_the_trace_from_the_arrival_on() -> None:
    run = run_of((1.0, 120), (2.0, 105))
    assert metrics.costs_at(run, [0.5, 1.0, 1.9, 2.0, 9.0]).tolist() == [math.inf, 120, 120, 105, 105]


def test_seconds_to_best_are_those_of_an_answer() -> None:
    """The last arrival; none without an incumbent, and none where the last leaves a part open."""
    run = run_of((1.0, 120), (2.0, 105), (3.0, 100))
    assert metrics.seconds_to_best(run) == 3.0
    assert metrics.seconds_to_best(run_of()) is None
    assert metrics.seconds_to_best(replace(run, partial=True)) is None


@pytest.mark.parametrize(("known", "binary"), [([0, 0], True), ([0, None], False), ([0, 5], False)])
def test_solved_or_not_where_all_best_known_costs_are_zero(make_results, known, binary) -> None:
    """The data decide, not the problem's name; of no instance nothing is said."""
    results = make_results({"a": [[3], [3]]}, known)
    assert metrics.solved_or_not(results) is binary
    assert not metrics.solved_or_not(replace(results, instances={}))


def test_references_are_best_known_else_best_found(make_results) -> None:
    """A best-known cost is the reference, even a beaten one; else the comparison's best, if there is one."""
    results = make_results(
        {"a": [[120, 110], [7, 9], [None, None]], "b": [[100, None], [8, 8], [None, None]]}, [99, None, None]
    )
    assert list(metrics.reference_costs(results).values()) == [
        (99, "best-known"),
        (7, "best of comparison"),
        (None, "best of comparison"),
    ]


def test_a_partial_answer_is_no_reference(make_results, change_runs) -> None:
    """What leaves a part open is not the best of the comparison, however low its cost."""
    results = change_runs(make_results({"a": [[5]], "b": [[8]]}), "a", partial=True)
    assert metrics.reference_costs(results) == {"digest-0": (8, "best of comparison")}


def test_display_cost_is_the_nearest_float() -> None:
    """15563123 in 10^-6 prints as 15.563123, digit for digit."""
    description = Description("routing", "i", "d", 1, "customers", (), 6, {}, BestKnown(1, True, "", ""))
    assert str(metrics.display_cost(15563123, description)) == "15.563123"
    assert metrics.display_cost(None, description) is None


def test_run_rows(make_results) -> None:
    """One row a run, in order, with the values of the metrics; what does not exist is None, never nan."""
    results = make_results({"a": [[[(0.25, 1100), (0.5, 1050)]], [None]]}, [1000, None], decimals=1)
    answered, unanswered = metrics.run_rows(results)
    assert answered["instance"] == "instance-0"
    assert answered["instance_digest"] == "digest-0"
    assert (answered["cost"], answered["reference_cost"], answered["reference_kind"]) == (
        105.0,
        100.0,
        "best-known",
    )
    assert answered["gap"] == 5
    assert answered["seconds_to_best"] == 0.5
    assert answered["primal_integral"] == pytest.approx(0.25 + 0.25 * (1 - 1000 / 1100) + 0.5 * (1 - 1000 / 1050))
    assert answered["dimacs_integral"] == pytest.approx(100 * (0.5 * 0.1 + 0.5 * 0.05))
    assert answered["status"] == "finished"
    missing = ("cost", "gap", "seconds_to_best", "reference_cost", "dimacs_integral")
    assert [unanswered[name] for name in missing] == [None] * 5
    assert unanswered["primal_integral"] == 1
    assert answered.keys() == unanswered.keys()


def test_run_rows_keep_the_uncapped_gap(make_results) -> None:
    """Exports show what was found: 400 %, where means count 100 %; none to a missed 0."""
    rows = metrics.run_rows(make_results({"a": [[500], [5]]}, [100, 0]))
    assert [row["gap"] for row in rows] == [400, None]
