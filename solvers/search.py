"""The contract between a solver and whoever runs it."""

from typing import Any, ClassVar, Protocol, runtime_checkable


class Search(Protocol):
    """One attempt, as the solver sees it.

    Solutions are pushed with :meth:`report`, not returned, because OR-Tools and PyVRP call back from C++.
    """

    budget: float
    """Seconds of wall time, counted from the call of ``solve``."""
    seed: int
    """31-bit non-negative seed; the same for every solver of a comparison."""
    threads: int
    """Threads the solver may use."""

    def running(self) -> bool:
        """Whether time is left."""

    def remaining(self) -> float:
        """Seconds left, never negative."""

    def report(self, solution: Any) -> None:
        """Hand over a solution. It need not improve on an earlier one; the referee prices it."""


@runtime_checkable
class ReadySolver(Protocol):
    """A solver whose weights are loaded and whose first-call costs are paid."""

    def solve(self, instance: Any, search: Search) -> None:
        """Solve, reporting solutions as they are found; return when done or when the search is over.

        A ready solver may offer besides ``explain(instance, solution) -> dict``: how it comes to a solution, in JSON;
        and ``solve_many(instances, searches)``: several at once, each with a search of its own, that share one budget.
        Its class says so by ``explains = True`` and ``batches = True``.
        """


@runtime_checkable
class Solver(Protocol):
    """A frozen dataclass whose fields are the solver's parameters.

    The first line of its docstring describes it in lists. Each field carries its help in
    ``field(default=..., metadata={"help": "..."})``. A field's type is bool, int, float, str, ``X | None`` of
    these, or a Literal of strings.
    """

    problem: ClassVar[str]
    """Name of the problem it solves, ``routing`` or ``factoring``."""
    honours: ClassVar[frozenset[str]]
    """Features of instances it can take, as in the instance's ``features``."""
    packages: ClassVar[tuple[str, ...]]
    """Distributions whose versions identify its behaviour, beside its own."""

    def declines(self, instance: Any) -> str | None:
        """Why it cannot take the instance, or None. Called with instances of its own problem only."""

    def prepare(self) -> ReadySolver:
        """Load what every run needs and warm up, before any clock runs."""


def unhonoured(honours: frozenset[str], features: frozenset[str]) -> str | None:
    """The reason to decline an instance whose ``features`` are not all among the ``honours``; else None."""
    missing = sorted(features - honours)
    return f"cannot honour {', '.join(missing)}" if missing else None
