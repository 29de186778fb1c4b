"""The parent's side of the judge: solutions wait here to be judged, and verdicts become the run's trace."""

import bisect
import contextlib
import functools
import json
import os
import queue
import select
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.records import Incumbent
from services.runner import pipes, proc
from services.runner.machine import thread_limits

TRACE_LENGTH = 200
PENDING_SOLUTIONS = 1000
PENDING_BYTES = 256 * 1024 * 1024
VERDICT_SECONDS = 60.0
LOAD_SECONDS = 300.0
DRAIN_SECONDS = 10.0
WAKE_SECONDS = 0.05

OnIncumbent = Callable[[Incumbent], None]


@dataclass(frozen=True)
class _Accepted:
    """A feasible solution, the how manieth that arrived in the run."""

    number: int
    incumbent: Incumbent
    complete: bool
    notes: tuple[str, ...]


class Hearing:
    """What a run reported: counted as it arrives, judged, and kept where it improves on all that arrived before.

    It is fed by the thread that stamps and emptied by the judge's; what waits is bounded in count and bytes, beyond
    which :meth:`hear` waits, and with it the reader and the solver. During the run the judge takes the oldest first,
    after it the newest, the best as a rule: what the judge has no time for is then what mattered least. As a context
    it leaves nothing waiting behind.

    Parameters
    ----------
    document
        The instance, as the solver gets it.
    budget
        Seconds; a solution that arrives later is counted, and not judged.
    on_incumbent
        Called with every accepted solution better than all judged before, from the judge's thread. What it raises is
        kept in ``error`` and ends the hearing.
    pending_bytes
        Of solutions that may wait.

    Attributes
    ----------
    ready, judged
        Set when the judge knows the instance, and when it has nothing left to do here; both also by an error.
    """

    def __init__(
        self, document: bytes, budget: float, on_incumbent: OnIncumbent, pending_bytes: int = PENDING_BYTES
    ) -> None:
        self.document = document
        self.budget = budget
        self.num_reported = 0
        self.num_rejected = 0
        self.num_late = 0
        self.num_judged = 0
        self.first_rejection = ""
        self.error: BaseException | None = None
        self.ready = threading.Event()
        self.judged = threading.Event()
        self.closed = False
        self._on_incumbent = on_incumbent
        self._pending_bytes = pending_bytes
        self._accepted: list[_Accepted] = []
        self._num_improved = 0
        self._stride = 1
        self._pending: deque[tuple[int, float, bytes]] = deque()
        # Of what waits and of what is being judged.
        self._held = 0
        self._held_bytes = 0
        self._bounded = True
        self._patience: float | None = None
        self._deadline: float | None = None
        self._changed = threading.Condition()

    def __enter__(self) -> "Hearing":
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    @property
    def trace(self) -> list[Incumbent]:
        """The incumbents in order of arrival, each better than the one before; of many, every second, fourth, ...

        The first and the last are always there.
        """
        return [accepted.incumbent for accepted in self._accepted]

    @property
    def partial(self) -> bool:
        """Whether the last incumbent leaves something to do, which ``notes`` tell."""
        return bool(self._accepted) and not self._accepted[-1].complete

    @property
    def notes(self) -> tuple[str, ...]:
        """What the referee notes on the last incumbent."""
        return self._accepted[-1].notes if self._accepted else ()

    @property
    def num_unjudged(self) -> int:
        """Solutions in time that the judge had no time for."""
        return self.num_reported - self.num_late - self.num_judged

    def hear(self, seconds: float, solution: bytes) -> None:
        """Take a solution that arrived so long after the start; wait while too much is pending."""
        with self._changed:
            if self.closed:
                return
            self.num_reported += 1
            if seconds > self.budget:
                self.num_late += 1
                return
            self._changed.wait_for(lambda: self.closed or not self._bounded or self._has_room(len(solution)))
            self._pending.append((self.num_reported, seconds, solution))
            self._held += 1
            self._held_bytes += len(solution)
            self._changed.notify_all()

    def _has_room(self, size: int) -> bool:
        return not self._held or (self._held < PENDING_SOLUTIONS and self._held_bytes + size <= self._pending_bytes)

    def unbind(self) -> None:
        """Let nothing wait any more: the solver is dead, and what its pipe still holds is little."""
        with self._changed:
            self._bounded = False
            self._changed.notify_all()

    def drain(self, seconds: float) -> None:
        """The run is over: judge what is left, newest first, for so long after the verdict under way.

        Whoever waits for ``judged`` waits no longer than that and two verdicts.
        """
        with self._changed:
            self._patience = seconds
            self._changed.notify_all()

    def attend(self, verdict: Callable[[bytes], dict[str, Any]]) -> None:
        """Judge what comes until the hearing ends; the work of the judge's thread."""
        self.ready.set()
        while (item := self._next()) is not None:
            self._settle(*item, verdict(item[-1]))
        self.judged.set()

    def fail(self, error: Exception) -> None:
        """End the hearing for a reason that is not the solver's."""
        self.error = error
        self.__exit__()
        self.ready.set()
        self.judged.set()

    def _next(self) -> tuple[int, float, bytes] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._patience is not None or self.closed)
            if self.closed or not self._pending:
                return None
            if self._patience is None:
                return self._pending.popleft()
            if self._deadline is None:
                self._deadline = time.monotonic() + self._patience
            return self._pending.pop() if time.monotonic() <= self._deadline else None

    def _settle(self, number: int, seconds: float, solution: bytes, answer: dict[str, Any]) -> None:
        cost = answer.get("cost")
        news = None
        with self._changed:
            if self.closed:
                return
            self._held -= 1
            self._held_bytes -= len(solution)
            self.num_judged += 1
            if cost is None:
                self.num_rejected += 1
                self.first_rejection = self.first_rejection or str(answer["rejected"])
            else:
                incumbent = Incumbent(seconds, cost, solution)
                if not self._accepted or cost < self._accepted[-1].incumbent.cost:
                    news = incumbent
                self._accept(_Accepted(number, incumbent, answer["complete"], tuple(answer["notes"])))
            self._changed.notify_all()
        if news is not None:
            self._on_incumbent(news)

    def _accept(self, new: _Accepted) -> None:
        """Keep it if it improves on all that arrived before; what arrived later stays only if it improves on it."""
        place = bisect.bisect(self._accepted, new.number, key=lambda accepted: accepted.number)
        cost = new.incumbent.cost
        if place and self._accepted[place - 1].incumbent.cost <= cost:
            return
        if place == len(self._accepted):
            # Between two that are kept, the last is held only until the next one comes.
            if (self._num_improved - 1) % self._stride:
                place -= 1
            self._num_improved += 1
        self._accepted[place:] = [new, *(later for later in self._accepted[place:] if later.incumbent.cost < cost)]
        if len(self._accepted) == 2 * TRACE_LENGTH and self._patience is None:
            self._accepted = [*self._accepted[::2], new]
            self._stride *= 2


