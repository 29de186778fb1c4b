"""What every solver must keep to, as a check that plug-in authors can run.

The check stands outside the solver: it judges behaviour (types, times, determinism, no mutation) and leaves the
judgement of solutions to the ``verify`` it is given, because solvers never see the referee.
"""

import time
from typing import Any


class RecordingSearch:
    """A search in this process that keeps everything reported, each with its seconds since the start.

    Parameters
    ----------
    budget
        Seconds from the construction of this object.
    seed, threads
        What the solver is told.
    """

    def __init__(self, budget: float, seed: int = 0, threads: int = 1) -> None:
        self.budget = budget
        self.seed = seed
        self.threads = threads
        self.reports: list[tuple[float, Any]] = []
        self._start = time.perf_counter()

    def running(self) -> bool:
        return self.remaining() > 0

    def remaining(self) -> float:
        return max(0.0, self.budget - (time.perf_counter() - self._start))

    def report(self, solution: Any) -> None:
        self.reports.append((time.perf_counter() - self._start, solution))
