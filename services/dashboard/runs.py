"""Runs: a list of them, and one with what it found, when, where and how it ended."""

import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException

from instances.problems import problem_named
from services.analysis.metrics import percent_gap
from services.dashboard.parts import Context, Service, checked, known_solvers
from services.dashboard.rendering import page, path_of, query
from services.dashboard.session import needs
from services.records import Status
from services.store import pages, queries
from services.store.solutions import incumbents
from solvers import spec

router = APIRouter(dependencies=[Depends(needs("read"))])

SHOWN = 50
"""Runs of a page."""
SHOWN_OPEN = 20
"""Queued or running ones above those that have ended."""
_OPEN = {"status": None, "reason": "", "disturbed": False, "num_reported": None}
"""What a run that has not ended has nothing to say of."""
_KEY = re.compile("[0-9a-f]{64}")
Text = Annotated[str, Query(max_length=500)]
State = Literal[
    "", "queued", "running", "finished", "killed", "no-solution", "crashed", "memory", "declined", "unavailable",
    "cancelled",
]  # fmt: skip


@router.get("/runs")
def list_all(
    service: Context,
    request: Request,
    state: State = "",
    solver: Text = "",
    comparison: Text = "",
    instance: Text = "",
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> Response:
    """The runs of a comparison by key; or of all of them those under way, and those that have ended, newest first."""
    chosen = {"state": state, "solver": solver, "comparison": comparison, "instance": instance}
    chosen = {name: text.strip() if pages.storable(text) else "" for name, text in chosen.items()}
    running: list[dict[str, Any]] = []
    limits = {"limit": SHOWN, "cursor": cursor}
    on = {"solver": chosen["solver"], "instance": chosen["instance"]}
    if chosen["comparison"]:
        rows, following = _of_comparison(service, chosen, cursor)
        own = f"/v1{path_of('comparisons', chosen['comparison'], 'runs')}"
        twin = query(own, status=chosen["state"], **on, **limits)
    elif state in ("queued", "running"):
        rows, following = _open(service, chosen, cursor)
        twin = query("/v1/runs", state=state, **on, **limits)
    else:
        rows, following = _ended(service, chosen, cursor)
        if not any(chosen.values()) and cursor is None:
            running = queries.open_runs(service.store.engine, "running", SHOWN_OPEN, None)
        twin = query("/v1/runs", status=chosen["state"], **on, **limits)
    return page(
        request, "runs.html.j2", section="runs", twin=twin, rows=rows, running=running, chosen=chosen,
        filtered=any(chosen.values()), states=["queued", "running", *Status],
        following=following and query("/runs", **chosen, cursor=following), first=cursor and query("/runs", **chosen),
    )  # fmt: skip


async def _explaining(service: Context) -> frozenset[str]:
    """Names of the solvers whose runs can be explained; none while they are still being asked."""
    return frozenset(solver["name"] for solver in await known_solvers(service) or [] if solver.get("explains"))


@router.get("/runs/{key}")
def show(
    service: Context, request: Request, key: str, explaining: Annotated[frozenset[str], Depends(_explaining)]
) -> Response:
    """A run: its state, its verified incumbents, and what is known of how it was made."""
    document = found(service, key)
    instance = document["instance"]
    problem = problem_named(instance["problem"])
    best = instance["best_known"]["cost"] if instance["best_known"] else None
    gap = None if document["cost"] is None or not best else percent_gap(document["cost"], best)
    shown = {
        "events": f"/v1/runs/{key}/events" if document["state"] != queries.ENDED else None,
        "label": document["solver"],
        "trace": document["trace"],
        "attempt": document["attempt"],
        "budget": document["budget"],
        "decimals": document["decimals"],
        "reference": best,
    }
    return page(
        request, "run.html.j2", section="runs", twin=f"/v1/runs/{key}?log=true", run={**_OPEN, **document}, gap=gap,
        shown=shown, explains=spec.parse(document["spec"])[0] in explaining, cost_unit=problem.cost_unit,
        formats=dict.fromkeys((".json", *problem.solution_suffixes)),
    )  # fmt: skip


@router.get("/runs/{key}/incumbents")
def solutions(service: Context, key: str) -> Response:
    """Every verified incumbent of an ended run with its solution, for replaying it."""
    document = found(service, key)
    kept = incumbents(service.store.engine, key)
    if kept is None:
        raise HTTPException(409, f"the run is {document['state']}; its solutions are kept when it has ended")
    return JSONResponse({"run": key, "decimals": document["decimals"], "incumbents": kept})


@router.post("/runs/{key}/cancel", dependencies=[Depends(needs("submit")), Depends(checked)])
def cancel(service: Context, key: str) -> Response:
    """End a queued run now, or a running one in a moment."""
    document = found(service, key)
    if document["state"] != queries.ENDED:
        service.jobs.cancel(document["comparison"], None if document["single"] else key)
    return RedirectResponse(f"/runs/{key}", 303)


def found(service: Context, key: str) -> dict[str, Any]:
    document = queries.run(service.store.engine, key) if _KEY.fullmatch(key) else None
    if document is None:
        raise HTTPException(404, "there is no such run; its comparison may have been deleted")
    return document


def _of_comparison(service: Service, chosen: dict[str, str], cursor: str | None) -> tuple[Any, str | None]:
    (after,) = pages.start(cursor, str) or (None,)
    items = queries.runs_of(
        service.store.engine, chosen["comparison"], SHOWN + 1, after, solver=chosen["solver"] or None,
        status=chosen["state"] or None, instance=chosen["instance"] or None,
    )  # fmt: skip
    return pages.page(items, SHOWN, lambda row: (row["id"],))


def _open(service: Service, chosen: dict[str, str], cursor: str | None) -> tuple[Any, str | None]:
    (after,) = pages.start(cursor, str) or (None,)
    items = queries.open_runs(
        service.store.engine, chosen["state"], SHOWN + 1, after, solver=chosen["solver"] or None,
        instance=chosen["instance"] or None,
    )  # fmt: skip
    return pages.page(items, SHOWN, lambda row: (row["id"],))


def _ended(service: Service, chosen: dict[str, str], cursor: str | None) -> tuple[Any, str | None]:
    place = pages.before(pages.start(cursor, str, str), *queries.RUN_ORDER)
    items = queries.ended_runs(
        service.store.engine, SHOWN + 1, place, status=chosen["state"] or None, solver=chosen["solver"] or None,
        instance=chosen["instance"] or None,
    )  # fmt: skip
    return pages.page(items, SHOWN, lambda row: (row["finished_at"], row["id"]))
