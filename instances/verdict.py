"""The referee's word about a solution."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """One broken constraint: a kind for machines, a message for people, and the place and amount where they apply.

    ``route`` counts from 1, as in solution files; ``customer`` is a location index; ``amount`` is the excess in
    the constraint's own unit (load, distance or time units).
    """

    kind: str
    message: str
    route: int | None = None
    customer: int | None = None
    amount: int | None = None


@dataclass(frozen=True)
class Verdict:
    """An exact cost in the instance's integer units, or the violations; never both, never neither.

    A solution without violations may still leave something to do (a factorisation with a composite part): then it
    is feasible, an incumbent, but not ``complete``, and no answer. ``notes`` say what a reader should know of a
    feasible solution: what remains, or what is only probably true.
    """

    cost: int | None = None
    violations: tuple[Violation, ...] = ()
    complete: bool = True
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.cost is None) != bool(self.violations):
            raise ValueError("a verdict holds either a cost or violations")

    @property
    def feasible(self) -> bool:
        return self.cost is not None
