"""Running tasks one after another on a set of cores, with warm children and the referee on every incumbent."""

import contextlib
import json
import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from instances.errors import InvalidInput
from instances.problem import Instance, Problem
from services.records import Incumbent, Run, Status
from services.runner import proc
from services.runner.hearing import DRAIN_SECONDS, PENDING_BYTES, TRACE_LENGTH, Hearing, Judge, OnIncumbent
from services.runner.machine import describe_machine, judge_cores
from services.runner.process import WAKE_SECONDS, Cancelled, Died, Ending, SolverProcess, Unavailable
from solvers import spec

REASON_LENGTH = 4096
WARM_CHILDREN = 32
DISTURBED_SHARE = 0.9
SWITCH_SECONDS = 0.0005
DISTURBED_SECONDS = 0.1


@dataclass(frozen=True)
class Task:
    """One run to be made: a solver, by its canonical spec, on an instance, with a seed and a budget in seconds."""

    key: str
    document: bytes = field(repr=False)
    """The instance as :func:`encode` gives it."""
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


def encode(problem: Problem, instance: Instance) -> bytes:
    """The instance's document in one line of JSON, as solver and judge get it."""
    return json.dumps(problem.dump(instance), separators=(",", ":")).encode()


class Slot:
    """A set of cores on which one solver child runs at a time; the children of other solvers stay warm, and stopped.

    Use it from one thread, as a context manager: its children die with the thread that started them. What solvers of
    a dead parent left behind is killed first. ``all_cores`` are those of all slots in use, which its judge avoids.
    """

    def __init__(
        self, cores: frozenset[int], threads: int, memory: int, all_cores: frozenset[int] = frozenset()
    ) -> None:
        self.cores = cores
        self.threads = threads
        self.memory = memory
        self._warm: OrderedDict[str, SolverProcess] = OrderedDict()
        self._judge = Judge(judge_cores(cores, all_cores))
        self._cancelled: Callable[[], bool] = lambda: False

    def __enter__(self) -> "Slot":
        # A reader that wakes to stamp an arrival waits no longer than this for another thread of this process.
        sys.setswitchinterval(SWITCH_SECONDS)
        proc.kill_orphans()
        return self

    def __exit__(self, *_: object) -> None:
        while self._warm:
            self._warm.popitem()[1].close()
        self._judge.close()

    def child(self, solver: str) -> SolverProcess:
        """The warm child of a solver spec, started if need be; Unavailable or InvalidInput if it cannot be."""
        process = self._warm.pop(solver, None)
        if process is not None and not process.alive:
            process.close()
            process = None
        if process is None:
            process = SolverProcess(
                *spec.parse(solver), self.cores, self.threads, self.memory, lambda: self._cancelled()
            )
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
        """Make one run; whatever the solver does becomes a record.

        ``on_incumbent`` is called from another thread, as soon as the judge has accepted an improvement. ``cancelled``
        is asked several times a second; once true, the run ends as cancelled, whatever it waits for.

        Raises
        ------
        ChildProcessError
            If the judge cannot be started, or cannot load the instance.
        """
        return self._made([task], False, on_incumbent, cancelled)[0]

    def run_together(self, tasks: Sequence[Task], cancelled: Callable[[], bool] = lambda: False) -> list[Run]:
        """Make the runs of one solver on several instances at once, under one budget; else as :meth:`run`.

        Times, memory and log are the batch's, for each of its runs. A solver that does not offer that declines.
        """
        return self._made(tasks, True, lambda incumbent: None, cancelled)

    def _made(
        self, tasks: Sequence[Task], together: bool, on_incumbent: OnIncumbent, cancelled: Callable[[], bool]
    ) -> list[Run]:
        self._cancelled = cancelled
        try:
            return self._run(tasks, together, on_incumbent, cancelled)
        except Cancelled:
            # A child that was waited for answers out of step.
            if (process := self._warm.pop(tasks[0].spec, None)) is not None:
                process.close()
            return [_record(task, Status.CANCELLED, "cancelled") for task in tasks]

    def explain(self, solver: str, document: bytes, solution: bytes) -> dict[str, Any]:
        """How a solver comes to a solution of an instance, both encoded; Unavailable or InvalidInput if it cannot."""
        process = self.child(solver)
        try:
            process.load([document])
            return process.explain(solution)
        except (Unavailable, Cancelled):
            # It may still answer, out of step.
            self._warm.pop(solver).close()
            raise

    def _run(
        self, tasks: Sequence[Task], together: bool, on_incumbent: OnIncumbent, cancelled: Callable[[], bool]
    ) -> list[Run]:
        first = tasks[0]
        with contextlib.ExitStack() as stack:
            share = PENDING_BYTES // len(tasks)
            hearings = [stack.enter_context(Hearing(task.document, task.budget, on_incumbent, share)) for task in tasks]
            for hearing in hearings:
                self._judge.open(hearing)
            try:
                process = self.child(first.spec)
                if together and not process.greeting.get("batches"):
                    return [_record(task, Status.DECLINED, "solves one instance at a time") for task in tasks]
                # The child gets the instances when nothing but the start is left to wait for.
                while not hearings[0].ready.wait(WAKE_SECONDS):
                    if cancelled():
                        raise Cancelled
                _raise_error(hearings)
                process.load([task.document for task in tasks])
            except (Unavailable, InvalidInput) as error:
                if (broken := self._warm.pop(first.spec, None)) is not None:
                    broken.close()
                if isinstance(error, Died):
                    log = _clean(error.log)
                    return [_record(task, Status(error.event), error.reason, log=log) for task in tasks]
                return [_record(task, Status.UNAVAILABLE, str(error)) for task in tasks]
            ending = process.run(
                first.budget,
                first.grace,
                [task.seed for task in tasks],
                hearings,
                together,
                lambda: cancelled() or any(hearing.error is not None for hearing in hearings),
            )
            if not process.alive or process.hoards:
                self._warm.pop(first.spec).close()
            _raise_error(hearings)
            if ending.event == "cancelled":
                raise Cancelled
            # The judge takes them one after the other, each when the one before is over.
            for hearing in hearings:
                hearing.drain(max(DRAIN_SECONDS, first.budget))
            for hearing in hearings:
                while not hearing.judged.wait(WAKE_SECONDS):
                    if cancelled():
                        raise Cancelled
        _raise_error(hearings)
        cpu, wall = ending.usage.cpu_seconds, ending.wall_seconds
        measured = {
            "setup_seconds": process.setup_seconds,
            "wall_seconds": wall,
            "cpu_seconds": cpu,
            "peak_bytes": ending.usage.peak_bytes,
            "involuntary_switches": ending.usage.involuntary_switches,
            "disturbed": self.threads == 1 and wall >= DISTURBED_SECONDS and cpu < DISTURBED_SHARE * wall,
            "versions": process.greeting["versions"],
            "log": _clean(process.log),
        }
        return [
            _record(
                task,
                *_status(ending, place, hearing),
                trace=_thinned(hearing.trace),
                partial=hearing.partial,
                num_reported=hearing.num_reported,
                num_rejected=hearing.num_rejected,
                num_late=hearing.num_late,
                **measured,
            )
            for place, (task, hearing) in enumerate(zip(tasks, hearings, strict=True))
        ]


def _raise_error(hearings: Sequence[Hearing]) -> None:
    for hearing in hearings:
        if hearing.error is not None:
            raise hearing.error


def _status(ending: Ending, place: int, hearing: Hearing) -> tuple[Status, str]:
    if place in ending.declined:
        return Status.DECLINED, ending.declined[place]
    reasons = [ending.reason] if ending.reason else []
    if hearing.partial:
        reasons.append(f"partial: {'; '.join(hearing.notes)}")
    if hearing.num_rejected:
        reasons.append(f"rejected: {hearing.first_rejection}")
    if hearing.num_unjudged:
        reasons.append(f"not judged in time: {hearing.num_unjudged} solutions")
    if ending.event != "done":
        return Status(ending.event), "; ".join(reasons)
    if hearing.trace and not hearing.partial:
        return Status.FINISHED, "; ".join(reasons)
    return Status.NO_SOLUTION, "; ".join(reasons) or ("late" if hearing.num_late else "reported nothing")


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
