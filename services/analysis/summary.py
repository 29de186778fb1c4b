"""The values statistics hand to tables, reports, figures and pages.

A number that does not exist (a mean over nothing, an interval over fewer than two instances) is nan where the
field is a float, None where it is optional.
"""

from dataclasses import dataclass
from typing import Literal

Measure = Literal["cost", "primal integral"]
"""What pairs are compared by."""


@dataclass(frozen=True)
class Interval:
    """A point estimate with its 95 % interval; bounds of fewer than two instances are nan."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class RankRow:
    """One solver over all instances of a problem; means are over instances, of medians over seeds.

    ``num_reached`` counts the instances whose cost is at most the reference: where costs only say solved or
    not, the solved ones. ``gap`` is in percent and counts an unanswered instance at the capped gap;
    ``primal_integral`` is Berthold's, in [0, 1]; ``dimacs_integral`` is None unless every instance has a
    positive best-known cost; ``seconds_to_best`` is a shifted geometric mean (shift 10 s) over answered runs.
    """

    solver: str
    num_instances: int
    num_answered: int
    num_reached: int
    num_runs: int
    num_disturbed: int
    gap: Interval
    median_gap: float
    primal_integral: Interval
    dimacs_integral: Interval | None
    seconds_to_best: float


@dataclass(frozen=True)
class Pair:
    """Solver ``first`` against ``second``: by cost on the instances both answered, or by primal integral on all.

    ``difference`` is the mean over instances, negative where ``first`` is better: by cost of
    100 (first - second) / reference, in percent of the reference cost; by primal integral of
    100 (first - second), in percent of the budget. ``claimed`` obeys rule 8 of the protocol. ``effect`` is the
    matched-pairs rank-biserial correlation, with the sign of the difference: -1 where ``first`` is better
    throughout.
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
    measure: Measure = "cost"


@dataclass(frozen=True)
class GapCurve:
    """A solver's mean capped gap, in percent, at each of ``seconds`` within runs of the whole budget."""

    solver: str
    seconds: tuple[float, ...]
    gap: tuple[Interval, ...]


@dataclass(frozen=True)
class Lead:
    """The solver with the lowest mean capped gap from ``start`` to ``end`` seconds of the budget.

    ``solver`` is None where the lowest is shared, before any answer say. ``clear`` where it may be claimed to be
    better than every other solver that answered: at the budget by the pairs, before it corrected for pairs and times.
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
class SizeShare:
    """How many of the instances of ``low`` to ``high`` in size a solver solved; ``share``, in [0, 1], is Wilson's."""

    low: int
    high: int
    num_instances: int
    num_solved: int
    share: Interval


@dataclass(frozen=True)
class SolvedBySize:
    """A solver's share of solved instances in each class of size, smallest first, in ``unit``."""

    solver: str
    unit: str
    classes: tuple[SizeShare, ...]


@dataclass(frozen=True)
class LargestSize:
    """How large the instances are that a solver manages within the budget.

    ``all`` is the largest class of size such that the solver solved all instances of it and of every smaller
    one, ``half`` the largest such that it solved at least half of each; None where it failed at the smallest.
    ``solved`` is the size of the largest instance it solved at all, None without one.
    """

    solver: str
    unit: str
    all: SizeShare | None
    half: SizeShare | None
    solved: int | None


@dataclass(frozen=True)
class SolvedCurve:
    """A solver's share of instances solved by each of ``seconds``, in [0, 1]: one minus Kaplan and Meier's estimate.

    The share holds from its second to the next; it begins at 0 seconds and ends at the budget.
    """

    solver: str
    num_instances: int
    seconds: tuple[float, ...]
    share: tuple[Interval, ...]
