"""Every error as problem details (RFC 9457), those of the framework included."""

import json
import logging
from http import HTTPStatus
from typing import Any

import sqlalchemy as sa
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from instances.errors import InvalidInput
from services.api.schemas import MEDIA_TYPE
from services.store import outage
from services.store.outage import OUTAGES

_log = logging.getLogger(__name__)

SHOWN = 2000
"""Characters of a text that quotes what a client sent."""
RETRY_SECONDS = 5
_WORDS = {
    404: "there is nothing at this path; /v1/openapi.json lists what there is",
    405: "this path does not take this method; the header Allow lists those it takes",
}


class Refusal(HTTPException):
    """A request that is not carried out.

    Parameters
    ----------
    status
        The HTTP status.
    detail
        What was wrong and what would be accepted, in one sentence.
    where
        The place: a field of the body, a parameter, a file. Empty where it is the request as a whole.
    headers
        Headers of the answer, Retry-After say.
    """

    def __init__(self, status: int, detail: str, where: str = "", headers: dict[str, str] | None = None) -> None:
        # An error of the framework's kind, because the framework lets only those pass where it reads a body.
        super().__init__(status, detail, headers)
        self.status = status
        self.where = where


class _Problem(JSONResponse):
    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        # In ASCII, for it may quote half a surrogate pair, which has no UTF-8.
        return json.dumps(content).encode()


def problem(
    status: int, detail: str, where: str = "", headers: dict[str, str] | None = None, **members: Any
) -> JSONResponse:
    """A problem-details answer; ``where`` and further members are added if they are set."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": _shown(detail)}
    if where:
        body["where"] = _shown(where)
    return _Problem({**body, **members}, status, headers)


def install(app: FastAPI) -> None:
    """Let every error of an application leave it as problem details."""

    @app.exception_handler(Refusal)
    async def refused(_request: Request, error: Refusal) -> JSONResponse:
        return problem(error.status, error.detail, error.where, dict(error.headers or {}))

    @app.exception_handler(InvalidInput)
    async def invalid(_request: Request, error: InvalidInput) -> JSONResponse:
        return problem(422, error.message, error.where)

    @app.exception_handler(RequestValidationError)
    async def malformed(_request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [
            {"where": _shown(".".join(str(part) for part in entry["loc"][1:])), "detail": _shown(entry["msg"])}
            for entry in error.errors()[:100]
        ]
        first = errors[0]
        return problem(422, first["detail"], first["where"], errors=errors)

    @app.exception_handler(HTTPException)
    async def http(_request: Request, error: HTTPException) -> JSONResponse:
        named = error.detail == HTTPStatus(error.status_code).phrase
        detail = _WORDS.get(error.status_code, error.detail) if named else error.detail
        return problem(error.status_code, str(detail), headers=dict(error.headers or {}))

    @app.exception_handler(ClientDisconnect)
    async def gone(_request: Request, _error: ClientDisconnect) -> JSONResponse:
        # Nobody reads it; it stands in the log as what it is.
        return problem(400, "the client went away before the request was complete")

    @app.exception_handler(RecursionError)
    async def too_deep(_request: Request, _error: RecursionError) -> JSONResponse:
        return problem(422, "the body is nested too deeply; accepted are documents of this API")

    @app.exception_handler(sa.exc.SQLAlchemyError)
    async def unstored(_request: Request, error: sa.exc.SQLAlchemyError) -> JSONResponse:
        if not isinstance(error, OUTAGES):
            return _failed(error)
        _log.error("the store failed: %s", outage.words(error))
        return problem(
            503,
            "the store cannot be reached or written now; try again",
            headers={"Retry-After": str(RETRY_SECONDS)},
        )

    @app.exception_handler(sa.exc.NoResultFound)
    @app.exception_handler(sa.exc.IntegrityError)
    async def outrun(_request: Request, error: sa.exc.SQLAlchemyError) -> JSONResponse:
        _log.warning("a request was outrun by another: %s", outage.words(error))
        return problem(409, "another request changed or deleted what this one is about; look again, and try again")

    @app.exception_handler(Exception)
    async def failed(_request: Request, error: Exception) -> JSONResponse:
        return _failed(error)


def _failed(error: Exception) -> JSONResponse:
    _log.error("request failed", exc_info=error)
    return problem(500, "an error of the service; its log says more")


def _shown(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
