"""A worker: threads that make one run at a time, each on its own cores, and a heart that holds their claims."""

import contextlib
import functools
import logging
import os
import queue
import secrets
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from celery.platforms import SecurityWarning
from celery.signals import setup_logging, worker_shutting_down
from redis.exceptions import RedisError

from instances.errors import InvalidInput
from services.logs import about, run_id
from services.queue.hints import TASK, Hints, celery
from services.queue.keeper import Keeper
from services.records import Incumbent, Status
from services.runner.hearing import TRACE_LENGTH
from services.runner.machine import core_slots, describe_machine, kept_off
from services.runner.process import Cancelled, Unavailable
from services.runner.slot import Slot, Task
from services.settings import Settings
from services.store import explanations, outage, workers
from services.store.jobs import Claim, Jobs
from services.store.outage import OUTAGES
from services.store.store import Store

_log = logging.getLogger(__name__)

BEAT_SECONDS = 0.25
STORE_RETRY_SECONDS = 0.5
KEPT_DOCUMENTS = 256
DEAF_SECONDS = 20.0
"""Celery's consumer has been seen to fall silent after a broker came back: so long is waited before starting anew."""

_T = TypeVar("_T")


@dataclass
class Held:
    """A claim that is held, and what is known of its run so far. Times are this process's monotonic clock."""

    claim: Claim
    lease_until: float
    trace: list[tuple[float, int]] = field(default_factory=list)
    num_heard: int = 0
    num_shown: int = 0
    cancel: bool = False
    lost: bool = False

    def hear(self, incumbent: Incumbent) -> None:
        """Take an incumbent, from the judge's thread; of more than fit, the last one stays the best."""
        self.trace[TRACE_LENGTH - 1 :] = [(incumbent.seconds, incumbent.cost)]
        self.num_heard += 1


