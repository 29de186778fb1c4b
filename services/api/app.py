"""The application."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware.gzip import GZipMiddleware

from services.api import errors, security
from services.api.context import Catalogue, Service
from services.api.referee import Referee
from services.api.routes import analyses, comparisons, instances, runs, solvers, system, verify
from services.api.schemas import MEDIA_TYPE, Problem
from services.runner.catalogue import describe_all
from services.settings import Settings
from services.store.instances import Instances
from services.store.jobs import Jobs
from services.store.store import Store

GZIP_BYTES = 1000
_ROUTERS = (
    instances.router,
    solvers.router,
    comparisons.router,
    analyses.router,
    runs.router,
    verify.router,
    system.router,
)
_TAGS = [
    {"name": "instances", "description": "What is to be solved: sent in once, known by its digest ever after."},
    {"name": "solvers", "description": "What can solve it."},
    {"name": "comparisons", "description": "Instances x solvers x seeds under one budget."},
    {"name": "runs", "description": "One solver on one instance with one seed."},
    {"name": "verify", "description": "The referee, for anyone's solution."},
    {"name": "system", "description": "How the service is."},
]
_PROBLEM = {
    "description": "A problem (RFC 9457)",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def create_app(store: Store, hint: Callable[[str, int], None], settings: Settings) -> FastAPI:
    """The API on a store; ``hint`` tells the workers of a queue that so many jobs wait."""
    app = FastAPI(
        title="versus",
        version="1",
        summary="On these instances, with this much time, which solver?",
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        openapi_tags=_TAGS,
        responses={"4XX": _PROBLEM, "5XX": _PROBLEM},
        redirect_slashes=False,
    )
    app.state.service = Service(
        store=store,
        jobs=Jobs(store.engine),
        instances=Instances(store.engine),
        hint=hint,
        settings=settings,
        catalogue=Catalogue(describe_all),
        referee=Referee(),
    )
    errors.install(app)
    for router in _ROUTERS:
        app.include_router(router)
    # Server-sent events are left as they are.
    app.add_middleware(GZipMiddleware, minimum_size=GZIP_BYTES, compresslevel=5)
    security.install(app, settings, store)
    _complete_schema(app)
    return app


def _complete_schema(app: FastAPI) -> None:
    """Let the OpenAPI document hold the schema of problems, which every route may answer with."""

    def schema() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title, version=app.version, summary=app.summary, routes=app.routes, tags=app.openapi_tags
            )
            problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            made["components"]["schemas"] |= {**problem.pop("$defs"), "Problem": problem}
            for path in made["paths"].values():
                for operation in path.values():
                    _add_headers(operation["responses"])
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = schema  # type: ignore[method-assign]


def _add_headers(responses: dict[str, Any]) -> None:
    """Name the headers that answers of these kinds have."""
    if "202" in responses:
        responses["202"]["headers"] = {"Location": _header("Where to see how far it is")}
    if "304" in responses:
        for status in ("200", "304"):
            responses[status]["headers"] = {"ETag": _header("Of what will not change; there once all runs have ended")}
    for status in ("4XX", "5XX"):
        if status in responses:
            wait = _header("With 429 and 503: seconds to wait before the request is sent again", "integer")
            responses[status] = {**responses[status], "headers": {"Retry-After": wait}}


def _header(description: str, kind: str = "string") -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}}
