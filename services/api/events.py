"""Server-sent events: what happens to a run or a comparison, as it happens, until it has ended.

They are read off the store, so that any process of the API can send them, and a client that lost one goes on at
another. An incumbent's id is ``ATTEMPT:SECONDS``: after it, only what came later in that attempt is sent.
"""

import math
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import anyio
import anyio.to_thread
import sqlalchemy as sa
from fastapi import Depends, Request
from fastapi.sse import ServerSentEvent

from services.api.errors import Refusal
from services.store import queries
from services.store.outage import OUTAGES

POLL_SECONDS = 0.25
PROGRESS_SECONDS = 1.0
RETRY_SECONDS = 1.0
MAX_STREAMS = 200
NUM_THREADS = 4

Answer = TypeVar("Answer")


class Streams:
    """The streams that are open in this process, and the few threads in which they look at the store."""

    def __init__(self) -> None:
        self.num_open = 0
        self._threads = anyio.CapacityLimiter(NUM_THREADS)

    async def ask(self, query: Callable[..., Answer], *arguments: Any) -> Answer:
        """The answer of a query in a thread; a store that does not answer is asked until it does."""
        while True:
            try:
                return await anyio.to_thread.run_sync(query, *arguments, limiter=self._threads)
            except OUTAGES:
                await anyio.sleep(RETRY_SECONDS)


async def _one_more(request: Request) -> AsyncIterator[Streams]:
    state = request.app.state
    if not hasattr(state, "streams"):
        state.streams = Streams()
    streams: Streams = state.streams
    if streams.num_open >= MAX_STREAMS:
        raise Refusal(429, f"{MAX_STREAMS} event streams are open; try again", headers={"Retry-After": "5"})
    streams.num_open += 1
    try:
        yield streams
    finally:
        streams.num_open -= 1


Stream = Annotated[Streams, Depends(_one_more)]
"""One more stream, as long as the request lasts."""


async def run_events(
    engine: sa.Engine, streams: Streams, key: str, last_id: str | None
) -> AsyncIterator[ServerSentEvent]:
    """``state``, ``restart`` and ``incumbent`` of a run, and ``end`` or ``deleted`` last."""
    told = _Told.until(last_id)
    before: tuple[str, int] | None = None
    while True:
        job, ended = await streams.ask(queries.find_run, engine, key)
        row = job or ended
        if row is None:
            yield ServerSentEvent(event="deleted", data={"detail": "the run was deleted"})
            return
        state = (queries.ENDED if job is None else job.state, row.attempt)
        if told.attempt not in (None, row.attempt) and row.attempt:
            yield ServerSentEvent(event="restart", data={"attempt": row.attempt})
        if state != before:
            yield ServerSentEvent(event="state", data={"state": state[0], "attempt": row.attempt})
            before = state
        for incumbent in told.news(row.attempt, row.trace or []):
            yield incumbent
        if ended is not None:
            names = ("status", "reason", "cost", "partial", "attempt", "wall_seconds", "num_rejected", "finished_at")
            data = {name: getattr(ended, name) for name in names}
            yield ServerSentEvent(event="end", id=f"{row.attempt}:end", data=data)
            return
        await anyio.sleep(POLL_SECONDS)


async def comparison_events(engine: sa.Engine, streams: Streams, name: str) -> AsyncIterator[ServerSentEvent]:
    """``progress`` of a comparison whenever it changes, and ``end`` or ``deleted`` last."""
    before = None
    while True:
        document = await streams.ask(queries.comparison, engine, name)
        if document is None:
            yield ServerSentEvent(event="deleted", data={"detail": "the comparison was deleted"})
            return
        data = {part: document[part] for part in ("state", "num_runs", "counts", "seconds_left")}
        if document["state"] not in ("queued", "running"):
            yield ServerSentEvent(event="end", data=data)
            return
        if document["counts"] != before:
            yield ServerSentEvent(event="progress", data=data)
            before = document["counts"]
        await anyio.sleep(PROGRESS_SECONDS)


@dataclass
class _Told:
    """What a client knows of a run: the incumbents of an attempt up to these seconds; of None nothing."""

    attempt: int | None = None
    seconds: float = -math.inf

    @classmethod
    def until(cls, last_id: str | None) -> "_Told":
        """What a client knows that has received this event; an id that is none of ours counts as nothing."""
        attempt, _, seconds = (last_id or "").partition(":")
        try:
            told = cls(int(attempt), math.inf if seconds == "end" else float(seconds))
        except ValueError:
            return cls()
        return cls() if math.isnan(told.seconds) else told

    def news(self, attempt: int, trace: Sequence[Sequence[Any]]) -> Iterator[ServerSentEvent]:
        """The incumbents of a trace that the client does not know."""
        if attempt and attempt != self.attempt:
            self.attempt, self.seconds = attempt, -math.inf
        for seconds, cost in trace:
            if seconds > self.seconds:
                yield ServerSentEvent(
                    event="incumbent", id=f"{attempt}:{seconds!r}", data={"seconds": seconds, "cost": cost}
                )
        if trace:
            self.seconds = max(self.seconds, trace[-1][0])
