"""Runs: one made by itself, and any of them watched, read and cancelled."""

import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from instances.errors import InvalidInput
from instances.problems import problem_named
from services import orders, submission
from services.api import events
from services.api.bodies import StrictRoute
from services.api.comparison_schemas import (
    Explanation,
    Line,
    Run,
    RunInPath,
    RunRequest,
    Runs,
    RunStatus,
    SolutionDocument,
)
from services.api.context import Context, Service
from services.api.errors import Refusal
from services.api.idempotency import Key, Payload, once
from services.api.pagination import LIMIT, Cursor, Limit, before, page, start
from services.api.routes.comparisons import room
from services.api.schemas import DIGEST
from services.api.security import Caller, Reader, Submitter
from services.quantities import parse_bytes, parse_seconds
from services.store import explanations, queries

router = APIRouter(prefix="/v1/runs", tags=["runs"], route_class=StrictRoute)

DOCUMENT = ".json"


def found(service: Context, _caller: Reader, key: RunInPath) -> dict[str, Any]:
    """The document of a run; 404 if there is none."""
    document = queries.run(service.store.engine, key)
    if document is None:
        raise Refusal(404, "there is no such run", "key")
    own = f"/v1/runs/{key}"
    digest = document["instance"]["digest"]
    links = {"self": own, "events": f"{own}/events", "solution": f"{own}/solution"}
    comparison = quote(document["comparison"], safe="")
    links |= {"instance": f"/v1/instances/{digest}", "comparison": f"/v1/comparisons/{comparison}"}
    shown = None if document["cost"] is None else document["cost"] / 10 ** document["decimals"]
    return {**document, "display_cost": shown, "links": links}


Found = Annotated[dict[str, Any], Depends(found)]


async def _solvers(service: Context) -> list[dict[str, Any]]:
    return await service.catalogue.solvers()


Solvers = Annotated[list[dict[str, Any]], Depends(_solvers)]


@router.post("", status_code=202, response_model=Run, summary="Solve one instance")
def create(service: Context, caller: Submitter, request: RunRequest, payload: Payload, key: Key = None) -> Response:
    """Queue one run: a comparison of its own, of one solver on one instance with one seed."""
    return once(service, caller, key, payload, lambda name: _create(service, caller, request, name))


