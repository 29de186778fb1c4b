"""The referee agrees with a second one written from the definitions, and with sympy's factorisations."""

from collections import Counter
from math import prod

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from sympy import factorint, isprime

from instances.factoring.instance import FactoringInstance
from instances.factoring.referee import verify
from instances.factoring.solution import Factors
from instances.verdict import Verdict

Spoilt = tuple[tuple[int, ...], set[str]]


def judged(n: int, factors: tuple[int, ...]) -> Verdict:
    return verify(FactoringInstance(n), Factors(factors))


def is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, number))


def oracle(n: int, factors: tuple[int, ...]) -> int | list[tuple[str, int | None]]:
    """The cost, or kinds and amounts of all violations, by trial and counting."""
    nonpositive = Counter(factor for factor in factors if factor <= 0)
    if nonpositive:
        return sorted(("nonpositive-factor", times) for times in nonpositive.values())
    found: list[tuple[str, int | None]] = []
    if 1 in factors:
        found.append(("unit-factor", factors.count(1)))
    product = prod(factors)
    if product != n:
        found.append(("wrong-product", None))
        for factor in set(factors) - {1}:
            given = factors.count(factor)
            divides = max(power for power in range(20) if n % factor**power == 0)
            common = max(divisor for divisor in range(1, n + 1) if n % divisor == 0 and product % divisor == 0)
            if divides == 0:
                found.append(("not-a-divisor", given))
            elif given > divides or (given < divides and (n // common) % factor == 0):
                found.append(("multiplicity", given - divides))
    if found:
        return sorted(found, key=str)
    return sum(factor.bit_length() for factor in factors if not is_prime(factor))


SMALL = st.integers(2, 400)


@given(data=st.data())
@settings(deadline=None, max_examples=400)
def test_any_answer_to_a_small_number_is_judged_as_by_the_definitions(data):
    """Cost or violations, from answers that are products of divisors, nearly so, or anything at all."""
    n = data.draw(SMALL)
    divisors = [divisor for divisor in range(1, n + 1) if n % divisor == 0]
    number = st.one_of(st.sampled_from(divisors), st.sampled_from(divisors[:4]), st.integers(-2, 30))
    factors = data.draw(st.lists(number, max_size=6).map(tuple))
    if data.draw(st.booleans()):
        # Completed by what is missing, so that many answers are right.
        rest, remainder = divmod(n, prod(factors)) if prod(factors) else (0, 1)
        factors = factors if remainder or rest == 1 else (*factors, rest)
    expected = oracle(n, factors)
    verdict = judged(n, factors)
    if isinstance(expected, int):
        event("right")
        assert verdict == Verdict(cost=expected, complete=expected == 0, notes=verdict.notes)
        composite = [factor for factor in set(factors) if not is_prime(factor)]
        assert len(verdict.notes) == len(composite)
    else:
        event("wrong")
        assert sorted(((v.kind, v.amount) for v in verdict.violations), key=str) == expected


def numbers(bits: int) -> st.SearchStrategy[int]:
    """Any number of up to ``bits`` bits: uniform ones, products of small ones, and powers."""
    product = st.lists(st.integers(2, 1000), min_size=1, max_size=bits // 10).map(prod)
    power = st.builds(pow, st.integers(2, 2**10), st.integers(1, bits // 10))
    return st.one_of(st.integers(2, 2**bits - 1), product, power)


def primes_of(n: int) -> tuple[int, ...]:
    """The prime factors by sympy, ascending, each as often as it divides."""
    return tuple(sorted(int(prime) for prime in Counter(factorint(n)).elements()))


def agrees_with_sympy(data: st.DataObject, bits: int) -> None:
    """Complete, partial and spoilt factorisations of one number, each judged as sympy's factors say."""
    n = data.draw(numbers(bits))
    primes = primes_of(n)
    assert judged(n, tuple(data.draw(st.permutations(primes)))) == Verdict(cost=0)
    groups = data.draw(st.lists(st.integers(0, len(primes) - 1), min_size=len(primes), max_size=len(primes)))
    merged = tuple(prod(p for p, group in zip(primes, groups, strict=True) if group == g) for g in sorted(set(groups)))
    partial = judged(n, merged)
    composite = [part for part in merged if not isprime(part)]
    assert partial.cost == sum(part.bit_length() for part in composite)
    assert partial.complete == (not composite)
    assert len(partial.notes) == len(set(composite))
    factors, kinds = data.draw(spoilt(n, primes))
    verdict = judged(n, factors)
    assert verdict.cost is None
    assert {violation.kind for violation in verdict.violations} == kinds


@st.composite
def spoilt(draw: st.DrawFn, n: int, primes: tuple[int, ...]) -> Spoilt:
    """A factorisation with one thing wrong, and the kinds of violation that this is."""
    place = draw(st.integers(0, len(primes) - 1))
    prime, others = primes[place], (*primes[:place], *primes[place + 1 :])
    stranger = draw(st.sampled_from([p for p in (2, 3, 5, 7, 11, 13, 10007, 2**31 - 1, 2**61 - 1) if n % p]))
    twice = ({"multiplicity"} if prime in others else set()) | {"wrong-product"}
    cases: list[Spoilt] = [
        (others, twice),
        ((*primes, prime), {"multiplicity", "wrong-product"}),
        ((*primes, stranger), {"not-a-divisor", "wrong-product"}),
        ((*others, stranger), twice | {"not-a-divisor"}),
        ((*primes, 1), {"unit-factor"}),
        ((*others, 1), twice | {"unit-factor"}),
        ((*others, -prime), {"nonpositive-factor"}),
        ((*primes, 0), {"nonpositive-factor"}),
        ((n, n), {"multiplicity", "wrong-product"}),
        ((n + 1,), {"not-a-divisor", "wrong-product"}),
        ((), {"wrong-product"}),
    ]
    return draw(st.sampled_from(cases))


@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_factorisations_are_judged_as_sympy_says(data):
    """On 150 numbers of up to 60 bits."""
    agrees_with_sympy(data, 60)


@pytest.mark.slow
@given(data=st.data())
@settings(deadline=None, max_examples=10_000)
def test_ten_thousand_factorisations_are_judged_as_sympy_says(data):
    """On 10,000 numbers of up to 64 bits."""
    agrees_with_sympy(data, 64)


@given(st.integers(2, 2**200))
@settings(deadline=None, max_examples=300)
def test_primality_is_as_sympy_says(number):
    """Of numbers up to 200 bits, and of the first prime from each."""
    candidate = number | 1
    while not isprime(candidate):
        candidate += 2
    assert judged(number, (number,)).complete == isprime(number)
    assert judged(candidate, (candidate,)).complete
