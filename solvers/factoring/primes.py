"""The primes, by the sieve of Eratosthenes."""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.uint64]
_WIDTH = 2**22


def prime_segments(limit: int) -> Iterator[Integers]:
    """All primes up to a limit in ascending order, in arrays of shape (P,); it takes 2 MB beside these."""
    if limit < 2:
        return
    small = primes_up_to(math.isqrt(limit))[1:].tolist()
    for begin in range(0, limit, _WIDTH):
        # odd[i] stands for begin + 2i + 1.
        odd = np.ones((min(_WIDTH, limit - begin) + 1) // 2, dtype=np.bool_)
        for prime in small:
            multiple = max(prime, begin // prime + 1) * prime
            if multiple % 2 == 0:
                multiple += prime
            odd[(multiple - begin) // 2 :: prime] = False
        primes = 2 * np.flatnonzero(odd).astype(np.uint64) + np.uint64(begin + 1)
        if begin == 0:
            primes[0] = 2
        yield primes


def primes_up_to(limit: int) -> Integers:
    """All primes up to a limit in ascending order, shape (P,)."""
    return np.concatenate([np.empty(0, dtype=np.uint64), *prime_segments(limit)])


def powers_up_to(limit: int) -> Iterator[int]:
    """Every prime up to a limit, in ascending order, each as often as its powers go up to the limit."""
    for primes in prime_segments(limit):
        for prime in primes.tolist():
            power = prime
            while power <= limit:
                yield prime
                power *= prime
