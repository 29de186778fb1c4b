"""Problems whose instances are solved or not: shares by size, time to solution, and the largest size managed.

An instance is solved by a solver where the median over its seeds is an answer, and its time is the median
time to it. Counts are over the instances that every solver was run on.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np

from services.analysis.grid import Array, Grid
from services.analysis.inference import wilson_interval
from services.analysis.metrics import seconds_to_best
from services.analysis.summary import LargestSize, SizeShare, SolvedBySize, SolvedCurve
from services.records import Results

MAX_SIZE_CLASSES = 24


def size_classes(sizes: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Closed intervals of size that part instances of these sizes: each size, or ``most`` of about equal count."""
    ordered = sorted(sizes)
    distinct = sorted(set(sizes))
    if len(distinct) <= most:
        return [(size, size) for size in distinct]
    edges = sorted({ordered[len(ordered) * i // most] for i in range(most)})
    return list(zip(edges, [edge - 1 for edge in edges[1:]] + [distinct[-1]], strict=True))


def seconds_to_solve(grid: Grid) -> Array:
    """Median seconds to the answer, shape (S, I): inf where unsolved, nan where not run."""
    arrivals = [seconds_to_best(run) for run in grid.runs]
    return grid.medians([math.inf if seconds is None else seconds for seconds in arrivals])


def solved_by_size(results: Results) -> list[SolvedBySize]:
    """Each solver's share of solved instances by size, for each unit of size, with Wilson's 95 % intervals."""
    grid = Grid.of(results)
    solved = np.isfinite(grid.costs())
    counted = grid.complete()
    instances = [results.instances[digest] for digest in grid.digests]
    found = []
    for unit in dict.fromkeys(instance.size_unit for instance in instances):
        inside = [i for i, instance in enumerate(instances) if instance.size_unit == unit and counted[i]]
        sizes = np.array([instances[i].size for i in inside], dtype=int)
        classes = size_classes(sizes.tolist(), MAX_SIZE_CLASSES)
        for place in np.flatnonzero(grid.ran()):
            row = solved[place, inside]
            shares = []
            for low, high in classes:
                of_class = row[(low <= sizes) & (sizes <= high)]
                number, num_solved = of_class.size, int(of_class.sum())
                shares.append(SizeShare(low, high, number, num_solved, wilson_interval(num_solved, number)))
            found.append(SolvedBySize(grid.labels[place], unit, tuple(shares)))
    return found


def largest_sizes(results: Results) -> list[LargestSize]:
    """How large the instances are that each solver manages, for each unit of size."""
    grid = Grid.of(results)
    solved = np.isfinite(grid.costs()) & grid.complete()
    instances = [results.instances[digest] for digest in grid.digests]
    found = []
    for row in solved_by_size(results):
        own = solved[grid.labels.index(row.solver)]
        sizes = [instances[place].size for place in np.flatnonzero(own) if instances[place].size_unit == row.unit]
        found.append(
            LargestSize(
                solver=row.solver,
                unit=row.unit,
                all=_last(row.classes, 1.0),
                half=_last(row.classes, 0.5),
                solved=max(sizes, default=None),
            )
        )
    return found


def solved_over_time(results: Results) -> list[SolvedCurve]:
    """Each solver's share of instances solved by each second, with pointwise 95 % intervals.

    One minus the estimate of Kaplan and Meier. An instance that a solver left unsolved, for whatever reason, is
    cut off at the budget: none leaves earlier, so that the estimate is a share of all instances and its interval
    is Wilson's.

    References
    ----------
    Kaplan, E. L. and Meier, P. (1958). Nonparametric estimation from incomplete observations. Journal of the
    American Statistical Association 53(282), 457-481.
    """
    grid = Grid.of(results)
    seconds = seconds_to_solve(grid)[:, grid.complete()]
    budget = results.comparison.budget
    curves = []
    for place in np.flatnonzero(grid.ran()):
        row = seconds[place]
        arrivals, counts = np.unique(np.minimum(row[np.isfinite(row)], budget), return_counts=True)
        num_solved = [0, *np.cumsum(counts).tolist()]
        times = [0.0, *arrivals.tolist()]
        if times[-1] < budget:
            times.append(budget)
            num_solved.append(num_solved[-1])
        share = tuple(wilson_interval(number, row.size) for number in num_solved)
        curves.append(SolvedCurve(grid.labels[place], row.size, tuple(times), share))
    return curves


def _last(classes: Sequence[SizeShare], least: float) -> SizeShare | None:
    """The last class before the first of which less than that share is solved."""
    managed = list(itertools.takewhile(lambda shares: shares.num_solved >= least * shares.num_instances, classes))
    return managed[-1] if managed else None
