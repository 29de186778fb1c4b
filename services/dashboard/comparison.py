"""One comparison: what it says, how far it is, and what can be done with it."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from services import computed, orders
from services.analysis.metrics import solved_or_not
from services.dashboard.parts import Context, Service, checked
from services.dashboard.rendering import page, path_of, query
from services.dashboard.session import needs, viewer
from services.records import Results
from services.report.content import instance_rows, median_costs
from services.store import analyses, queries
from services.submission import Full

SHOWN = 50
"""Instances of a page of their table."""
MAX_INSTANCES = 1_000_000
QUICK_RUNS = 300
"""Runs of which statistics are made while the page waits; of more they follow."""
MAX_SENTENCES = 12
MAX_FAILURES = 40

router = APIRouter(dependencies=[Depends(needs("read"))])


def found(service: Context, id: str) -> dict[str, Any]:
    """The document of a comparison's state."""
    document = queries.comparison(service.store.engine, id)
    if document is None:
        raise HTTPException(404, f"There is no comparison {id[:200]}. It may have been deleted.")
    return document


Found = Annotated[dict[str, Any], Depends(found)]
Changing = [Depends(needs("submit")), Depends(checked)]


@router.get("/comparisons/{id}")
def show(
    request: Request,
    service: Context,
    document: Found,
    start: Annotated[int, Query(alias="from", ge=0, le=MAX_INSTANCES)] = 0,
    all: Annotated[bool, Query(description="Wait for the statistics, however long they take")] = False,
) -> Response:
    """What a comparison says; of what has ended so far while it runs."""
    own = path_of("comparisons", document["id"])
    api = f"/v1{own}"
    labels = list(document["definition"]["solvers"])
    last = document["num_instances"] - SHOWN
    return page(
        request,
        "comparison.html.j2",
        section="comparisons",
        twin=f"{api}/statistics",
        figures=True,
        item=document,
        said=_said(service, document, all),
        labels=labels,
        parts=_instances(service, document, start),
        own=own,
        api=api,
        start=start,
        following=query(own, **{"from": start + SHOWN}) + "#instances" if start < last else None,
        first=own + "#instances" if start else None,
        max_sentences=MAX_SENTENCES,
        max_failures=MAX_FAILURES,
    )


@router.post("/comparisons/{id}/cancel", dependencies=Changing)
def cancel(service: Context, document: Found) -> Response:
    """End what is left of it."""
    if document["state"] in ("queued", "running"):
        service.jobs.cancel(document["id"])
    return RedirectResponse(path_of("comparisons", document["id"]), 303)


@router.post("/comparisons/{id}/rerun", dependencies=Changing)
def rerun(request: Request, service: Context, document: Found) -> Response:
    """Make again what failed."""
    caller = viewer(request)
    try:
        orders.rerun(service, document, caller.key if caller is not None else None)
    except Full as full:
        raise HTTPException(429, str(full), {"Retry-After": str(full.retry_seconds)}) from None
    return RedirectResponse(path_of("comparisons", document["id"]), 303)


@router.post("/comparisons/{id}/delete", dependencies=[Depends(needs("admin")), Depends(checked)])
def delete(service: Context, document: Found) -> Response:
    """Delete it with its runs."""
    queries.delete_comparison(service.store.engine, document["id"])
    return RedirectResponse("/comparisons", 303)


def _said(service: Service, document: dict[str, Any], wait: bool) -> dict[str, Any] | None:
    """The statistics' document, if there are runs and it is at hand, soon made, or waited for."""
    num_ended = document["counts"]["ended"]
    if not num_ended:
        return None
    if not wait and num_ended > QUICK_RUNS:
        revision = computed.revision(document)
        if analyses.kept(service.store.engine, document["id"], "statistics", revision) is None:
            return None
    said: dict[str, Any] = json.loads(computed.statistics(service.store, document))
    return said


def _instances(service: Service, document: dict[str, Any], start: int) -> list[dict[str, Any]]:
    """The rows of a page of the instances' table, by problem."""

    def part(problem: str, results: Results) -> dict[str, Any]:
        rows = instance_rows(results, median_costs(results)) if results.comparison.solvers else []
        labels = list(results.comparison.solvers)
        return {
            "problem": problem,
            "solvers": labels,
            "rows": rows,
            "num_rows": len(rows),
            "solved": solved_or_not(results),
        }

    chosen = queries.results_of(service.store.engine, document["id"], start, SHOWN)
    return [part(problem, results) for problem, results in chosen.by_problem().items()]
