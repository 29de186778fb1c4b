"""The dashboard's routes, beside those of the API: pages, what they are made of, and errors as pages."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import RedirectResponse, Response

from services.dashboard import (
    assets,
    comparison,
    comparisons,
    construction,
    instance,
    instances,
    new_comparison,
    runs,
    sign_in,
    solvers,
    system,
)
from services.dashboard.rendering import page

NO_PAGES = ("/v1/", "/metrics/", "/static/")
"""How paths begin whose errors are for programs."""
_GROUPS = (
    comparisons,
    new_comparison,
    comparison,
    instances,
    instance,
    runs,
    construction,
    solvers,
    system,
    sign_in,
    assets,
)


def install(app: FastAPI) -> None:
    """Add the pages to an application whose ``state.service`` has the parts of :class:`parts.Service`.

    To be called before the application serves its first request. Its error handlers then answer for pages in HTML.
    """
    handlers: dict[Any, Any] = app.exception_handlers
    for kind, handler in handlers.items():
        handlers[kind] = _as_page(handler)
    sign_in.install(app)
    for group in _GROUPS:
        app.include_router(group.router, include_in_schema=False)
    app.add_api_route("/", _front, include_in_schema=False)


async def _front() -> Response:
    return RedirectResponse("/comparisons", 307)


def _as_page(handler: Callable[[Request, Exception], Awaitable[Response]]) -> Any:
    """An error handler that answers for pages in HTML, with what the API's problem says."""

    async def answer(request: Request, error: Exception) -> Response:
        response = await handler(request, error)
        if f"{request.url.path}/".startswith(NO_PAGES):
            return response
        problem = json.loads(bytes(response.body))
        kept = {name: value for name, value in response.headers.items() if name in ("retry-after", "allow")}
        return page(request, "error.html.j2", status=response.status_code, headers=kept, problem=problem)

    return answer
