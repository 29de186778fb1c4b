"""The parent's side of a solver child: start it, prepare it, time it, and end it."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from instances.errors import InvalidInput
from services.runner import proc
from services.runner.hearing import Hearing
from services.runner.machine import thread_limits
from services.runner.pipes import Event, Reader, write
from solvers import registry

MEMORY_CHECK_SECONDS = 0.1
PREPARE_SECONDS = 300.0
WAKE_SECONDS = 0.2
# What the answers to a command hold at least.
ANSWERS = {
    "greeting": {"name", "summary", "problem", "honours", "versions", "parameters"},
    "ready": {"spec"},
    "loaded": set(),
    "explained": {"document"},
}
OUT_OF_MEMORY = ("std::bad_alloc", "MemoryError", "allocate memory")


class Unavailable(Exception):
    """The solver could not be imported or prepared; the message says why."""


class Cancelled(Exception):
    """The caller no longer wants the answer."""


class Died(Unavailable):
    """The child died, or had no memory left, before it could start; ``event`` is crashed or memory."""

    def __init__(self, event: str, reason: str, log: str) -> None:
        super().__init__(f"{reason}: {log[-2000:]}" if log else reason)
        self.event = event
        self.reason = reason
        self.log = log


@dataclass(frozen=True)
class Ending:
    """How a run ended, before its incumbents are judged.

    ``event`` is done, killed, memory, crashed or cancelled; ``declined`` has the reason of each instance that was.
    """

    event: str
    reason: str
    wall_seconds: float
    usage: proc.Usage
    declined: Mapping[int, str] = field(default_factory=dict)


class SolverProcess:
    """A warm child process that holds one prepared solver.

    Parameters
    ----------
    name, parameters
        The solver and its parameters as text.
    cores
        CPUs the child is pinned to.
    threads
        Threads the solver may use; also set for the numerical libraries.
    memory
        Limit in bytes for the child and everything below it.
    cancelled
        Asked while an answer is awaited, here and later; once true, that ends in Cancelled.

    Raises
    ------
    Unavailable
        If the solver cannot be imported or prepared.
    InvalidInput
        If there is no such solver, or its parameters are wrong.

    Notes
    -----
    The child dies with the thread that created it (PR_SET_PDEATHSIG); use it from that thread.
    """

    def __init__(
        self,
        name: str,
        parameters: dict[str, str],
        cores: frozenset[int],
        threads: int,
        memory: int,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        started = time.perf_counter()
        self._start(name, cores, threads, memory, cancelled)
        try:
            self._send({"op": "prepare", "parameters": parameters})
            self.spec: str = self._expect("ready", "it prepared")["spec"]
        except BaseException:
            self.close()
            raise
        self.setup_seconds = time.perf_counter() - started
        self._idle_bytes = proc.resident_bytes(self._process.pid)

    @classmethod
    def describe(cls, name: str, cores: frozenset[int], memory: int) -> dict[str, Any]:
        """What a solver says of itself, without preparing it; Unavailable if it cannot be imported."""
        process = cls.__new__(cls)
        process._start(name, cores, 1, memory, lambda: False)
        process.close()
        return process.greeting

    def _start(
        self, name: str, cores: frozenset[int], threads: int, memory: int, cancelled: Callable[[], bool]
    ) -> None:
        registry.find(name)
        self._cancelled = cancelled
        self.threads = threads
        self.memory = memory
        self.mark = proc.new_mark()
        self._num_runs = 0
        self._gone = False
        self._closed = False
        commands, self._commands = os.pipe()
        os.set_blocking(self._commands, False)
        from_messages, messages = os.pipe()
        from_log, log = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "services.runner.child", name,
             str(commands), str(messages), str(self.memory), str(os.getpid())],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(commands, messages), start_new_session=True,
            env={**os.environ, **thread_limits(threads), "PYTHONHASHSEED": "0", proc.MARKER: self.mark},
        )  # fmt: skip
        for descriptor in (commands, messages, log):
            os.close(descriptor)
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(self._process.pid, cores)
        self._reader = Reader(self._process.pid, from_messages, from_log)
        try:
            self.greeting = self._expect("greeting", "it started")
        except BaseException:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def hoards(self) -> bool:
        """Whether its runs left processes, or more than a tenth of its memory limit; others would pay for that."""
        kept = proc.resident_bytes(self._process.pid) - self._idle_bytes
        return kept > self.memory // 10 or bool(proc.descendants(self._process.pid))

    @property
    def log(self) -> str:
        """The end of what the child printed since its instance was loaded, at most 64 KB."""
        return self._reader.log

    def load(self, documents: Sequence[bytes]) -> None:
        """Wake the child and hand it the bytes of instance documents; it decodes them when the clock runs.

        Raises
        ------
        Died
            If the child dies of it.
        Unavailable
            If it does not answer.
        """
        proc.signal_group(self._process.pid, signal.SIGCONT)
        self._reader.clear_log()
        self._send({"op": "load", "bytes": [len(document) for document in documents]}, b"".join(documents))
        self._expect("loaded", "the instance was loaded")

    def explain(self, solution: bytes) -> dict[str, Any]:
        """How the solver comes to a solution of the instance that was loaded, as a JSON document.

        Raises
        ------
        Unavailable
            If it cannot say, or dies of it.
        """
        self._send({"op": "explain", "bytes": len(solution)}, solution)
        document = self._expect("explained", "it explained a solution")["document"]
        proc.signal_group(self._process.pid, signal.SIGSTOP)
        if not isinstance(document, dict):
            raise Unavailable("its explanation is no JSON object")
        return document

    def run(
        self,
        budget: float,
        grace: float,
        seeds: Sequence[int],
        hearings: Sequence[Hearing],
        together: bool,
        cancelled: Callable[[], bool],
    ) -> Ending:
        """Start the clock and let the hearings take solutions until the child is done, dead or out of time.

        There is a seed and a hearing for each instance that was loaded; ``together`` solves them by ``solve_many``.
        A child that is not done at budget + grace is killed with its family; one that is done is stopped, so that no
        thread it left behind takes time from the next solver. Nothing here waits for a verdict.
        """
        before = proc.usage(self._process.pid)
        peak = 0
        started = time.perf_counter()
        self._num_runs += 1
        self._reader.listen(self._num_runs, started, [hearing.hear for hearing in hearings])
        terms = {"budget": budget, "seeds": list(seeds), "threads": self.threads, "together": together}
        self._send({"op": "go", "run": self._num_runs, **terms})
        kill_at = started + budget + grace
        next_check = started + MEMORY_CHECK_SECONDS
        ending: tuple[str, str] | None = None
        declined: dict[int, str] = {}
        finished = started
        while ending is None:
            now = time.perf_counter()
            try:
                event = self._reader.events.get(timeout=max(0.0, min(next_check, kill_at) - now))
            except queue.Empty:
                pass
            else:
                finished = event.arrival
                ending, declined = self._ended_by(event), _declined(event)
            now = time.perf_counter()
            if ending is None and now >= next_check:
                next_check = now + MEMORY_CHECK_SECONDS
                resident = proc.resident_bytes(self._process.pid)
                peak = max(peak, resident)
                if resident > self.memory:
                    ending = ("memory", f"used {resident} bytes of memory; the limit is {self.memory}")
                elif cancelled():
                    ending = ("cancelled", "cancelled")
            if ending is None and now >= kill_at:
                ending = ("killed", f"still running {budget + grace:g} s after the start")
        if ending[0] in ("killed", "memory", "cancelled"):
            finished = time.perf_counter()
        if ending[0] == "done":
            proc.signal_group(self._process.pid, signal.SIGSTOP)
        after = proc.usage(self._process.pid)
        if ending[0] != "done":
            self.close()
            for hearing in hearings:
                hearing.unbind()
            while not self._gone:
                self._ended_by(self._reader.events.get())
        used = proc.Usage(
            max(0.0, after.cpu_seconds - before.cpu_seconds),
            max(peak, after.peak_bytes),
            max(0, after.involuntary_switches - before.involuntary_switches),
        )
        return Ending(*self._explained(*ending), finished - started, used, declined)

    def close(self) -> None:
        """Kill the child and everything it started; return when they are gone. Closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        proc.kill_family(self._process.pid if self.alive else None, self.mark)
        self._process.wait()
        os.close(self._commands)

    def _ended_by(self, event: Event) -> tuple[str, str]:
        """How a run ended, told from what the child said last."""
        match event.name:
            case "gone":
                self._gone = True
                return "crashed", ""
            case "done":
                return "done", ""
            case "failed":
                kind = "memory" if event.content.get("kind") == "memory" else "crashed"
                return kind, str(event.content.get("error") or "failed, and did not say why")
            case _:
                return "crashed", "wrote to the runner's own pipe"

    def _explained(self, event: str, reason: str) -> tuple[str, str]:
        """Name the signal or exit code behind a crash, and tell running out of memory from other crashes."""
        if event == "crashed" and not reason and self._gone:
            reason = proc.exit_text(self._process.wait())
        if event == "crashed" and any(sign in self.log for sign in OUT_OF_MEMORY):
            event = "memory"
        return event, reason

    def _send(self, command: dict[str, Any], payload: bytes = b"") -> None:
        # A child that died has closed the pipe; its end is noticed where its answer is awaited.
        with contextlib.suppress(BrokenPipeError):
            try:
                write(self._commands, json.dumps(command).encode() + b"\n" + payload, PREPARE_SECONDS)
            except TimeoutError as error:
                raise Unavailable(str(error)) from None

    def _next_event(self) -> Event:
        deadline = time.monotonic() + PREPARE_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                return self._reader.events.get(timeout=WAKE_SECONDS)
            if self._cancelled():
                raise Cancelled
        raise Unavailable(f"no answer within {PREPARE_SECONDS:g} s")

    def _expect(self, answer: str, occasion: str) -> dict[str, Any]:
        event = self._next_event()
        if event.name in ("gone", "failed"):
            kind, reason = self._explained(*self._ended_by(event))
            raise Died(kind, f"{reason} while {occasion}", self.log)
        if event.name == "refused":
            raise InvalidInput(str(event.content.get("error")))
        if event.name != answer or not ANSWERS[answer] <= event.content.keys():
            raise Unavailable(str(event.content.get("error", event.content)))
        return event.content


def _declined(event: Event) -> dict[int, str]:
    """The instances that a child that is done declined, by their places; what is no such list declines nothing."""
    said = event.content.get("declined") if event.name == "done" else None
    if not isinstance(said, dict):
        return {}
    return {int(place): str(reason) for place, reason in said.items() if place.isdecimal() and len(place) < 10}
