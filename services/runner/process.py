"""The parent's side of a solver child: start it, prepare it, time it, and end it."""

import contextlib
import json
import os
import queue
import selectors
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from instances.errors import InvalidInput
from services.runner import proc
from solvers import registry

LOG_BYTES = 64 * 1024
MESSAGE_BYTES = 64 * 1024 * 1024
PENDING_MESSAGES = 1000
MEMORY_CHECK_SECONDS = 0.1
PREPARE_SECONDS = 300.0


class Unavailable(Exception):
    """The solver could not be imported or prepared; the message says why."""


@dataclass(frozen=True)
class Message:
    """A line from the child with the parent's time of arrival; ``line`` is None when the child is gone."""

    arrival: float
    line: bytes | None

    @property
    def content(self) -> dict[str, Any]:
        """The decoded line; an event of its own kind where it is none of the protocol's."""
        if self.line is None:
            return {"event": "gone"}
        try:
            content = json.loads(self.line)
        except (ValueError, RecursionError):
            content = None
        return content if isinstance(content, dict) and "event" in content else {"event": "garbage"}


@dataclass(frozen=True)
class Ending:
    """How a run ended, before its incumbents are judged.

    ``event`` is done, declined, killed, memory, crashed or cancelled.
    """

    event: str
    reason: str
    wall_seconds: float
    usage: proc.Usage


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

    def __init__(self, name: str, parameters: dict[str, str], cores: frozenset[int], threads: int, memory: int) -> None:
        started = time.perf_counter()
        self._start(name, cores, threads, memory)
        try:
            self._send({"op": "prepare", "parameters": parameters})
            self.spec: str = self._expect("ready", PREPARE_SECONDS)["spec"]
        except BaseException:
            self.close()
            raise
        self.setup_seconds = time.perf_counter() - started
        self._idle_bytes = proc.resident_bytes(self._process.pid)

    @classmethod
    def describe(cls, name: str, cores: frozenset[int], memory: int) -> dict[str, Any]:
        """What a solver says of itself, without preparing it; Unavailable if it cannot be imported."""
        process = cls.__new__(cls)
        process._start(name, cores, 1, memory)
        process.close()
        return process.greeting

    def _start(self, name: str, cores: frozenset[int], threads: int, memory: int) -> None:
        registry.find(name)
        self.threads = threads
        self.memory = memory
        self.mark = uuid.uuid4().hex
        self._num_runs = 0
        self._gone = False
        self._closed = False
        commands, self._commands = os.pipe()
        self._messages, messages = os.pipe()
        self._log, log = os.pipe()
        limits = dict.fromkeys(
            ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), str(self.threads)
        )
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "services.runner.child", name,
             str(commands), str(messages), str(self.memory), str(os.getpid())],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(commands, messages),
            start_new_session=True, env={**os.environ, **limits, "PYTHONHASHSEED": "0", proc.MARKER: self.mark},
        )  # fmt: skip
        for descriptor in (commands, messages, log):
            os.close(descriptor)
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(self._process.pid, cores)
        self._received: queue.Queue[Message] = queue.Queue(PENDING_MESSAGES)
        self._log_tail = bytearray()
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self.greeting = self._expect("greeting", PREPARE_SECONDS)
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
        return self._log_tail[-LOG_BYTES:].decode(errors="replace")

    def load(self, document: bytes) -> None:
        """Hand the child the bytes of an instance document; it does not decode them before the clock starts."""
        del self._log_tail[:]
        self._send({"op": "load", "bytes": len(document)}, document)
        self._expect("loaded", PREPARE_SECONDS)

    def run(
        self,
        budget: float,
        grace: float,
        seed: int,
        on_solution: Callable[[float, Any], None],
        cancelled: Callable[[], bool],
    ) -> Ending:
        """Start the clock and collect solutions until the child is done, dead or out of time.

        ``on_solution(seconds, document)`` gets every reported solution with its arrival, late ones included. A child
        that is not done at budget + grace is killed with its family.
        """
        before = proc.usage(self._process.pid)
        peak = 0
        started = time.perf_counter()
        self._num_runs += 1
        self._send({"op": "go", "run": self._num_runs, "budget": budget, "seed": seed, "threads": self.threads})
        kill_at = started + budget + grace
        next_check = started + MEMORY_CHECK_SECONDS
        ending: tuple[str, str] | None = None
        finished = started
        while ending is None:
            now = time.perf_counter()
            try:
                message = self._received.get(timeout=max(0.0, min(next_check, kill_at) - now))
            except queue.Empty:
                pass
            else:
                finished = message.arrival
                ending = self._judge(message, started, on_solution)
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
        after = proc.usage(self._process.pid)
        if ending[0] not in ("done", "declined"):
            self.close()
            while not self._gone:
                self._judge(self._received.get(), started, on_solution)
        used = proc.Usage(
            max(0.0, after.cpu_seconds - before.cpu_seconds),
            max(peak, after.peak_bytes),
            max(0, after.involuntary_switches - before.involuntary_switches),
        )
        return Ending(*self._explained(*ending), finished - started, used)

    def close(self) -> None:
        """Kill the child and everything it started; return when they are gone. Closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        proc.kill_family(self._process.pid if self.alive else None, self.mark)
        self._process.wait()
        os.close(self._commands)

    def _judge(
        self, message: Message, started: float, on_solution: Callable[[float, Any], None]
    ) -> tuple[str, str] | None:
        """Pass a solution on, or say how the run ended."""
        content = message.content
        match content["event"]:
            case "incumbent":
                # A thread of an earlier run may still report; that is no answer to this one.
                if content.get("run") == self._num_runs:
                    on_solution(message.arrival - started, content.get("solution"))
                return None
            case "gone":
                self._gone = True
                return "crashed", ""
            case "done":
                return "done", ""
            case "declined":
                return "declined", str(content.get("reason"))
            case "failed":
                return "memory" if content.get("kind") == "memory" else "crashed", str(content.get("error"))
            case _:
                return "crashed", "wrote to the runner's own pipe"

    def _explained(self, event: str, reason: str) -> tuple[str, str]:
        """Name the signal or exit code behind a crash, and tell running out of memory from other crashes."""
        if event == "crashed" and not reason:
            code = self._process.returncode
            reason = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        if event == "crashed" and any(sign in self.log for sign in ("std::bad_alloc", "MemoryError")):
            event = "memory"
        return event, reason

    def _send(self, command: dict[str, Any], payload: bytes = b"") -> None:
        data = memoryview(json.dumps(command).encode() + b"\n" + payload)
        # A child that died has closed the pipe; its end is noticed where its answer is awaited.
        with contextlib.suppress(BrokenPipeError):
            while data:
                data = data[os.write(self._commands, data) :]

    def _expect(self, event: str, seconds: float) -> dict[str, Any]:
        content = {"event": "incumbent"}
        try:
            while content["event"] == "incumbent":
                content = self._received.get(timeout=seconds).content
        except queue.Empty:
            raise Unavailable(f"no answer within {seconds:g} s") from None
        if content["event"] == "gone":
            self._gone = True
            self._process.wait()
            raise Unavailable(self._explained("crashed", "")[1] + f": {self.log[-2000:]}")
        if content["event"] == "refused":
            raise InvalidInput(content["error"])
        if content["event"] != event:
            raise Unavailable(str(content.get("error", content)))
        return content

    def _read(self) -> None:
        """Stamp every message on arrival and keep the log's end, until the child is gone and its pipes are empty.

        The end is told from the process, not from the pipes: a forked grandchild may hold those open.
        """
        pidfd = os.pidfd_open(self._process.pid)
        buffer = bytearray()
        with selectors.DefaultSelector() as selector:
            for descriptor in (self._messages, self._log, pidfd):
                selector.register(descriptor, selectors.EVENT_READ)
            open_pipes = {self._messages, self._log}
            while True:
                ready = {key.fd for key, _ in selector.select()}
                # The log first: what a run printed is then there when its end is heard of.
                for descriptor in (pipe for pipe in (self._log, self._messages) if pipe in ready & open_pipes):
                    chunk = os.read(descriptor, 1 << 20)
                    if not chunk:
                        selector.unregister(descriptor)
                        open_pipes.discard(descriptor)
                    elif descriptor == self._log:
                        self._keep(chunk)
                    else:
                        self._stamp(buffer, chunk, time.perf_counter())
                if not ready & open_pipes and pidfd in ready:
                    break
        for descriptor in (self._messages, self._log, pidfd):
            os.close(descriptor)
        self._received.put(Message(time.perf_counter(), None))

    def _stamp(self, buffer: bytearray, chunk: bytes, arrival: float) -> None:
        """Queue the lines that ``chunk`` completes; a line beyond all bounds is cut and will not decode."""
        start = len(buffer)
        buffer += chunk
        if b"\n" not in chunk and len(buffer) <= MESSAGE_BYTES:
            return
        end = buffer.rfind(b"\n", start) + 1 or len(buffer)
        lines = bytes(buffer[:end]).split(b"\n")
        del buffer[:end]
        for line in lines:
            if line:
                self._received.put(Message(arrival, line))

    def _keep(self, chunk: bytes) -> None:
        self._log_tail += chunk
        if len(self._log_tail) > 2 * LOG_BYTES:
            del self._log_tail[:-LOG_BYTES]
