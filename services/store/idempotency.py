"""Requests with an Idempotency-Key: reserved before they are carried out, and kept with their answers for a day."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from services.store import tables
from services.store.clock import now

KEPT_SECONDS = 24 * 3600.0
ABANDONED_SECONDS = 60.0
"""After so long without an answer, whoever reserved a request is taken for dead."""

_requests = tables.idempotent_requests.c


@dataclass(frozen=True)
class Reservation:
    """The right to carry a request out; ``created_at`` fences it against one who took it for dead.

    ``comparison`` is the name that what it submits gets, the same for whoever takes it over.
    """

    owner: str
    key: str
    created_at: float
    comparison: str


@dataclass(frozen=True)
class Kept:
    """A request that another has reserved: its hash, and its answer once there is one."""

    request_hash: str
    answer: dict[str, Any] | None


class IdempotentRequests:
    """The requests with an Idempotency-Key of a store."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def reserve(self, owner: str, key: str, request_hash: str, comparison: str) -> Reservation | Kept:
        """Reserve a request, or find the one that is kept under this key; ``comparison`` names what is new."""
        row = {"owner": owner, "key": key, "request_hash": request_hash, "comparison": comparison}
        mine = sa.and_(_requests.owner == owner, _requests.key == key)
        with self.engine.begin() as connection:
            connection.execute(tables.idempotent_requests.delete().where(_requests.created_at < now() - KEPT_SECONDS))
            insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
            fresh = insert(tables.idempotent_requests).values(**row, created_at=now()).on_conflict_do_nothing()
            held = connection.execute(fresh.returning(_requests.created_at, _requests.comparison)).one_or_none()
            if held is None:
                # JSON null stands for no answer nowhere: a reservation leaves the column alone.
                abandoned = sa.and_(_requests.answer.is_(sa.null()), _requests.created_at < now() - ABANDONED_SECONDS)
                take = tables.idempotent_requests.update().where(
                    mine, _requests.request_hash == request_hash, abandoned
                )
                again = take.values(created_at=now()).returning(_requests.created_at, _requests.comparison)
                held = connection.execute(again).one_or_none()
            if held is not None:
                return Reservation(owner, key, held.created_at, held.comparison)
            found = connection.execute(sa.select(_requests.request_hash, _requests.answer).where(mine)).one_or_none()
        # None if it was given up a moment ago.
        return Kept(request_hash, None) if found is None else Kept(found.request_hash, found.answer)

    def keep(self, reservation: Reservation, answer: dict[str, Any]) -> None:
        """Keep the answer of a request that was carried out."""
        with self.engine.begin() as connection:
            connection.execute(tables.idempotent_requests.update().where(_held(reservation)).values(answer=answer))

    def forget(self, reservation: Reservation) -> None:
        """Forget a request that was refused."""
        with self.engine.begin() as connection:
            connection.execute(tables.idempotent_requests.delete().where(_held(reservation)))

    def free(self, reservation: Reservation) -> None:
        """Let the next request of its kind take over one that failed."""
        with self.engine.begin() as connection:
            free = tables.idempotent_requests.update().where(_held(reservation))
            connection.execute(free.values(created_at=_requests.created_at - ABANDONED_SECONDS - 1))


def _held(reservation: Reservation) -> sa.ColumnElement[bool]:
    return sa.and_(
        _requests.owner == reservation.owner,
        _requests.key == reservation.key,
        _requests.created_at == reservation.created_at,
    )
