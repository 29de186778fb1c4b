"""Lenstra's elliptic curve method on Montgomery's curves."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import gmpy2
import numpy as np
from gmpy2 import mpz

from instances.factoring.instance import FactoringInstance
from solvers.factoring.parts import decompose
from solvers.factoring.primes import powers_up_to, primes_up_to
from solvers.search import Search

_SMALL = 1000
_LEVELS = ((400, 20), (2_000, 25), (11_000, 90), (50_000, 300), (250_000, 700), (1_000_000, 1800))
"""First bounds and numbers of curves; from 2,000 on GMP-ECM's, for factors of 15, 20, 25, 30 and 35 digits."""
_STAGE_TWO = 100
_GIANT = 630
"""The step of the second stage, 2 * 3^2 * 5 * 7."""

Point = tuple[mpz, mpz]
"""X and Z of a point on a curve; Y is not needed."""


@dataclass(frozen=True)
class EllipticCurves:
    """Elliptic curves in two stages: random curves, until one has a smooth order modulo a factor.

    What it takes depends on the size of the factor that is found, hardly on that of n. Its bounds grow from those
    for 10 digits to those for 35. Primes up to 1000 are divided out first.

    References
    ----------
    H. W. Lenstra, Factoring integers with elliptic curves, 1987.
    P. L. Montgomery, Speeding the Pollard and elliptic curve methods of factorization, 1987.
    P. Zimmermann and B. Dodson, 20 years of ECM, 2006 (Suyama's curves, the stages).
    """

    problem: ClassVar[str] = "factoring"
    honours: ClassVar[frozenset[str]] = frozenset()
    packages: ClassVar[tuple[str, ...]] = ("gmpy2", "numpy")

    def declines(self, instance: FactoringInstance) -> str | None:
        return None

    def prepare(self) -> "EllipticCurves":
        return self

    def solve(self, instance: FactoringInstance, search: Search) -> None:
        rng = random.Random(search.seed)
        decompose(instance, search, lambda composite: _split(composite, rng, search), small=_SMALL)


def _split(n: mpz, rng: random.Random, search: Search) -> tuple[mpz, mpz] | None:
    for bound, num_curves in itertools.chain(_LEVELS, itertools.repeat(_LEVELS[-1])):
        powers, pairs = list(powers_up_to(bound)), _pairs(bound)
        for _ in range(num_curves):
            if not search.running():
                return None
            divisor = _Curve(n, rng.randrange(6, 2**32)).divisor(powers, pairs, search)
            if 1 < divisor < n:
                return divisor, n // divisor
    return None


def _pairs(bound: int) -> list[list[int]]:
    """For the giant steps g = 1, 2, ...: the baby steps b with which a prime of the second stage is g * 630 +- b.

    The bound must be above 315, so that no prime lies about g = 0.
    """
    primes = primes_up_to(_STAGE_TWO * bound).astype(np.int64)
    primes = primes[primes > bound]
    giants = (primes + _GIANT // 2) // _GIANT
    steps = np.unique(np.stack([giants, np.abs(primes - giants * _GIANT)]), axis=1)
    babies = np.split(steps[1], np.searchsorted(steps[0], np.arange(2, steps[0, -1] + 1)))
    return [group.tolist() for group in babies]


class _Curve:
    """One of Suyama's curves b y^2 = x^3 + a x^2 + x modulo n, whose orders are divisible by 12, and its point."""

    def __init__(self, n: mpz, sigma: int) -> None:
        u, v = mpz(sigma) ** 2 - 5, 4 * mpz(sigma)
        self.n = n
        self.point: Point = (u**3 % n, v**3 % n)
        denominator = 16 * u**3 * v % n
        self.bad = gmpy2.gcd(denominator, n)
        # (a + 2) / 4
        self.a24 = (v - u) ** 3 * (3 * u + v) * gmpy2.invert(denominator, n) % n if self.bad == 1 else mpz(0)

    def divisor(self, powers: list[int], pairs: list[list[int]], search: Search) -> mpz:
        """The divisor of n that the curve reveals, which may be n; 1 if none, or the time is over."""
        if self.bad > 1:
            return self.bad
        for prime in powers:
            if not search.running():
                return mpz(1)
            self.point = self.multiple(prime, self.point)
            divisor = gmpy2.gcd(self.point[1], self.n)
            if divisor > 1:
                return divisor
        for divisor in self._stage_two(pairs):
            if divisor > 1 or not search.running():
                return divisor
        return mpz(1)

    def _stage_two(self, pairs: list[list[int]]) -> Iterator[mpz]:
        """The divisor at each giant step: a prime times the point vanishes where two of its multiples meet."""
        n, twice = self.n, self.double(self.point)
        babies = {1: self.point, 3: self.add(twice, self.point, self.point)}
        for step in range(5, _GIANT // 2 + 1, 2):
            babies[step] = self.add(babies[step - 2], twice, babies[step - 4])
        for (x, z), group in zip(self._multiples(self.multiple(_GIANT, self.point)), pairs, strict=False):
            product = mpz(1)
            for step in group:
                baby_x, baby_z = babies[step]
                product = product * (x * baby_z - baby_x * z) % n
            yield gmpy2.gcd(product, n)

    def _multiples(self, point: Point) -> Iterator[Point]:
        """Once, twice, three times the point, and so on."""
        yield point
        before, current = point, self.double(point)
        while True:
            yield current
            before, current = current, self.add(current, point, before)

    def multiple(self, factor: int, point: Point) -> Point:
        """The multiple of a point, by Montgomery's ladder."""
        low, high = point, self.double(point)
        for bit in f"{factor:b}"[1:]:
            middle = self.add(low, high, point)
            low, high = (middle, self.double(high)) if bit == "1" else (self.double(low), middle)
        return low

    def double(self, point: Point) -> Point:
        x, z = point
        plus, minus = (x + z) ** 2 % self.n, (x - z) ** 2 % self.n
        difference = plus - minus
        return plus * minus % self.n, difference * (minus + self.a24 * difference) % self.n

    def add(self, one: Point, other: Point, difference: Point) -> Point:
        """The sum of two points whose difference is known."""
        u = (one[0] - one[1]) * (other[0] + other[1])
        v = (one[0] + one[1]) * (other[0] - other[1])
        return difference[1] * (u + v) ** 2 % self.n, difference[0] * (u - v) ** 2 % self.n