class Worker:
    """Makes the runs of a store's jobs; :meth:`run_next` is called by as many threads as there are sets of cores."""

    def __init__(
        self,
        store: Store,
        hints: Hints,
        settings: Settings,
        needs: Sequence[str],
        cores: Sequence[frozenset[int]],
        threads: int,
    ) -> None:
        self.id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self.stopping = threading.Event()
        self._engine = store.engine
        self._jobs = Jobs(store.engine)
        self._hints = hints
        self._lease = settings.lease_seconds
        self._needs = tuple(needs)
        self._threads = threads
        self._cores = list(cores)
        self._free_cores: queue.SimpleQueue[frozenset[int]] = queue.SimpleQueue()
        for slot_cores in cores:
            self._free_cores.put(slot_cores)
        self._own = threading.local()
        self._held: dict[str, Held] = {}
        self._called_at = time.monotonic()
        # Neither ever changes.
        self._document = functools.lru_cache(KEPT_DOCUMENTS)(store.document)
        self._comparison = functools.lru_cache(KEPT_DOCUMENTS)(store.comparison)

    def __enter__(self) -> "Worker":
        self._register()
        self._heart = threading.Thread(target=self._beat, name="heart", daemon=True)
        self._dead = threading.Event()
        self._heart.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._dead.set()
        self._heart.join()
        with contextlib.suppress(*OUTAGES):
            workers.leave(self._engine, self.id)

    def _register(self) -> None:
        workers.register(
            self._engine, self.id, host=socket.gethostname(), needs=self._needs, slots=len(self._cores),
            threads=self._threads, machine=describe_machine(),
        )  # fmt: skip

    def run_next(self) -> None:
        """Make the run whose turn it is, if there is one."""
        self._called_at = time.monotonic()
        if self.stopping.is_set():
            return
        try:
            self._explain_next()
        except OUTAGES as error:
            _log.warning("nothing explained, for the store cannot be reached: %s", outage.words(error))
        lease_until = time.monotonic() + self._lease
        try:
            claim = self._jobs.claim(self._needs, self._threads, self.id, self._lease)
        except OUTAGES as error:
            _log.warning("nothing claimed, for the store cannot be reached: %s", outage.words(error))
            return
        if claim is None:
            return
        held = self._held[claim.run] = Held(claim, lease_until)
        try:
            with about(run_id, claim.run):
                self._make(held)
        finally:
            del self._held[claim.run]
            self._called_at = time.monotonic()

    def _make(self, held: Held) -> None:
        claim = held.claim
        try:
            comparison = self._comparison(claim.comparison)
            task = Task(
                key=claim.run,
                document=self._document(claim.instance),
                digest=claim.instance,
                label=claim.solver,
                spec=comparison.solvers[claim.solver],
                repetition=claim.repetition,
                seed=comparison.run_seed(claim.instance, claim.repetition),
                budget=comparison.budget,
            )
            slot = self._slot(comparison.threads, comparison.memory)
            run = slot.run(task, held.hear, lambda: held.cancel or held.lost or self.stopping.is_set())
        except Exception:
            # No fault of the solver's: the reaper counts the attempt as lost.
            _log.exception("the run could not be made here")
            self._store(lambda: self._jobs.renew(claim, 0.0, None))
            return
        if held.lost:
            _log.warning("the run is no longer this worker's; its result is dropped")
        elif run.status is Status.CANCELLED and not held.cancel:
            self._store(lambda: self._jobs.give_back(claim))
        elif self._store(lambda: self._jobs.complete(claim, replace(run, attempt=claim.attempt))) is False:
            _log.warning("the run was no longer this worker's; its result is dropped")

    def _explain_next(self) -> None:
        """Explain what was asked for first, if anything was."""
        asked = explanations.next_asked(self._engine, self._needs)
        if asked is None:
            return
        with about(run_id, asked.run):
            try:
                comparison = self._comparison(asked.comparison)
                slot = self._slot(min(comparison.threads, self._threads), comparison.memory)
                said = slot.explain(asked.spec, self._document(asked.instance), asked.solution)
            except (Unavailable, InvalidInput, Cancelled) as error:
                _log.warning("the solver could not explain itself: %s", error)
                said = {"error": str(error)}
            explanations.keep(self._engine, asked.run, said)

    def _store(self, change: Callable[[], _T]) -> _T | None:
        """The change's answer, tried until the store takes it: it is fenced, and so right or without effect."""
        while True:
            try:
                return change()
            except OUTAGES as error:
                _log.error("the run cannot be stored yet: %s", outage.words(error))
                if self.stopping.wait(STORE_RETRY_SECONDS):
                    return None

    def _slot(self, threads: int, memory: int) -> Slot:
        """The slot of the calling thread, opened anew when the terms of its runs change."""
        own = self._own
        if not hasattr(own, "cores"):
            own.cores, own.slot, own.terms = self._free_cores.get_nowait(), None, None
        if own.terms != (threads, memory):
            if own.slot is not None:
                own.slot.__exit__()
            cores = frozenset(sorted(own.cores)[:threads])
            own.slot = Slot(cores, threads, memory, frozenset().union(*self._cores)).__enter__()
            own.terms = threads, memory
        slot: Slot = own.slot
        return slot

    def _beat(self) -> None:
        seen_at = 0.0
        while not self._dead.wait(BEAT_SECONDS):
            for held in list(self._held.values()):
                self._hold(held)
            try:
                if time.monotonic() - seen_at > self._lease / 3:
                    if not workers.seen(self._engine, self.id):
                        self._register()
                    seen_at = time.monotonic()
                self._listen()
            except (*OUTAGES, RedisError) as error:
                _log.warning("the heart could not reach the store or the broker: %s", error)

    def _hold(self, held: Held) -> None:
        """Renew the lease when a third of it is gone; show news; notice that the run is cancelled or lost."""
        started = time.monotonic()
        due = held.lease_until - started < self._lease * 2 / 3
        if not due and held.num_heard == held.num_shown:
            return
        num_heard, trace = held.num_heard, list(held.trace)
        try:
            cancel = self._jobs.renew(held.claim, self._lease, trace if num_heard > held.num_shown else None)
        except OUTAGES as error:
            _log.warning("the lease of run %s cannot be renewed: %s", held.claim.run, outage.words(error))
            held.lost = started > held.lease_until
            return
        held.lease_until = started + self._lease
        held.num_shown = num_heard
        held.lost = cancel is None
        held.cancel = bool(cancel)

    def _listen(self) -> None:
        """End this process, to be started anew, if jobs and hints wait, nothing runs, and Celery does not call."""
        if self._held or self.stopping.is_set() or time.monotonic() - self._called_at < DEAF_SECONDS:
            return
        self._called_at = time.monotonic()
        queued = self._jobs.queued(self._threads, most=1)
        if any(queued.get(needs) and self._hints.waiting(needs) for needs in self._needs):
            _log.error("hints wait, but Celery brings none: this worker ends, to be started anew")
            os.kill(os.getpid(), signal.SIGTERM)


def run_worker(settings: Settings, needs: Sequence[str], jobs: int | None = None, threads: int = 1) -> None:
    """Work until SIGTERM or SIGINT, then give back what is under way and return.

    ``settings`` must name the store and the broker; ``jobs`` runs are made at a time, of up to ``threads`` threads.
    """
    assert settings.database_url is not None and settings.redis_url is not None
    cores = core_slots(jobs, threads)
    store = Store.open(settings.database_url, migrate=False)
    hints = Hints(settings.redis_url)
    worker = Worker(store, hints, settings, needs, cores, threads)
    app = celery(settings.redis_url)
    app.task(worker.run_next, name=TASK, ignore_result=True)

    def stop(**_: Any) -> None:
        worker.stopping.set()

    def leave_logs_alone(**_: Any) -> None:
        """Celery sets up logs of its own unless somebody is connected."""

    # It warns of pickle, which is not accepted here.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    worker_shutting_down.connect(stop)
    setup_logging.connect(leave_logs_alone)
    with kept_off(frozenset().union(*cores)), worker, Keeper(Jobs(store.engine), hints, settings.attempts):
        app.Worker(
            hostname=worker.id, pool="threads", concurrency=len(cores), queues=list(needs), loglevel="WARNING",
            without_gossip=True, without_mingle=True, without_heartbeat=True, quiet=True,
        ).start()  # fmt: skip
    store.close()
