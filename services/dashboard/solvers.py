"""Solvers: what each honours and takes, the checkpoints of the networks, and what came of them in comparisons."""

import asyncio
import json
from functools import cache
from importlib import resources
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from services import computed
from services.dashboard.parts import Context, Service
from services.dashboard.rendering import page
from services.dashboard.session import needs
from services.store import analyses, queries, tables
from solvers import spec

router = APIRouter(dependencies=[Depends(needs("read"))])

SHOWN_COMPARISONS = 20
NETWORKS = "pointer"
"""How the names of solvers begin that load checkpoints."""
PATIENCE_SECONDS = 0.2
"""How long a page waits for what solvers say of themselves, which takes some seconds when they are first asked."""


@router.get("/solvers")
async def list_all(service: Context, request: Request) -> Response:
    """All solvers, those that cannot be used here with the reason."""
    known = await _known(service)
    if known is None:
        return page(request, "asking.html.j2", section="solvers", twin="/v1/solvers")
    groups: dict[str, list[dict[str, Any]]] = {}
    for solver in known:
        groups.setdefault(solver.get("problem", "unavailable"), []).append(solver)
    return page(request, "solvers.html.j2", section="solvers", twin="/v1/solvers", groups=groups, cards=_cards())


@router.get("/solvers/{name}")
async def show(service: Context, request: Request, name: str) -> Response:
    """A solver: its parameters, its checkpoints, and the newest comparisons that it took part in."""
    known = await _known(service)
    if known is None:
        return page(request, "asking.html.j2", section="solvers", twin=f"/v1/solvers/{name}")
    solver = next((solver for solver in known if solver["name"] == name), None)
    if solver is None:
        raise HTTPException(404, f"there is no such solver; there are {', '.join(each['name'] for each in known)}")
    history = await run_in_threadpool(_history, service.store.engine, name)
    return page(
        request, "solver.html.j2", section="solvers", twin=f"/v1/solvers/{name}", solver=solver, history=history,
        cards=_cards() if name.startswith(NETWORKS) else (),
    )  # fmt: skip


async def _known(service: Service) -> list[dict[str, Any]] | None:
    """What the solvers say of themselves; None if they are still being asked."""
    try:
        return await asyncio.wait_for(service.catalogue.solvers(), PATIENCE_SECONDS)
    except TimeoutError:
        return None


@cache
def _cards() -> tuple[dict[str, Any], ...]:
    """The cards of the shipped checkpoints, by name; read as files, for importing their package brings torch."""
    folder = resources.files("solvers").joinpath("neural", "checkpoints")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    return tuple(json.loads(file.read_text(encoding="utf-8")) for file in files)


def _history(engine: sa.Engine, name: str) -> list[dict[str, Any]]:
    """The newest comparisons with a solver, a row for each of its labels there; figures where they are kept."""
    definition = sa.cast(tables.comparisons.c.definition, sa.Text)
    uses = definition.contains(f'"{name}"', autoescape=True) | definition.contains(f'"{name}:', autoescape=True)
    found = queries.comparisons(engine, SHOWN_COMPARISONS, uses, single=False, state=None, title=None)
    return [
        {"comparison": document, "label": label, "row": rows.get(label)}
        for document in found
        for rows in (_rows(engine, document),)
        for label, canonical in document["definition"]["solvers"].items()
        if spec.parse(canonical)[0] == name
    ]


def _rows(engine: sa.Engine, document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The rankings' rows of a comparison by label, if they have been computed and nothing has ended since."""
    if document["state"] not in computed.DONE:
        return {}
    kept = analyses.kept(engine, document["id"], "statistics", computed.revision(document))
    if kept is None:
        return {}
    problems = json.loads(kept)["problems"]
    return {
        row["solver"]: {**row, "binary": part["solved_or_not"]} for part in problems.values() for row in part["ranking"]
    }