@router.get("", response_model=Runs, summary="List runs")
def list_all(
    service: Context,
    _caller: Reader,
    state: Annotated[
        Literal["queued", "running", "ended"], Query(description="Ended ones come newest first, others by id")
    ] = "ended",
    status: Annotated[RunStatus | None, Query(description="How it ended; only with the state ended")] = None,
    solver: Annotated[Line | None, Query(max_length=500, description="Label of the solver in its comparison")] = None,
    instance: Annotated[str | None, Query(pattern=DIGEST, description="Digest of the instance")] = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """The runs of all comparisons: by default those that have ended, the newest first."""
    engine = service.store.engine
    if state == "ended":
        place = before(start(cursor, str, str), *queries.RUN_ORDER)
        rows = queries.ended_runs(engine, limit + 1, place, status=status, solver=solver, instance=instance)
        items, following = page(rows, limit, lambda row: (row["finished_at"], row["id"]))
    elif status is not None:
        raise InvalidInput(f"is {status!r}, which no {state} run is; accepted is none with this state", "status")
    else:
        (after,) = start(cursor, str) or (None,)
        rows = queries.open_runs(engine, state, limit + 1, after, solver=solver, instance=instance)
        items, following = page(rows, limit, lambda row: (row["id"],))
    return {"items": items, "next": following}


@router.get("/{key}", response_model=Run, response_model_exclude_unset=True, summary="Show a run")
def show(
    document: Found, log: Annotated[bool, Query(description="With the end of the solver's output")] = False
) -> dict[str, Any]:
    """A run, whether queued, running or ended, with its verified incumbents so far."""
    return document if log else {name: value for name, value in document.items() if name != "log"}


@router.get(
    "/{key}/solution",
    response_model=SolutionDocument,
    summary="Read a run's solution",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def solution(
    service: Context,
    document: Found,
    format: Annotated[
        str, Query(max_length=10, description="Suffix of the format", examples=[".json", ".sol"])
    ] = DOCUMENT,
) -> Any:
    """The best verified solution of a run that has ended, as JSON or as a file of the field."""
    known = document["instance"]
    problem = problem_named(known["problem"])
    formats = tuple(dict.fromkeys((DOCUMENT, *problem.solution_suffixes)))
    if format not in formats:
        raise InvalidInput(f"is {format!r}; accepted are {', '.join(formats)}", "format")
    if document["state"] != queries.ENDED:
        raise Refusal(409, f"the run is {document['state']}; its solution is kept when it has ended")
    best = queries.best_solution(service.store.engine, document["id"])
    if best is None:
        raise Refusal(404, f"the run has no solution: it ended as {document['status']}")
    if format == DOCUMENT:
        of_run = {name: document[name] for name in ("cost", "decimals", "partial")}
        of_instance = {"instance": known["digest"], "problem": known["problem"]}
        return {"run": document["id"], **of_instance, **of_run, "solution": best}
    instance = problem.load(json.loads(service.store.document(known["digest"])))
    with tempfile.TemporaryDirectory(prefix="versus-solution-") as folder:
        file = Path(folder, f"solution{format}")
        problem.write_solution(instance, problem.load_solution(best), document["cost"], file)
        text = file.read_text()
    disposition = f'attachment; filename="{document["id"][:12]}{format}"'
    return PlainTextResponse(text, headers={"Content-Disposition": disposition})


@router.post("/{key}/cancel", response_model=Run, response_model_exclude_unset=True, summary="Cancel a run")
def cancel(service: Context, caller: Submitter, key: RunInPath) -> dict[str, Any]:
    """End a queued run now, or a running one in a moment; one that has ended stays as it is."""
    document = found(service, caller, key)
    if document["state"] != queries.ENDED:
        service.jobs.cancel(document["comparison"], None if document["single"] else key)
    return show(found(service, caller, key))


@router.post("/{key}/explanation", status_code=202, response_model=Explanation, summary="Ask how a run came to be")
def ask(service: Context, _caller: Submitter, document: Found, solvers: Solvers, response: Response) -> dict[str, Any]:
    """Let a worker note how the run's solver comes to its best solution: for a pointer network, what it pointed at."""
    able = [solver["name"] for solver in solvers if solver.get("explains")]
    name = document["spec"].partition(":")[0]
    if name not in able:
        raise Refusal(409, f"{name} cannot explain itself; those that can are {', '.join(able)}")
    if document["state"] != queries.ENDED or document["cost"] is None:
        raise Refusal(409, "there is no solution to explain; a run has one when it has ended with an answer")
    needs = submission.needs(service.store.comparison(document["comparison"]))[document["solver"]]
    explanations.ask(service.store.engine, document["id"], needs)
    service.hint(needs, 1)
    response.headers["Location"] = f"{document['links']['self']}/explanation"
    return explained(service, document)


@router.get("/{key}/explanation", response_model=Explanation, summary="Read how a run came to be")
def explained(service: Context, document: Found) -> dict[str, Any]:
    """The explanation of a run that was asked for, once a worker has made it."""
    asked, found = explanations.explanation(service.store.engine, document["id"])
    return {"run": document["id"], "state": "made" if found else "asked" if asked else "none", "explanation": found}


@router.get("/{key}/events", response_class=EventSourceResponse, summary="Watch a run")
async def watch(
    service: Context,
    document: Found,
    streams: events.Stream,
    last_event_id: Annotated[str | None, Header(max_length=200, description="Go on after this event")] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events: `state`, `incumbent` with seconds and cost, `restart` when another attempt begins, `end`.

    The stream ends after `end`, or after `deleted`.
    """
    async for event in events.run_events(service.store.engine, streams, document["id"], last_event_id):
        yield event


def _create(service: Service, caller: Caller, request: RunRequest, name: str) -> JSONResponse:
    if (request.instance is None) == (request.document is None):
        raise InvalidInput("accepted is one of instance and document", "instance")
    terms = submission.Terms(
        solvers=[request.solver],
        budget=parse_seconds(request.budget, "budget"),
        seed=request.seed,
        threads=request.threads,
        memory=parse_bytes(request.memory, "memory"),
    )
    with room():
        if request.document is None:
            digest = request.instance or ""
        else:
            submission.check_terms(service.settings, terms, 1)
            digest = submission.store_document(service.store, service.settings, request.document).digest
        order = orders.Order(terms, [digest], single=True, priority=request.priority)
        orders.place(service, order, caller.key, name)
    key = service.store.comparison(name).run_key(digest, request.solver, 0)
    document = found(service, caller, key)
    return JSONResponse(document, 202, {"Location": document["links"]["self"]})
