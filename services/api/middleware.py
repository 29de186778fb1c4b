"""What surrounds every request: what is refused before a route sees it, and what goes with every answer.

Plain ASGI, so that streams pass as they come.
"""

import logging
import re
import time
import uuid
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.errors import Refusal
from services.api.metrics import Metrics
from services.logs import about, request_id

_log = logging.getLogger(__name__)

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
HEADERS = {
    # A page, which needs more, says so itself.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:/@\[\]]+)(?::([0-9]{1,5}))?")
_PORTS = {"http": 80, "https": 443}
_REQUEST_ID = re.compile(r"[0-9A-Za-z._-]{1,64}")
_SHOWN_PATH = 500


class Guard:
    """Refuses requests for another host, from another site's pages, of compressed or too large bodies.

    A page of another site reaches a service on loopback through the user's browser: under a name of its own that it
    lets point there (hence Host), or as a cross-site request (hence Origin).
    """

    def __init__(self, app: ASGIApp, *, allowed_hosts: Collection[str], max_body_bytes: int) -> None:
        self._app = app
        self._hosts = LOOPBACK_NAMES | {host.lower() for host in allowed_hosts}
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._check(scope["method"], scope["scheme"], Headers(scope=scope))
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_body_bytes:
                raise self._too_large()
            return message

        await self._app(scope, counted, send)

    def _check(self, method: str, scheme: str, headers: Headers) -> None:
        host = headers.get("host", "").lower()
        match = _HOST.fullmatch(host)
        if match is None:
            raise Refusal(400, "is not a host name with an optional port", "Host")
        if match[1] not in self._hosts:
            raise Refusal(
                421, "is not a name of this service; VERSUS_ALLOWED_HOSTS lists those it has besides loopback", "Host"
            )
        origin = headers.get("origin")
        # Its own page may have come by TLS that a proxy in front ends.
        own = [(kind, match[1], int(match[2] or _PORTS.get(kind, 0))) for kind in (scheme, "https")]
        if method not in SAFE_METHODS and origin is not None and _origin(origin) not in own:
            raise Refusal(403, "requests that change something are taken from this service's own pages only", "Origin")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Refusal(
                415, "compressed bodies are not taken; send it as it is", "Content-Encoding",
                {"Accept-Encoding": "identity"},
            )  # fmt: skip
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise Refusal(400, "is not a number of bytes", "Content-Length")
        if len(length) > 18 or int(length) > self._max_body_bytes:
            raise self._too_large()

    def _too_large(self) -> Refusal:
        return Refusal(413, f"the body is too large; accepted are up to {self._max_body_bytes:,} bytes", "body")


class Frame:
    """Gives every answer its id and the headers that secure it, and notes it in log and metrics.

    The id is the client's ``X-Request-ID``, if that is short and plain. What the middleware within raises is answered
    by the application's handlers, as what its routes raise is.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
        given = Headers(scope=scope).get("x-request-id", "")
        id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        started = time.perf_counter()
        status: int | None = None
        app, path = scope["app"], scope["path"]

        async def framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(raw=list(message.get("headers", ())))
                _complete(headers, id)
                message = {**message, "headers": headers.raw}
                route = getattr(scope.get("route"), "path", "other")
                self._metrics.observe(scope["method"], route, status, time.perf_counter() - started)
            await send(message)

        with about(request_id, id):
            try:
                await self._app(scope, receive, framed)
            except Exception as error:
                if status is not None:
                    raise
                # The framework answers further out, where neither answer nor log would name the request.
                handlers = app.exception_handlers
                handler = next(handlers[kind] for kind in type(error).__mro__ if kind in handlers)
                answer: Response = await handler(Request(scope), error)
                await answer(scope, receive, framed)
            finally:
                caller = scope["state"].get("caller")
                fields = {
                    "method": scope["method"],
                    "path": path[:_SHOWN_PATH],
                    "status": status,
                    "milliseconds": round((time.perf_counter() - started) * 1000, 1),
                    "key": caller.key if caller is not None else None,
                }
                _log.info("request", extra=fields)


def _complete(headers: MutableHeaders, id: str) -> None:
    headers["X-Request-ID"] = id
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    # What may be asked for again by its ETag may be kept, but only by whom it was made for.
    headers.setdefault("Cache-Control", "private, no-cache" if "etag" in headers else "no-store")


def _origin(text: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port of an Origin header; None for what is not one, ``null`` say."""
    try:
        parts = urlsplit(text.lower())
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    host = parts.netloc.rpartition(":")[0] if parts.port else parts.netloc
    return parts.scheme, host, port
