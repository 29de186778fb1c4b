"""The runs of a comparison in their places, and their medians over seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.analysis.comparable import check_comparable, check_one_problem
from services.analysis.metrics import GAP_CAP, reference_costs
from services.records import Results, Run, Status

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Grid:
    """Solvers x instances x seeds; cancelled runs count as not run. Shapes: S, I, R."""

    labels: list[str]
    digests: list[str]
    references: list[int | None]
    """By instance."""
    runs: list[Run]
    places: tuple[list[int], list[int], list[int]]
    """Solver, instance and seed of each run."""
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, results: Results) -> "Grid":
        """Place the runs; InvalidInput where they are not comparable or of several problems."""
        check_comparable(results)
        check_one_problem(results)
        labels, digests = list(results.comparison.solvers), list(results.instances)
        runs = [run for run in results.runs if run.status is not Status.CANCELLED]
        seeds = {seed: place for place, seed in enumerate(sorted({run.repetition for run in runs}))}
        solvers = {label: place for place, label in enumerate(labels)}
        instances = {digest: place for place, digest in enumerate(digests)}
        references = reference_costs(results)
        return cls(
            labels=labels,
            digests=digests,
            references=[references[digest][0] for digest in digests],
            runs=runs,
            places=(
                [solvers[run.solver] for run in runs],
                [instances[run.instance] for run in runs],
                [seeds[run.repetition] for run in runs],
            ),
            shape=(len(labels), len(digests), max(1, len(seeds))),
        )

    def reference(self, run: int) -> int | None:
        """The reference cost of the instance of a run, by the run's place in ``runs``."""
        return self.references[self.places[1][run]]

    def medians(self, values: Sequence[float] | Array) -> Array:
        """Medians over seeds of a value (or a row of values) a run: (S, I, ...), nan where not run."""
        rows = np.asarray(values, dtype=float)
        placed = np.full(self.shape + rows.shape[1:], np.nan)
        placed[self.places] = rows
        placed.sort(axis=2)  # nan goes last
        counts = (~np.isnan(placed)).sum(axis=2, keepdims=True)
        lower = np.take_along_axis(placed, np.maximum(counts - 1, 0) // 2, axis=2)
        upper = np.take_along_axis(placed, np.minimum(counts // 2, self.shape[2] - 1), axis=2)
        middle: Array = ((lower + upper) / 2).squeeze(axis=2)
        return middle

    def costs(self) -> Array:
        """Median costs, shape (S, I): inf where unanswered, nan where not run."""
        return self.medians(
            [float(run.cost) if run.answered and run.cost is not None else math.inf for run in self.runs]
        )

    def capped_gaps(self, costs: Array) -> Array:
        """Capped percent gaps of costs of shape (S, I, ...); nan where not run."""
        reference = np.array([math.nan if cost is None else cost for cost in self.references], dtype=float)
        reference = reference.reshape(-1, *[1] * (costs.ndim - 2))
        positive = reference > 0
        gaps = 100.0 * (costs - reference) / np.where(positive, reference, 1.0)
        gaps = np.where(positive, gaps, np.where(costs == reference, 0.0, GAP_CAP))
        return np.where(np.isnan(costs), np.nan, np.minimum(gaps, GAP_CAP))

    def ran(self) -> Mask:
        """Solvers, shape (S,), that were run at all."""
        ran = np.zeros(self.shape[0], dtype=bool)
        ran[self.places[0]] = True
        return ran

    def complete(self) -> Mask:
        """Instances, shape (I,), run by every solver that ran at all: averages are over these."""
        ran = np.zeros(self.shape[:2], dtype=bool)
        ran[self.places[:2]] = True
        return np.asarray(ran[ran.any(axis=1)].all(axis=0) & ran.any(axis=0))

    def disturbed(self) -> npt.NDArray[np.int64]:
        """How many of the runs were disturbed, shape (S, I)."""
        counts = np.zeros(self.shape[:2], dtype=np.int64)
        np.add.at(counts, self.places[:2], [int(run.disturbed) for run in self.runs])
        return counts
