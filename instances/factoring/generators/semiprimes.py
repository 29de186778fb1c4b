"""Products of two different primes: balanced, unbalanced, close together, and with a smooth p - 1.

Each maker returns a number of exactly ``bits`` bits, or None where its draw led to none.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from math import isqrt

from instances.errors import InvalidInput
from instances.factoring.generators.draws import Draws
from instances.factoring.generators.primes import Split, is_prime_in, prime_between, prime_of, primes_to

MAX_BOUND = 100_000


@dataclass(frozen=True)
class NoOptions:
    """No options."""


def semiprime(draws: Draws, bits: int, split: Split, options: NoOptions) -> int | None:
    """p q with primes of bits/2 bits each, one a bit longer if ``bits`` is odd; uniform among such pairs."""
    p, q = prime_of(draws, bits // 2, split), prime_of(draws, bits - bits // 2, split)
    return _product(p, q, bits)


@dataclass(frozen=True)
class UnbalancedOptions:
    """Options of unbalanced semiprimes."""

    small: int | None = field(
        default=None, metadata={"help": "bits of the small prime, 2 to bits/2 - 1; by default bits/4"}
    )

    def __post_init__(self) -> None:
        if self.small is not None and self.small < 2:
            raise InvalidInput(f"is {self.small}; accepted are integers from 2", "small")


def unbalanced(draws: Draws, bits: int, split: Split, options: UnbalancedOptions) -> int | None:
    """p q with a prime p of ``small`` bits and a prime q that makes it ``bits`` bits."""
    small = bits // 4 if options.small is None else options.small
    if not 2 <= small < bits // 2:
        raise InvalidInput(f"is {small} of {bits} bits; accepted are 2 to {bits // 2 - 1}", "small")
    p = prime_of(draws, small, split)
    return None if p is None else _product(p, _complement(draws, p, bits, split), bits)


@dataclass(frozen=True)
class CloseOptions:
    """Options of close primes."""

    distance: int | None = field(
        default=None, metadata={"help": "the primes differ by less than 2^distance; by default bits/4"}
    )

    def __post_init__(self) -> None:
        if self.distance is not None and self.distance < 2:
            raise InvalidInput(f"is {self.distance}; accepted are integers from 2", "distance")


def close(draws: Draws, bits: int, split: Split, options: CloseOptions) -> int | None:
    """p q with p < q < p + 2^distance: by default Fermat's method finds them at its first step."""
    distance = bits // 4 if options.distance is None else options.distance
    if distance > bits:
        raise InvalidInput(f"is {distance} of {bits} bits; accepted are 2 to {bits}", "distance")
    p = prime_between(draws, isqrt((1 << bits - 1) - 1) + 1, isqrt((1 << bits) - 1), split)
    if p is None:
        return None
    return _product(p, prime_between(draws, p + 1, p + (1 << distance) - 1, split), bits)


@dataclass(frozen=True)
class SmoothPredecessorOptions:
    """Options of p-1-smooth primes."""

    bound: int = field(default=10_000, metadata={"help": "the largest prime that p - 1 may have, 5 to 100000"})

    def __post_init__(self) -> None:
        _check_bound(self.bound)


def smooth_predecessor(draws: Draws, bits: int, split: Split, options: SmoothPredecessorOptions) -> int | None:
    """p q, balanced, where p - 1 is a product of different primes up to ``bound``: weak for Pollard's p - 1."""
    half = bits // 2
    p = None
    for _ in range(100 * half):
        candidate = _smooth(draws, half, options.bound) + 1
        if candidate.bit_length() == half and is_prime_in(split, candidate):
            p = candidate
            break
    return _product(p, prime_of(draws, bits - half, split), bits)


def _smooth(draws: Draws, bits: int, bound: int) -> int:
    """An even product of different primes up to ``bound``, of ``bits`` bits where that can be."""
    product = 2
    unused = list(primes_to(bound, "any")[1:])
    while (room := ((1 << bits) - 1) // product) >= 3 and (fitting := bisect_right(unused, room)):
        # Once a single prime can fill the rest, it does.
        lowest = bisect_right(unused, ((1 << bits - 1) - 1) // product)
        first = lowest if lowest < fitting else 0
        product *= unused.pop(draws.between(first, fitting - 1))
    return product


@dataclass(frozen=True)
class SmoothOptions:
    """Options of smooth numbers."""

    bound: int = field(default=1000, metadata={"help": "the largest of the small primes, 5 to 100000"})
    cofactor: int | None = field(
        default=None, metadata={"help": "the least bits of the large prime cofactor; by default bits/2"}
    )

    def __post_init__(self) -> None:
        _check_bound(self.bound)


def smooth(draws: Draws, bits: int, split: Split, options: SmoothOptions) -> int | None:
    """Primes up to ``bound``, repetitions allowed, times one prime that is larger than it."""
    cofactor = bits // 2 if options.cofactor is None else options.cofactor
    least = options.bound.bit_length() + 1
    if not least <= cofactor < bits:
        raise InvalidInput(
            f"is {cofactor} of {bits} bits; accepted are {least} to {bits - 1} with bound={options.bound}", "cofactor"
        )
    primes = primes_to(options.bound, split)
    part = 1
    while fitting := bisect_right(primes, (1 << bits - cofactor) // part):
        part *= primes[draws.between(0, fitting - 1)]
    large = None if part == 1 else _complement(draws, part, bits, split)
    return None if large is None else part * large


def _complement(draws: Draws, part: int, bits: int, split: Split) -> int | None:
    """A prime that makes ``part`` a number of ``bits`` bits."""
    return prime_between(draws, ((1 << bits - 1) - 1) // part + 1, ((1 << bits) - 1) // part, split)


def _product(p: int | None, q: int | None, bits: int) -> int | None:
    if p is None or q is None or p == q or (p * q).bit_length() != bits:
        return None
    return p * q


def _check_bound(bound: int) -> None:
    if not 5 <= bound <= MAX_BOUND:
        raise InvalidInput(f"is {bound}; accepted are 5 to {MAX_BOUND}", "bound")
