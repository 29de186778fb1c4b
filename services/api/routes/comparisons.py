"""Comparisons: made, watched, cancelled, made again where they failed, and deleted."""

import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from instances.errors import InvalidInput
from services import orders, submission
from services.api import events
from services.api.bodies import StrictRoute
from services.api.comparison_schemas import (
    Comparison,
    ComparisonInPath,
    ComparisonRequest,
    Comparisons,
    Line,
    Records,
    Runs,
    RunStatus,
    State,
)
from services.api.context import Context, Service
from services.api.errors import Refusal
from services.api.idempotency import Key, Payload, once
from services.api.pagination import LIMIT, Cursor, Limit, before, page, start
from services.api.schemas import DIGEST
from services.api.security import Admin, Caller, Reader, Submitter
from services.quantities import parse_bytes, parse_seconds
from services.store import queries

router = APIRouter(prefix="/v1/comparisons", tags=["comparisons"], route_class=StrictRoute)


def found(service: Context, _caller: Reader, id: ComparisonInPath) -> dict[str, Any]:
    """The document of a comparison's state; 404 if there is none."""
    document = queries.comparison(service.store.engine, id)
    if document is None:
        raise Refusal(404, "there is no such comparison; GET /v1/comparisons lists those there are", "id")
    return _linked(document)


Found = Annotated[dict[str, Any], Depends(found)]


@router.post("", status_code=202, response_model=Comparison, summary="Compare solvers")
def create(
    service: Context, caller: Submitter, request: ComparisonRequest, payload: Payload, key: Key = None
) -> Response:
    """Queue a comparison of stored instances, or of instances that are made here."""
    return once(service, caller, key, payload, lambda name: _create(service, caller, request, name))


@router.get("", response_model=Comparisons, summary="List comparisons")
def list_newest(
    service: Context,
    _caller: Reader,
    state: State | None = None,
    title: Annotated[Line | None, Query(max_length=200, description="Part of the title")] = None,
    single: Annotated[bool, Query(description="List single runs in place of comparisons")] = False,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Comparisons, the newest first."""
    place = before(start(cursor, str, str), *queries.COMPARISON_ORDER)
    rows = queries.comparisons(service.store.engine, limit + 1, place, single=single, state=state, title=title)
    items, following = page(rows, limit, lambda row: (row["created_at"], row["id"]))
    return {"items": [_linked(item) for item in items], "next": following}


@router.get("/{id}", response_model=Comparison, summary="Show how far a comparison is")
def show(document: Found) -> dict[str, Any]:
    """A comparison's terms, and how many of its runs are queued, running and ended."""
    return document


@router.post("/{id}/cancel", response_model=Comparison, summary="Cancel a comparison")
def cancel(service: Context, caller: Submitter, id: ComparisonInPath) -> dict[str, Any]:
    """End what is queued now, and what is running in a moment; what has ended stays. Cancelling again does nothing."""
    document = found(service, caller, id)
    if document["state"] in ("queued", "running"):
        service.jobs.cancel(id)
    return found(service, caller, id)


@router.post("/{id}/rerun", status_code=202, response_model=Comparison, summary="Make again what failed")
def rerun(service: Context, caller: Submitter, id: ComparisonInPath, response: Response) -> dict[str, Any]:
    """Queue again the runs that crashed, ran out of memory, had no solver or were cancelled, and those missing."""
    document = found(service, caller, id)
    with room():
        orders.rerun(service, document, caller.key)
    response.headers["Location"] = document["links"]["self"]
    return found(service, caller, id)


@router.delete("/{id}", status_code=204, summary="Delete a comparison")
def delete(service: Context, _caller: Admin, id: ComparisonInPath) -> None:
    """Delete a comparison with its runs, those under way too; its instances stay."""
    if not queries.delete_comparison(service.store.engine, id):
        raise Refusal(404, "there is no such comparison", "id")


@router.get("/{id}/runs", response_model=Runs, summary="List the runs of a comparison")
def runs(
    service: Context,
    document: Found,
    solver: Annotated[Line | None, Query(max_length=500, description="Label of the solver")] = None,
    status: RunStatus | Literal["queued", "running"] | None = None,
    instance: Annotated[str | None, Query(pattern=DIGEST)] = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """The runs of a comparison, queued and running ones too, by id."""
    (after,) = start(cursor, str) or (None,)
    rows = queries.runs_of(
        service.store.engine, document["id"], limit + 1, after, solver=solver, status=status, instance=instance
    )
    items, following = page(rows, limit, lambda row: (row["id"],))
    return {"items": items, "next": following}


@router.get("/{id}/records", response_model=Records, summary="Take the runs with their solutions along")
def records(service: Context, document: Found, limit: Limit = LIMIT, cursor: Cursor = None) -> dict[str, Any]:
    """The runs that have ended, by id: all that is known of each, with its trace and its last solution."""
    (after,) = start(cursor, str) or (None,)
    rows = queries.records(service.store.engine, document["id"], limit + 1, after)
    items, following = page(rows, limit, lambda row: (row["id"],))
    return {"items": items, "next": following}


@router.get("/{id}/events", response_class=EventSourceResponse, summary="Watch a comparison")
async def watch(service: Context, document: Found, streams: events.Stream) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events: `progress` whenever runs began or ended, `end` when all have, or `deleted`."""
    async for event in events.comparison_events(service.store.engine, streams, document["id"]):
        yield event


@contextlib.contextmanager
def room() -> Iterator[None]:
    """Let what there is no room for be refused with 429."""
    try:
        yield
    except submission.Full as full:
        raise Refusal(429, str(full), headers={"Retry-After": str(full.retry_seconds)}) from None


def _create(service: Service, caller: Caller, request: ComparisonRequest, name: str) -> JSONResponse:
    if (request.instances is None) == (request.generator is None):
        raise InvalidInput("accepted is one of instances and generator", "instances")
    terms = submission.Terms(
        solvers=request.solvers,
        budget=parse_seconds(request.budget, "budget"),
        seeds=request.seeds,
        seed=request.seed,
        threads=request.threads,
        memory=parse_bytes(request.memory, "memory"),
        reference=request.reference,
    )
    instances: Sequence[str] | orders.Generator
    if request.generator is not None:
        made = request.generator
        instances = orders.Generator(made.problem, made.kind, made.count, made.parameters, made.seed)
    else:
        instances = request.instances or []
    with room():
        order = orders.Order(terms, instances, title=request.title, priority=request.priority)
        orders.place(service, order, caller.key, name)
    document = found(service, caller, name)
    return JSONResponse(document, 202, {"Location": document["links"]["self"]})


def _linked(document: dict[str, Any]) -> dict[str, Any]:
    own = f"/v1/comparisons/{quote(document['id'], safe='')}"
    parts = ("runs", "events", "statistics", "figures", "export")
    return {**document, "links": {"self": own, **{part: f"{own}/{part}" for part in parts}}}