class Judge:
    """A warm judge process on cores of its own, and the thread that talks with it.

    Both start with the first hearing. The process dies with the thread (PR_SET_PDEATHSIG); one that fails on a
    solution is replaced.
    """

    def __init__(self, cores: frozenset[int], module: str = "services.runner.judge") -> None:
        self.cores = cores
        self._module = module
        self._hearings: queue.SimpleQueue[Hearing | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._loaded: bytes | None = None
        self._closed = False

    def open(self, hearing: Hearing) -> None:
        """Begin a hearing; it is ``ready`` when the judge knows the instance."""
        if self._thread is None:
            self._closed = False
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()
        self._hearings.put(hearing)

    def close(self) -> None:
        """End the process and the thread; every hearing must be closed."""
        self._closed = True
        if self._thread is not None:
            self._hearings.put(None)
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while (hearing := self._hearings.get()) is not None:
            try:
                self._load_or_retry(hearing.document)
                hearing.attend(functools.partial(self._verdict, hearing))
            except Exception as error:
                if not hearing.closed:
                    hearing.fail(error)
        self._stop()

    def _verdict(self, hearing: Hearing, solution: bytes) -> dict[str, Any]:
        # Once more if it died: it may have been killed by someone else, and then the solution is not to blame.
        for last in (False, True):
            self._load_or_retry(hearing.document)
            try:
                return self._ask(b"solution ", solution, VERDICT_SECONDS, lambda: hearing.closed)
            except _FailedError as error:
                if last or not error.died:
                    return {"rejected": f"the judge {error}"}
        raise AssertionError

    def _load_or_retry(self, document: bytes) -> None:
        """Load the instance, by a new process if need be; that this fails is no solver's fault."""
        with contextlib.suppress(_FailedError):
            return self._load(document)
        try:
            self._load(document)
        except _FailedError as error:
            raise ChildProcessError(f"the judge {error}; no run can be checked") from None

    def _load(self, document: bytes) -> None:
        """See to a process that knows the instance; the one of the run before may."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", self._module, str(os.getpid())],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, bufsize=0,
                env={**os.environ, **thread_limits(1)},
            )  # fmt: skip
            assert self._process.stdin is not None
            os.set_blocking(self._process.stdin.fileno(), False)
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(self._process.pid, self.cores)
        if self._loaded != document:
            self._loaded = None
            answer = self._ask(b"instance ", document, LOAD_SECONDS, lambda: self._closed)
            if "failed" in answer:
                raise _FailedError(f"could not load the instance: {answer['failed']}")
            self._loaded = document

    def _ask(self, kind: bytes, document: bytes, seconds: float, interrupted: Callable[[], bool]) -> dict[str, Any]:
        """The answer to one line; a process that gives none is ended."""
        assert self._process is not None and self._process.stdin is not None and self._process.stdout is not None
        deadline = time.monotonic() + seconds
        descriptor = self._process.stdout.fileno()
        answer = bytearray()
        try:
            pipes.write(self._process.stdin.fileno(), kind + document + b"\n", seconds)
            while not answer.endswith(b"\n"):
                if interrupted():
                    raise _FailedError("was interrupted")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"gave no answer within {seconds:g} s")
                if select.select([descriptor], [], [], WAKE_SECONDS)[0]:
                    chunk = os.read(descriptor, 1 << 16)
                    if not chunk:
                        raise BrokenPipeError
                    answer += chunk
        except BrokenPipeError:
            code = self._process.wait()
            self._stop()
            raise _FailedError(f"died: {proc.exit_text(code)}", died=True) from None
        except (TimeoutError, _FailedError) as error:
            self._stop()
            raise _FailedError(str(error)) from None
        decoded: dict[str, Any] = json.loads(answer)
        return decoded

    def _stop(self) -> None:
        self._loaded = None
        if self._process is not None:
            self._process.kill()
            with self._process:
                pass
            self._process = None


class _FailedError(Exception):
    """The judge gave no answer; the message says what it did instead, ``died`` whether its process ended."""

    def __init__(self, message: str, died: bool = False) -> None:
        super().__init__(message)
        self.died = died
