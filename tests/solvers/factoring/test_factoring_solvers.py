"""The factoring solvers: right on every number, quick where their theory says so, in time on huge ones."""

import itertools
from math import prod
from operator import mul
from typing import Any

import gmpy2
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import factorint

from instances.factoring.instance import FactoringInstance
from solvers.conformance import RecordingSearch
from solvers.factoring.cp_sat import CpSat
from solvers.factoring.elliptic_curves import EllipticCurves
from solvers.factoring.fermat import Fermat
from solvers.factoring.p_minus_one import PMinusOne
from solvers.factoring.parts import decompose, is_prime
from solvers.factoring.primes import powers_up_to, prime_segments, primes_up_to
from solvers.factoring.quadratic_sieve import QuadraticSieve
from solvers.factoring.rho import Rho
from solvers.factoring.trial_division import TrialDivision

# Each with the largest numbers that it is sure to factor at once.
SOLVERS = {
    TrialDivision(): 2**36,
    TrialDivision("descending"): 2**36,
    TrialDivision("random"): 2**36,
    TrialDivision("random", "primes"): 2**36,
    Fermat(): 2**28,
    Rho(): 2**48,
    PMinusOne(): 2**32,
    EllipticCurves(): 2**48,
    QuadraticSieve(): 2**96,
    CpSat(): 2**20,
    CpSat("bits"): 2**10,
}
each_solver = pytest.mark.parametrize("solver", SOLVERS, ids=repr)
PRIME_300 = int(gmpy2.next_prime(2**299))


def solve(solver: Any, n: int, seconds: float = 60, seed: int = 0) -> RecordingSearch:
    """The search after a run, with its reports."""
    search = RecordingSearch(seconds, seed=seed)
    solver.solve(FactoringInstance(n), search)
    return search


def parts(search: RecordingSearch) -> list[tuple[int, ...]]:
    """What was reported, in order."""
    return [solution.factors for _, solution in search.reports]


def primes_of(n: int) -> tuple[int, ...]:
    """The oracle: the prime factors of n, ascending, by sympy."""
    return tuple(sorted(itertools.chain.from_iterable([int(p)] * times for p, times in factorint(n).items())))


@each_solver
def test_every_number_is_factored_as_by_sympy(solver: Any) -> None:
    """Small numbers, random ones, powers, and products of many factors; each report multiplies to n."""

    @settings(max_examples=40, deadline=None)
    @given(st.one_of(st.integers(2, 200), st.integers(2, SOLVERS[solver]), _products(SOLVERS[solver])))
    def check(n: int) -> None:
        reported = parts(solve(solver, n))
        assert reported[-1] == primes_of(n)
        assert all(prod(factors) == n for factors in reported)
        assert all(len(one) < len(other) for one, other in itertools.pairwise(reported))

    check()


def _products(limit: int) -> st.SearchStrategy[int]:
    """Numbers up to a limit with repeated and neighbouring factors."""
    factors = st.one_of(st.integers(2, 50), st.sampled_from([1009, 1013, 1019, 2311, 4621]))
    products = st.lists(factors, min_size=1, max_size=8).map(lambda chosen: list(itertools.accumulate(chosen, mul)))
    return products.map(lambda sizes: max((n for n in sizes if n <= limit), default=2))


@pytest.mark.parametrize("n", [1009**2, 1013**3, 1171 * 2341 * 3511, 32749 * 32771, (1009 * 1013) ** 2, 2311 * 4621])
def test_awkward_numbers_without_small_factors_are_split(n: int) -> None:
    """Squares, cubes, a Carmichael number, close primes, smooth p - 1 for both: by every method with a shortcut."""
    for solver in (Fermat(), Rho(), PMinusOne(), EllipticCurves(), QuadraticSieve()):
        for seed in range(3):
            assert parts(solve(solver, n, seed=seed))[-1] == primes_of(n), solver


@each_solver
def test_equal_seeds_give_equal_reports(solver: Any) -> None:
    """Whatever is random in a method comes from the seed."""
    n = 3 * 17 * 1_019 * 31 if isinstance(solver, CpSat) else 3 * 1_019 * 65_537 * 10_007
    traces = [parts(solve(solver, n, seed=5)) for _ in range(2)]
    assert traces[0] == traces[1]
    assert traces[0][-1] == primes_of(n)


