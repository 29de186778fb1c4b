"""The parent's ends of a child's pipes: what is written never blocks for ever, what is read is stamped on arrival."""

import json
import os
import queue
import select
import selectors
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

LOG_BYTES = 64 * 1024
SOLUTION_BYTES = 64 * 1024 * 1024
EVENT_BYTES = 1024 * 1024
PENDING_EVENTS = 16

Hear = Callable[[float, bytes], None]


def write(descriptor: int, data: bytes, seconds: float) -> None:
    """Write all of ``data`` to a non-blocking pipe.

    Raises
    ------
    TimeoutError
        If the other side does not take it in time.
    BrokenPipeError
        If the other side is gone.
    """
    deadline = time.monotonic() + seconds
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            if not select.select([], [descriptor], [], max(0.0, deadline - time.monotonic()))[1]:
                raise TimeoutError(f"took no input for {seconds:g} s") from None


@dataclass(frozen=True)
class Event:
    """What a child said beside solutions, with the parent's time of arrival; ``gone`` is said for it at its end."""

    arrival: float
    content: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.content["event"])


@dataclass(frozen=True)
class _Listener:
    run: bytes
    started: float
    hear: dict[bytes, Hear]


class Reader:
    """A thread that reads a child's messages and log until the child is gone and its pipes were read once more.

    Solutions of the current run go to its listener, undecoded; where that waits, the reader waits, and the child in
    the end. Other messages become ``events``. The end is told from the process, not from the pipes: a forked
    grandchild may hold those open, and write to them without end.
    """

    def __init__(self, pid: int, messages: int, log: int) -> None:
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._listener: _Listener | None = None
        self._messages = messages
        self._log = log
        self._log_tail = bytearray()
        self._pidfd = os.pidfd_open(pid)
        threading.Thread(target=self._work, daemon=True).start()

    @property
    def log(self) -> str:
        """The end of what the child printed since the log was cleared, at most 64 KB."""
        return self._log_tail[-LOG_BYTES:].decode(errors="replace")

    def clear_log(self) -> None:
        del self._log_tail[:]

    def listen(self, run: int, started: float, hear: Sequence[Hear]) -> None:
        """Pass on the solutions of a run, with their arrival in seconds after ``started``, up to the next event.

        ``hear`` has one for each instance that is solved together, in their order.
        """
        self._listener = _Listener(b"%d" % run, started, {b"%d" % place: one for place, one in enumerate(hear)})

    def _work(self) -> None:
        try:
            self._read()
        finally:
            for descriptor in (self._messages, self._log, self._pidfd):
                os.close(descriptor)
            self.events.put(Event(time.perf_counter(), {"event": "gone"}))

    def _read(self) -> None:
        buffer = bytearray()
        with selectors.DefaultSelector() as selector:
            for descriptor in (self._messages, self._log, self._pidfd):
                selector.register(descriptor, selectors.EVENT_READ)
            open_pipes = {self._messages, self._log}
            ended = False
            while not ended:
                ready = {key.fd for key, _ in selector.select()}
                if ended := self._pidfd in ready:
                    # What the child wrote before its end is there now; a pipe holds no more than one read takes.
                    ready = {key.fd for key, _ in selector.select(0)}
                messages = None
                if self._messages in ready & open_pipes:
                    messages, arrival = os.read(self._messages, 1 << 20), time.perf_counter()
                    # What a run printed before is in its pipe by now, and to be there when the end is heard of.
                    ready |= {key.fd for key, _ in selector.select(0)}
                if self._log in ready & open_pipes:
                    chunk = os.read(self._log, 1 << 20)
                    if not chunk:
                        selector.unregister(self._log)
                        open_pipes.discard(self._log)
                    self._keep(chunk)
                if messages:
                    self._split(buffer, messages, arrival)
                elif messages is not None:
                    selector.unregister(self._messages)
                    open_pipes.discard(self._messages)

    def _split(self, buffer: bytearray, chunk: bytes, arrival: float) -> None:
        """Take the lines that ``chunk`` completes; a line beyond all bounds is cut and will not decode."""
        start = len(buffer)
        buffer += chunk
        if b"\n" not in chunk and len(buffer) <= SOLUTION_BYTES:
            return
        end = buffer.rfind(b"\n", start) + 1 or len(buffer)
        lines = bytes(buffer[:end]).split(b"\n")
        del buffer[:end]
        for line in lines:
            if line:
                self._take(line, arrival)

    def _take(self, line: bytes, arrival: float) -> None:
        """Tell solutions from events; a thread of an earlier run may still report, which answers nothing here."""
        kind, _, rest = line.partition(b" ")
        if kind == b"solution":
            run, place, solution = (*rest.split(b" ", 2), b"", b"")[:3]
            listener = self._listener
            if listener is not None and run == listener.run and place in listener.hear:
                listener.hear[place](arrival - listener.started, solution)
            return
        self._listener = None
        # Each command has one answer; a child that says more is not waited for.
        if self.events.qsize() < PENDING_EVENTS:
            self.events.put(Event(arrival, _decoded(line)))

    def _keep(self, chunk: bytes) -> None:
        self._log_tail += chunk
        if len(self._log_tail) > 2 * LOG_BYTES:
            del self._log_tail[:-LOG_BYTES]


def _decoded(line: bytes) -> dict[str, Any]:
    """The message of a line; one of its own kind where it is none of the protocol's."""
    try:
        content = json.loads(line) if len(line) <= EVENT_BYTES else None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or content.get("event", "gone") == "gone":
        return {"event": "garbage"}
    return content
