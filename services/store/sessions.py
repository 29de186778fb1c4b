"""Sessions of people who signed in with an API key: an opaque id in a cookie, of which the store keeps a hash.

A session opens what its key opens, for twelve hours, and nothing any more once the key is revoked.
"""

import hashlib
import hmac
import re
import secrets

import sqlalchemy as sa

from services.store import tables
from services.store.clock import now
from services.store.keys import Key, key_of

COOKIE = "versus_session"
"""The cookie that holds the id."""
SECONDS = 12 * 3600
CSRF_HEADER = "x-csrf-token"
_ID = re.compile(r"[A-Za-z0-9_-]{43}")

_sessions = tables.sessions.c


class Sessions:
    """The sessions of a store."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def begin(self, key: str) -> str:
        """Begin a session of an API key: its id, which is nowhere kept. Those that are over are forgotten."""
        id = new_id()
        row = {"hash": _hash(id), "key": key, "expires_at": now() + SECONDS}
        with self.engine.begin() as connection:
            connection.execute(tables.sessions.delete().where(_sessions.expires_at < now()))
            connection.execute(tables.sessions.insert().values(row))
        return id

    def find(self, id: str) -> Key | None:
        """The key of a session; None if there is no such session, it is over, or its key is revoked."""
        if not is_id(id):
            return None
        query = sa.select(tables.api_keys).join(tables.sessions).where(_sessions.hash == _hash(id))
        valid = _sessions.expires_at > now(), tables.api_keys.c.revoked_at.is_(None)
        with self.engine.connect() as connection:
            row = connection.execute(query.where(*valid)).one_or_none()
        return None if row is None else key_of(row)

    def end(self, id: str) -> None:
        """End a session, if there is one."""
        with self.engine.begin() as connection:
            connection.execute(tables.sessions.delete().where(_sessions.hash == _hash(id)))


def new_id() -> str:
    """A random id of 256 bits."""
    return secrets.token_urlsafe(32)


def is_id(text: str) -> bool:
    """Whether a text may be an id."""
    return _ID.fullmatch(text) is not None


def csrf_token(id: str) -> str:
    """What a request that changes something says besides its cookie: only a page of this service knows it."""
    return hashlib.sha256(f"csrf {id}".encode()).hexdigest()


def has_csrf_token(id: str, token: str) -> bool:
    """Whether a token is that of this session's pages."""
    return hmac.compare_digest(csrf_token(id).encode(), token.encode())


def _hash(id: str) -> str:
    return hashlib.sha256(id.encode()).hexdigest()
