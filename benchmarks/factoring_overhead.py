"""What the runner costs a factoring solver: ``quadratic-sieve`` through it against a direct call of python-flint.

    .venv/bin/python benchmarks/factoring_overhead.py [--bits 160] [--pairs 40]

Both sides factor the same balanced semiprimes, in warm processes on the same core, and take turns at going first. Timed
is ``fmpz(n).factor()`` by hand, and in the runner a run from the go to the done: decoding, primality test, report
and all. The fixed start is the mean difference on numbers of 32 bits, which take no time; the ratio is that of the
runner's seconds less this start to the seconds by hand. Both come with 95 % t-limits, and the exit code is 1 if the
upper limit of the ratio is above 1.1 or that of the start above 5 ms. Run it on a quiet machine.
"""

import argparse
import os
import random
import subprocess
import sys
import time

import gmpy2
import numpy as np
import numpy.typing as npt
from flint import fmpz
from scipy import stats

from instances.factoring.instance import FactoringInstance
from instances.factoring.problem import FACTORING
from services.runner.machine import core_slots, describe_machine
from services.runner.slot import Slot, Task, encode

SOLVER = "quadratic-sieve"
SMALL_BITS = 32
MAX_RATIO = 1.1
MAX_START = 0.005


def main() -> int:
    """Alternate both sides over all numbers; print the start and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bits", type=int, default=160)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.pairs < 2:
        parser.error("--pairs must be at least 2")
    rng = random.Random(options.seed)
    print("; ".join(f"{name} {value}" for name, value in describe_machine().items()))
    (cores,) = core_slots(1, 1)
    with Slot(cores, 1, 4 * 1024**3) as slot, ByHand(cores) as by_hand:
        for n in (semiprime(SMALL_BITS, rng), semiprime(options.bits, rng)):  # first-call costs are no one's
            through_runner(slot, n)
            by_hand.seconds(n)
        small = measured(slot, by_hand, SMALL_BITS, options.pairs, rng)
        large = measured(slot, by_hand, options.bits, options.pairs, rng)
    start, start_half = interval(small[:, 0] - small[:, 1])
    ratio, ratio_half = interval((large[:, 0] - start) / large[:, 1])
    print("| measure | pairs | mean | 95 % limits | at most |\n| --- | --- | --- | --- | --- |")
    print(f"| fixed start, ms | {options.pairs} | {start * 1e3:.2f} | "
          f"[{(start - start_half) * 1e3:.2f}, {(start + start_half) * 1e3:.2f}] | {MAX_START * 1e3:g} |")  # fmt: skip
    print(f"| ratio at {options.bits} bits | {options.pairs} | {ratio:.4f} | "
          f"[{ratio - ratio_half:.4f}, {ratio + ratio_half:.4f}] | {MAX_RATIO:g} |")  # fmt: skip
    print(f"\nBy hand {large[:, 1].mean():.3f} s, through the runner {large[:, 0].mean():.3f} s in the mean.")
    return int(start + start_half > MAX_START or ratio + ratio_half > MAX_RATIO)


def semiprime(bits: int, rng: random.Random) -> int:
    """A product of two different primes of half the bits each that has all the bits."""
    while True:
        p, q = (int(gmpy2.next_prime(rng.getrandbits(bits // 2) | 1 << bits // 2 - 1)) for _ in range(2))
        if p != q and (p * q).bit_length() == bits:
            return p * q


def measured(
    slot: Slot, by_hand: "ByHand", bits: int, pairs: int, rng: random.Random
) -> npt.NDArray[np.float64]:  # fmt: skip
    """Seconds through the runner and by hand, shape (pairs, 2)."""
    seconds = np.empty((pairs, 2))
    for number in range(pairs):
        n = semiprime(bits, rng)
        sides = [lambda: through_runner(slot, n), lambda: by_hand.seconds(n)]  # noqa: B023
        for side in (number % 2, 1 - number % 2):
            seconds[number, side] = sides[side]()
    return seconds


def interval(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """The mean and half the width of its 95 % t-interval."""
    return float(values.mean()), float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))


def through_runner(slot: Slot, n: int) -> float:
    """Seconds of a run from the go to the done."""
    instance = FactoringInstance(n)
    run = slot.run(Task("", encode(FACTORING, instance), instance.digest, SOLVER, SOLVER, 0, 1, 60.0))
    if not run.answered:
        raise RuntimeError(f"{SOLVER} did not factor {n}: {run.status}, {run.reason}")
    return run.wall_seconds


class ByHand:
    """A process that calls python-flint directly, pinned like a solver child."""

    def __init__(self, cores: frozenset[int]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "serve-by-hand"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        os.sched_setaffinity(self._process.pid, cores)

    def __enter__(self) -> "ByHand":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def seconds(self, n: int) -> float:
        """Seconds of the call."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{n}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())


def serve_by_hand() -> None:
    """Answer numbers on standard input with the seconds it takes to factor them."""
    for line in sys.stdin:
        n = int(line)
        started = time.perf_counter()
        factors = fmpz(n).factor()
        print(time.perf_counter() - started, flush=True)
        assert all(prime.is_probable_prime() for prime, _ in factors)


if __name__ == "__main__":
    if sys.argv[1:] == ["serve-by-hand"]:
        serve_by_hand()
    else:
        sys.exit(main())
