"""Fermat's method: n as a difference of two squares."""

from dataclasses import dataclass
from typing import ClassVar

import gmpy2
import numpy as np
from gmpy2 import mpz

from instances.factoring.instance import FactoringInstance
from solvers.factoring.parts import decompose
from solvers.search import Search

_MODULI = (16, 9, 5, 7, 11, 13)
_PERIOD = 16 * 9 * 5 * 7 * 11 * 13
_BATCH = 256


@dataclass(frozen=True)
class Fermat:
    """Fermat's method: n = a^2 - b^2 with a from the square root up; quick where two factors are close.

    A sieve passes over each a for which a^2 - n is no square modulo 16, 9, 5, 7, 11 or 13. Twos are divided out
    first.

    References
    ----------
    D. E. Knuth, The Art of Computer Programming, volume 2, section 4.5.4, algorithm D (factoring with sieves).
    """

    problem: ClassVar[str] = "factoring"
    honours: ClassVar[frozenset[str]] = frozenset()
    packages: ClassVar[tuple[str, ...]] = ("gmpy2", "numpy")

    def declines(self, instance: FactoringInstance) -> str | None:
        return None

    def prepare(self) -> "Fermat":
        return self

    def solve(self, instance: FactoringInstance, search: Search) -> None:
        decompose(instance, search, lambda composite: _split(composite, search))


def _split(n: mpz, search: Search) -> list[mpz] | None:
    odd, twos = gmpy2.remove(n, 2)
    if twos:
        return [mpz(2)] * twos + ([odd] if odd > 1 else [])
    root, rest = gmpy2.isqrt_rem(n)
    begin = root + (rest > 0)
    # Most pairs of close factors show among the first few; they need no sieve.
    offsets, step = list(range(_BATCH)), _BATCH
    while True:
        for first in range(0, len(offsets), _BATCH):
            if not search.running():
                return None
            for offset in offsets[first : first + _BATCH]:
                a = begin + offset
                difference = a * a - n
                if gmpy2.is_square(difference):
                    b = gmpy2.isqrt(difference)
                    return [a - b, a + b]
        begin += step
        if step == _BATCH:
            offsets, step = _sieved(n, begin), _PERIOD


def _sieved(n: mpz, begin: mpz) -> list[int]:
    """The offsets below the period for which (begin + offset)^2 - n can be a square; they recur with it."""
    possible = np.ones(_PERIOD, dtype=np.bool_)
    for modulus in _MODULI:
        residues = np.arange(modulus)
        differences = ((residues + int(begin % modulus)) ** 2 - int(n % modulus)) % modulus
        possible &= np.tile(np.isin(differences, residues**2 % modulus), _PERIOD // modulus)
    return list(np.flatnonzero(possible).tolist())
