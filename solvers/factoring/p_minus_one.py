"""Pollard's p - 1 method."""

import random
from dataclasses import dataclass, field
from typing import ClassVar

import gmpy2
from gmpy2 import mpz

from instances.factoring.instance import FactoringInstance
from solvers.factoring.parts import decompose
from solvers.factoring.primes import powers_up_to, prime_segments
from solvers.search import Search

_SMALL = 1000
_GROWTH = 4
_STAGE_TWO = 50
"""The second bound is so many times the first; the stages then take about the same time."""
_LARGEST_BOUND = 10**8
_BATCH = 64


@dataclass(frozen=True)
class PMinusOne:
    """Pollard's p - 1 in two stages: finds p where p - 1 has only small prime factors, one perhaps larger.

    When the bounds are through, they are quadrupled and a new base is drawn, until the time is over. Primes up to
    1000 are divided out first.

    References
    ----------
    J. M. Pollard, Theorems on factorization and primality testing, 1974.
    P. L. Montgomery, Speeding the Pollard and elliptic curve methods of factorization, 1987.
    """

    bound: int = field(default=1000, metadata={"help": "first bound on the prime powers in p - 1"})

    problem: ClassVar[str] = "factoring"
    honours: ClassVar[frozenset[str]] = frozenset()
    packages: ClassVar[tuple[str, ...]] = ("gmpy2", "numpy")

    def __post_init__(self) -> None:
        if not 10 <= self.bound <= _LARGEST_BOUND:
            raise ValueError(f"bound is {self.bound}; accepted are 10 to {_LARGEST_BOUND}")

    def declines(self, instance: FactoringInstance) -> str | None:
        return None

    def prepare(self) -> "PMinusOne":
        return self

    def solve(self, instance: FactoringInstance, search: Search) -> None:
        rng = random.Random(search.seed)
        decompose(instance, search, lambda composite: _split(composite, self.bound, rng, search), small=_SMALL)


def _split(n: mpz, bound: int, rng: random.Random, search: Search) -> tuple[mpz, mpz] | None:
    while search.running():
        power, divisor = _stage_one(n, mpz(rng.randrange(2, n - 1)), bound, search)
        if divisor == n:
            continue  # the bound does for all factors; another base will tell them apart
        if divisor == 1:
            divisor = _stage_two(n, power, bound, search)
        if divisor > 1:
            return divisor, n // divisor
        bound = min(_GROWTH * bound, _LARGEST_BOUND)
    return None


def _stage_one(n: mpz, power: mpz, bound: int, search: Search) -> tuple[mpz, mpz]:
    """The base to the power of all prime powers up to the bound, and the divisor that it reveals.

    The twos come last and one by one: where p - 1 is smooth for all factors p, this is the method of Miller for a
    known multiple of the orders, and at least half of the bases split n.
    """
    twos = 0
    for prime in powers_up_to(bound):
        if not search.running():
            break
        if prime == 2:
            twos += 1
        else:
            power = gmpy2.powmod(power, prime, n)
    divisor = gmpy2.gcd(power - 1, n)
    for _ in range(twos):
        if divisor > 1:
            break
        power = power * power % n
        divisor = gmpy2.gcd(power - 1, n)
    return power, divisor


def _stage_two(n: mpz, power: mpz, bound: int, search: Search) -> mpz:
    """A divisor p of n with a prime r up to the second bound such that ``power`` to the r is 1 modulo p; else 1.

    From one prime to the next the exponent grows by a small even gap, whose power is kept.
    """
    gaps: dict[int, mpz] = {}
    last, current = 0, mpz(1)
    for segment in prime_segments(_STAGE_TWO * bound):
        primes = segment[segment > bound].tolist()
        for first in range(0, len(primes), _BATCH):
            if not search.running():
                return mpz(1)
            before, product = (last, current), mpz(1)
            for prime in primes[first : first + _BATCH]:
                gap = prime - last
                if gap not in gaps:
                    gaps[gap] = gmpy2.powmod(power, gap, n)
                current = current * gaps[gap] % n
                last = prime
                product = product * (current - 1) % n
            divisor = gmpy2.gcd(product, n)
            if divisor == n:
                last, current = before
                for prime in primes[first : first + _BATCH]:
                    current = current * gaps[prime - last] % n
                    last = prime
                    divisor = gmpy2.gcd(current - 1, n)
                    if divisor > 1:
                        break
            if divisor > 1:
                # Both factors by the same prime: the next bounds bring it into the first stage.
                return divisor if divisor < n else mpz(1)
    return mpz(1)
