"""What Linux says about a process: its use of CPU and memory, its descendants, and how to end them all."""

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

MARKER = "VERSUS_CHILD"

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)


@dataclass(frozen=True)
class Usage:
    """CPU seconds of a process and its waited-for children, peak resident bytes, involuntary context switches."""

    cpu_seconds: float
    peak_bytes: int
    involuntary_switches: int


def usage(pid: int) -> Usage:
    """What a process has used so far; zeros if it is gone."""
    try:
        # The kernel's CPU clock of another process (clock_getcpuclockid(3)): nanoseconds, where stat has ticks.
        own_seconds = time.clock_gettime((~pid << 3) | 2)
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children_seconds = (int(after_name[13]) + int(after_name[14])) / _TICK
        peak = _status_field(Path(f"/proc/{pid}/status"), "VmHWM") * 1024
        switches = sum(
            _status_field(task / "status", "nonvoluntary_ctxt_switches") for task in Path(f"/proc/{pid}/task").iterdir()
        )
    except OSError:
        return Usage(0.0, 0, 0)
    return Usage(own_seconds + children_seconds, peak, switches)


def _status_field(path: Path, field: str) -> int:
    for line in path.read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    return 0


def descendants(pid: int) -> list[int]:
    """All processes below ``pid``, nearest first."""
    found: list[int] = []
    frontier = [pid]
    while frontier:
        frontier = [child for parent in frontier for child in _children(parent)]
        found += frontier
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    with contextlib.suppress(*_GONE):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(*_GONE):
                children += map(int, (task / "children").read_text().split())
    return children


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and everything below it."""
    total = 0
    for process in (pid, *descendants(pid)):
        with contextlib.suppress(*_GONE):
            total += int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE
    return total


def kill_family(pid: int | None, mark: str) -> None:
    """Kill a child, everything below it, and whatever it left behind, found by the mark in its environment.

    The child is stopped first, so that nothing new is forked while its descendants are being killed; as their
    subreaper it stays their ancestor until they are gone. ``pid`` is None for a child that is dead and reaped.
    """
    if pid is not None:
        _signal(pid, signal.SIGSTOP)
        while family := _living(descendants(pid)):
            for process in family:
                _signal(process, signal.SIGKILL)
            time.sleep(0.001)
        with contextlib.suppress(*_GONE):
            os.killpg(pid, signal.SIGKILL)
    while strays := [process for process in marked(mark) if process != pid]:
        for process in strays:
            _signal(process, signal.SIGKILL)
        time.sleep(0.001)


def marked(mark: str) -> list[int]:
    """Living processes whose environment carries the mark."""
    wanted = f"{MARKER}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(*_GONE):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return _living(found)


def _living(processes: list[int]) -> list[int]:
    """Those that are not yet zombies."""
    alive = []
    for process in processes:
        with contextlib.suppress(*_GONE):
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
                alive.append(process)
    return alive


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(*_GONE):
        os.kill(pid, number)
