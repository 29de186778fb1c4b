"""``pointer-prime`` and ``pointer-digits``: the factoring networks as solvers, every factor verified by a division."""

import functools
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import gmpy2
import numpy as np
import torch
from gmpy2 import mpz

from instances.factoring.instance import FactoringInstance
from solvers.factoring.parts import decompose
from solvers.factoring.primes import Integers, primes_up_to
from solvers.factoring.trial_division import divides
from solvers.neural.factoring.checkpoints import load_network, named
from solvers.neural.factoring.digit_pointer import DigitPointer, beam
from solvers.neural.factoring.prime_pointer import PrimePointer
from solvers.neural.factoring.task import MIN_BITS, primes_of, shuffled, up_to_root
from solvers.search import Search

_log = logging.getLogger(__name__)

Reading = Literal["read", "shuffled"]

WARM = 1_019 * 1_733
_BLOCK = 2**12
_FIRST_BEAM, _WIDER = 16, 8

CHECKPOINT: Any = field(
    default="auto",
    metadata={
        "help": "auto for the shipped one, else a path. A spec written by the program adds @ and the hash of the "
        "weights, and refuses others"
    },
)
DIGITS: Any = field(
    default="read",
    metadata={"help": "read, or shuffled: the network is shown the digits of n in random order, as a control"},
)

Blocks = Callable[[mpz, Search], Iterator[Integers]]
"""The candidates for a composite in the order of their trial, block by block."""


@dataclass(frozen=True)
class PointerPrime:
    """Pointer network that orders the primes to divide by, trained by reinforcement learning; each is tried once.

    It takes n for a balanced semiprime, and points at the primes of half its length first; when none of these divides,
    the others up to the square root follow in ascending order. A division is a candidate tried on a composite; their
    number is written to the log, as by trial division.
    """

    checkpoint: str = CHECKPOINT
    digits: Reading = DIGITS

    problem: ClassVar[str] = "factoring"
    honours: ClassVar[frozenset[str]] = frozenset()
    packages: ClassVar[tuple[str, ...]] = ("torch", "numpy", "gmpy2")
    network: ClassVar[str] = "prime-pointer"

    def __post_init__(self) -> None:
        found = named(self.checkpoint, self.network)
        object.__setattr__(self, "_named", found)
        object.__setattr__(self, "checkpoint", found.text)

    def declines(self, instance: FactoringInstance) -> str | None:
        largest = self._named.card.largest  # type: ignore[attr-defined]
        if instance.bits > largest:
            return f"{instance.bits} bits; the network was trained on numbers of at most {largest}"
        return None

    def prepare(self) -> "ReadyPointer":
        network, digits = self._policy()
        best_first(network, WARM, primes_of(WARM.bit_length() // 2))
        return ReadyPointer(functools.partial(_from_primes, network, digits), self.checkpoint)

    def _policy(self) -> tuple[Any, Reading]:
        torch.set_num_threads(1)
        return load_network(self._named.path), self.digits  # type: ignore[attr-defined]


@dataclass(frozen=True)
class PointerDigits(PointerPrime):
    """Pointer network that points out the digits of a factor, from the lowest on, trained by reinforcement learning.

    The numbers it is most likely to point out are tried first, as a beam finds them; the beam grows until it holds
    every odd number of half as many digits as n, or the time is over. When none divides, the primes up to the square
    root that were not tried follow in ascending order. Divisions are counted as by trial division.
    """

    network: ClassVar[str] = "digit-pointer"

    def prepare(self) -> "ReadyPointer":
        network, digits = self._policy()
        beam(network, WARM, _FIRST_BEAM)
        return ReadyPointer(functools.partial(_from_digits, network, digits), self.checkpoint)


def _from_primes(network: PrimePointer, digits: Reading, n: mpz, search: Search) -> Iterator[Integers]:
    candidates = up_to_root(primes_of(n.bit_length() // 2), int(n))
    yield candidates[best_first(network, _shown(n, digits, search), candidates)].astype(np.uint64)


def best_first(network: PrimePointer, n: int, candidates: Any) -> Any:
    """The places of the candidates, shape (C,), in the order in which the network points at them."""
    number, given = torch.tensor([n]), torch.from_numpy(candidates)
    mask = torch.ones(1, len(candidates), dtype=torch.bool)
    scores = network.scores(number, torch.tensor([n.bit_length()]), given, mask)[0]
    return scores.argsort(descending=True, stable=True).numpy()


def _from_digits(network: DigitPointer, digits: Reading, n: mpz, search: Search) -> Iterator[Integers]:
    width, every = _FIRST_BEAM, 1 << (n.bit_length() // 2 - 2)
    shown = _shown(n, digits, search)
    tried = np.empty(0, dtype=np.int64)
    while len(tried) < every:
        found = beam(network, shown, width, search.running).numpy()
        if not len(found):
            return
        new = found[~np.isin(found, tried)]
        yield new.astype(np.uint64)
        tried = np.concatenate([tried, new])
        width *= _WIDER


def _shown(n: mpz, digits: Reading, search: Search) -> int:
    return shuffled(int(n), np.random.default_rng(search.seed)) if digits == "shuffled" else int(n)


class ReadyPointer:
    """A loaded network; see :class:`PointerPrime` and :class:`PointerDigits`."""

    def __init__(self, blocks: Blocks, checkpoint: str) -> None:
        self._blocks = blocks
        self._checkpoint = checkpoint

    def solve(self, instance: FactoringInstance, search: Search) -> None:
        torch.set_num_threads(search.threads)
        divisions = 0

        def split(n: mpz) -> list[mpz] | None:
            nonlocal divisions
            for candidates in self._candidates(n, search):
                if not search.running():
                    return None
                found = np.flatnonzero(divides(n, candidates))
                divisions += int(found[0]) + 1 if found.size else len(candidates)
                if found.size:
                    divisor = mpz(int(candidates[found[0]]))
                    return [divisor, n // divisor]
            return None

        decompose(instance, search, split)
        _log.info("checkpoint %s; %d divisions", self._checkpoint, divisions)

    def _candidates(self, n: mpz, search: Search) -> Iterator[Integers]:
        """Every candidate once: as the network orders them, then the primes that are left."""
        tried = np.empty(0, dtype=np.uint64)
        if n.bit_length() >= MIN_BITS:
            for block in self._blocks(n, search):
                for begin in range(0, len(block), _BLOCK):
                    yield block[begin : begin + _BLOCK]
                tried = np.concatenate([tried, block])
        rest = primes_up_to(int(gmpy2.isqrt(n)))
        rest = rest[~np.isin(rest, tried)]
        for begin in range(0, len(rest), _BLOCK):
            yield rest[begin : begin + _BLOCK]
