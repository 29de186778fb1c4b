"""How often the statistics claim a difference that is not there, and find one that is (an A/A test).

Each comparison is synthetic: two solvers on a number of instances, no processes. The costs go through
``services.analysis.statistics.pairs`` as those of real runs do. Prints a Markdown table; exit code 1 if a bound is
missed.

    .venv/bin/python tests/assurance/false_claims.py --comparisons 2000
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from instances.problem import BestKnown, Description
from services.analysis.statistics import pairs
from services.records import Comparison, Incumbent, Results, Run, Status

Array = npt.NDArray[np.float64]
Noise = Callable[[np.random.Generator, tuple[int, ...]], Array]

SIGMA = 1.5  # Standard deviation of the noise, in percent of the reference cost.
SHIFT = 1.0  # How much worse the second solver is made, in percent.
UNSOLVED = 5  # Every so manieth instance is beyond both solvers, where instances are solved or not.


@dataclass(frozen=True)
class Case:
    """How the two solvers' noise is drawn, per run; ``first`` and ``second`` have unit standard deviation."""

    name: str
    num_seeds: int
    sigma: float
    first: Noise
    second: Noise
    bounded: bool
    """Whether the bounds of the protocol must hold, or the numbers are only reported."""
    solved_or_not: bool = False
    """Whether the noise is in the time to solve, in percent of the budget, instead of the cost."""

    def truth(self, shift: float) -> float:
        """The expected mean difference where the second solver is ``shift`` percent worse."""
        return -shift * (1 - 1 / UNSOLVED) if self.solved_or_not else -shift


@dataclass(frozen=True)
class Rates:
    """Shares of comparisons: difference claimed where there is none, found where there is, covered."""

    false_claims: float
    found: float
    covered: float


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.standard_normal(shape)


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Exponential noise, moved so that the median over the seeds has mean 0 for one seed and for three."""
    expected_median = {1: 1.0, 3: 1 / 3 + 1 / 2}[shape[-1]]
    return rng.standard_exponential(shape) - expected_median


CASES = (
    Case("1.5 % per run, 3 seeds", 3, SIGMA, normal, normal, bounded=True),
    Case("1.5 % of the paired difference, 1 seed", 1, SIGMA / 2**0.5, normal, normal, bounded=True),
    Case("1.5 % per run, 1 seed", 1, SIGMA, normal, normal, bounded=False),
    Case("both skewed, 1.5 % per run, 3 seeds", 3, SIGMA, skewed, skewed, bounded=False),
    Case("one skewed, 1.5 % per run, 3 seeds", 3, SIGMA, normal, skewed, bounded=False),
    Case("one skewed, 1.5 % per run, 1 seed", 1, SIGMA, normal, skewed, bounded=False),
    Case("time to solve, 1.5 % per run, 3 seeds", 3, SIGMA, normal, normal, bounded=True, solved_or_not=True),
    Case("time, both skewed, 1.5 % per run, 3 seeds", 3, SIGMA, skewed, skewed, bounded=False, solved_or_not=True),
)


def synthetic(case: Case, shift: float, num_instances: int, rng: np.random.Generator) -> Results:
    """One comparison: instances of unlike scale and difficulty, the second solver ``shift`` percent worse.

    Where instances are solved or not, every fifth is solved by neither, so that they tie, and the others within
    a tenth to nine tenths of the budget.
    """
    references = np.exp(rng.uniform(np.log(1e5), np.log(1e7), num_instances)).astype(int)
    difficulty = rng.exponential(3.0, (1, num_instances, 1))
    shape = (num_instances, case.num_seeds)
    noise = case.sigma * np.stack([case.first(rng, shape), case.second(rng, shape)])
    gaps = difficulty + noise + np.array([0.0, shift]).reshape(2, 1, 1)
    costs = np.rint(references[None, :, None] * (1 + gaps / 100)).astype(int)
    if case.solved_or_not:
        references[:] = 0
        times = (gaps + rng.uniform(10, 80, (1, num_instances, 1)) - difficulty).clip(0.1, 99.9) / 100
    names = [f"i{place}" for place in range(num_instances)]
    instances = {
        name: Description(
            "routing",
            name,
            name,
            20,
            "customers",
            (),
            0,
            {},
            BestKnown(int(reference), False, "synthetic", ""),
        )
        for name, reference in zip(names, references, strict=True)
    }

    def trace(place: tuple[int, ...], cost: int) -> tuple[Incumbent, ...]:
        if not case.solved_or_not:
            return (Incumbent(0.5, cost),)
        return () if place[1] % UNSOLVED == 0 else (Incumbent(float(times[place]), 0),)

    comparison = Comparison("a/a", {"first": "same", "second": "same"}, 1.0, case.num_seeds)
    runs = tuple(
        Run(
            key="",
            instance=names[instance],
            solver=("first", "second")[solver],
            spec="same",
            repetition=seed,
            seed=seed,
            status=Status.FINISHED,
            trace=trace((solver, instance, seed), int(cost)),
        )
        for (solver, instance, seed), cost in np.ndenumerate(costs)
    )
    return Results(comparison, instances, runs)


def measure(case: Case, num_comparisons: int, num_instances: int = 30, seed: int = 0) -> Rates:
    """Rates over comparisons without a difference, and as many with the second ``SHIFT`` % worse."""
    claimed = {0.0: 0, SHIFT: 0}
    num_covered = 0
    rng = np.random.default_rng(seed)
    for shift in claimed:
        for _ in range(num_comparisons):
            (pair,) = pairs(synthetic(case, shift, num_instances, rng))
            assert pair.difference is not None
            right_sign = shift == 0.0 or pair.difference.value < 0
            claimed[shift] += pair.claimed and right_sign
            num_covered += pair.difference.low <= case.truth(shift) <= pair.difference.high
    return Rates(claimed[0.0] / num_comparisons, claimed[SHIFT] / num_comparisons, num_covered / (2 * num_comparisons))


def binomial_error(share: float, number: int) -> float:
    """Half-width of the 95 % interval of a share estimated from that many."""
    return float(1.96 * np.sqrt(share * (1 - share) / number))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--comparisons", type=int, default=2000, help="synthetic comparisons of each kind")
    parser.add_argument("--instances", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    most_false = 0.05 + binomial_error(0.05, options.comparisons)
    write = sys.stdout.write
    write(f"{options.comparisons} comparisons of {options.instances} instances without a difference, as many ")
    write(f"with {SHIFT:g} %. Bounds: at most {most_false:.2%} false claims, at least 80 % found, 92 to 97 % ")
    write("covered.\n\n| noise | false claims | 1 % worse found | 95 % intervals cover | bounds |\n")
    write("| --- | --- | --- | --- | --- |\n")
    good = True
    for case in CASES:
        rates = measure(case, options.comparisons, options.instances, options.seed)
        holds = rates.false_claims <= most_false and rates.found >= 0.80 and 0.92 <= rates.covered <= 0.97
        word = ("hold" if holds else "MISSED") if case.bounded else "reported"
        good = good and (holds or not case.bounded)
        write(f"| {case.name} | {rates.false_claims:.2%} | {rates.found:.2%} | {rates.covered:.2%} | {word} |\n")
        sys.stdout.flush()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
