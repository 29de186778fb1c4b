"""Running tasks one after another on a set of cores, with warm children and the referee on every incumbent."""

import json
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from instances.errors import InvalidInput
from instances.problem import Instance, Problem
from services.records import Incumbent, Run, Status
from services.runner.machine import describe_machine
from services.runner.process import Ending, SolverProcess, Unavailable
from solvers import spec

TRACE_LENGTH = 200
REASON_LENGTH = 4096
WARM_CHILDREN = 32
DISTURBED_SHARE = 0.9
SWITCH_SECONDS = 0.0005
DISTURBED_SECONDS = 0.1

OnIncumbent = Callable[[Incumbent], None]


@dataclass(frozen=True)
class Task:
    """One run to be made: a solver, by its canonical spec, on an instance, with a seed and a budget in seconds."""

    key: str
    problem: Problem
    instance: Instance
    digest: str
    label: str
    spec: str
    repetition: int
    seed: int
    budget: float

    @property
    def grace(self) -> float:
        """Seconds a solver may overrun before it is killed; what it reports in them is late."""
        return max(1.0, 0.1 * self.budget)


class Slot:
    """A set of cores on which one solver child runs at a time; the children of other solvers stay warm.

    Use it from one thread, as a context manager: its children die with the thread that started them.
    """

    def __init__(self, cores: frozenset[int], threads: int, memory: int) -> None:
        self.cores = cores
        self.threads = threads
        self.memory = memory
        self._warm: OrderedDict[str, SolverProcess] = OrderedDict()

    def __enter__(self) -> "Slot":
        # A reader that wakes to stamp an arrival waits no longer than this for a thread that checks.
        sys.setswitchinterval(SWITCH_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        while self._warm:
            self._warm.popitem()[1].close()

    def child(self, solver: str) -> SolverProcess:
        """The warm child of a solver spec, started if need be; Unavailable or InvalidInput if it cannot be."""
        process = self._warm.pop(solver, None)
        if process is not None and not process.alive:
            process.close()
            process = None
        if process is None:
            process = SolverProcess(*spec.parse(solver), self.cores, self.threads, self.memory)
        self._warm[solver] = process
        if len(self._warm) > WARM_CHILDREN:
            self._warm.popitem(last=False)[1].close()
        return process

    def run(
        self,
        task: Task,
        on_incumbent: OnIncumbent = lambda incumbent: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Run:
        """Make one run; whatever the solver does becomes a record."""
        try:
            process = self.child(task.spec)
            document = json.dumps(task.problem.dump(task.instance), separators=(",", ":")).encode()
            process.load(document)
        except (Unavailable, InvalidInput) as error:
            if (broken := self._warm.pop(task.spec, None)) is not None:
                broken.close()
            return _record(task, Status.UNAVAILABLE, str(error))
        judge = _Judge(task, on_incumbent)
        ending = process.run(task.budget, task.grace, task.seed, judge.hear, cancelled)
        if not process.alive or process.hoards:
            self._warm.pop(task.spec).close()
        trace = _thinned(judge.trace)
        status, reason = _status(ending, judge)
        cpu, wall = ending.usage.cpu_seconds, ending.wall_seconds
        return _record(
            task,
            status,
            reason,
            trace=trace,
            partial=judge.partial,
            num_reported=judge.num_reported,
            num_rejected=judge.num_rejected,
            num_late=judge.num_late,
            setup_seconds=process.setup_seconds,
            wall_seconds=wall,
            cpu_seconds=cpu,
            peak_bytes=ending.usage.peak_bytes,
            involuntary_switches=ending.usage.involuntary_switches,
            disturbed=self.threads == 1 and wall >= DISTURBED_SECONDS and cpu < DISTURBED_SHARE * wall,
            versions=process.greeting["versions"],
            log=_clean(process.log),
        )


@dataclass
class _Judge:
    """Hears every reported solution in order of arrival and keeps those the referee accepts as improvements."""

    task: Task
    on_incumbent: OnIncumbent
    trace: list[Incumbent] = field(default_factory=list)
    partial: bool = False
    num_reported: int = 0
    num_rejected: int = 0
    num_late: int = 0
    first_rejection: str = ""

    def hear(self, seconds: float, document: Any) -> None:
        self.num_reported += 1
        if seconds > self.task.budget:
            self.num_late += 1
            return
        problem = self.task.problem
        try:
            verdict = problem.verify(self.task.instance, problem.load_solution(document))
        except InvalidInput as error:
            self._reject(str(error))
            return
        if verdict.cost is None:
            self._reject(verdict.violations[0].message)
        elif not self.trace or verdict.cost < self.trace[-1].cost:
            incumbent = Incumbent(seconds, verdict.cost, document)
            self.trace.append(incumbent)
            self.partial = not verdict.complete
            self.on_incumbent(incumbent)

    def _reject(self, reason: str) -> None:
        self.num_rejected += 1
        self.first_rejection = self.first_rejection or reason


def _status(ending: Ending, judge: _Judge) -> tuple[Status, str]:
    match ending.event:
        case "done":
            if judge.trace:
                return Status.FINISHED, judge.first_rejection and f"rejected: {judge.first_rejection}"
            if judge.first_rejection:
                return Status.NO_SOLUTION, f"rejected: {judge.first_rejection}"
            return Status.NO_SOLUTION, "late" if judge.num_late else "reported nothing"
        case "killed" | "declined" | "memory" | "cancelled" | "crashed":
            return Status(ending.event), ending.reason
        case _:
            raise ValueError(f"unknown ending {ending.event!r}")


def _thinned(trace: list[Incumbent]) -> tuple[Incumbent, ...]:
    """At most TRACE_LENGTH incumbents, spread evenly, the first and the last among them."""
    if len(trace) <= TRACE_LENGTH:
        return tuple(trace)
    kept = np.linspace(0, len(trace) - 1, TRACE_LENGTH).round().astype(int)
    return tuple(trace[i] for i in kept)


def _clean(text: str) -> str:
    """Text that every database takes: no lone surrogates, no NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _record(task: Task, status: Status, reason: str, **measured: Any) -> Run:
    return Run(
        key=task.key,
        instance=task.digest,
        solver=task.label,
        spec=task.spec,
        repetition=task.repetition,
        seed=task.seed,
        status=status,
        reason=_clean(reason[:REASON_LENGTH]),
        machine="; ".join(f"{name} {value}" for name, value in describe_machine().items()),
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        **measured,
    )
