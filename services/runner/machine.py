"""The machine a run was made on: its cores and its description."""

import contextlib
import functools
import importlib.metadata
import os
import platform
from collections.abc import Iterator, Set
from pathlib import Path

from instances.errors import InvalidInput


def core_slots(jobs: int | None, threads: int) -> list[frozenset[int]]:
    """Disjoint sets of CPUs, one per child that may run at a time, one CPU per physical core.

    By default one physical core stays free for the parent, where there are several.

    Raises
    ------
    InvalidInput
        If the machine has not the cores for that many children.
    """
    cores = _physical_cores()
    most = len(cores) // threads
    if most < 1:
        raise InvalidInput(f"{threads} threads need as many cores; this machine offers {len(cores)}", "--threads")
    if jobs is None:
        jobs = max(1, (len(cores) - 1) // threads)
    if not 1 <= jobs <= most:
        raise InvalidInput(
            f"{jobs} jobs of {threads} threads; this machine's {len(cores)} cores allow 1 to {most}", "--jobs"
        )
    chosen = cores[len(cores) - jobs * threads :]
    return [frozenset(chosen[i * threads : (i + 1) * threads]) for i in range(jobs)]


def _physical_cores() -> list[int]:
    """The first allowed CPU of every physical core."""
    cores: dict[str, int] = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        cores.setdefault(_physical_core(cpu), cpu)
    return list(cores.values())


def _physical_core(cpu: int) -> str:
    """The physical core of a CPU, named by all CPUs on it."""
    siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    return siblings.read_text() if siblings.exists() else str(cpu)


def apart_from(cores: frozenset[int]) -> frozenset[int]:
    """The CPUs this thread may use that share no physical core with ``cores``; none if there are no others."""
    taken = {_physical_core(cpu) for cpu in cores}
    return frozenset(cpu for cpu in os.sched_getaffinity(0) if _physical_core(cpu) not in taken)


def judge_cores(own: frozenset[int], all_solvers: frozenset[int]) -> frozenset[int]:
    """CPUs for a slot's judge: off every solver's physical cores, or on the slot's own, so that no other run pays."""
    return apart_from(own | all_solvers) or frozenset(os.sched_getaffinity(0)) - apart_from(own)


@contextlib.contextmanager
def kept_off(cores: frozenset[int]) -> Iterator[None]:
    """Keep all threads of this process, and what they start, off the physical cores given, where there are others."""
    before = os.sched_getaffinity(0)
    others = apart_from(cores)
    # Asked before the others are out of sight: the answer is kept.
    describe_machine()
    if others:
        _pin_threads(others)
    try:
        yield
    finally:
        if others:
            _pin_threads(before)


def _pin_threads(cpus: Set[int]) -> None:
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(task.name), cpus)


def thread_limits(threads: int) -> dict[str, str]:
    """The environment in which numerical libraries use so many threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    return dict.fromkeys(names, str(threads))


@functools.cache
def describe_machine() -> dict[str, str]:
    """What to know of this machine and software to judge a run, for the environment section of reports."""
    model = "unknown"
    memory = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal"):
            memory = f"{int(line.split()[1]) / 1024**2:.1f} GiB"
    return {
        "processor": model,
        "cores": str(len(_physical_cores())),
        "memory": memory,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versus": importlib.metadata.version("versus"),
    }
