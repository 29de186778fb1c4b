"""Processes that run together: started in order, started again when they die, stopped in reverse order."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from services.runner.proc import exit_text, kill_orphans, signal_group, tie_to_parent

STOP_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
READY_SECONDS = 120.0
QUICK_SECONDS = 10.0
"""A process that lived shorter than this died quickly."""
FAILED_STARTS = 5
FIRST_DELAY_SECONDS, MOST_DELAY_SECONDS = 0.25, 4.0
_LOOK_SECONDS, _SLOW_LOOK_SECONDS = 0.05, 0.25
_BAD_INPUT = 2


class Stopped(Exception):
    """Somebody asked this process to stop."""


class GaveUp(Exception):
    """A part cannot be kept running."""


@dataclass(frozen=True)
class Part:
    """A process to keep running.

    ``ready`` is asked after a start whether it works; ``cores`` are the CPUs it keeps to, None for all; ``stdin`` is
    handed to it, and it inherits the file descriptors ``descriptors``. It is killed ``stop_seconds`` after SIGTERM.
    """

    name: str
    command: Sequence[str]
    ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    cores: Set[int] | None = None
    stdin: bytes = b""
    descriptors: Sequence[int] = ()
    stop_seconds: float = 10.0


class Supervisor:
    """Keeps parts running, in the main thread of a process that has no other, for signals are its clock.

    Its parts die with it however it ends (PR_SET_PDEATHSIG). Each is in a session of its own, so that Ctrl-C reaches
    this process alone, and the parts stop in order.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._kept: list[_Kept] = []
        # Blocked, signals wait until they are asked for: none is missed and none interrupts.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS | {signal.SIGCHLD})

    def __enter__(self) -> "Supervisor":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def start(self, *parts: Part) -> None:
        """Start parts, and return when all of them are ready.

        Raises
        ------
        Stopped
            If this process was asked to stop meanwhile.
        GaveUp
            If one cannot be started.
        """
        waiting = [_Kept(part) for part in parts]
        self._kept += waiting
        deadline = time.monotonic() + READY_SECONDS
        while waiting:
            self._step(_LOOK_SECONDS)
            waiting = [kept for kept in waiting if not kept.ready]
            if waiting and time.monotonic() > deadline:
                names = ", ".join(kept.part.name for kept in waiting)
                raise GaveUp(f"not ready after {READY_SECONDS:.0f} s: {names}")

    def watch(self) -> None:
        """Start again what dies, until Stopped or GaveUp."""
        while True:
            waits = [max(0.0, kept.due - time.monotonic()) for kept in self._kept if not kept.alive]
            waits += [_SLOW_LOOK_SECONDS for kept in self._kept if kept.alive and not kept.ready]
            self._step(min(waits, default=None))

    def _step(self, seconds: float | None) -> None:
        """Look after all parts once; return after a signal or some seconds."""
        for kept in self._kept:
            if kept.process is not None and kept.process.poll() is not None:
                kept.bury(self._tell)
            if kept.process is None and time.monotonic() >= kept.due:
                kept.start()
        if _heard(seconds):
            raise Stopped

    def _stop(self) -> None:
        """Ask each part to stop, the last one first; kill it if it takes too long, or if asked again."""
        patience = True
        for kept in reversed(self._kept):
            if kept.process is None:
                continue
            kept.process.terminate()
            deadline = time.monotonic() + kept.part.stop_seconds
            while kept.process.poll() is None and patience and time.monotonic() < deadline:
                patience = not _heard(_LOOK_SECONDS)
            if kept.process.poll() is None:
                self._tell(f"{kept.part.name} does not stop and is killed")
                signal_group(kept.process.pid, signal.SIGKILL)
                kept.process.wait()
        kill_orphans()


class _Kept:
    """A part and its process; without one, it is due to be started."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.process: subprocess.Popen[bytes] | None = None
        self.due = 0.0
        self._started = 0.0
        self._was_ready = False
        self._quick_deaths = 0
        self._failed_starts = 0

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def ready(self) -> bool:
        """Whether its process lives, and has been ready since its start."""
        self._was_ready = self._was_ready or (self.alive and self.part.ready())
        return self.alive and self._was_ready

    def start(self) -> None:
        part = self.part
        parent = os.getpid()

        def prepare() -> None:
            tie_to_parent(parent)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            if part.cores:
                os.sched_setaffinity(0, part.cores)

        self._started, self._was_ready = time.monotonic(), False
        # What they have to say they say on stderr.
        self.process = subprocess.Popen(
            part.command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env={**os.environ, **part.environment},
            pass_fds=part.descriptors, start_new_session=True, preexec_fn=prepare,
        )  # fmt: skip
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self.process.stdin as pipe:
            pipe.write(part.stdin)

    def bury(self, tell: Callable[[str], None]) -> None:
        """Take note of a death, and say when to start again; GaveUp if that is of no use."""
        assert self.process is not None
        how = exit_text(self.process.returncode)
        code, self.process = self.process.returncode, None
        if code == _BAD_INPUT:
            raise GaveUp(f"{self.part.name} refused to start; its message above says why")
        lived = time.monotonic() - self._started
        self._quick_deaths = self._quick_deaths + 1 if lived < QUICK_SECONDS else 0
        # What worked before it died may have been killed by somebody, and is worth another start for ever.
        self._failed_starts = 0 if self._was_ready else self._failed_starts + 1
        if self._failed_starts >= FAILED_STARTS:
            message = f"{self.part.name} ended {FAILED_STARTS} times before it was ready ({how})"
            raise GaveUp(f"{message}; its messages above may say why, and so may `versus doctor`")
        delay = min(FIRST_DELAY_SECONDS * 2**self._quick_deaths, MOST_DELAY_SECONDS) if self._quick_deaths else 0.0
        self.due = time.monotonic() + delay
        tell(f"{self.part.name} ended ({how}); it is started again in {delay:g} s")


def _heard(seconds: float | None) -> bool:
    """Whether a stop was asked for, within some seconds or until a child ends; None waits for ever."""
    signals = STOP_SIGNALS | {signal.SIGCHLD}
    heard = signal.sigwaitinfo(signals) if seconds is None else signal.sigtimedwait(signals, seconds)
    return heard is not None and heard.si_signo in STOP_SIGNALS
