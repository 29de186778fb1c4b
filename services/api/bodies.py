"""JSON bodies read strictly: what this API takes has one meaning, and every database can store it."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute

from instances.errors import InvalidInput
from instances.text import parse_json
from services.api.errors import Refusal
from services.store.pages import storable

LARGE = 100_000
"""Bytes from which a body is read in a thread, so that it keeps nobody waiting."""


class StrictRoute(APIRoute):
    """A route whose JSON body is read by :func:`parse`: ``APIRouter(route_class=StrictRoute)``."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            if self.body_field is not None and media_type(request) not in ("application/json", ""):
                raise Refusal(415, "accepted is application/json", "Content-Type")
            return await handler(_Request(request.scope, request.receive))

        return strict


class _Request(Request):
    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            body = await self.body()
            self._json = parse(body) if len(body) < LARGE else await run_in_threadpool(parse, body)
        return self._json


def media_type(request: Request) -> str:
    """The media type of a request's body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def parse(body: bytes) -> Any:
    """What a JSON text says.

    Raises
    ------
    Refusal
        422 if it is no UTF-8 or no JSON, holds NaN, an infinity, a key twice or text that no database takes, or is
        nested too deeply.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Refusal(422, f"is not UTF-8 at byte {error.start}", "body") from None
    try:
        document = parse_json(text)
    except InvalidInput as error:
        raise Refusal(422, error.message, error.where) from None
    # Only escapes can bring such text in.
    if "\\u" in text:
        check_text(document)
    return document


def check_text(document: Any) -> None:
    """Refuse a document with text, keys included, that no database takes."""
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.keys()
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and not storable(value):
            raise Refusal(422, "holds a NUL or half a surrogate pair; accepted is text", ascii(value)[:100])
