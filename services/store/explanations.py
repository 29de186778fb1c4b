"""How solvers came to the solutions of runs: asked for, made by a worker, and kept with the run."""

import json
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from services.store import tables
from services.store.clock import now

_explanations, _runs, _solutions = tables.run_explanations.c, tables.runs.c, tables.run_solutions.c


@dataclass(frozen=True)
class Asked:
    """An explanation that is to be made, of the best solution of a run, encoded."""

    run: str
    comparison: str
    instance: str
    spec: str
    solution: bytes


def ask(engine: sa.Engine, run: str, needs: str) -> None:
    """Ask the workers of a queue for the explanation of a run, unless that was done."""
    insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
    row = insert(tables.run_explanations).values(run=run, needs=needs, asked_at=now())
    with engine.begin() as connection:
        connection.execute(row.on_conflict_do_nothing())


def explanation(engine: sa.Engine, run: str) -> tuple[bool, dict[str, Any] | None]:
    """Whether the explanation of a run was asked for, and it, once it is made."""
    query = sa.select(_explanations.document).where(_explanations.run == run)
    with engine.connect() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        return False, None
    return True, None if row.document is None else json.loads(zlib.decompress(row.document))


def next_asked(engine: sa.Engine, needs: Collection[str]) -> Asked | None:
    """The explanation that was asked for first, of those not made yet; several workers may be told the same."""
    query = (
        sa.select(_runs.key, _runs.comparison, _runs.instance, _runs.spec, _solutions.solutions)
        .join_from(tables.run_explanations, tables.runs, _runs.key == _explanations.run)
        .join(tables.run_solutions, _solutions.run == _runs.key)
        .where(_explanations.document.is_(None), _explanations.needs.in_(needs))
        .order_by(_explanations.asked_at)
        .limit(1)
    )
    with engine.connect() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        return None
    best = json.loads(zlib.decompress(row.solutions))[-1]
    return Asked(row.key, row.comparison, row.instance, row.spec, json.dumps(best).encode())


def keep(engine: sa.Engine, run: str, document: dict[str, Any]) -> None:
    """Keep the explanation of a run: its document, or an ``error`` in words."""
    packed = zlib.compress(json.dumps(document, separators=(",", ":")).encode())
    with engine.begin() as connection:
        made = tables.run_explanations.update().where(_explanations.run == run)
        connection.execute(made.values(document=packed))
