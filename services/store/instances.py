"""The instances of a store: one, and pages of them."""

import zlib
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from services.store import tables

_instances = tables.instances.c
_LISTED = (_instances.description, _instances.added_at)


@dataclass(frozen=True)
class Filter:
    """Which instances: those that all that is set applies to."""

    problem: str | None = None
    name: str | None = None
    """Part of the name; capitals do not matter."""
    feature: str | None = None
    min_size: int | None = None
    max_size: int | None = None


class Instances:
    """The instances of a store."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def newest(self, chosen: Filter, after: sa.ColumnElement[bool], limit: int) -> list[dict[str, Any]]:
        """Descriptions with the time they were added, newest first, of those for which ``after`` holds."""
        query = sa.select(*_LISTED).where(after, *_terms(chosen)).order_by(*ORDER).limit(limit)
        with self.engine.connect() as connection:
            return [{**row.description, "added_at": row.added_at} for row in connection.execute(query)]

    def get(self, digest: str) -> tuple[dict[str, Any], bytes] | None:
        """An instance's description and its document as JSON; None if it is not there."""
        query = sa.select(*_LISTED, _instances.document).where(_instances.digest == digest)
        with self.engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else ({**row.description, "added_at": row.added_at}, zlib.decompress(row.document))


PLACE = (_instances.added_at, _instances.digest)
ORDER = tuple(column.desc() for column in PLACE)


def _terms(chosen: Filter) -> list[sa.ColumnElement[bool]]:
    terms: list[sa.ColumnElement[bool]] = []
    if chosen.problem is not None:
        terms.append(_instances.problem == chosen.problem)
    if chosen.name is not None:
        terms.append(_instances.name.icontains(chosen.name, autoescape=True))
    if chosen.feature is not None:
        # The list as JSON text, in which every feature stands between quotes.
        features = _instances.description["features"].as_string()
        terms.append(features.contains(f'"{chosen.feature}"', autoescape=True))
    if chosen.min_size is not None:
        terms.append(_instances.size >= chosen.min_size)
    if chosen.max_size is not None:
        terms.append(_instances.size <= chosen.max_size)
    return terms
