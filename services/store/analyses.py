"""What was computed of comparisons whose runs have all ended: kept until other runs have ended."""

import zlib

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from services.store import tables

_analyses = tables.analyses.c


def kept(engine: sa.Engine, comparison: str, kind: str, revision: str) -> bytes | None:
    """What was kept of a kind for this revision; None if nothing was, or for another revision."""
    query = sa.select(_analyses.document).where(
        _analyses.comparison == comparison, _analyses.kind == kind, _analyses.revision == revision
    )
    with engine.connect() as connection:
        packed = connection.scalar(query)
    return None if packed is None else zlib.decompress(packed)


def keep(engine: sa.Engine, comparison: str, revision: str, documents: dict[str, bytes]) -> None:
    """Keep documents by kind in place of those there are.

    What cannot be kept, as the comparison was deleted meanwhile or nothing can be written, is computed again.
    """
    insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
    statement = insert(tables.analyses)
    statement = statement.on_conflict_do_update(
        index_elements=[_analyses.comparison, _analyses.kind],
        set_={"revision": statement.excluded.revision, "document": statement.excluded.document},
    )
    rows = [
        {"comparison": comparison, "kind": kind, "revision": revision, "document": zlib.compress(document)}
        for kind, document in sorted(documents.items())
    ]
    try:
        with engine.begin() as connection:
            connection.execute(statement, rows)
    except sa.exc.DBAPIError:
        return
