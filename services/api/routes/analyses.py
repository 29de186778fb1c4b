"""What a comparison says: statistics, figures, and its runs to take along."""

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query
from fastapi.responses import Response, StreamingResponse

from services import computed
from services.api.bodies import StrictRoute
from services.api.comparison_schemas import Figures, Statistics
from services.api.context import Context
from services.api.errors import Refusal
from services.api.routes.comparisons import Found
from services.export import write_csv

router = APIRouter(prefix="/v1/comparisons/{id}", tags=["comparisons"], route_class=StrictRoute)

UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "It is the one named by If-None-Match"}}
IfNoneMatch = Annotated[str | None, Header(max_length=10_000)]
Format = Literal["csv", "parquet", "jsonl"]
_MEDIA_TYPES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet", "jsonl": "application/x-ndjson"}
_UNSAFE = re.compile(r"[^A-Za-z0-9_.+-]")
_CHUNK_BYTES = 1 << 18


@router.get("/statistics", response_model=Statistics, responses=UNCHANGED, summary="Read what can be concluded")
def statistics(service: Context, document: Found, if_none_match: IfNoneMatch = None) -> Response:
    """Conclusion, ranking, pairs and curves of each problem; of what has ended so far, if runs are left."""
    headers = _headers(document, "statistics")
    if _holds(headers, if_none_match):
        return Response(status_code=304, headers=headers)
    return Response(computed.statistics(service.store, document), media_type="application/json", headers=headers)


@router.get("/figures", response_model=Figures, responses=UNCHANGED, summary="List figures")
def figures(service: Context, document: Found, if_none_match: IfNoneMatch = None) -> Response:
    """The names of the figures of each problem."""
    headers = _headers(document, "figures")
    if _holds(headers, if_none_match):
        return Response(status_code=304, headers=headers)
    names = computed.figures(service.store, document)
    listed = {"comparison": document["id"], "revision": document["revision"], "problems": names}
    return Response(json.dumps(listed), media_type="application/json", headers=headers)


@router.get(
    "/figures/{name}",
    responses={**UNCHANGED, 200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
    summary="Draw a figure",
)
def figure(
    service: Context,
    document: Found,
    name: Annotated[str, Path(pattern="^[a-z0-9-]{1,100}$", examples=["ranking"])],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """A figure for Plotly: its data and layout."""
    headers = _headers(document, f"figure:{name}")
    if _holds(headers, if_none_match):
        return Response(status_code=304, headers=headers)
    drawn = computed.figure(service.store, document, name)
    if drawn is None:
        raise Refusal(404, "there is no such figure; GET /v1/comparisons/{id}/figures lists those there are", "name")
    return Response(drawn, media_type="application/json", headers=headers)


@router.get(
    "/export",
    responses={**UNCHANGED, 200: {"content": {media: {} for media in _MEDIA_TYPES.values()}}},
    response_class=Response,
    summary="Take the runs along",
)
def export(
    service: Context,
    document: Found,
    format: Annotated[Format, Query(description="csv, parquet, or jsonl: a JSON object a line")] = "csv",
    if_none_match: IfNoneMatch = None,
) -> Response:
    """A row for each run that has ended, in the order of the comparison."""
    headers = _headers(document, f"export.{format}")
    if _holds(headers, if_none_match):
        return Response(status_code=304, headers=headers)
    stem = _UNSAFE.sub("_", document["id"]).lstrip(".") or "runs"
    headers["Content-Disposition"] = f'attachment; filename="{stem}.{format}"'
    written = _WRITERS[format](filter(None, computed.rows(service.store, document)))
    return StreamingResponse(written, media_type=_MEDIA_TYPES[format], headers=headers)


def _csv(parts: Iterator[list[dict[str, Any]]]) -> Iterator[str]:
    for number, rows in enumerate(parts):
        text = write_csv(rows)
        yield text if number == 0 else text.partition("\n")[2]


def _jsonl(parts: Iterator[list[dict[str, Any]]]) -> Iterator[str]:
    for rows in parts:
        yield "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)


def _parquet(parts: Iterator[list[dict[str, Any]]]) -> Iterator[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = [pa.Table.from_pylist(rows) for rows in parts]
    table = pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})
    with tempfile.TemporaryFile() as file:
        pq.write_table(table, file)
        file.seek(0)
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


_WRITERS: dict[str, Callable[[Iterator[list[dict[str, Any]]]], Iterator[str] | Iterator[bytes]]] = {
    "csv": _csv,
    "jsonl": _jsonl,
    "parquet": _parquet,
}


def _headers(document: dict[str, Any], kind: str) -> dict[str, str]:
    """The headers of what was computed; with an entity tag once all runs have ended."""
    if document["state"] not in computed.DONE:
        return {"Cache-Control": "no-store"}
    return {"ETag": f'"{computed.revision(document)}-{kind}"', "Cache-Control": "private, no-cache"}


def _holds(headers: dict[str, str], if_none_match: str | None) -> bool:
    return "ETag" in headers and if_none_match is not None and headers["ETag"] in if_none_match
