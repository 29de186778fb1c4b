"""A solution of a factoring instance: numbers whose product is n."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Factors:
    """Factors, each as often as it divides, in any order and without a cost.

    They need not be prime: ``(n,)`` is the trivial factorisation, and the answer if n is prime.
    """

    factors: tuple[int, ...]
