"""Who looks at a page and what they may do, and the token that a page's forms carry.

Knows nothing of how pages look; signing in is in ``sign_in.py``.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from fastapi import Request, Response

from services.store import sessions
from services.store.sessions import COOKIE, CSRF_HEADER, SECONDS, has_csrf_token, is_id, new_id

VISITOR = "versus_visitor"
"""The cookie behind the forms of those who are not signed in, for sign-in itself, and where no key is asked for."""
FIELD = "csrf"
"""The name of the field that holds the token in every form."""

Scope = Literal["read", "submit", "admin"]


class NotSignedIn(Exception):
    """A page is asked for that needs an API key."""


class Forbidden(Exception):
    """Something is asked for that is not allowed; the message says what would be."""


class Viewer(Protocol):
    """Who looks at a page: the id of the API key, None where none is asked for, and what it may do."""

    @property
    def key(self) -> str | None: ...

    @property
    def scopes(self) -> frozenset[str]: ...


def viewer(request: Request) -> Viewer | None:
    """Who looks at a page; None without a session where keys are asked for."""
    found: Viewer | None = getattr(request.state, "caller", None)
    return found


def may(request: Request, scope: Scope) -> bool:
    """Whether whoever asks may do what needs a scope."""
    found = viewer(request)
    return found is not None and scope in found.scopes


def needs(scope: Scope) -> Callable[[Request], None]:
    """The dependency of routes that need a scope.

    Raises
    ------
    NotSignedIn, Forbidden
        Which become a redirection to the sign-in, and a page that names the scope.
    """

    def check(request: Request) -> None:
        found = viewer(request)
        if found is None:
            raise NotSignedIn
        if scope not in found.scopes:
            held = ", ".join(sorted(found.scopes))
            raise Forbidden(f"This needs an API key of scope {scope}; the scopes of yours: {held}.")

    return check


def csrf_token(request: Request) -> str:
    """The token of this request's forms; :func:`keep` must see the answer that carries it."""
    known = _ids(request)
    if not known:
        request.state.visitor = new_id()
        known = [request.state.visitor]
    return sessions.csrf_token(known[0])


def check_csrf(request: Request, form: Mapping[str, Any]) -> None:
    """Refuse with Forbidden what was not sent from a page of this session, by its field or its header."""
    token = request.headers.get(CSRF_HEADER) or form.get(FIELD)
    if not isinstance(token, str) or not any(has_csrf_token(id, token) for id in _ids(request)):
        raise Forbidden(
            "This form is not of your session, or that is over. Go back, load the page again, send it anew."
        )


def keep(request: Request, response: Response) -> None:
    """Set the cookie that the token of this answer's forms belongs to, if there is none yet."""
    visitor = getattr(request.state, "visitor", None)
    if visitor is not None:
        set_cookie(request, response, VISITOR, visitor)


def set_cookie(request: Request, response: Response, name: str, value: str) -> None:
    """Set a cookie that no script reads and no other site's page sends."""
    secure = request.url.scheme == "https"
    response.set_cookie(name, value, max_age=SECONDS, httponly=True, samesite="strict", secure=secure)


def _ids(request: Request) -> list[str]:
    """The ids of this request's cookies, at the first of which its forms hold on."""
    given = [getattr(request.state, "visitor", None), request.cookies.get(COOKIE), request.cookies.get(VISITOR)]
    return [id for id in given if id is not None and is_id(id)]
