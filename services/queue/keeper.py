"""The keeper: looks after what was lost on the way, whoever lost it."""

import logging
import threading

from redis.exceptions import RedisError

from services.queue.hints import WINDOW, Hints
from services.store.jobs import Jobs
from services.store.outage import OUTAGES

_log = logging.getLogger(__name__)

TICK_SECONDS = 1.0


class Keeper:
    """A thread that queues again what lost its worker, and hints again at what the broker lost.

    Any number of them may run beside each other, for every change in the store is a compare-and-set and a hint too
    many finds nothing to do.
    """

    def __init__(self, jobs: Jobs, hints: Hints, attempts: int) -> None:
        self._jobs = jobs
        self._hints = hints
        self._attempts = attempts
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="keeper", daemon=True)

    def __enter__(self) -> "Keeper":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stop.wait(TICK_SECONDS):
            try:
                self.tick()
            except (*OUTAGES, RedisError) as error:
                _log.warning("the keeper could not look: %s", error)
            except Exception:
                # It must outlive whatever it did not foresee: nobody else looks after its work.
                _log.exception("the keeper failed")

    def tick(self) -> None:
        """Look once."""
        reaped = self._jobs.reap(self._attempts)
        if reaped:
            _log.warning("%d jobs had lost their worker", reaped)
        for needs, number in self._jobs.queued(most=WINDOW).items():
            missing = number - self._hints.waiting(needs)
            if missing > 0:
                self._hints.send(needs, missing)
