"""Instances as clients send them: a JSON document, many of them a line each, or files in any supported format."""

from collections.abc import Sequence

from fastapi import Request
from starlette.datastructures import UploadFile

from instances.files import DOCUMENT, DOCUMENTS
from services import uploads
from services.api.bodies import media_type
from services.api.errors import Refusal
from services.uploads import Received, Upload

NDJSON = "application/x-ndjson"
_BODIES = {"application/json": DOCUMENT, NDJSON: DOCUMENTS}


async def receive(request: Request) -> list[Upload]:
    """What a request carries; nothing of it has been read yet.

    Raises
    ------
    Refusal
        415 for another media type, 422 for another form.
    """
    kind = media_type(request)
    if kind in _BODIES:
        return [Upload("", _BODIES[kind], await request.body())]
    if kind != "multipart/form-data":
        accepted = ", ".join([*_BODIES, "multipart/form-data"])
        raise Refusal(415, f"is {kind or 'missing'}; accepted are {accepted}", "Content-Type")
    async with request.form() as form:
        received = []
        for field, value in form.multi_items():
            if field != "files" or not isinstance(value, UploadFile):
                raise Refusal(422, "is no file of the field `files`; accepted are files in that field", field)
            received.append(Upload.of_file(value.filename or "", await value.read()))
    if not received:
        raise Refusal(422, "is missing; accepted are files in this field", "files")
    return received


def read(received: Sequence[Upload], rounding: str | None, max_size: int) -> list[Received]:
    """All instances of the uploads.

    Raises
    ------
    InvalidInput
        If one cannot be read or stored.
    Refusal
        413 if one is larger than ``max_size``, or there are too many.
    """
    try:
        return uploads.read(received, rounding, max_size)
    except uploads.TooLarge as error:
        raise Refusal(413, error.message, error.where) from None
