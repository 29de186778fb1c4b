"""A request with an Idempotency-Key is carried out once, and answered alike whenever it is sent again."""

import contextlib
import hashlib
import json
from collections.abc import Callable
from typing import Annotated

import sqlalchemy as sa
from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse

from instances.errors import InvalidInput
from services.api.context import Service
from services.api.errors import Refusal
from services.api.security import Caller
from services.store.idempotency import IdempotentRequests, Kept
from services.submission import new_name

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[ -~]+$",
        description="Any text of the client's choice. The same request sent again with the same key within 24 hours "
        "is answered as before and not carried out again; another request with it is refused.",
    ),
]


async def _payload(request: Request) -> bytes:
    return f"{request.method} {request.url.path}?{request.url.query}\n".encode() + await request.body()


Payload = Annotated[bytes, Depends(_payload)]
"""What tells a request from another: method, path and body."""


def once(
    service: Service, caller: Caller, key: str | None, payload: bytes, make: Callable[[str], JSONResponse]
) -> JSONResponse:
    """The answer of ``make``, or the one kept under this key; without a key ``make`` is just called.

    ``make`` is given the name of the comparison that it submits, and submits none that is there already: a request
    that failed, or whose service died, in the middle is carried out by the next of its kind without doubling anything.
    One that ``make`` refuses leaves nothing behind, so that it may be mended and sent again.

    Raises
    ------
    Refusal
        422 if the key was used for another payload, 409 while the first request is under way.
    """
    if key is None:
        return make(new_name())
    requests = IdempotentRequests(service.store.engine)
    request_hash = hashlib.sha256(payload).hexdigest()
    held = requests.reserve(caller.key or "", key, request_hash, new_name())
    if isinstance(held, Kept):
        return _answered(held, request_hash)
    try:
        answer = make(held.comparison)
    except BaseException as error:
        # What can neither be forgotten nor freed now may be taken over in a minute.
        with contextlib.suppress(sa.exc.SQLAlchemyError):
            if isinstance(error, InvalidInput | Refusal):
                requests.forget(held)
            else:
                requests.free(held)
        raise
    location = {"location": answer.headers["location"]} if "location" in answer.headers else {}
    kept = {"status": answer.status_code, "headers": location, "body": json.loads(bytes(answer.body))}
    # The request was carried out, and whoever sent it is told so even if the store has just become unreachable.
    with contextlib.suppress(sa.exc.SQLAlchemyError):
        requests.keep(held, kept)
    return answer


def _answered(kept: Kept, request_hash: str) -> JSONResponse:
    if kept.request_hash != request_hash:
        raise Refusal(422, "was used for another request; accepted is a key of its own for each", "Idempotency-Key")
    if kept.answer is None:
        raise Refusal(
            409, "the first request with this key is under way; try again", "Idempotency-Key", {"Retry-After": "1"}
        )
    return JSONResponse(kept.answer["body"], kept.answer["status"], kept.answer["headers"])
