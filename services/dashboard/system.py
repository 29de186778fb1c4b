"""The state of the service: what waits, who works, and whether its parts are well."""

import importlib.metadata
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Request, Response

from services.dashboard.parts import Context
from services.dashboard.rendering import page
from services.dashboard.session import needs
from services.store import tables, workers
from services.store.jobs import QUEUED, RUNNING

router = APIRouter(dependencies=[Depends(needs("read"))])

LIMITS = {
    "max_body_bytes": "Largest request",
    "max_instance_size": "Largest instance, in customers or bits",
    "max_runs": "Most runs of one comparison",
    "max_queued_runs": "Most queued runs",
    "max_open_comparisons": "Most unfinished comparisons of one key",
    "max_budget_seconds": "Longest budget of a run",
    "max_memory_bytes": "Largest memory limit of a run",
    "max_threads": "Most threads of a run",
    "lease_seconds": "Lease of a run: a worker silent for so long loses it",
    "attempts": "Attempts at a run that loses its worker",
}


@router.get("/system")
def show(service: Context, request: Request) -> Response:
    """What is queued and running, who works on it, and within which limits."""
    engine, settings = service.store.engine, service.settings
    counts = _job_counts(engine)
    known = workers.known(engine)
    alive = [worker for worker in known if worker.seen_seconds < settings.lease_seconds]
    queues = [
        {
            "needs": needs,
            "queued": counts.get((QUEUED, needs), 0),
            "running": counts.get((RUNNING, needs), 0),
            "slots": sum(worker.slots for worker in alive if needs in worker.needs),
        }
        for needs in sorted({"cpu", "gpu"} | {needs for _, needs in counts})
    ]
    return page(
        request, "system.html.j2", section="system", twin="/v1/system", queues=queues, known=known, alive=alive,
        store=_store(engine), settings=settings, limits=LIMITS, release=importlib.metadata.version("versus"),
        waiting=[queue for queue in queues if queue["queued"] and not queue["slots"]],
    )  # fmt: skip


def _job_counts(engine: sa.Engine) -> dict[tuple[str, str], int]:
    """Jobs by (state, needs), from their index alone."""
    jobs = tables.jobs.c
    query = sa.select(jobs.state, jobs.needs, sa.func.count()).group_by(jobs.state, jobs.needs)
    with engine.connect() as connection:
        return {(state, needs): number for state, needs, number in connection.execute(query)}


def _store(engine: sa.Engine) -> dict[str, Any]:
    """What the store is, without what opens it."""
    url = engine.url
    size = "PRAGMA page_count" if engine.dialect.name == "sqlite" else "SELECT pg_database_size(current_database())"
    with engine.connect() as connection:
        number = int(connection.scalar(sa.text(size)) or 0)
        if engine.dialect.name == "sqlite":
            number *= int(connection.scalar(sa.text("PRAGMA page_size")) or 0)
    place = url.database if engine.dialect.name == "sqlite" else f"{url.host or 'localhost'}/{url.database}"
    return {
        "kind": {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[engine.dialect.name],
        "place": place,
        "bytes": number,
    }
