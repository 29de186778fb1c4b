"""What every route works with, held by the application."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request

from services.api.referee import Referee
from services.settings import Settings
from services.store.instances import Instances
from services.store.jobs import Jobs
from services.store.store import Store


class Catalogue:
    """What solvers there are, asked of them once, when it is first wanted; that takes some seconds.

    ``describe`` answers for all of them.
    """

    def __init__(self, describe: Callable[[], list[dict[str, Any]]]) -> None:
        self._describe = describe
        self._lock = threading.Lock()
        self._asked: Future[list[dict[str, Any]]] | None = None

    async def solvers(self) -> list[dict[str, Any]]:
        """All descriptions, waited for without holding a thread."""
        return await asyncio.shield(asyncio.wrap_future(self._future()))

    def begin(self) -> None:
        """Begin to ask them, so that the first who wants to know waits less."""
        self._future()

    def _future(self) -> Future[list[dict[str, Any]]]:
        with self._lock:
            if self._asked is None or (self._asked.done() and self._asked.exception() is not None):
                self._asked = Future()
                threading.Thread(target=self._ask, args=(self._asked,), daemon=True).start()
            return self._asked

    def _ask(self, asked: Future[list[dict[str, Any]]]) -> None:
        asked.set_running_or_notify_cancel()
        try:
            asked.set_result(self._describe())
        except Exception as error:
            asked.set_exception(error)


@dataclass(frozen=True)
class Service:
    """The parts that an application is made of.

    ``hint(needs, number)`` tells the workers of a queue that so many jobs wait; it never raises, for the store is the
    truth, and the workers look there.
    """

    store: Store
    jobs: Jobs
    instances: Instances
    hint: Callable[[str, int], None]
    settings: Settings
    catalogue: Catalogue
    referee: Referee


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


Context = Annotated[Service, Depends(_service)]
