"""The referee accepts factorisations at their cost and refuses each spoilt one for its reason."""

import time
from math import prod

import pytest

from instances.factoring.instance import FactoringInstance
from instances.factoring.referee import PROVEN_BELOW, verify
from instances.factoring.solution import Factors
from instances.verdict import Verdict

# OEIS A014233: the least composite that passes the strong test to the first 1, 2, ..., 13 prime bases.
LEAST_PSEUDOPRIMES = (
    2047, 1373653, 25326001, 3215031751, 2152302898747, 3474749660383, 341550071728321, 3825123056546413051,
    318665857834031151167461, 3317044064679887385961981,
)  # fmt: skip
PRIMES = [n for n in range(2, 2000) if all(n % d for d in range(2, n))]


def judged(n: int, *factors: int) -> Verdict:
    return verify(FactoringInstance(n), Factors(factors))


def refused(n: int, *factors: int) -> list[tuple[str, int | None]]:
    """(kind, amount) of all violations; fails if the solution is accepted."""
    verdict = judged(n, *factors)
    assert verdict.cost is None
    assert verdict.notes == ()
    assert all((found.route, found.customer) == (None, None) for found in verdict.violations)
    return [(found.kind, found.amount) for found in verdict.violations]


def messages(n: int, *factors: int) -> list[str]:
    return [found.message for found in judged(n, *factors).violations]


def test_a_complete_factorisation_costs_nothing():
    """In any order, with every factor as often as it divides, and without a word to add."""
    for factors in ((2, 2, 3), (2, 3, 2), (3, 2, 2)):
        assert judged(12, *factors) == Verdict(cost=0, complete=True)
    assert judged(2**64 + 1, 67280421310721, 274177) == Verdict(cost=0)


def test_a_prime_given_as_composite_is_its_own_factorisation():
    """The answer (n,) is complete, whatever kind was declared."""
    for prime in (2, 3, 41, 43, 2**61 - 1):
        assert verify(FactoringInstance(prime, kind="semiprime"), Factors((prime,))) == Verdict(cost=0)


def test_a_partial_factorisation_costs_the_bits_still_composite():
    """Feasible, not complete; each composite factor counts as often as it is given, and is named."""
    trivial = judged(15, 15)
    assert trivial == Verdict(cost=4, complete=False, notes=("still composite: 15, 4 bits",))
    assert trivial.feasible
    some = judged(2 * 15 * 15 * 77, 77, 15, 2, 15)
    assert some.cost == 7 + 4 + 4
    assert not some.complete
    assert some.notes == ("still composite: 15, 4 bits, 2 times", "still composite: 77, 7 bits")


def test_every_small_prime_is_prime_and_every_other_number_is_not():
    """By the definition, below 2000."""
    assert [n for n in range(2, 2000) if judged(n, n).complete] == PRIMES


@pytest.mark.parametrize("number", LEAST_PSEUDOPRIMES)
def test_pseudoprimes_to_the_first_bases_are_composite(number):
    """One base fewer would be fooled; the least number that fools all thirteen is above the bound."""
    assert judged(number, number).cost == number.bit_length()


def test_beyond_the_bound_a_prime_is_called_probable():
    """The two primes around the bound: the first is proven, the second passes the Baillie-PSW test."""
    below, above = PROVEN_BELOW - 168, PROVEN_BELOW + 142
    assert judged(below, below) == Verdict(cost=0)
    note = f"probable prime, not proven: {above}, 82 bits"
    assert judged(above, above) == Verdict(cost=0, complete=True, notes=(note,))
    assert judged(above**2 * 4, 2, above, above, 2).notes == (f"{note}, 2 times",)
    mersenne = 2**521 - 1
    assert judged(mersenne, mersenne).notes == (
        "probable prime, not proven: 686479766013...291115057151 (157 digits), 521 bits",
    )


def test_large_composites_are_named_shortly():
    """The square of a prime is none, and its name has both ends."""
    square = (2**521 - 1) ** 2
    note = "still composite: 471254469145...029996236801 (314 digits), 1042 bits"
    assert judged(square, square) == Verdict(cost=1042, complete=False, notes=(note,))


