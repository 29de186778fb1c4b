"""Who leads when: claimed as pairs are, never against them, corrected for pairs and times; and the words for it."""

import numpy as np
import pytest

from services.analysis.overview import overview
from services.analysis.sentences import who_leads_when
from services.analysis.statistics import leader_by_time, pairs, reversals, stops
from services.analysis.summary import Lead

RULE = (
    "claimed as in the pairs, corrected for all pairs and for the times looked at; "
    "before its answer a solver counts at 100 %"
)


def constant(cost, num_instances):
    return [[cost]] * num_instances


def found_at(seconds, cost, num_instances):
    return [[[(seconds, cost)]]] * num_instances


# --- Leads


def test_the_times_end_at_the_budget():
    """Ten of them, in steps of 1, 2 and 5."""
    assert stops(2.0) == pytest.approx([0.002, 0.004, 0.01, 0.02, 0.04, 0.1, 0.2, 0.4, 1, 2])
    assert stops(0.3)[-1] == 0.3


def test_before_the_budget_a_lead_is_corrected_for_the_times(make_results):
    """2 / 2^8 is claimed by the pairs, not nine times as much; 2 / 2^12 is claimed at all times."""
    few = leader_by_time(make_results({"a": constant(101, 8), "b": constant(102, 8)}, 100))
    assert few == [Lead(0.001, 1.0, "a", False), Lead(1.0, 1.0, "a", True)]
    many = leader_by_time(make_results({"a": constant(101, 12), "b": constant(102, 12)}, 100))
    assert many == [Lead(0.001, 1.0, "a", True)]


def test_before_the_budget_a_lead_is_corrected_for_all_pairs(make_results):
    """One of eight solvers is better than each other by 2 / 2^9, at one earlier time: 28 pairs count, not 7."""
    costs = {"a": constant(101, 9), **{label: constant(102, 9) for label in "bcdefgh"}}
    results = make_results(costs, 100)
    assert [lead.clear for lead in leader_by_time(results, [0.5])] == [28 * 2 / 2**9 < 0.05] == [False]
    two = make_results({label: costs[label] for label in "ab"}, 100)
    assert [lead.clear for lead in leader_by_time(two, [0.5])] == [True]


def test_a_lead_by_unanswered_instances_is_not_clear_against_the_pairs(make_results):
    """The lowest mean gap is that of who answered all, yet the other is claimed better where both answered."""
    results = make_results({"a": constant(105, 12), "b": [*constant(104, 6), *constant(None, 6)]}, 100)
    (pair,) = pairs(results)
    assert pair.claimed and pair.difference.value > 0
    assert leader_by_time(results)[-1].solver == "a"
    assert not any(lead.clear for lead in leader_by_time(results))


@pytest.mark.parametrize("seed", range(8))
def test_at_the_budget_a_lead_is_clear_where_the_pairs_claim_it(make_results, seed):
    """Clear at the end if and only if every pair of the leader is claimed in its favour."""
    rng = np.random.default_rng(seed)
    costs = {
        label: [[int(1000 * level * rng.normal(1, 0.01)) if rng.random() < 0.9 else None] for _ in range(20)]
        for label, level in (("a", 1.01), ("b", 1.015), ("c", 1.05))
    }
    results = make_results(costs, 1000)
    last = leader_by_time(results)[-1]
    winners = {
        (pair.first, pair.second)[pair.difference.value > 0]
        for pair in pairs(results)
        if last.solver in (pair.first, pair.second)
    }
    claimed = all(pair.claimed for pair in pairs(results) if last.solver in (pair.first, pair.second))
    assert last.clear == (claimed and winners == {last.solver})


def test_an_answer_to_come_counts_at_the_cap_on_the_instances_of_the_pairs(make_results):
    """Who is quicker leads until the other has answered; what either never answers says nothing."""
    quick, slow = found_at(0.02, 110, 12), found_at(0.3, 101, 12)
    leads = leader_by_time(make_results({"quick": [*quick, [None]], "slow": [*slow, [[(0.3, 101)]]]}, 100))
    assert [(lead.start, lead.solver, lead.clear) for lead in leads] == [
        (0.001, None, False),
        (0.02, "quick", True),
        (0.5, "slow", True),
    ]


