"""Trial division takes as many divisions as theory says, in every order."""

import logging
import random
from math import isqrt

import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given
from hypothesis import strategies as st
from sympy import primepi

from instances.factoring.instance import FactoringInstance
from instances.factoring.solution import Factors
from solvers.conformance import RecordingSearch
from solvers.factoring.trial_division import Order, TrialDivision, divides, walk

P, Q = 1_019, 1_733


@pytest.fixture
def divisions(caplog: pytest.LogCaptureFixture):
    """A function that runs a solver and returns the parts it ends with and the divisions in its log."""

    def run(solver: TrialDivision, n: int, seed: int = 0) -> tuple[tuple[int, ...], int]:
        caplog.clear()
        search = RecordingSearch(60, seed=seed)
        with caplog.at_level(logging.INFO):
            solver.solve(FactoringInstance(n), search)
        parts = search.reports[-1][1].factors if search.reports else ()
        return parts, int(caplog.messages[-1].removesuffix(" divisions"))

    return run


def test_ascending_divides_up_to_the_smaller_prime(divisions) -> None:
    """By 2, 3, 5, 7, 9, ... that are (p + 1) / 2 divisions, by the primes pi(p)."""
    assert divisions(TrialDivision(), P * Q) == ((P, Q), (P + 1) // 2)
    assert divisions(TrialDivision(candidates="primes"), P * Q) == ((P, Q), primepi(P))


def test_descending_divides_down_to_it_from_the_square_root(divisions) -> None:
    """The candidates from p to the root, both counted."""
    root = isqrt(P * Q)
    assert divisions(TrialDivision("descending"), P * Q) == ((P, Q), (root + 1) // 2 - (P - 1) // 2)
    expected = primepi(root) - primepi(P) + 1
    assert divisions(TrialDivision("descending", "primes"), P * Q) == ((P, Q), expected)


@pytest.mark.parametrize(
    ("candidates", "size"), [("odd", (isqrt(P * Q) + 1) // 2), ("primes", int(primepi(isqrt(P * Q))))]
)
def test_random_takes_half_of_all_candidates_in_the_mean(divisions, candidates, size: int) -> None:
    """The divisions are uniform between 1 and the number of candidates: their mean and spread say so."""
    solver = TrialDivision("random", candidates)
    counts = [divisions(solver, P * Q, seed)[1] for seed in range(400)]
    deviation = size / 12**0.5
    assert 1 <= min(counts) <= max(counts) <= size
    assert np.mean(counts) == pytest.approx((size + 1) / 2, abs=4 * deviation / 20)
    assert np.std(counts) == pytest.approx(deviation, rel=0.15)


def test_ascending_goes_on_where_it_found_a_factor(divisions) -> None:
    """For 2^5 * 3^2 * p * q the divisions are those for p * q: nothing is tried twice."""
    assert divisions(TrialDivision(), 2**5 * 3**2 * P * Q) == ((2,) * 5 + (3,) * 2 + (P, Q), (P + 1) // 2)


def test_a_prime_takes_no_division(divisions) -> None:
    """The primality test comes first."""
    assert divisions(TrialDivision(), 7_919) == ((7_919,), 0)


@pytest.mark.parametrize("order", ["ascending", "descending", "random"])
def test_a_limit_ends_the_search_after_just_so_many_divisions(divisions, order: Order) -> None:
    """One division less than needed finds nothing."""
    _, needed = divisions(TrialDivision(order), P * Q)
    assert divisions(TrialDivision(order, divisions=needed), P * Q) == ((P, Q), needed)
    assert divisions(TrialDivision(order, divisions=needed - 1), P * Q) == ((), needed - 1)


def test_the_limit_counts_the_divisions_of_all_parts() -> None:
    """What is found before the limit is reported."""
    search = RecordingSearch(60)
    TrialDivision(divisions=100).solve(FactoringInstance(15 * P * Q), search)
    assert [solution for _, solution in search.reports] == [Factors((3, 5 * P * Q)), Factors((3, 5, P * Q))]


def test_a_negative_limit_is_refused() -> None:
    """The message says what is accepted."""
    with pytest.raises(ValueError, match=r"divisions is -1; accepted are 0 and more"):
        TrialDivision(divisions=-1)


@given(st.integers(1, 3_000), st.sampled_from(["ascending", "descending", "random"]), st.integers(0, 2**31 - 1))
def test_a_walk_comes_to_each_place_once(size: int, order: Order, seed: int) -> None:
    """In the named order, and in another one for each seed if it is random."""
    places = np.concatenate(list(walk(order, size, 0, random.Random(seed)))).tolist()
    assert sorted(places) == list(range(size))
    if order != "random":
        assert places == sorted(places, reverse=order == "descending")


@given(st.sampled_from(["ascending", "descending", "random"]), st.integers(2**46, 2**200))
def test_a_walk_over_more_places_than_a_word_counts_is_exact(order: Order, size: int) -> None:
    """Its first blocks hold different places within the range."""
    blocks = walk(order, size, 0, random.Random(1))
    places = [place for _ in range(3) for place in next(blocks).tolist()]
    assert len(set(places)) == len(places)
    assert 0 <= min(places) <= max(places) < size


@given(st.integers(4, 2**700), st.lists(st.integers(2, 2**40), min_size=1, max_size=20))
def test_division_by_many_agrees_with_division_by_one(n: int, candidates: list[int]) -> None:
    """Whatever the length of n, in words or beyond, and for divisors and others."""
    n *= candidates[0]
    found = divides(mpz(n), np.array(candidates, dtype=np.uint64))
    assert found.tolist() == [n % candidate == 0 for candidate in candidates]


def test_listing_the_primes_ends_with_the_time() -> None:
    """The 14.6 million primes below 2^28 take seconds to list; a tenth of a second is kept all the same."""
    search = RecordingSearch(0.1)
    TrialDivision(candidates="primes").prepare().solve(FactoringInstance(268_435_399**2), search)
    assert search.elapsed() < 0.6
