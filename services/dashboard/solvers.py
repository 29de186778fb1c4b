"""Solvers: what each honours and takes, the checkpoints of the networks, and what came of them in comparisons."""

import json
from functools import cache
from importlib import resources
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from services import computed
from services.dashboard.parts import Context, known_solvers
from services.dashboard.rendering import page, path_of, query
from services.dashboard.session import needs
from services.store import analyses, pages, queries, tables
from solvers import spec

router = APIRouter(dependencies=[Depends(needs("read"))])

SHOWN_COMPARISONS = 20
"""Comparisons of a page of a solver's history."""
SOLVER_OF_NETWORK = {
    "pointer": "pointer",
    "pointer-lstm": "pointer-lstm",
    "prime-pointer": "pointer-prime",
    "digit-pointer": "pointer-digits",
}
"""The solver that a card's network is. What joins one with a search is called by both, as ``pointer+pyvrp``."""


@router.get("/solvers")
async def list_all(service: Context, request: Request) -> Response:
    """All solvers, those that cannot be used here with the reason."""
    known = await known_solvers(service)
    if known is None:
        return page(request, "asking.html.j2", section="solvers", twin="/v1/solvers")
    groups: dict[str, list[dict[str, Any]]] = {}
    for solver in known:
        groups.setdefault(solver.get("problem", "unavailable"), []).append(solver)
    return page(
        request, "solvers.html.j2", section="solvers", twin="/v1/solvers", groups=groups, cards=_cards(),
        solver_of_network=SOLVER_OF_NETWORK,
    )  # fmt: skip


@router.get("/solvers/{name}")
async def show(
    service: Context, request: Request, name: str, cursor: Annotated[str | None, Query(max_length=1000)] = None
) -> Response:
    """A solver: its parameters, its checkpoints, and the comparisons that it took part in, the newest first."""
    known = await known_solvers(service)
    if known is None:
        return page(request, "asking.html.j2", section="solvers", twin=f"/v1/solvers/{name}")
    solver = next((solver for solver in known if solver["name"] == name), None)
    if solver is None:
        raise HTTPException(404, f"there is no such solver; there are {', '.join(each['name'] for each in known)}")
    history, following = await run_in_threadpool(_history, service.store.engine, name, cursor)
    own, network = path_of("solvers", name), name.partition("+")[0]
    return page(
        request, "solver.html.j2", section="solvers", twin=f"/v1/solvers/{name}", solver=solver, history=history,
        cards=[card for card in _cards() if SOLVER_OF_NETWORK[card["network"]] == network],
        following=following and query(own, cursor=following) + "#history", first=cursor and f"{own}#history",
    )  # fmt: skip


@cache
def _cards() -> tuple[dict[str, Any], ...]:
    """The cards of the shipped checkpoints, by name; read as files, for importing their package brings torch."""
    folder = resources.files("solvers").joinpath("neural", "checkpoints")
    files = [
        file
        for place in (folder, folder.joinpath("factoring"))
        for file in sorted(place.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".json")
    ]
    return tuple(json.loads(file.read_text(encoding="utf-8")) for file in files)


def _history(engine: sa.Engine, name: str, cursor: str | None) -> tuple[list[dict[str, Any]], str | None]:
    """A page of the comparisons with a solver, a row for each of its labels there, and the cursor of the next.

    Figures stand where they are kept.
    """
    definition = sa.cast(tables.comparisons.c.definition, sa.Text)
    uses = definition.contains(f'"{name}"', autoescape=True) | definition.contains(f'"{name}:', autoescape=True)
    place = pages.before(pages.start(cursor, str, str), *queries.COMPARISON_ORDER)
    rows = queries.comparisons(engine, SHOWN_COMPARISONS + 1, uses & place, single=False, state=None, title=None)
    found, following = pages.page(rows, SHOWN_COMPARISONS, lambda row: (row["created_at"], row["id"]))
    history = [
        {"comparison": document, "label": label, "row": kept.get(label)}
        for document in found
        for kept in (_rows(engine, document),)
        for label, canonical in document["definition"]["solvers"].items()
        if spec.parse(canonical)[0] == name
    ]
    return history, following


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