def test_rho_finds_a_small_factor_of_a_large_number() -> None:
    """30 bits of 330, then it goes on with nothing left to do."""
    p = int(gmpy2.next_prime(2**29))
    assert parts(solve(Rho(), p * PRIME_300)) == [(p, PRIME_300)]


def test_ecm_finds_a_factor_by_its_own_size() -> None:
    """40 bits of 340."""
    p = int(gmpy2.next_prime(2**39))
    assert parts(solve(EllipticCurves(), p * PRIME_300)) == [(p, PRIME_300)]


def test_flint_looks_for_easy_factors_of_numbers_too_long_for_the_sieve() -> None:
    """40 bits of 340, and a power beside it."""
    p = int(gmpy2.next_prime(2**39))
    assert parts(solve(QuadraticSieve(), p * PRIME_300))[-1] == (p, PRIME_300)
    assert parts(solve(QuadraticSieve(), PRIME_300**2))[-1] == (PRIME_300, PRIME_300)


def _smooth_prime(bits: int, largest: int, last: int = 1) -> int:
    """A prime p for which p - 1 is a product of primes up to ``largest``, and of ``last``."""
    candidate = 2 * last
    for prime in itertools.cycle(primes_up_to(largest)[1:].tolist()):
        candidate *= prime
        if candidate.bit_length() >= bits and gmpy2.is_prime(candidate + 1):
            return int(candidate) + 1
    raise AssertionError


def test_pm1_finds_smooth_primes_of_any_size() -> None:
    """p - 1 smooth: by the first stage; smooth but for one prime: by the second; smooth for both: by its twos."""
    one, other = _smooth_prime(150, 500), _smooth_prime(160, 900, last=907)
    with_a_large = _smooth_prime(150, 500, last=40_009)
    assert one != other
    for pair in ((one, PRIME_300), (with_a_large, PRIME_300), (one, other)):
        assert parts(solve(PMinusOne(), prod(pair))) == [tuple(sorted(pair))]


def test_pm1_tells_apart_what_the_second_stage_finds_at_once() -> None:
    """Two primes with the same large prime in p - 1 are split by the first stage of the next bounds."""
    one = _smooth_prime(100, 500, last=40_009)
    other = _smooth_prime(130, 700, last=40_009)
    assert one != other
    assert parts(solve(PMinusOne(), one * other)) == [tuple(sorted((one, other)))]


def test_fermat_finds_close_primes_of_any_size() -> None:
    """Two primes of 500 bits that differ from the 240th bit on are found with the first squares."""
    p = int(gmpy2.next_prime(2**499))
    q = int(gmpy2.next_prime(p + 2**240))
    search = solve(Fermat(), p * q, seconds=5)
    assert parts(search) == [(p, q)]


def test_fermat_finds_by_its_sieve_what_is_beyond_the_first_squares() -> None:
    """Here a is some millions above the square root."""
    p, q = int(gmpy2.next_prime(10**12)), int(gmpy2.next_prime(10**12 + 6 * 10**9))
    assert (p + q) // 2 - gmpy2.isqrt(p * q) > 10**6
    assert parts(solve(Fermat(), p * q)) == [(p, q)]


def test_limits_are_reasons_to_decline() -> None:
    """CP-SAT ends at 2^63, the list of primes at 56 bits; nothing else is declined."""
    assert CpSat().declines(FactoringInstance(2**63 - 1)) is None
    assert CpSat().declines(FactoringInstance(2**63)) == "CP-SAT's integers end at 2^63; this has 64 bits"
    primes = TrialDivision(candidates="primes")
    assert primes.declines(FactoringInstance(2**56 - 1)) is None
    assert primes.declines(FactoringInstance(2**56)) == "lists the primes for n of at most 56 bits; this has 57"
    huge = FactoringInstance(10**9_999)
    declining = {TrialDivision("random", "primes"), CpSat(), CpSat("bits")}
    assert {solver for solver in SOLVERS if solver.declines(huge) is not None} == declining


