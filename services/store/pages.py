"""Pages of a list: an opaque cursor says where the next one begins, whatever is added meanwhile."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from instances.errors import InvalidInput

LIMIT = 100
"""Items of a page where no limit is given."""

Row = TypeVar("Row")


def storable(text: str) -> bool:
    """Whether every database takes a text: no NUL, no half of a surrogate pair."""
    return text.isprintable() or ("\0" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text))


def start(cursor: str | None, *kinds: type) -> tuple[Any, ...] | None:
    """The place a cursor marks, a value of each kind; None at the beginning.

    Raises
    ------
    InvalidInput
        If it is no cursor of this list.
    """
    if cursor is None:
        return None
    try:
        place = json.loads(base64.b64decode(cursor, b"-_", validate=True))
        fits = isinstance(place, list) and [type(value) for value in place] == list(kinds) and all(map(_fits, place))
    except (ValueError, binascii.Error, RecursionError):
        fits = False
    if not fits:
        raise InvalidInput("is no cursor of this list; accepted is `next` of one of its pages", "cursor")
    return tuple(place)


def after(place: tuple[Any, ...] | None, *columns: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Rows that follow a place in ascending order of these columns."""
    return sa.true() if place is None else sa.tuple_(*columns) > sa.tuple_(*map(sa.literal, place))


def before(place: tuple[Any, ...] | None, *columns: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Rows that follow a place in descending order of these columns."""
    return sa.true() if place is None else sa.tuple_(*columns) < sa.tuple_(*map(sa.literal, place))


def page(rows: Sequence[Row], limit: int, place: Any) -> tuple[Sequence[Row], str | None]:
    """A page of rows, of which one more than ``limit`` was asked for, and the cursor of the next, if there is one.

    ``place`` is called with the last row of the page: the tuple of values by which the rows are ordered.
    """
    if len(rows) <= limit:
        return rows, None
    text = json.dumps(list(place(rows[limit - 1])), separators=(",", ":"))
    return rows[:limit], base64.urlsafe_b64encode(text.encode()).decode()


def _fits(value: Any) -> bool:
    """Whether a database takes a value."""
    return storable(value) if isinstance(value, str) else -(2**63) <= value < 2**63
