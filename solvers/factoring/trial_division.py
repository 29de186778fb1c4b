"""Trial division, in three orders."""

import itertools
import logging
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import gcd
from typing import Any, ClassVar, Literal

import gmpy2
import numpy as np
import numpy.typing as npt
from gmpy2 import mpz

from instances.factoring.instance import FactoringInstance
from solvers.factoring.parts import decompose
from solvers.factoring.primes import Integers, prime_segments
from solvers.search import Search

_log = logging.getLogger(__name__)

Order = Literal["ascending", "descending", "random"]

MAX_BITS_OF_PRIMES = 56
"""The primes up to the square root are then 14.6 million."""
_FIRST_BLOCK = 64
_BLOCK = 2**16
_MAX_WORDS = 16
"""From about so many words of 32 bits on, dividing one number after another with GMP is quicker."""


@dataclass(frozen=True)
class TrialDivision:
    """Trial division: two and the odd numbers, or the primes, up to the square root, in a given order.

    A composite is divided by one candidate after another until one divides it; then its parts are tested, each
    with the candidates up to its own square root. A division is a candidate tried on a composite; their number
    ends the search if ``divisions`` says so, and is written to the log. With m candidates, of which the k-th
    divides and no other, the ascending order takes k divisions, the descending m - k + 1, and the random one
    (m + 1) / 2 in the mean. In the ascending order the search goes on with the next candidate
    once all powers of the one that was found are divided out.

    The random order is a walk over the candidates from a random one on, with a random step that shares no divisor
    with their number, and round again: each candidate comes once, every place in the order is equally likely for
    it, and no list need be kept.
    """

    order: Order = field(default="ascending", metadata={"help": "order of the candidates"})
    candidates: Literal["odd", "primes"] = field(
        default="odd", metadata={"help": f"two and the odd numbers, or the primes (n up to {MAX_BITS_OF_PRIMES} bits)"}
    )
    divisions: int | None = field(default=None, metadata={"help": "stop after so many divisions, beside the time"})

    problem: ClassVar[str] = "factoring"
    honours: ClassVar[frozenset[str]] = frozenset()
    packages: ClassVar[tuple[str, ...]] = ("gmpy2", "numpy")

    def __post_init__(self) -> None:
        if self.divisions is not None and self.divisions < 0:
            raise ValueError(f"divisions is {self.divisions}; accepted are 0 and more")

    def declines(self, instance: FactoringInstance) -> str | None:
        if self.candidates == "primes" and instance.bits > MAX_BITS_OF_PRIMES:
            return f"lists the primes for n of at most {MAX_BITS_OF_PRIMES} bits; this has {instance.bits}"
        return None

    def prepare(self) -> "TrialDivision":
        return self

    def solve(self, instance: FactoringInstance, search: Search) -> None:
        trial = _Trial(self, search)
        decompose(instance, search, trial.split)
        _log.info("%d divisions", trial.num_divisions)


class _Trial:
    """The divisions of one attempt."""

    def __init__(self, solver: TrialDivision, search: Search) -> None:
        self.solver = solver
        self.search = search
        self.rng = random.Random(search.seed)
        self.num_divisions = 0
        self.primes: Integers | None = None
        self.first = 0
        """The place of the first candidate of the ascending order that may still divide."""

    def split(self, n: mpz) -> list[mpz] | None:
        """The first divisor among the candidates, and what it leaves."""
        root = int(gmpy2.isqrt(n))
        primes = self._primes_up_to(root) if self.solver.candidates == "primes" else None
        size = (root + 1) // 2 if primes is None else len(primes)
        for places in walk(self.solver.order, size, self.first, self.rng):
            if not self.search.running():
                return None
            if self.solver.divisions is not None:
                places = places[: self.solver.divisions - self.num_divisions]
                if not len(places):
                    return None
            candidates = np.where(places == 0, 2, 2 * places + 1) if primes is None else primes[places]
            found = np.flatnonzero(divides(n, candidates))
            if not found.size:
                self.num_divisions += len(places)
                continue
            self.num_divisions += int(found[0]) + 1
            divisor = mpz(int(candidates[found[0]]))
            if self.solver.order != "ascending":
                return [divisor, n // divisor]
            self.first = int(places[found[0]]) + 1
            rest, times = gmpy2.remove(n, divisor)
            return [divisor] * times + ([rest] if rest > 1 else [])
        return None

    def _primes_up_to(self, root: int) -> Integers:
        """The primes, listed once: the parts of n have smaller roots. Fewer of them if the time is over."""
        if self.primes is None:
            segments = itertools.takewhile(lambda _: self.search.running(), prime_segments(root))
            self.primes = np.concatenate([np.empty(0, dtype=np.uint64), *segments])
        return self.primes[: np.searchsorted(self.primes, root, side="right")]


def walk(order: Order, size: int, first: int, rng: random.Random) -> Iterator[npt.NDArray[Any]]:
    """The places 0 to ``size - 1``, the ascending ones from ``first``, in an order, each once, in growing blocks.

    The arrays hold uint64 where that does, else Python's integers.
    """
    start, stride, length = 0, 1, size
    if order == "ascending":
        start, length = first, size - first
    elif order == "descending":
        start, stride = size - 1, -1
    else:
        start, stride = rng.randrange(size), rng.randrange(1, size + 1)
        while gcd(stride, size) > 1:
            stride = rng.randrange(1, size + 1)
    block, done = _FIRST_BLOCK, 0
    while done < length:
        begin = (start + done * stride) % size
        places = _integers(range(begin, begin + min(block, length - done) * stride, stride))
        yield places % size if order == "random" else places
        done += block
        block = min(2 * block, _BLOCK if places.dtype == np.uint64 else _FIRST_BLOCK)


def _integers(values: range) -> npt.NDArray[Any]:
    if max(values[0], values[-1]) >= 2**62:
        return np.array(values, dtype=object)
    return np.arange(values.start, values.stop, values.step, dtype=np.int64).astype(np.uint64)


def divides(n: mpz, candidates: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which of the candidates divide n, shape (C,): word by word if n has few words, else one after another."""
    num_words = max(0, n.bit_length() - 33) // 32
    if num_words >= _MAX_WORDS or candidates.max() >= 2**32:
        return np.array([n % candidate == 0 for candidate in candidates.tolist()])
    # n mod d by Horner's rule; the first word has up to 64 bits, and d less than 32.
    remainders = np.uint64(int(n >> 32 * num_words)) % candidates
    for position in range(num_words - 1, -1, -1):
        word = np.uint64(int(n >> 32 * position & 0xFFFFFFFF))
        remainders = ((remainders << np.uint64(32)) | word) % candidates
    return np.asarray(remainders == 0)
