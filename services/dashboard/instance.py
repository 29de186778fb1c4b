"""One instance with the solutions that were found, on a map and over time."""

import json
import re
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.exceptions import HTTPException

from instances.errors import InvalidInput
from instances.files import DOCUMENT, write_instance
from instances.problems import problem_named
from services.analysis.metrics import percent_gap
from services.dashboard.parts import Context, Service
from services.dashboard.rendering import page
from services.dashboard.session import needs
from services.figures.maps import locations
from services.figures.theme import PALETTE
from services.store import pages, queries
from services.store.solutions import comparisons_with, incumbents

router = APIRouter(dependencies=[Depends(needs("read"))])

SHOWN_COMPARISONS = 20
SHOWN_RUNS = 1000
TRIED_BYTES = 2_000_000
"""Instances up to this size are written in each format, to see which can hold them."""
VIEWS = {"side": "side by side", "overlay": "laid over each other"}
_DIGEST = re.compile("[0-9a-f]{64}")


@router.get("/instances/{digest}")
def show(
    service: Context,
    request: Request,
    digest: str,
    comparison: Annotated[str, Query(max_length=255)] = "",
    a: Annotated[str, Query(max_length=500, description="The solver whose routes are drawn")] = "",
    b: Annotated[str | None, Query(max_length=500, description="The solver beside it; empty for none")] = None,
    view: Annotated[str, Query(max_length=20, description=", ".join(VIEWS))] = "side",
) -> Response:
    """An instance; of the comparison chosen, or the newest that it occurs in, the results."""
    found = service.instances.get(digest) if _DIGEST.fullmatch(digest) else None
    if found is None:
        raise HTTPException(404, "there is no such instance; it may have been in another store")
    known, packed = found
    document = json.loads(packed)
    engine = service.store.engine
    occurs = comparisons_with(engine, digest, SHOWN_COMPARISONS)
    wanted = comparison if pages.storable(comparison) else ""
    chosen = queries.comparison(engine, wanted or occurs[0]["id"]) if wanted or occurs else None
    if comparison and chosen is None:
        raise HTTPException(404, "there is no such comparison; it may have been deleted")
    results = _results(service, chosen, known) if chosen else []
    sides = _sides(results, a, b)
    traces = [incumbents(engine, side["id"]) or [] if side["state"] == queries.ENDED else [] for side in sides]
    points = locations(document) if known["problem"] == "routing" else None
    shown = {
        "points": points,
        "depot": document.get("depot", 0),
        "closed": not document.get("open_routes", False),
        "demand": document.get("demand"),
        "decimals": known["decimals"],
        "budget": chosen["definition"]["budget"] if chosen else 1,
        "reference": known["best_known"]["cost"] if known["best_known"] else None,
        "view": view if view in VIEWS else "side",
        "runs": [
            {
                "label": side["solver"],
                "colour": side["colour"],
                "address": f"/runs/{side['id']}/incumbents" if side["state"] == queries.ENDED else None,
            }
            for side in sides
        ],
    }
    return page(
        request, "instance.html.j2", section="instances", twin=f"/v1/instances/{digest}", known=known,
        comment=str(document.get("comment", "")), number=document.get("n"), formats=_formats(digest, packed),
        occurs=occurs, chosen=chosen, results=results, sides=sides, views=VIEWS, view=shown["view"], shown=shown,
        replayed=bool(sides) and (known["problem"] == "routing" or any(len(trace) > 1 for trace in traces)),
        solutions=[_solution(known, document, side, trace) for side, trace in zip(sides, traces, strict=True)],
        cost_unit=problem_named(known["problem"]).cost_unit,
        labels=list(chosen["definition"]["solvers"]) if chosen else [],
    )  # fmt: skip


def _results(service: Service, comparison: dict[str, Any], known: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs of a comparison on an instance in the comparison's order, each with its gap."""
    runs = queries.runs_of(service.store.engine, comparison["id"], SHOWN_RUNS, None, instance=known["digest"])
    labels = list(comparison["definition"]["solvers"])
    answered = [run["cost"] for run in runs if run["cost"] is not None and not run["partial"]]
    best = known["best_known"]["cost"] if known["best_known"] else min(answered, default=None)
    for run in runs:
        run["gap"] = None if run["cost"] is None or not best else percent_gap(run["cost"], best)
        run["best"] = run["cost"] is not None and run["cost"] == min(answered, default=None)
        run["colour"] = PALETTE[labels.index(run["solver"]) % len(PALETTE)]
    return sorted(runs, key=lambda run: (labels.index(run["solver"]), run["repetition"]))


def _sides(results: Sequence[dict[str, Any]], a: str, b: str | None) -> list[dict[str, Any]]:
    """The runs that are drawn: the best of each solver chosen, by default of the first two that have an answer."""
    best: dict[str, dict[str, Any]] = {}
    for run in results:
        label, cost = run["solver"], run["cost"]
        if label not in best or (cost is not None and (best[label]["cost"] is None or cost < best[label]["cost"])):
            best[label] = run
    answered = [label for label, run in best.items() if run["cost"] is not None] or list(best)
    first = a if a in best else next(iter(answered), "")
    others = [label for label in answered if label != first]
    second = next(iter(others), "") if b is None else b
    return [best[label] for label in dict.fromkeys((first, second)) if label in best]


def _solution(
    known: dict[str, Any], document: dict[str, Any], run: dict[str, Any], trace: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """A run's solutions in words: the routes of the last, or of a factorisation all of them over time."""
    problem = problem_named(known["problem"])
    last = trace[-1]["solution"] if trace else None
    routes = last if known["problem"] == "routing" and last else []
    demand = document.get("demand")
    return {
        "run": run,
        "routes": [
            {"stops": " ".join(map(str, route)), "customers": len(route),
             "load": sum(demand[stop] for stop in route) if demand else None}
            for route in routes if route
        ],
        "steps": [
            {**found, "words": problem.solution_words(problem.load_solution(found["solution"]))}
            for found in trace if found["solution"] is not None
        ] if known["problem"] != "routing" else [],
    }  # fmt: skip


@lru_cache(maxsize=256)
def _formats(digest: str, document: bytes) -> tuple[str, ...]:
    """Suffixes of the formats that can hold an instance; of a very large one those that may."""
    parsed = json.loads(document)
    problem = problem_named(parsed["problem"])
    formats = (DOCUMENT, *problem.suffixes)
    if len(document) > TRIED_BYTES:
        return formats
    instance = problem.load(parsed)
    with tempfile.TemporaryDirectory(prefix="versus-formats-") as folder:
        return tuple(form for form in formats if _holds(instance, Path(folder, f"instance{form}")))


def _holds(instance: Any, file: Path) -> bool:
    try:
        write_instance(instance, file)
    except InvalidInput:
        return False
    return True
