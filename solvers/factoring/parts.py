"""What every method shares: it splits one composite, this asks it again until every part is prime."""

import functools
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import gmpy2
from gmpy2 import mpz

from instances.factoring.instance import FactoringInstance
from instances.factoring.solution import Factors
from solvers.search import Search

Split = Callable[[mpz], Iterable[int] | None]
"""Parts, each above 1, whose product is the given composite, at least two; None if it gives up or the time is over."""

_SHORT_BITS = 4096
"""A primality test of so many bits takes at most about a tenth of a second."""
_STEP_BITS = 64
_NUM_BASES = 5


def decompose(instance: FactoringInstance, search: Search, split: Split, small: int = 1) -> None:
    """Split n, and what comes of it, until every part is prime; report after each step.

    Nothing is reported while nothing is known: the first report is a proper factorisation, or ``(n,)`` if n is
    prime. Parts are taken in the order of their size. Primes are probable primes.

    Parameters
    ----------
    split
        The method.
    small
        Primes up to it are divided out, and perfect powers taken apart, before the method is asked.
    """
    parts: Counter[int] = Counter([instance.n])
    pending = {instance.n}
    while pending and search.running():
        part = min(pending)
        pending.remove(part)
        pieces: Iterable[int] | None = _without_search(mpz(part), small) if small > 1 else None
        if pieces is None:
            if is_prime(mpz(part), search):
                if part == instance.n:
                    search.report(Factors((part,)))
                continue
            pieces = split(mpz(part)) if search.running() else None
        if pieces is not None:
            times = parts.pop(part)
            for piece, repeated in Counter(map(int, pieces)).items():
                parts[piece] += times * repeated
                pending.add(piece)
            search.report(Factors(tuple(sorted(parts.elements()))))


def _without_search(part: mpz, small: int) -> list[int] | None:
    """The parts that the small primes, or a root, make of a composite; None if they leave it as it is."""
    common = gmpy2.gcd(part, _primorial(small))
    found: list[int] = []
    for prime in _primes():
        if prime > common:
            break
        if common % prime == 0:
            common //= prime
            part, times = gmpy2.remove(part, prime)
            found += [prime] * times
    if found:
        found += [part] if part > 1 else []
        return found if len(found) > 1 else None
    if gmpy2.is_power(part):
        for exponent in _primes():
            root, exact = gmpy2.iroot(part, exponent)
            if exact:
                return [root] * exponent
    return None


@functools.cache
def _primorial(limit: int) -> mpz:
    return gmpy2.primorial(limit)


def _primes() -> Iterator[int]:
    prime = mpz(2)
    while True:
        yield int(prime)
        prime = gmpy2.next_prime(prime)


def is_prime(number: mpz, search: Search) -> bool:
    """Whether a number above 1 is probably prime; False also if the time is over before this is known.

    Short numbers are left to GMP (Baillie-PSW and further tests, up to 64 bits a proof). For long ones GMP may take
    many seconds without a pause, so the test of Miller and Rabin is made here in small steps.
    """
    if number.bit_length() <= _SHORT_BITS:
        return bool(gmpy2.is_prime(number))
    if gmpy2.gcd(number, _primorial(2**16)) > 1:
        return False
    bases = random.Random(search.seed)
    return all(_strong_probable_prime(number, bases.randrange(2, 2**32), search) for _ in range(_NUM_BASES))


def _strong_probable_prime(number: mpz, base: int, search: Search) -> bool:
    """Whether an odd number passes the test of Miller and Rabin to a base; False if the time is over."""
    odd, halvings = gmpy2.remove(number - 1, 2)
    power = mpz(1)
    for position in range(odd.bit_length() // _STEP_BITS, -1, -1):
        if not search.running():
            return False
        digit = odd >> (position * _STEP_BITS) & ((1 << _STEP_BITS) - 1)
        power = gmpy2.powmod(power, 1 << _STEP_BITS, number) * gmpy2.powmod(base, digit, number) % number
    if power in (1, number - 1):
        return True
    for _ in range(halvings - 1):
        power = power * power % number
        if power == number - 1:
            return True
        if not search.running():
            return False
    return False
