"""How a network came to a run's best solution: step by step, with its probabilities on the map.

A worker makes the explanation when it is asked for. Its document has locations numbered as in the instance, and of each
step the likeliest next locations, at most ten, the chosen one among them::

    {"checkpoint": "tsp20@6a56363d67e9", "decode": "followed",
     "steps": [{"at": 0, "chosen": 5, "probabilities": [[5, 0.71], [3, 0.2]]}, ...]}

or ``{"error": "why there is none"}``.
"""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from services import submission
from services.dashboard.parts import Context, Service, checked
from services.dashboard.rendering import page
from services.dashboard.runs import found
from services.dashboard.session import needs
from services.figures.maps import locations
from services.store import explanations, queries
from solvers import spec

router = APIRouter(dependencies=[Depends(needs("read"))])

Found = Annotated[dict[str, Any], Depends(found)]


@router.get("/runs/{key}/construction")
def show(service: Context, request: Request, document: Found) -> Response:
    """The steps, once a worker has made their explanation; until then how it stands with that."""
    asked, explanation = explanations.explanation(service.store.engine, document["id"])
    instance = json.loads(service.store.document(document["instance"]["digest"]))
    shown = {
        "points": locations(instance),
        "depot": instance.get("depot", 0),
        "closed": not instance.get("open_routes", False),
        "demand": instance.get("demand"),
        "steps": (explanation or {}).get("steps", []),
    }
    return page(
        request, "construction.html.j2", section="runs", twin=f"/v1/runs/{document['id']}/explanation",
        run=document, asked=asked, explanation=explanation, shown=shown,
    )  # fmt: skip


@router.post("/runs/{key}/construction", dependencies=[Depends(needs("submit")), Depends(checked)])
async def ask(service: Context, document: Found) -> Response:
    """Let a worker make the explanation."""
    name = spec.parse(document["spec"])[0]
    known = {solver["name"]: solver for solver in await service.catalogue.solvers()}
    if not known.get(name, {}).get("explains"):
        raise HTTPException(409, f"{name} cannot explain itself; networks can")
    if document["state"] != queries.ENDED or document["cost"] is None:
        raise HTTPException(409, "there is no solution to explain; a run has one when it has ended with an answer")
    await run_in_threadpool(_ask, service, document)
    return RedirectResponse(f"/runs/{document['id']}/construction", 303)


def _ask(service: Service, document: dict[str, Any]) -> None:
    queue = submission.needs(service.store.comparison(document["comparison"]))[document["solver"]]
    explanations.ask(service.store.engine, document["id"], queue)
    service.hint(queue, 1)