def test_unrelated_factors_do_not_divide():
    """Each is named; the product says what it is, what is missing and what is too much."""
    assert refused(12, 5, 7) == [("not-a-divisor", 1), ("not-a-divisor", 1), ("wrong-product", None)]
    assert messages(12, 5, 7) == [
        "5 does not divide n",
        "7 does not divide n",
        "the factors multiply to 35, not to 12; missing: 12; too much: 35",
    ]
    assert refused(15, 3, 7, 7) == [("not-a-divisor", 2), ("wrong-product", None)]
    assert messages(15, 3, 7)[-1] == "the factors multiply to 21, not to 15; missing: 5; too much: 7"


def test_duplicates_in_wrong_number_are_told_apart():
    """Too few and too many of a divisor, by how many; other divisors are not blamed."""
    assert refused(12, 2, 3) == [("multiplicity", -1), ("wrong-product", None)]
    assert messages(12, 2, 3) == [
        "2 is given once, but divides n 2 times",
        "the factors multiply to 6, not to 12; missing: 2",
    ]
    assert refused(12, 2, 2, 2, 3) == [("multiplicity", 1), ("wrong-product", None)]
    assert messages(12, 2, 2, 2, 3) == [
        "2 is given 3 times, but divides n 2 times",
        "the factors multiply to 24, not to 12; too much: 2",
    ]
    assert messages(6, 2, 2, 3)[0] == "2 is given 2 times, but divides n once"
    assert refused(2**5 * 3, 2, 2, 3, 3) == [("multiplicity", -3), ("multiplicity", 1), ("wrong-product", None)]


def test_a_missing_factor_is_named():
    """What is given is right as far as it goes; nothing at all misses n."""
    assert refused(15, 3) == [("wrong-product", None)]
    assert messages(15, 3) == ["the factors multiply to 3, not to 15; missing: 5"]
    assert messages(15) == ["the factors multiply to 1, not to 15; missing: 15"]


def test_divisors_that_share_a_prime_have_the_wrong_product():
    """4 and 6 divide 12, neither too often; only together they are too much."""
    assert refused(12, 4, 6) == [("wrong-product", None)]
    assert messages(12, 4, 6) == ["the factors multiply to 24, not to 12; too much: 2"]
    assert refused(12, 2, 6, 3) == [("wrong-product", None)]


def test_what_is_missing_and_too_much_is_exact():
    """Also far beyond what a float holds."""
    p, q = 2**89 - 1, 2**107 - 1
    assert messages(3 * p, 3, q)[-1] == (
        f"the factors multiply to {3 * q}, not to {3 * p}; missing: {p}; too much: {q}"
    )


def test_one_is_no_factor():
    """Refused although the product is right, and beside other reasons."""
    assert refused(15, 1, 3, 5) == [("unit-factor", 1)]
    assert messages(15, 1, 15) == ["1 is given as a factor; accepted are factors from 2"]
    assert refused(15, 3, 1, 1) == [("unit-factor", 2), ("wrong-product", None)]


def test_factors_that_are_not_positive_end_the_check():
    """Two negatives do not make a product."""
    assert refused(15, -3, -5) == [("nonpositive-factor", 1), ("nonpositive-factor", 1)]
    assert messages(15, -3, 5) == ["-3 is not positive"]
    assert refused(15, 0, 0, 1, 4) == [("nonpositive-factor", 2)]
    assert messages(15, 0) == ["0 is not positive"]


def test_messages_about_huge_numbers_stay_short():
    """Also where Python could not print the number."""
    huge = 10**9000
    assert all(len(message) < 200 for message in messages(huge, 3, huge, 2))


def test_ten_thousand_factors_and_three_thousand_digits_take_no_time():
    """Compositeness shows at the first base; factors multiply in one pass."""
    began = time.process_time()
    assert judged(2**30_000, *[2] * 30_000).complete
    composite = (10**1500 + 3) * (10**1500 + 7)
    assert judged(composite, composite).cost == composite.bit_length()
    assert time.process_time() - began < 10


@pytest.mark.slow
def test_ten_thousand_digits_take_seconds():
    """The largest composite without small factors, and a prime of nearly 7,000 digits."""
    began = time.process_time()
    composite = prod((10**5000 + 7, 10**4999 + 19))
    assert not judged(composite, composite).complete
    assert judged(2**23209 - 1, 2**23209 - 1).complete
    assert time.process_time() - began < 60
