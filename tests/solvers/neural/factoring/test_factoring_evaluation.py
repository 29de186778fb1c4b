"""The evaluation of the factoring networks: places of known orders, intervals over primes, exact chances."""

import math

import numpy as np
import pytest
import torch

from solvers.neural.factoring.digit_pointer import DigitPointer
from solvers.neural.factoring.evaluation import (
    digit_successes,
    digit_tables,
    evaluations,
    interval,
    order_places,
    order_tables,
)
from solvers.neural.factoring.prime_pointer import PointerConfig, PrimePointer
from solvers.neural.factoring.task import Semiprimes, primes_of, products

SMALL = PointerConfig(width=8, layers=1)


class Knowing(PrimePointer):
    """Scores a candidate by whether it divides what it is shown."""

    def scores(self, n: torch.Tensor, bits: torch.Tensor, candidates: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return (n[:, None] % candidates == 0).float()


def some(bits: int) -> Semiprimes:
    return products(bits, primes_of(bits // 2), primes_of(bits // 2))


def test_places_are_those_of_the_orders() -> None:
    """Of 11 * 13 and of 12 bits: a network that knows takes one division, and the fixed orders their places."""
    found = order_places(Knowing(SMALL), some(12))
    assert (found["network"] == 1).all()
    assert (found["ascending"] + found["descending"] == found["candidates"] + 1).all()
    assert (2 * found["random"] == found["candidates"] + 1).all()
    assert found["shuffled"].mean() > 1
    # 37 * 61 = 2257: 37, 41, 43, 47 are at most its root, and the least p with 2257 / p < 64 is 37.
    (row,) = np.flatnonzero(some(12).n == 2257)
    assert [found[name][row] for name in ("ascending", "descending", "bounded", "candidates")] == [1, 4, 1, 4]
    # 53 * 61 = 3233: 37, ..., 53 are at most its root, and 51 is the bound.
    (row,) = np.flatnonzero(some(12).n == 3233)
    assert [found[name][row] for name in ("ascending", "descending", "bounded", "candidates")] == [5, 1, 1, 5]


def test_digit_chances_are_exact() -> None:
    """Two factors of 6 bits among 16 odd numbers; a beam of 64 holds all of them."""
    torch.manual_seed(1)
    found = digit_successes(DigitPointer(SMALL), some(12))
    assert (found["chance"] == 2 / 16).all()
    assert (found["beam"] == 1).all() and (found["guessed"] == 1).all() and (found["descending"] == 1).all()
    assert (found["sample"] > 0).all() and (found["sample"] < 1).all()


def test_interval_takes_primes_for_the_unit() -> None:
    """A hundred copies of each prime's value narrow nothing; few primes or equal values have no interval."""
    rng = np.random.default_rng(2)
    values, primes = rng.normal(5, 1, 40), np.arange(40.0)
    low, high = interval(values, primes)
    assert low < values.mean() < high and high - low == pytest.approx(4 * values.std() / math.sqrt(40), rel=0.2)
    assert interval(np.repeat(values, 100), np.repeat(primes, 100)) == pytest.approx((low, high))
    assert math.isnan(interval(values, primes % 5)[0])
    assert math.isnan(interval(np.ones(40), primes)[0])


def test_tables_hold_a_row_for_each_length() -> None:
    """As many cells in each row as in its heading."""
    torch.manual_seed(1)
    orders = {bits: order_places(PrimePointer(SMALL), some(bits)) for bits in (12, 14)}
    successes = {bits: digit_successes(DigitPointer(SMALL), some(bits)) for bits in (12, 14)}
    for lines, tables in (
        (order_tables(orders, {14: orders[14]}), 3),
        (digit_tables(successes, {14: successes[14]}), 2),
    ):
        rows = [line for line in lines if line.startswith("|")]
        assert len(rows) == 4 * tables
        for begin in range(0, len(rows), 4):
            assert len({row.count("|") for row in rows[begin : begin + 4]}) == 1


def test_card_gets_the_means_with_their_intervals() -> None:
    torch.manual_seed(1)
    found = order_places(PrimePointer(SMALL), some(16))
    entries = evaluations("prime-pointer", dict.fromkeys((24, 28, 32), found), 1.0, "here")
    assert [entry.instances.split()[3] for entry in entries] == ["24", "28", "32"]
    assert all(entry.low < entry.mean < entry.high for entry in entries)
    assert entries[0].mean == pytest.approx(found["network"].mean(), abs=1e-4)
