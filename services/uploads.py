"""Instances as people send them: files in any supported format, or the documents themselves."""

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from instances.errors import InvalidInput
from instances.files import read_path, suffixes
from instances.problem import Description, FileEntry
from instances.problems import problem_of
from services.store.pages import storable

MAX_INSTANCES = 10_000
"""Instances of one request."""
MAX_NAME = 200
_STRANGE = re.compile(r"[^A-Za-z0-9_.+-]")


class TooLarge(InvalidInput):
    """What was sent is larger than is taken."""


@dataclass(frozen=True)
class Upload:
    """One file, or a body itself, which has no name."""

    name: str
    suffix: str
    content: bytes

    @classmethod
    def of_file(cls, name: str, content: bytes) -> "Upload":
        """A file under the name that a client gave it, whatever folders that is in."""
        name = re.split(r"[/\\]", name)[-1]
        return cls(name, Path(name).suffix.lower(), content)


@dataclass(frozen=True)
class Received:
    """An instance that can be stored."""

    description: Description
    document: dict[str, Any]
    notes: tuple[str, ...]


def read(uploads: Sequence[Upload], rounding: str | None, max_size: int) -> list[Received]:
    """All instances of the uploads.

    Raises
    ------
    TooLarge
        If one is larger than ``max_size``, or there are too many.
    InvalidInput
        If one cannot be read or stored.
    """
    found: list[Received] = []
    for upload in uploads:
        for entry in _entries(upload, rounding):
            found.append(_received(entry, upload.name, max_size))
            if len(found) > MAX_INSTANCES:
                raise TooLarge(f"holds more than {MAX_INSTANCES} instances; send them in several requests")
    return found


def _entries(upload: Upload, rounding: str | None) -> Iterator[FileEntry]:
    """The instances of one upload, read from a file that is put into a folder of its own under a harmless name."""
    if upload.suffix not in suffixes():
        accepted = ", ".join(suffixes())
        raise InvalidInput(
            f"is no instance file; accepted are {accepted}, no archives, nothing compressed", upload.name
        )
    stem = _STRANGE.sub("_", Path(upload.name).stem)[:MAX_NAME].lstrip(".")
    with tempfile.TemporaryDirectory(prefix="versus-upload-") as folder:
        file = Path(folder, f"{stem or 'upload'}{upload.suffix}")
        file.write_bytes(upload.content)
        try:
            entries = read_path(file, rounding)
        except InvalidInput as error:
            where = error.where.replace(str(file), upload.name, 1).removeprefix(": ")
            raise InvalidInput(error.message, where) from None
    for entry in entries:
        yield FileEntry(entry.instance, file, tuple(note.replace("--rounding", "rounding") for note in entry.notes))


def _received(entry: FileEntry, place: str, max_size: int) -> Received:
    problem = problem_of(entry.instance)
    known = problem.describe(entry.instance)
    where = f"{place}: {known.name[:MAX_NAME]}" if place else known.name[:MAX_NAME]
    if known.size > max_size:
        raise TooLarge(f"has {known.size} {known.size_unit}; accepted are at most {max_size}", where)
    if len(known.name) > MAX_NAME:
        raise InvalidInput(f"its name has {len(known.name)} characters; accepted are {MAX_NAME}", where)
    document = problem.dump(entry.instance)
    for field, value in document.items():
        if isinstance(value, str) and not storable(value):
            raise InvalidInput(f"its {field} holds a NUL or half a surrogate pair; accepted is text", where)
    return Received(known, document, entry.notes)
