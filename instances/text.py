"""Text files in and out: sizes bounded, gzip transparent, binary content refused."""

import gzip
import json
import re
import zlib
from pathlib import Path
from typing import Any, Never

from instances.errors import InvalidInput

MAX_BYTES = 64_000_000
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x19\x1b-\x1f]")


def suffix(path: Path) -> str:
    """The suffix that names a file's format, in lower case and without ``.gz``: ``.vrp`` for ``A.vrp.gz``."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def read_text(path: Path) -> str:
    """The text of a file of at most 64 MB, also after decompression if its name ends in ``.gz``.

    Raises
    ------
    InvalidInput
        If the file is missing, unreadable, too large, damaged, binary or empty.
    """
    try:
        if not path.is_file():
            raise InvalidInput("is not a file" if path.exists() else "there is no such file", str(path))
        if path.stat().st_size > MAX_BYTES:
            raise InvalidInput(_too_large(path.stat().st_size), str(path))
        if path.name.lower().endswith(".gz"):
            with gzip.open(path) as stream:
                data = stream.read(MAX_BYTES + 1)
        else:
            data = path.read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InvalidInput(f"is not a whole gzip file ({error})", str(path)) from error
    except OSError as error:
        raise InvalidInput(f"cannot be read: {error.strerror}", str(path)) from error
    if len(data) > MAX_BYTES:
        raise InvalidInput(_too_large(len(data)) + " after decompression", str(path))
    if _BINARY.search(data):
        raise InvalidInput("is a binary file; accepted is text", str(path))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Names in the comments of older collections are in Latin-1.
        text = data.decode("latin-1")
    if not text.strip():
        raise InvalidInput("is empty", str(path))
    return text


def _too_large(size: int) -> str:
    return f"is larger than accepted: {size / 1e6:.1f} MB, at most {MAX_BYTES // 10**6} MB"


def parse_json(text: str) -> Any:
    """What a JSON text says; InvalidInput, with the place, if it is none, has a key twice, or a number that is none."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InvalidInput(f"is not JSON: {error.msg}; accepted is one JSON object", place) from error
    except InvalidInput:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"is not JSON that can be read: {error}") from error


def _refuse_constant(name: str) -> Never:
    raise InvalidInput(f"{name} is not a number; accepted are integers")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key in found if sum(key == other for other, _ in pairs) > 1)
        raise InvalidInput("occurs twice; accepted is once", twice)
    return found


def write_text(text: str, path: Path) -> None:
    """Write a text, compressed if the name ends in ``.gz``; equal texts give equal bytes.

    Raises
    ------
    InvalidInput
        If it holds control characters, for which :func:`read_text` would refuse it.
    """
    data = text.encode()
    if _BINARY.search(data):
        raise InvalidInput("would hold control characters; accepted is text", str(path))
    path.write_bytes(gzip.compress(data, mtime=0) if path.name.lower().endswith(".gz") else data)
