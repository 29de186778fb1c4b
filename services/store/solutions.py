"""The solutions of runs: every verified incumbent with what it was."""

import json
import zlib
from typing import Any

import sqlalchemy as sa

from services.store import tables


def incumbents(engine: sa.Engine, key: str) -> list[dict[str, Any]] | None:
    """The trace of an ended run with its solutions' documents; None if no ended run has this key.

    A solution is null where a run of an older store kept its cost alone.
    """
    runs, solutions = tables.runs.c, tables.run_solutions.c
    query = sa.select(runs.trace, solutions.solutions).outerjoin_from(tables.runs, tables.run_solutions)
    with engine.connect() as connection:
        row = connection.execute(query.where(runs.key == key)).one_or_none()
    if row is None:
        return None
    kept = [] if row.solutions is None else json.loads(zlib.decompress(row.solutions))
    kept += [None] * (len(row.trace) - len(kept))
    return [
        {"seconds": seconds, "cost": cost, "solution": solution}
        for (seconds, cost), solution in zip(row.trace, kept, strict=True)
    ]


def comparisons_with(engine: sa.Engine, digest: str, limit: int) -> list[dict[str, Any]]:
    """Id, title and time of at most ``limit`` comparisons that an instance occurs in, the newest first."""
    comparisons, members = tables.comparisons.c, tables.comparison_instances.c
    query = (
        sa.select(comparisons.name, comparisons.title, comparisons.single, comparisons.created_at)
        .join(tables.comparison_instances, members.comparison == comparisons.name)
        .where(members.instance == digest)
        .order_by(comparisons.created_at.desc(), comparisons.name.desc())
        .limit(limit)
    )
    with engine.connect() as connection:
        return [
            {"id": row.name, "title": row.title or row.name, "single": row.single, "created_at": row.created_at}
            for row in connection.execute(query)
        ]
