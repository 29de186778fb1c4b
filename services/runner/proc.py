"""What Linux says about a process: its use of CPU and memory, its descendants, and how to stop and end them all."""

import contextlib
import ctypes
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

MARKER = "VERSUS_CHILD"
END_SECONDS = 10.0

_PR_SET_PDEATHSIG = 1
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
# Of the fields of stat after the name: when the process started, which with its pid identifies it.
_START = 19
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)


@dataclass(frozen=True)
class Usage:
    """CPU seconds of a process and all below it, its own peak resident bytes and involuntary context switches."""

    cpu_seconds: float
    peak_bytes: int
    involuntary_switches: int


def usage(pid: int) -> Usage:
    """What a process has used so far; zeros if it is gone.

    Descendants count whether they live, wait as zombies or were waited for. (Theirs is counted in ticks of 10 ms.)
    """
    below = sum(sum(_ticks(process)) for process in descendants(pid)) / _TICK
    try:
        # The kernel's CPU clock of another process (clock_getcpuclockid(3)): nanoseconds, where stat has ticks.
        own_seconds = time.clock_gettime((~pid << 3) | 2)
        peak = _status_field(Path(f"/proc/{pid}/status"), "VmHWM") * 1024
        switches = sum(
            _status_field(task / "status", "nonvoluntary_ctxt_switches") for task in Path(f"/proc/{pid}/task").iterdir()
        )
    except OSError:
        return Usage(0.0, 0, 0)
    return Usage(own_seconds + _ticks(pid)[1] / _TICK + below, peak, switches)


def _ticks(pid: int) -> tuple[int, int]:
    """CPU ticks of a process, and of those of its children that it waited for; zeros if it is gone."""
    try:
        own_user, own_system, waited_user, waited_system = map(int, _stat(pid)[11:15])
    except OSError:
        return 0, 0
    return own_user + own_system, waited_user + waited_system


def _stat(pid: int) -> list[str]:
    """The fields of /proc/pid/stat after the name; the first is the state, field 3 of proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


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


def exit_text(code: int) -> str:
    """A return code of :mod:`subprocess` in words: the signal, or the exit code."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def tie_to_parent(parent: int) -> None:
    """Let this process die with the thread of ``parent`` that started it, also if that has died already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def new_mark() -> str:
    """A mark for the environment of a child, which everything it starts inherits: it names this process."""
    return f"{_namespace()}.{os.getpid()}.{_stat(os.getpid())[_START]}.{uuid.uuid4().hex}"


def _namespace() -> int:
    """The namespace of process ids: a pid says nothing in another, as in a container."""
    return Path("/proc/self/ns/pid").stat().st_ino


def kill_family(pid: int | None, mark: str) -> None:
    """Kill a child, everything below it, and whatever it left behind, found by the mark in its environment.

    The child is stopped first, so that nothing new is forked while its descendants are being killed; as their
    subreaper it stays their ancestor until they are gone. ``pid`` is None for a child that is dead and reaped.
    """
    if pid is not None:
        _signal(pid, signal.SIGSTOP)
        _end(lambda: descendants(pid))
        signal_group(pid, signal.SIGKILL)
    _end(lambda: [process for process, found in _marks() if found == mark and process != pid])


def kill_orphans() -> None:
    """Kill what was started by solvers whose parent, a process like this one, is dead and could not kill it itself."""
    _end(lambda: [process for process, mark in _marks() if process != os.getpid() and _orphaned(mark)])


def signal_group(pid: int, number: int) -> None:
    """Signal a child that leads a process group and all that stayed in it."""
    with contextlib.suppress(*_GONE):
        os.killpg(pid, number)


def _end(find: Callable[[], list[int]]) -> None:
    """Kill what is found until nothing living is; give up on what even that does not end."""
    deadline = time.monotonic() + END_SECONDS
    while (found := _living(find())) and time.monotonic() < deadline:
        for process in found:
            _signal(process, signal.SIGKILL)
        time.sleep(0.001)


def _marks() -> Iterator[tuple[int, str]]:
    """Every process with a mark in its environment, and the mark."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(*_GONE):
                for variable in (entry / "environ").read_bytes().split(b"\0"):
                    if variable.startswith(MARKER.encode() + b"="):
                        yield int(entry.name), variable.partition(b"=")[2].decode(errors="replace")


def _orphaned(mark: str) -> bool:
    """Whether the process that a mark names is dead; never said of a mark that is not from this namespace."""
    namespace, _, rest = mark.partition(".")
    pid, _, rest = rest.partition(".")
    if namespace != str(_namespace()) or not pid.isdecimal():
        return False
    try:
        fields = _stat(int(pid))
    except (FileNotFoundError, ProcessLookupError):
        return True
    except OSError:
        return False
    return fields[0] in "ZX" or fields[_START] != rest.partition(".")[0]


def _living(processes: list[int]) -> list[int]:
    """Those that are not yet zombies."""
    alive = []
    for process in processes:
        with contextlib.suppress(*_GONE):
            if _stat(process)[0] not in "ZX":
                alive.append(process)
    return alive


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(*_GONE):
        os.kill(pid, number)
