"""The workers that serve a store, and when each was last seen; all times are taken by the database's clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from services.store import tables
from services.store.clock import now

FORGET_SECONDS = 24 * 3600.0
"""After how long a worker that is not seen any more is forgotten."""

_workers = tables.workers.c


@dataclass(frozen=True)
class WorkerRecord:
    """A worker: which jobs it takes, how many at a time, on which machine, and how long ago it was seen."""

    id: str
    host: str
    needs: tuple[str, ...]
    slots: int
    threads: int
    machine: dict[str, Any]
    up_seconds: float
    seen_seconds: float


def register(
    engine: sa.Engine,
    id: str,
    *,
    host: str,
    needs: Sequence[str],
    slots: int,
    threads: int,
    machine: Mapping[str, Any],
) -> None:
    """Note a worker that starts; those not seen for a day are forgotten, and so is an older one of this id."""
    row = {"id": id, "host": host, "needs": list(needs), "slots": slots, "threads": threads, "machine": dict(machine)}
    with engine.begin() as connection:
        old = sa.or_(_workers.id == id, _workers.seen_at < now() - FORGET_SECONDS)
        connection.execute(tables.workers.delete().where(old))
        connection.execute(tables.workers.insert().values(**row, started_at=now(), seen_at=now()))


def seen(engine: sa.Engine, id: str) -> bool:
    """Note that a worker lives; false if it was forgotten and has to register again."""
    with engine.begin() as connection:
        query = tables.workers.update().where(_workers.id == id).values(seen_at=now())
        return bool(connection.execute(query).rowcount)


def leave(engine: sa.Engine, id: str) -> None:
    """Forget a worker that stops."""
    with engine.begin() as connection:
        connection.execute(tables.workers.delete().where(_workers.id == id))


def known(engine: sa.Engine) -> list[WorkerRecord]:
    """All workers that are not forgotten, the first to start first."""
    columns = (_workers.id, _workers.host, _workers.needs, _workers.slots, _workers.threads, _workers.machine)
    ages = (now() - _workers.started_at, now() - _workers.seen_at)
    query = sa.select(*columns, *ages).order_by(_workers.started_at, _workers.id)
    with engine.connect() as connection:
        return [
            WorkerRecord(id, host, tuple(needs), slots, threads, machine, max(up, 0.0), max(ago, 0.0))
            for id, host, needs, slots, threads, machine, up, ago in connection.execute(query)
        ]