def test_who_answered_nothing_does_not_stand_in_the_way(make_results):
    """Alone a leader has nobody to be better than; beside another a solver without answers is passed over."""
    costs = {"a": constant(101, 12), "b": constant(102, 12), "c": constant(None, 12)}
    assert all(lead.clear for lead in leader_by_time(make_results(costs, 100)))
    del costs["b"]
    assert not any(lead.clear for lead in leader_by_time(make_results(costs, 100)))


def test_with_a_reference_solver_the_leader_is_compared_with_all(make_results):
    """The declared pairs are with the reference alone; a clear lead is one over the others as well."""
    costs = {"a": constant(101, 12), "b": constant(101, 12), "c": constant(110, 12)}
    costs["b"][0] = [102]
    assert not any(lead.clear for lead in leader_by_time(make_results(costs, 100, reference="c")))


def test_equal_solvers_seldom_lead_clearly_before_the_budget(make_results):
    """In at most 5 % of comparisons (10 of 200) of two solvers that differ by noise alone, other noise at each time."""
    rng = np.random.default_rng(11)
    times = stops(1.0)[:-1].tolist()
    false_leads = 0
    for _ in range(200):
        noise = rng.integers(90, size=(2, 12, len(times)))
        costs = {
            label: [
                [[(seconds, int(1900 - 100 * place + row[place])) for place, seconds in enumerate(times)]]
                for row in rows
            ]
            for label, rows in zip("ab", noise, strict=True)
        }
        leads = leader_by_time(make_results(costs, 1000))
        false_leads += any(lead.clear and lead.start < 1.0 for lead in leads)
    assert false_leads <= 10


# --- Pairs whose order turns


def test_a_reversed_order_is_said_with_the_last_time_of_it(make_results):
    """The quick one is better until the other, which wins, has answered between 0.2 s and 0.5 s."""
    results = make_results({"quick": found_at(0.02, 110, 12), "slow": found_at(0.3, 101, 12)}, 100)
    assert reversals(results, pairs(results)) == {("quick", "slow"): 0.2}
    assert (
        "slow beats quick by 9.00 % [9.00, 9.00] at 1 s on 12 instances both answered (mean difference, corrected "
        "p < 0.001); stopped earlier, at 0.2 s, the order is reversed."
    ) in overview(results).sentences


def test_a_reversal_that_cannot_be_claimed_is_not_said(make_results):
    """On eight instances the pair is claimed, the reversal at nine times is not."""
    results = make_results({"quick": found_at(0.02, 110, 8), "slow": found_at(0.3, 101, 8)}, 100)
    assert reversals(results, pairs(results)) == {}
    (said,) = [line for line in overview(results).sentences if " beats " in line]
    assert said.endswith("(mean difference, corrected p = 0.0078).")


# --- In words


def test_nobody_leads_clearly():
    """A lead that is not clear is not told, a shared one that is neither; nor one that is clear at the end alone."""
    leads = [Lead(0.1, 0.2, None, True), Lead(0.2, 1.0, "a", False), Lead(1.0, 1.0, "a", True)]
    said = f"Stopped earlier within the runs of 1 s, nobody leads clearly ({RULE})."
    assert who_leads_when(leads, 1.0) == who_leads_when(leads[:2], 1.0) == said


def test_one_leads_clearly():
    """Of a solver that leads clearly again and again, the first time is told."""
    leads = [Lead(0.1, 0.2, "b", False), Lead(0.2, 0.5, "a", True), Lead(0.5, 0.7, "b", False), Lead(0.7, 1, "a", True)]
    assert who_leads_when(leads, 1.0).endswith(f"a is the only one to lead clearly, first at 0.2 s ({RULE}).")


def test_the_order_turns():
    """Where two lead clearly, one after the other, both spans are told."""
    leads = [Lead(0.1, 0.2, "a", True), Lead(0.2, 0.3, "a", False), Lead(0.3, 0.4, "a", True), Lead(1, 1, "b", True)]
    said = f"the order turns: a from 0.1 s to 0.4 s and b at 1 s lead clearly ({RULE})."
    assert who_leads_when(leads, 1.0) == f"Stopped earlier within the runs of 1 s, {said}"
