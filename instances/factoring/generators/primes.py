"""Primes, each in one split: no prime of a test set occurs in a training set."""

import hashlib
from functools import lru_cache
from typing import Literal

import gmpy2

from instances.factoring.generators.draws import Draws

Split = Literal["training", "validation", "test", "any"]
"""What primes are for; ``any`` takes all of them, and must never meet what was trained."""


def split_of(prime: int) -> Split:
    """The split of a prime: of the last digits of its SHA-256, one in ten is test and one validation."""
    digest = hashlib.sha256(f"versus prime {prime:x}".encode()).digest()
    match int.from_bytes(digest[-8:], "big") % 10:
        case 0:
            return "test"
        case 1:
            return "validation"
        case _:
            return "training"


def is_prime_in(split: Split, number: int) -> bool:
    """Whether a number is a prime of the split (above 2^64: passes the Baillie-PSW test)."""
    return (split in ("any", split_of(number))) and bool(gmpy2.is_prime(number))


def prime_between(draws: Draws, low: int, high: int, split: Split) -> int | None:
    """A prime of the split, uniform from ``low`` to ``high``; None if there is none."""
    return draws.choose(max(low, 2), high, lambda number: is_prime_in(split, number))


def prime_of(draws: Draws, bits: int, split: Split) -> int | None:
    """A prime of the split, uniform among those of ``bits`` bits; None if there is none."""
    return prime_between(draws, 1 << (bits - 1), (1 << bits) - 1, split)


@lru_cache(maxsize=8)
def primes_to(bound: int, split: Split) -> tuple[int, ...]:
    """All primes of the split up to ``bound``, ascending."""
    return tuple(number for number in range(2, bound + 1) if is_prime_in(split, number))
