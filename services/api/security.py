"""Who calls, and what they may do."""

import ipaddress
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from services.api.errors import Refusal
from services.api.metrics import Metrics
from services.api.middleware import SAFE_METHODS, Frame, Guard
from services.settings import Settings
from services.store.keys import SCOPES, Key, Keys, parse
from services.store.sessions import COOKIE, CSRF_HEADER, Sessions, has_csrf_token
from services.store.store import Store

KEPT_SECONDS = 3.0
"""How long a key that was found is not looked up again: after this a revoked one opens nothing."""
OPEN = frozenset({"/v1/health", "/v1/ready", "/v1/openapi.json"})
"""The paths of the API that need no key."""
STATIC = "/static/"
"""Where the files of the pages are, which are everybody's."""


@dataclass(frozen=True)
class Caller:
    """Whoever sent a request: the id of the API key, None where none is asked for, and what it may do."""

    key: str | None
    scopes: frozenset[str]


ANYONE = Caller(None, frozenset(SCOPES))


class Gate:
    """Lets requests of the API in by the key that they carry, before a byte of their body is read.

    The key's caller stands in ``request.state.caller``; whether it may do what it asks for, the route says. Instead
    of a key, the cookie of somebody who signed in will do. Without ``keys`` everyone may do everything.
    """

    def __init__(self, app: ASGIApp, *, keys: Keys | None) -> None:
        self._app = app
        self._keys = keys
        self._sessions = None if keys is None else Sessions(keys.engine)
        # Of the keys in use, few; ids that there are not are not remembered, for a client can make up any number.
        self._found: dict[str, tuple[float, Key]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path, headers = scope["path"], Headers(scope=scope)
            caller = ANYONE if self._keys is None else await self._caller(self._keys, headers)
            if caller is None and self._sessions is not None and path not in OPEN and not path.startswith(STATIC):
                caller = await self._signed_in(self._sessions, scope["method"], path, headers)
            if caller is None and (path.startswith("/v1/") or path == "/metrics") and path not in OPEN:
                raise _without_key()
            scope["state"]["caller"] = caller
        await self._app(scope, receive, send)

    async def _caller(self, keys: Keys, headers: Headers) -> Caller | None:
        """Whom a request's key stands for, None without one; a wrong one is refused everywhere."""
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return None
        parsed = parse(token.strip())
        key = None if parsed is None else await self._key(keys, parsed[0])
        if parsed is None or key is None or not key.opened_by(parsed[1]):
            raise _refusal(401, "the API key is unknown or revoked; `versus keys add` makes one", "invalid_token")
        return Caller(key.id, key.scopes)

    async def _signed_in(self, sessions: Sessions, method: str, path: str, headers: Headers) -> Caller | None:
        """Whom a request's cookie stands for. What it changes by the API, only this service's pages may ask for."""
        id = cookie_parser(headers.get("cookie", "")).get(COOKIE)
        key = None if id is None else await run_in_threadpool(sessions.find, id)
        if id is None or key is None:
            return None
        # A page's form, whose token comes in its body, is checked by its route.
        own = has_csrf_token(id, headers.get(CSRF_HEADER, ""))
        if method not in SAFE_METHODS and path.startswith("/v1/") and not own:
            raise Refusal(403, "with a cookie this needs the token of this session's pages", "X-CSRF-Token")
        return Caller(key.id, key.scopes)

    async def _key(self, keys: Keys, id: str) -> Key | None:
        asked_at = time.monotonic()
        found = self._found.get(id)
        if found is not None and asked_at - found[0] < KEPT_SECONDS:
            return found[1]
        key = await run_in_threadpool(keys.find, id)
        if key is not None:
            self._found[id] = asked_at, key
        return key


def install(app: FastAPI, settings: Settings, store: Store) -> None:
    """Guard an application: keys, the checks of every request, its log line and its metrics.

    To be called when all other middleware is added, for this goes around it. ``settings.auth`` of None counts as
    "keys": who knows the host resolves it, by :func:`auth_needed`.
    """
    app.state.metrics = Metrics(store.engine, settings.lease_seconds)
    app.add_middleware(Gate, keys=None if settings.auth == "off" else Keys(store.engine))
    app.add_middleware(Guard, allowed_hosts=settings.allowed_hosts, max_body_bytes=settings.max_body_bytes)
    app.add_middleware(Frame, metrics=app.state.metrics)


def auth_needed(settings: Settings, host: str) -> bool:
    """Whether callers need a key if the service listens at ``host``: by default everywhere but on loopback."""
    if settings.auth is not None:
        return settings.auth == "keys"
    if host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return True


# For the OpenAPI document alone: the gate has read the header when a route is reached.
_documented = HTTPBearer(
    scheme_name="API key",
    bearerFormat="vs_<id>_<secret>",
    description="A key that `versus keys add` made. A service that listens on loopback asks for none by default.",
    auto_error=False,
)


def _needs(scope: Literal["read", "submit", "admin"]) -> Callable[[Request, Any], Awaitable[Caller]]:
    """The dependency that lets in only who has a scope."""

    async def caller(request: Request, _key: Annotated[Any, Depends(_documented)]) -> Caller:
        caller: Caller | None = request.state.caller
        if caller is None:
            raise _without_key()
        if scope not in caller.scopes:
            held = ", ".join(name for name in SCOPES if name in caller.scopes)
            detail = f"this needs a key of scope {scope}; the scopes of this one: {held}"
            raise _refusal(403, detail, "insufficient_scope", scope)
        return caller

    return caller


Reader = Annotated[Caller, Depends(_needs("read"))]
Submitter = Annotated[Caller, Depends(_needs("submit"))]
Admin = Annotated[Caller, Depends(_needs("admin"))]


def _without_key() -> Refusal:
    return _refusal(401, "an API key is needed: `Authorization: Bearer vs_...`; `versus keys add` makes one")


def _refusal(status: int, detail: str, error: str = "", scope: str = "") -> Refusal:
    """A refusal with the challenge of RFC 6750."""
    fields = {"realm": "versus", "error": error, "scope": scope}
    challenge = ", ".join(f'{name}="{value}"' for name, value in fields.items() if value)
    return Refusal(status, detail, "Authorization", {"WWW-Authenticate": f"Bearer {challenge}"})
