"""What a database raises when it cannot be reached or written now: it may be able to in a moment."""

import sqlalchemy as sa

OUTAGES = (sa.exc.OperationalError, sa.exc.InternalError, sa.exc.InterfaceError, sa.exc.TimeoutError)
"""A lost connection, a full disk, a read-only database, no connection free; but no wrong statement or value."""


def words(error: Exception) -> str:
    """The database's own words, without the statement: that holds what a client sent."""
    return str(getattr(error, "orig", None) or error).strip()
