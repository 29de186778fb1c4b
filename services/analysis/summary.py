"""The values statistics hand to tables, reports, figures and pages.

A number that does not exist (a mean over nothing, an interval over fewer than two instances) is nan where the
field is a float, None where it is optional.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A point estimate with its 95 % interval; bounds of fewer than two instances are nan."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class RankRow:
    """One solver over the whole comparison; means are over instances, of medians over seeds.

    ``gap`` is in percent and counts an unanswered instance at the capped gap; ``primal_integral`` is
    Berthold's, in [0, 1]; ``dimacs_integral`` is None unless every instance has a positive best-known cost;
    ``seconds_to_best`` is a shifted geometric mean (shift 10 s) over answered runs.
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

    ``difference`` is the mean over instances of 100 (first - second) / reference, in percent: negative means
    that ``first`` is better. ``claimed`` obeys rule 7 of the protocol. ``effect`` is the matched-pairs
    rank-biserial correlation, with the sign of the difference: -1 where ``first`` is better throughout.
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
    num_disturbed: int = 0
    """Disturbed runs of the two on the instances counted."""


@dataclass(frozen=True)
class GapCurve:
    """A solver's mean capped gap, in percent, at each of ``seconds`` within runs of the whole budget."""

    solver: str
    seconds: tuple[float, ...]
    gap: tuple[Interval, ...]


@dataclass(frozen=True)
class Lead:
    """The solver with the lowest mean capped gap from ``start`` to ``end`` seconds of the budget.

    ``solver`` is None where the lowest is shared, before any answer say. ``clear`` where the paired 95 %
    interval of the gap to every other solver excludes 0 at each time looked at, over at least six instances.
    """

    start: float
    end: float
    solver: str | None
    clear: bool


@dataclass(frozen=True)
class Profile:
    """A solver's performance profile: the share of instances whose cost is at most ``ratio`` times the best.

    ``ratios`` rises from 1 and ``fractions[i]`` holds from ``ratios[i]`` to the next. Depends on the set of
    solvers once there are more than two: for showing, not for ranking.
    """

    solver: str
    num_instances: int
    num_answered: int
    ratios: tuple[float, ...]
    fractions: tuple[float, ...]


@dataclass(frozen=True)
class TargetRow:
    """Time to a gap of at most ``target_gap`` percent: shifted geometric means of seconds, in three modes.

    ``seconds_all`` counts an instance that missed the target at the budget, ``seconds_penalised`` at ten
    times the budget, and ``seconds_common`` takes only the ``num_common`` instances where every solver
    reached it.
    """

    solver: str
    target_gap: float
    num_instances: int
    num_answered: int
    num_reached: int
    num_common: int
    num_disturbed: int
    seconds_all: float
    seconds_penalised: float
    seconds_common: float
