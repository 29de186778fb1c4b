"""What the factoring networks see: balanced semiprimes, the primes that may divide them, and their digits.

A balanced semiprime of b bits is the product of two different primes of b // 2 and b - b // 2 bits. Each prime is
either seen or held out: a semiprime to train on has two seen primes and a list of candidates that are all seen, so
that training neither meets nor refuses a held-out prime. A semiprime to test on has two held-out primes, and its
candidates are all primes of their length, seen or not.

Shapes: N numbers, B semiprimes of a batch, C candidates of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from instances.errors import InvalidInput
from instances.factoring.generators.primes import split_of
from solvers.factoring.primes import primes_up_to

Integers = npt.NDArray[np.int64]

MIN_BITS = 8
MAX_BITS = 32
HALF_BITS = MAX_BITS // 2
NUM_FOLDS = 5


@lru_cache
def primes_of(bits: int) -> Integers:
    """All primes of ``bits`` bits in ascending order, shape (N,)."""
    primes = primes_up_to((1 << bits) - 1).astype(np.int64)
    return primes[np.searchsorted(primes, 1 << (bits - 1)) :]


# --- Which primes training may see -------------------------------------------------------------------------


@dataclass(frozen=True)
class Division:
    """The primes in two parts: seen in training, and held out.

    Parameters
    ----------
    folds
        Folds whose primes are held out; the i-th prime of each length is in fold i mod 5. None: the project's own
        division, in which the primes for validation and for test are held out.
    """

    folds: tuple[int, ...] | None = None

    def seen(self, bits: int) -> Integers:
        """The primes of ``bits`` bits that training may see, ascending."""
        return primes_of(bits)[_is_seen(bits, self.folds)]

    def held_out(self, bits: int) -> Integers:
        """The primes of ``bits`` bits that training never sees, ascending."""
        return primes_of(bits)[~_is_seen(bits, self.folds)]


@lru_cache
def _is_seen(bits: int, folds: tuple[int, ...] | None) -> npt.NDArray[np.bool_]:
    primes = primes_of(bits)
    if folds is None:
        return np.array([split_of(prime) == "training" for prime in primes.tolist()], dtype=np.bool_)
    return ~np.isin(np.arange(len(primes)) % NUM_FOLDS, folds)


# --- Semiprimes --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Semiprimes:
    """Products of two primes, ``smaller`` < ``larger``, each of shape (N,)."""

    smaller: Integers
    larger: Integers

    @property
    def n(self) -> Integers:
        """The products, shape (N,)."""
        return self.smaller * self.larger

    @property
    def bits(self) -> Integers:
        """Their lengths in binary, shape (N,)."""
        return lengths(self.n)

    def __len__(self) -> int:
        return len(self.smaller)

    def __getitem__(self, index: npt.NDArray[np.intp] | slice) -> "Semiprimes":
        return Semiprimes(self.smaller[index], self.larger[index])


def lengths(numbers: Integers) -> Integers:
    """Lengths in binary of numbers below 2^53, shape as given."""
    return np.frexp(numbers.astype(np.float64))[1].astype(np.int64)


def joined(parts: Sequence[Semiprimes]) -> Semiprimes:
    """Several sets as one."""
    return Semiprimes(np.concatenate([p.smaller for p in parts]), np.concatenate([p.larger for p in parts]))


def products(bits: int, first: Integers, second: Integers) -> Semiprimes:
    """All semiprimes of ``bits`` bits with a prime of each list, every one once, ascending."""
    short, long = (each.ravel() for each in np.meshgrid(first, second, indexing="ij"))
    smaller, larger = np.minimum(short, long), np.maximum(short, long)
    pairs = np.unique(np.stack([smaller, larger])[:, (smaller < larger) & (lengths(short * long) == bits)], axis=1)
    return Semiprimes(pairs[0], pairs[1])


def draw(rng: np.random.Generator, division: Division, bits: int, count: int) -> Semiprimes:
    """Random balanced semiprimes of ``bits`` bits from seen primes, with repetition.

    Raises
    ------
    InvalidInput
        If there is none.
    """
    if not sizes_of(division, bits, bits):
        raise InvalidInput(f"is {bits}: no product of two different seen primes has that length", "bits")
    first, second = division.seen(bits // 2), division.seen(bits - bits // 2)
    found = Semiprimes(np.empty(0, np.int64), np.empty(0, np.int64))
    while len(found) < count:
        p, q = rng.choice(first, 3 * count), rng.choice(second, 3 * count)
        fits = (p != q) & (lengths(p * q) == bits)
        found = joined([found, Semiprimes(np.minimum(p, q)[fits], np.maximum(p, q)[fits])])
    return found[:count]


def sizes_of(division: Division, smallest: int, largest: int) -> list[int]:
    """The lengths in a range of which there are balanced semiprimes of seen primes."""
    sizes = []
    for bits in range(smallest, largest + 1):
        first, second = division.seen(bits // 2)[-2:], division.seen(bits - bits // 2)[-2:]
        if len(products(bits, first, second)):
            sizes.append(bits)
    return sizes


# --- Digits ------------------------------------------------------------------------------------------------


def digits(numbers: Tensor, bits: Tensor, width: int) -> Tensor:
    """The binary digits as a network reads them: 1 and -1, from the highest on, then from the lowest on.

    Both ways, because the size of a number shows at its head and its residues at its tail, and one network reads
    numbers of many lengths. Beyond the number's end stands 0.

    Parameters
    ----------
    numbers
        int64, shape (...).
    bits
        Their lengths, int64, shape (...).
    width
        The longest length, W.

    Returns
    -------
    Tensor
        float32, shape (..., 2 W).
    """
    place = torch.arange(width, device=numbers.device)
    inside = place < bits[..., None]
    head = numbers[..., None] >> (bits[..., None] - 1 - place).clamp(min=0) & 1
    tail = numbers[..., None] >> place & 1
    return torch.cat([torch.where(inside, 2.0 * part - 1.0, 0.0) for part in (head, tail)], dim=-1)


def shuffled(number: int, rng: np.random.Generator) -> int:
    """The number whose digits between the first and the last, which stay, are those of ``number`` in random order."""
    bits = number.bit_length()
    inner = rng.permutation([number >> place & 1 for place in range(1, bits - 1)])
    return 1 << (bits - 1) | sum(int(digit) << place for place, digit in enumerate(inner, start=1)) | number & 1


# --- Batches -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Batch:
    """Semiprimes to train on.

    The smaller prime is the first candidate of each. That gives nothing away: the network scores every candidate by
    its digits alone and does not know its place.
    """

    n: Tensor  # int64, shape (B,)
    bits: Tensor  # int64, shape (B,)
    candidates: Tensor  # int64, shape (B, C); 1 where there is none
    mask: Tensor  # bool, shape (B, C): True = may be tried


def batch_of(rng: np.random.Generator, division: Division, sizes: Sequence[int], count: int, width: int) -> Batch:
    """Random semiprimes of mixed sizes, each with its smaller prime and up to ``width`` - 1 other seen candidates.

    Candidates are primes of as many bits as the smaller factor, up to the square root of n. Of more than ``width``
    a random part is taken: an order drawn by Plackett and Luce is, among a part of the candidates, drawn by Plackett
    and Luce too, so the expected share of candidates tried before the factor is that among all of them.
    """
    counts = rng.multinomial(count, np.full(len(sizes), 1 / len(sizes)))
    drawn = [draw(rng, division, bits, int(number)) for bits, number in zip(sizes, counts, strict=True) if number]
    semiprimes = joined(drawn)
    candidates = np.ones((count, width), np.int64)
    for row, (p, n) in enumerate(zip(semiprimes.smaller.tolist(), semiprimes.n.tolist(), strict=True)):
        others = up_to_root(division.seen(n.bit_length() // 2), n)
        others = others[others != p]
        if len(others) > width - 1:
            others = rng.choice(others, width - 1, replace=False)
        candidates[row, : len(others) + 1] = [p, *others]
    given = torch.from_numpy(candidates)
    return Batch(torch.from_numpy(semiprimes.n), torch.from_numpy(semiprimes.bits), given, given > 1)


def up_to_root(primes: Integers, n: int) -> Integers:
    """Those of ascending primes whose square is at most n."""
    return primes[: np.searchsorted(primes * primes, n, side="right")]
