"""The values statistics hand to tables, reports, figures and pages."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A point estimate with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class RankRow:
    """One solver over the whole comparison; gaps and integrals are means over instances of medians over seeds.

    ``gap`` is in percent and counts an unanswered instance at the capped gap; ``primal_integral`` is Berthold's,
    in [0, 1]; ``seconds_to_best`` is a shifted geometric mean (shift 10 s) over answered runs.
    """

    solver: str
    num_instances: int
    num_answered: int
    num_runs: int
    num_disturbed: int
    gap: Interval
    median_gap: float
    primal_integral: Interval
    dimacs_integral: Interval | None
    seconds_to_best: float


@dataclass(frozen=True)
class Pair:
    """Solver ``first`` against ``second`` on the instances both answered.

    ``difference`` is the mean over instances of 100 (first - second) / reference, in percent: negative means that
    ``first`` is better. ``claimed`` obeys rule 7 of the protocol. ``effect`` is the matched-pairs rank-biserial
    correlation.
    """

    first: str
    second: str
    num_instances: int
    difference: Interval | None
    wins: int
    ties: int
    losses: int
    p_value: float | None
    corrected_p: float | None
    effect: float | None
    claimed: bool
