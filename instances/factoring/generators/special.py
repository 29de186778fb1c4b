"""Primes, prime powers, Carmichael, Mersenne and Fermat numbers."""

from dataclasses import dataclass, field

import gmpy2

from instances.errors import InvalidInput
from instances.factoring.generators.draws import Draws
from instances.factoring.generators.primes import Split, prime_between, prime_of
from instances.factoring.generators.semiprimes import NoOptions
from instances.factoring.instance import MAX_DIGITS

MAX_CARMICHAEL_BITS = 512


@dataclass(frozen=True)
class PrimePowerOptions:
    """Options of prime powers."""

    exponent: int = field(default=2, metadata={"help": "the power, from 2"})

    def __post_init__(self) -> None:
        if self.exponent < 2:
            raise InvalidInput(f"is {self.exponent}; accepted are integers from 2", "exponent")


def prime(draws: Draws, bits: int, split: Split, options: NoOptions) -> int | None:
    """A prime of ``bits`` bits: the only answer is the number itself."""
    return prime_of(draws, bits, split)


def prime_power(draws: Draws, bits: int, split: Split, options: PrimePowerOptions) -> int | None:
    """p^exponent of ``bits`` bits."""
    if options.exponent >= bits:
        raise InvalidInput(f"is {options.exponent} of {bits} bits; accepted are 2 to {bits - 1}", "exponent")
    below, _ = gmpy2.iroot(gmpy2.mpz((1 << bits - 1) - 1), options.exponent)
    high, _ = gmpy2.iroot(gmpy2.mpz((1 << bits) - 1), options.exponent)
    p = prime_between(draws, int(below) + 1, int(high), split)
    return None if p is None else p**options.exponent


def carmichael(draws: Draws, bits: int, split: Split, options: NoOptions) -> int | None:
    """(6k + 1)(12k + 1)(18k + 1) with three primes: it passes Fermat's test to every base prime to it.

    References
    ----------
    J. Chernick, On Fermat's simple theorem, Bulletin of the AMS 45, 1939.
    """
    if bits > MAX_CARMICHAEL_BITS:
        raise InvalidInput(f"is {bits}; accepted are up to {MAX_CARMICHAEL_BITS} for Carmichael numbers", "bits")
    # 1296 k^3 < n < 1296 (k + 1)^3
    low, _ = gmpy2.iroot(gmpy2.mpz(1 << bits - 1) // 1296, 3)
    high, _ = gmpy2.iroot(gmpy2.mpz(1 << bits) // 1296, 3)
    k = draws.choose(max(int(low) - 1, 1), int(high), lambda k: all(gmpy2.is_prime(m * k + 1) for m in (6, 12, 18)))
    if k is None:
        return None
    n = (6 * k + 1) * (12 * k + 1) * (18 * k + 1)
    return n if n.bit_length() == bits else None


def mersenne(draws: Draws, bits: int, split: Split, options: NoOptions) -> int | None:
    """2^p - 1 for the primes p from ``bits`` on, in order."""
    exponent = bits - 1
    for _ in range(draws.number + 1):
        exponent = int(gmpy2.next_prime(exponent))
    return _accepted((1 << exponent) - 1)


def fermat(draws: Draws, bits: int, split: Split, options: NoOptions) -> int | None:
    """2^(2^k) + 1 of at least ``bits`` bits, in order."""
    k = max(bits - 2, 0).bit_length() + draws.number
    return _accepted((1 << (1 << k)) + 1) if k < 16 else None


def _accepted(n: int) -> int | None:
    return n if n < 10**MAX_DIGITS else None
