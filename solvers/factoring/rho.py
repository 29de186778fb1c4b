"""Pollard's rho method in Brent's form."""

import random
from dataclasses import dataclass
from typing import ClassVar

import gmpy2
from gmpy2 import mpz

from instances.factoring.instance import FactoringInstance
from solvers.factoring.parts import decompose
from solvers.search import Search

_SMALL = 1000
_BATCH = 128
"""Differences that are multiplied together before their greatest common divisor with n is taken."""


@dataclass(frozen=True)
class Rho:
    """Pollard's rho in Brent's form: a random walk modulo n, whose cycle modulo a factor is found.

    It takes about the square root of the smallest prime factor in steps. Primes up to 1000 are divided out first.

    References
    ----------
    J. M. Pollard, A Monte Carlo method for factorization, 1975.
    R. P. Brent, An improved Monte Carlo factorization algorithm, 1980.
    """

    problem: ClassVar[str] = "factoring"
    honours: ClassVar[frozenset[str]] = frozenset()
    packages: ClassVar[tuple[str, ...]] = ("gmpy2",)

    def declines(self, instance: FactoringInstance) -> str | None:
        return None

    def prepare(self) -> "Rho":
        return self

    def solve(self, instance: FactoringInstance, search: Search) -> None:
        rng = random.Random(search.seed)
        decompose(instance, search, lambda composite: _split(composite, rng, search), small=_SMALL)


def _split(n: mpz, rng: random.Random, search: Search) -> tuple[mpz, mpz] | None:
    while search.running():
        # Another walk whenever one closes modulo all factors at once.
        divisor = _walk(n, mpz(rng.randrange(n)), mpz(rng.randrange(1, n - 2)), search)
        if 1 < divisor < n:
            return divisor, n // divisor
    return None


def _walk(n: mpz, y: mpz, c: mpz, search: Search) -> mpz:
    """The divisor that the walk x -> x^2 + c from y comes upon, which may be n; 1 if the time is over."""
    product, length = mpz(1), 1
    while True:
        x = y
        for start in range(0, length, _BATCH):
            if not search.running():
                return mpz(1)
            for _ in range(min(_BATCH, length - start)):
                y = (y * y + c) % n
        for start in range(0, length, _BATCH):
            if not search.running():
                return mpz(1)
            saved = y
            for _ in range(min(_BATCH, length - start)):
                y = (y * y + c) % n
                product = product * (x - y) % n
            divisor = gmpy2.gcd(product, n)
            if divisor == n:
                return _again(n, x, saved, c)
            if divisor > 1:
                return divisor
        length *= 2


def _again(n: mpz, x: mpz, y: mpz, c: mpz) -> mpz:
    """The divisor within the last batch, taken step by step."""
    divisor = mpz(1)
    while divisor == 1:
        y = (y * y + c) % n
        divisor = gmpy2.gcd(x - y, n)
    return divisor
