"""API keys: ``vs_<id>_<secret>``, shown once when they are made; the store keeps a hash of the secret.

A secret is 256 random bits, which nobody can search through, so that plain SHA-256 protects it as well as the slow
hashes that guessable passwords need.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from instances.errors import InvalidInput
from services.store import tables

SCOPES = ("read", "submit", "admin")
_TOKEN = re.compile(r"vs_([0-9a-f]{12})_([0-9a-f]{64})")

_keys = tables.api_keys.c


@dataclass(frozen=True)
class Key:
    """An API key as the store knows it, without its secret."""

    id: str
    hash: str = field(repr=False)
    name: str
    scopes: frozenset[str]
    created_at: str
    revoked_at: str | None

    def opened_by(self, secret: str) -> bool:
        """Whether the secret is this key's, and the key not revoked."""
        return hmac.compare_digest(self.hash, _hash(secret)) and self.revoked_at is None


class Keys:
    """The API keys of a store."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def add(self, name: str, scopes: Collection[str]) -> str:
        """Make a key: its text, which is nowhere kept.

        Raises
        ------
        InvalidInput
            Without a name or a scope, or if there is no such scope.
        """
        if not name.strip():
            raise InvalidInput("a key needs a name that says whose it is", "name")
        unknown = set(scopes) - set(SCOPES)
        if unknown or not scopes:
            given = ", ".join(sorted(unknown)) or "none"
            raise InvalidInput(f"the scopes are {', '.join(SCOPES)}, not {given}", "scope")
        id, secret = secrets.token_hex(6), secrets.token_hex(32)
        row = {
            "id": id,
            "hash": _hash(secret),
            "name": name,
            "scopes": [scope for scope in SCOPES if scope in scopes],
            "created_at": _timestamp(),
        }
        with self.engine.begin() as connection:
            connection.execute(tables.api_keys.insert(), row)
        return f"vs_{id}_{secret}"

    def find(self, id: str) -> Key | None:
        """The key of an id, revoked or not."""
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(tables.api_keys).where(_keys.id == id)).one_or_none()
        return None if row is None else key_of(row)

    def list(self) -> list[Key]:
        """All keys, oldest first."""
        query = sa.select(tables.api_keys).order_by(_keys.created_at, _keys.id)
        with self.engine.connect() as connection:
            return [key_of(row) for row in connection.execute(query)]

    def revoke(self, id: str) -> None:
        """Let a key open nothing any more.

        Raises
        ------
        InvalidInput
            If there is no such key.
        """
        query = tables.api_keys.update().where(_keys.id == id)
        with self.engine.begin() as connection:
            changed = query.values(revoked_at=sa.func.coalesce(_keys.revoked_at, _timestamp()))
            if connection.execute(changed).rowcount == 0:
                raise InvalidInput("there is no key of this id; `versus keys list` shows them", id)


def parse(token: str) -> tuple[str, str] | None:
    """Id and secret of a key's text; None if it is not one."""
    match = _TOKEN.fullmatch(token)
    return None if match is None else (match[1], match[2])


def key_of(row: sa.Row[Any]) -> Key:
    values = row._asdict()
    return Key(**{**values, "scopes": frozenset(values["scopes"])})


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _timestamp() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
