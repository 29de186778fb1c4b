"""Signing in and out: a form takes an API key, a cookie stands for it from then on."""

import re
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Form, Query, Request, Response
from starlette.responses import RedirectResponse

from services.dashboard.parts import Context, checked
from services.dashboard.rendering import page, query
from services.dashboard.session import Forbidden, NotSignedIn, set_cookie, viewer
from services.store.keys import Key, Keys, parse
from services.store.sessions import COOKIE, Sessions

router = APIRouter()

SHOWN_PATH = 1000
_LOCAL = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")
_WRONG = "This is no API key of this service, or it is revoked."
Next = Annotated[str, Query(max_length=2 * SHOWN_PATH)]


def install(app: FastAPI) -> None:
    """Let an application answer with the sign-in, or a page that says what is missing, where a page is not allowed."""

    @app.exception_handler(NotSignedIn)
    async def not_signed_in(request: Request, _error: NotSignedIn) -> Response:
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        if request.method != "GET" or len(wanted) > SHOWN_PATH:
            wanted = "/"
        return RedirectResponse(query("/sign-in", next=wanted), 303)

    @app.exception_handler(Forbidden)
    async def forbidden(request: Request, error: Forbidden) -> Response:
        return page(request, "forbidden.html.j2", status=403, words=str(error))


@router.get("/sign-in")
def sign_in_form(request: Request, next: Next = "/") -> Response:
    """The form that takes a key; whoever has no need of one is led on."""
    if viewer(request) is not None:
        return RedirectResponse(local(next), 303)
    return page(request, "sign_in.html.j2", next=local(next), error="")


@router.get("/sign-in/state")
def state(request: Request) -> dict[str, bool]:
    """Whether whoever asks is signed in."""
    return {"signed_in": viewer(request) is not None}


@router.post("/sign-in", dependencies=[Depends(checked)])
def sign_in(
    service: Context, request: Request, key: Annotated[str, Form()] = "", next: Annotated[str, Form()] = "/"
) -> Response:
    """Begin a session, and lead on to where the visitor wanted to go."""
    engine = service.store.engine
    opened = _opened(Keys(engine), key.strip())
    if opened is None:
        return page(request, "sign_in.html.j2", status=422, next=local(next), error=_WRONG)
    response = RedirectResponse(local(next), 303)
    set_cookie(request, response, COOKIE, Sessions(engine).begin(opened.id))
    return response


@router.post("/sign-out", dependencies=[Depends(checked)])
def sign_out(service: Context, request: Request) -> Response:
    """End the session."""
    Sessions(service.store.engine).end(request.cookies.get(COOKIE, ""))
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


def local(path: str) -> str:
    """The path, if it is one of this service's; else the front page."""
    return path if _LOCAL.fullmatch(path) else "/"


def _opened(keys: Keys, token: str) -> Key | None:
    """The key that a text opens."""
    parsed = parse(token)
    key = None if parsed is None else keys.find(parsed[0])
    return key if parsed is not None and key is not None and key.opened_by(parsed[1]) else None
