"""Many runs on several slots at once, each slot a thread with its own cores and warm children."""

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from services.records import Run, Status
from services.runner.machine import kept_off
from services.runner.process import SolverProcess, Unavailable
from services.runner.slot import Slot, Task
from solvers import spec

WAKE_SECONDS = 0.2


def run_all(
    groups: Iterable[Sequence[Task]], cores: list[frozenset[int]], threads: int, memory: int, together: bool = False
) -> Iterator[list[Run]]:
    """Make all runs, in order of the groups as slots fall free, and yield those of each group as they end.

    The tasks of a group are of one solver, and solved ``together``; else one after the other.

    If the consumer stops early (Ctrl-C, an error), the runs under way are cancelled and their children killed
    before this returns; cancelled runs are not yielded. Meanwhile this process keeps off the children's cores, where
    there are others.
    """
    with kept_off(frozenset().union(*cores)):
        yield from _run_all(groups, cores, threads, memory, together)


def _run_all(
    groups: Iterable[Sequence[Task]], cores: list[frozenset[int]], threads: int, memory: int, together: bool
) -> Iterator[list[Run]]:
    pending = iter(groups)
    lock = threading.Lock()
    cancel = threading.Event()
    ended: queue.Queue[list[Run] | BaseException | None] = queue.Queue()

    def work(slot_cores: frozenset[int]) -> None:
        try:
            with Slot(slot_cores, threads, memory, frozenset().union(*cores)) as slot:
                while not cancel.is_set():
                    with lock:
                        group = next(pending, None)
                    if group is None:
                        break
                    if together:
                        runs = slot.run_together(group, cancel.is_set)
                    else:
                        runs = [slot.run(task, cancelled=cancel.is_set) for task in group]
                    if not any(run.status is Status.CANCELLED for run in runs):
                        ended.put(runs)
        except BaseException as error:
            ended.put(error)
        finally:
            ended.put(None)

    workers = [threading.Thread(target=work, args=(slot_cores,)) for slot_cores in cores]
    try:
        for worker in workers:
            worker.start()
        active = len(workers)
        while active:
            # A timeout keeps the main thread responsive to Ctrl-C.
            try:
                item = ended.get(timeout=WAKE_SECONDS)
            except queue.Empty:
                continue
            if item is None:
                active -= 1
            elif isinstance(item, BaseException):
                raise item
            else:
                yield item
    finally:
        cancel.set()
        for worker in workers:
            if worker.ident is not None:
                worker.join()


@dataclass(frozen=True)
class Resolved:
    """What a solver answers to its spec: the canonical spec, and the problem it solves."""

    spec: str
    problem: str


def resolve(solvers: Iterable[str], cores: frozenset[int], threads: int, memory: int) -> dict[str, Resolved]:
    """Each spec as typed with its solver's answer, asked of the solvers themselves in children of their own.

    Raises
    ------
    InvalidInput
        If a name or a parameter is unknown or wrong.
    Unavailable
        If a solver cannot be imported or prepared here.
    """

    abandoned = threading.Event()

    def ask(solver: str) -> Resolved:
        try:
            process = SolverProcess(*spec.parse(solver), cores, threads, memory, abandoned.is_set)
        except Unavailable as error:
            raise Unavailable(f"solver {solver!r} is unavailable: {error}") from None
        process.close()
        return Resolved(process.spec, process.greeting["problem"])

    names = list(solvers)
    with ThreadPoolExecutor(max_workers=len(cores) + 1) as executor:
        try:
            return dict(zip(names, executor.map(ask, names), strict=True))
        except BaseException:
            abandoned.set()
            raise
