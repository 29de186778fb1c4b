"""What the factoring networks see: no held-out prime in training, every digit, every candidate once."""

import itertools

import numpy as np
import pytest
import torch

from instances.errors import InvalidInput
from instances.factoring.generators import split_of
from solvers.neural.factoring.evaluation import CROSSED_FOLDS, crossed_set, held_out_set
from solvers.neural.factoring.task import (
    NUM_FOLDS,
    Division,
    batch_of,
    digits,
    draw,
    primes_of,
    products,
    shuffled,
    sizes_of,
)

DIVISIONS = [Division(), *(Division(folds) for folds in CROSSED_FOLDS)]


@pytest.mark.parametrize("division", DIVISIONS)
def test_seen_and_held_out_primes_are_all_primes_and_disjoint(division: Division) -> None:
    """Of every length; the project's own division holds out what its generators keep for validation and test."""
    for bits in range(4, 17):
        seen, held_out = set(division.seen(bits).tolist()), set(division.held_out(bits).tolist())
        assert seen.isdisjoint(held_out)
        assert seen | held_out == set(primes_of(bits).tolist())
    if division.folds is None:
        assert {split_of(prime) for prime in Division().held_out(12).tolist()} == {"validation", "test"}


@pytest.mark.parametrize("division", DIVISIONS[:3])
def test_training_never_meets_a_held_out_prime(division: Division) -> None:
    """Neither as a factor nor as a candidate; and each batch is of true balanced semiprimes."""
    held_out = {prime for bits in range(4, 17) for prime in division.held_out(bits).tolist()}
    sizes = sizes_of(division, 8, 32)
    for seed in range(5):
        batch = batch_of(np.random.default_rng(seed), division, sizes, 64, 32)
        for n, bits, row, mask in zip(
            batch.n.tolist(), batch.bits.tolist(), batch.candidates.tolist(), batch.mask.tolist(), strict=True
        ):
            assert n.bit_length() == bits
            smaller, given = row[0], [candidate for candidate, allowed in zip(row, mask, strict=True) if allowed]
            assert smaller.bit_length() == bits // 2 and n % smaller == 0 and smaller * smaller < n
            assert held_out.isdisjoint([*given, n // smaller])
            assert len(set(given)) == len(given)
            assert all(c.bit_length() == bits // 2 and c * c <= n for c in given)


def test_test_semiprimes_are_of_held_out_primes() -> None:
    """Those of the shipped networks by the project's division, those of the crossed ones by the folds left out."""
    semiprimes = held_out_set(24, 250)
    assert len(semiprimes) == 250 == len(set(semiprimes.n.tolist()))
    assert set(np.concatenate([semiprimes.smaller, semiprimes.larger])) <= set(Division().held_out(12).tolist())
    found: list[int] = []
    for folds in CROSSED_FOLDS:
        part = crossed_set(16, folds)
        assert set(np.concatenate([part.smaller, part.larger])) <= set(Division(folds).held_out(8).tolist())
        found += part.n.tolist()
    assert len(found) == len(set(found))
    primes = primes_of(8).tolist()
    near = [
        p * q for (i, p), (j, q) in itertools.combinations(enumerate(primes), 2) if (j - i) % NUM_FOLDS in (0, 1, 4)
    ]
    assert sorted(found) == sorted(n for n in near if n.bit_length() == 16)


def test_products_are_all_semiprimes_of_a_length_once() -> None:
    primes = primes_of(6)
    expected = {int(p * q) for p, q in itertools.combinations(primes, 2) if int(p * q).bit_length() == 12}
    found = products(12, primes, primes)
    assert found.n.tolist() == sorted(found.n.tolist(), key=lambda n: next(p for p in primes if n % p == 0))
    assert set(found.n.tolist()) == expected and len(found) == len(expected)


def test_length_without_semiprimes_is_refused() -> None:
    """The primes of 4 bits are 11 and 13, both held out here."""
    assert sizes_of(Division((0, 1)), 8, 8) == []
    with pytest.raises(InvalidInput, match="no product of two different seen primes"):
        draw(np.random.default_rng(0), Division((0, 1)), 8, 4)


def test_digits_are_read_from_both_ends() -> None:
    """1 and -1 from the head, then from the tail, 0 beyond the end."""
    read = digits(torch.tensor([0b1101]), torch.tensor([4]), 6)
    assert read.tolist() == [[1, 1, -1, 1, 0, 0, 1, -1, 1, 1, 0, 0]]


def test_shuffled_digits_are_the_same_ones() -> None:
    """First and last stay, length and number of ones too, and most numbers change."""
    rng = np.random.default_rng(1)
    numbers = held_out_set(28, 50).n.tolist()
    others = [shuffled(n, rng) for n in numbers]
    assert [n.bit_count() for n in numbers] == [n.bit_count() for n in others]
    assert all(n.bit_length() == 28 and n & 1 for n in others)
    assert sum(n != other for n, other in zip(numbers, others, strict=True)) > 45
