"""The quadratic sieve of FLINT, behind its elliptic curves."""

from dataclasses import dataclass
from typing import ClassVar

from flint import fmpz
from gmpy2 import mpz

from instances.factoring.instance import FactoringInstance
from solvers.factoring.parts import decompose
from solvers.search import Search

_SIEVE_BITS = 192
"""Above it the sieve takes many seconds, so factors that are easy to find are looked for, and reported, before."""
_STEP_BITS = 10


@dataclass(frozen=True)
class QuadraticSieve:
    """FLINT's factorisation: trial division, elliptic curves, then the self-initialising quadratic sieve.

    It cannot be interrupted, so a run that does not end within the budget is killed. Above 192 bits, factors of
    up to 15, 25, ... bits are therefore looked for first, with FLINT's trial division and elliptic curves, and
    reported when found, up to a third of the bits of n less 17, where FLINT itself turns to the sieve. FLINT
    draws nothing from the seed.

    References
    ----------
    S. P. Contini, Factoring integers with the self-initializing quadratic sieve, 1997.
    The FLINT team, FLINT: Fast Library for Number Theory, flintlib.org.
    """

    problem: ClassVar[str] = "factoring"
    honours: ClassVar[frozenset[str]] = frozenset()
    packages: ClassVar[tuple[str, ...]] = ("python-flint",)

    def declines(self, instance: FactoringInstance) -> str | None:
        return None

    def prepare(self) -> "QuadraticSieve":
        return self

    def solve(self, instance: FactoringInstance, search: Search) -> None:
        decompose(instance, search, lambda composite: _split(composite, search))


def _split(n: mpz, search: Search) -> list[int] | None:
    number = fmpz(int(n))
    if n.bit_length() > _SIEVE_BITS:
        for bits in range(15, n.bit_length() // 3 - 16, _STEP_BITS):
            if not search.running():
                return None
            parts = _expanded(number.factor_smooth(bits=bits))
            if len(parts) > 1:
                return parts
    return _expanded(number.factor())


def _expanded(powers: list[tuple[fmpz, int]]) -> list[int]:
    return [int(part) for part, times in powers for _ in range(times)]