@pytest.mark.parametrize("bound", [9, 10**9])
def test_a_bound_out_of_range_is_refused(bound: int) -> None:
    """The message says what is accepted."""
    with pytest.raises(ValueError, match=rf"bound is {bound}; accepted are 10 to 100000000"):
        PMinusOne(bound)


@pytest.mark.parametrize("model", ["product", "bits"])
def test_cp_sat_takes_numbers_up_to_its_end(model: Any) -> None:
    """Just below 2^63 the models are valid: twos are taken out, and the rest takes the time there is."""
    large = int(gmpy2.prev_prime(2**63 // 6))
    first, *others = parts(solve(CpSat(model), 2 * 3 * large, seconds=0.5))
    assert first == (2, 3 * large)
    assert others in ([], [(2, 3, large)])


HUGE = {
    "without small factors": (2**16384 + 1) * (2**16384 + 3) | 1,
    "odd with a small factor": 3 * 10**9_998 + 3,
    "a power of two": 2**33_000,
    "a seventh power": int(gmpy2.next_prime(2**3_000)) ** 7,
    "a prime": 2**9_689 - 1,
}


@pytest.mark.parametrize("label", HUGE)
def test_huge_numbers_take_no_longer_than_the_budget(label: str) -> None:
    """Up to 10,000 digits, but for FLINT, which has to be killed."""
    for solver in SOLVERS:
        if solver.declines(FactoringInstance(HUGE[label])) or isinstance(solver, QuadraticSieve):
            continue
        search = solve(solver, HUGE[label], seconds=0.2)
        assert search.elapsed() < 1.2, solver
        assert all(prod(factors) == HUGE[label] for factors in parts(search))


def test_what_is_found_in_time_counts() -> None:
    """A composite that resists stays as a part; nothing is reported while nothing is known."""
    hard = PRIME_300 * int(gmpy2.next_prime(2**300))
    for solver in (Rho(), PMinusOne(), EllipticCurves()):
        assert parts(solve(solver, 7**2 * 11 * hard, seconds=0.1)) == [(7, 7, 11, hard)]
    for solver in (TrialDivision(), Fermat(), Rho(), PMinusOne(), EllipticCurves()):
        assert parts(solve(solver, hard, seconds=0.1)) == []


def test_a_split_is_asked_for_each_different_composite_once() -> None:
    """Equal parts are split alike, the smaller part first, and what cannot be split is left alone."""
    asked: list[int] = []
    known = {(6 * 35) ** 2: [210, 210], 210: [6, 35], 6: [2, 3]}

    def split(n: mpz) -> list[int] | None:
        asked.append(int(n))
        return known.get(int(n))

    search = RecordingSearch(60)
    decompose(FactoringInstance(210**2), search, split)
    assert asked == [210**2, 210, 6, 35]
    assert parts(search) == [(210, 210), (6, 6, 35, 35), (2, 2, 3, 3, 35, 35)]


def test_long_numbers_are_tested_in_small_steps() -> None:
    """2^4423 - 1 is prime; 2^4259 - 1, which passes to base 2 as all of its kind do, is not, nor is a product."""
    search = RecordingSearch(60)
    assert is_prime(mpz(2) ** 4423 - 1, search)
    assert not is_prime(mpz(2) ** 4259 - 1, search)
    assert not is_prime((mpz(2) ** 2203 - 1) * (mpz(2) ** 2281 - 1), search)
    assert not is_prime(mpz(2) ** 9689 - 1, RecordingSearch(0))


def test_the_sieve_finds_the_primes_and_their_powers() -> None:
    """As sympy's prime numbers, over the border of a segment, for each small limit."""
    numbers = [n for n in range(200) if gmpy2.is_prime(n)]
    assert all(primes_up_to(limit).tolist() == [p for p in numbers if p <= limit] for limit in range(200))
    first, second = prime_segments(2**22 + 1_000)
    assert first.size + second.size == 295_947 + sum(gmpy2.is_prime(n) for n in range(2**22, 2**22 + 1_001))
    assert gmpy2.next_prime(int(first[-1])) == second[0]
    assert list(powers_up_to(10)) == [2, 2, 2, 3, 3, 5, 7]
