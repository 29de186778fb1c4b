"""The files that pages load: the dashboard's own, and Plotly's script from its package."""

import gzip
import hashlib
import mimetypes
from functools import cache
from pathlib import Path

import plotly
from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

STATIC = Path(__file__).parent / "static"

router = APIRouter()


@router.get("/static/{name}")
def show(request: Request, name: str) -> Response:
    """A file; browsers keep it for ever, for its address names its content."""
    file = _files().get(name)
    if file is None:
        raise HTTPException(404)
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    zipped = "gzip" in request.headers.get("accept-encoding", "")
    if zipped:
        headers["Content-Encoding"] = "gzip"
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Response(_packed(file) if zipped else _content(file), media_type=kind, headers=headers)


@cache
def url(name: str) -> str:
    """The address of a file, another one whenever its content is another."""
    return f"/static/{name}?v={hashlib.sha256(_content(_files()[name])).hexdigest()[:12]}"


@cache
def _files() -> dict[str, Path]:
    """The files there are, by name: no path of a client's is ever opened."""
    found = {file.name: file for file in STATIC.iterdir() if file.is_file()}
    return {**found, "plotly.min.js": Path(plotly.__file__).parent / "package_data" / "plotly.min.js"}


@cache
def _content(file: Path) -> bytes:
    return file.read_bytes()


@cache
def _packed(file: Path) -> bytes:
    return gzip.compress(_content(file), 6)
