"""Instances: sent in, listed, and handed out."""

import hashlib
import json
import re
import tempfile
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import JSONResponse, Response

from instances.errors import InvalidInput
from instances.files import DOCUMENT, write_instance
from instances.problems import PROBLEMS, problem_named
from services.api import uploads
from services.api.bodies import StrictRoute
from services.api.context import Context, Service
from services.api.errors import Refusal
from services.api.idempotency import Key, once
from services.api.pagination import LIMIT, Cursor, Limit, before, page, start
from services.api.schemas import DigestInPath, Instance, InstancePage, TextInQuery, Uploads
from services.api.security import Reader, Submitter
from services.api.uploads import NDJSON
from services.store.instances import PLACE, Filter
from services.uploads import Upload

router = APIRouter(prefix="/v1", tags=["instances"], route_class=StrictRoute)

_MAX_SIZE = 2**31 - 1
Size = Annotated[int | None, Query(ge=0, le=_MAX_SIZE)]
_UNSAFE = re.compile(r"[^A-Za-z0-9_.+-]")
_DOCUMENT_EXAMPLE = {"problem": "factoring", "version": 1, "n": "1000036000099", "name": "two primes"}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"type": "object", "description": "The document of one instance"},
                                 "example": _DOCUMENT_EXAMPLE},
            NDJSON: {"schema": {"type": "string", "description": "Documents, one a line"},
                     "example": json.dumps(_DOCUMENT_EXAMPLE) + "\n"},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "Instance files of any supported format, none compressed",
                        }
                    },
                }
            },
        },
    }
}  # fmt: skip


@router.post(
    "/instances", status_code=201, response_model=Uploads, openapi_extra=_BODY, summary="Send instances",
    response_description="All are stored",
)  # fmt: skip
def add(
    service: Context,
    caller: Submitter,
    received: Annotated[list[Upload], Depends(uploads.receive)],
    key: Key = None,
    rounding: Annotated[
        str | None, Query(max_length=20, description="Rounding rule in place of that of files with planar coordinates")
    ] = None,
) -> Response:
    """Store instances: all of them, or none if one cannot be read. One that is there already is not stored again."""

    def store(_name: str) -> JSONResponse:
        found = uploads.read(received, rounding, service.settings.max_instance_size)
        new = service.store.add_instances((one.description, one.document) for one in found)
        items = []
        for one in found:
            known = one.description
            items.append({
                "digest": known.digest, "name": known.name, "problem": known.problem, "size": known.size,
                "new": known.digest in new, "notes": one.notes,
            })  # fmt: skip
            new.discard(known.digest)
        return JSONResponse({"items": items}, 201)

    return once(service, caller, key, _identity(received, rounding), store)


def _identity(received: list[Upload], rounding: str | None) -> bytes:
    """What tells an upload from another: not the form's boundaries, which change each time it is sent."""
    parts = [[upload.name, upload.suffix, hashlib.sha256(upload.content).hexdigest()] for upload in received]
    return json.dumps(["POST /v1/instances", rounding, parts]).encode()


@router.get("/instances", response_model=InstancePage, summary="List instances")
def list_newest(
    service: Context,
    _caller: Reader,
    problem: Annotated[str | None, Query(max_length=100, description=f"{', '.join(p.name for p in PROBLEMS)}")] = None,
    name: Annotated[TextInQuery, Query(description="Part of the name; capitals do not matter")] = None,
    feature: Annotated[str | None, Query(pattern="^[a-z-]{1,50}$", description="A constraint it uses")] = None,
    min_size: Size = None,
    max_size: Size = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Instances, the newest first."""
    if problem is not None:
        problem_named(problem)
    chosen = Filter(problem, name, feature, min_size, max_size)
    rows = service.instances.newest(chosen, before(start(cursor, str, str), *PLACE), limit + 1)
    items, following = page(rows, limit, lambda row: (row["added_at"], row["digest"]))
    return {"items": items, "next": following}


@router.get("/instances/{digest}", response_model=Instance, summary="Show an instance")
def show(service: Context, _caller: Reader, digest: DigestInPath) -> Response:
    """An instance in words and numbers, and its document."""
    known, document = _found(service, digest)
    # Spliced: a document of many megabytes need not be decoded to be sent.
    head = json.dumps(known)[:-1]
    return Response(f'{head}, "document": '.encode() + document + b"}", media_type="application/json")


@router.get(
    "/instances/{digest}/file",
    response_class=Response,
    summary="Download an instance",
    responses={
        200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}},
        304: {"description": "It is the one named by If-None-Match"},
    },
)
def download(
    service: Context,
    _caller: Reader,
    digest: DigestInPath,
    format: Annotated[str, Query(max_length=10, description="Suffix of the format", examples=[".vrp"])] = DOCUMENT,
    if_none_match: Annotated[str | None, Header(max_length=10_000)] = None,
) -> Response:
    """An instance as a file; refused if the format cannot hold it, with the reason."""
    known, document = _found(service, digest)
    problem = problem_named(known["problem"])
    formats = (DOCUMENT, *problem.suffixes)
    if format not in formats:
        raise InvalidInput(f"is {format!r}; accepted are {', '.join(formats)}", "format")
    headers = {"ETag": f'"{digest}{format}"', "Cache-Control": "private, max-age=31536000, immutable"}
    if if_none_match is not None and headers["ETag"] in if_none_match:
        return Response(status_code=304, headers=headers)
    stem = _UNSAFE.sub("_", known["name"]).lstrip(".") or digest[:12]
    headers["Content-Disposition"] = f'attachment; filename="{stem}{format}"'
    return Response(_file(json.loads(document), format), media_type="application/octet-stream", headers=headers)


def _file(document: dict[str, Any], form: str) -> bytes:
    instance = problem_named(document["problem"]).load(document)
    with tempfile.TemporaryDirectory(prefix="versus-download-") as folder:
        file = Path(folder, f"instance{form}")
        try:
            write_instance(instance, file)
        except InvalidInput as error:
            raise InvalidInput(error.message, "format") from None
        return file.read_bytes()


def _found(service: Service, digest: str) -> tuple[dict[str, Any], bytes]:
    found = service.instances.get(digest)
    if found is None:
        raise Refusal(404, "there is no such instance; GET /v1/instances lists those there are", "digest")
    return found
