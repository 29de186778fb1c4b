"""The small file that a comparison is written down in, and read from again."""

import contextlib
import json
import os
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from instances.errors import InvalidInput
from services.quantities import bytes_text, parse_bytes, parse_seconds, seconds_text

FILE_NAME = "comparison.toml"


@dataclass(frozen=True, kw_only=True)
class Definition:
    """What a user asks for: files, solver specs and the terms they run under.

    ``budget`` is in seconds, ``memory`` in bytes; ``paths`` are relative to the current folder or absolute.

    Raises
    ------
    InvalidInput
        If a value cannot be accepted; its place is the key of the file.
    """

    paths: tuple[Path, ...]
    solvers: tuple[str, ...]
    budget: float
    seeds: int = 1
    seed: int = 0
    threads: int = 1
    memory: int = 4 * 1024**3
    batch: int = 1
    reference: str | None = None
    rounding: str | None = None
    name: str = "comparison"

    def __post_init__(self) -> None:
        if not self.paths:
            raise InvalidInput("at least one file or folder is needed", "instances")
        if not self.solvers:
            raise InvalidInput("at least one is needed; see `versus solvers`", "solvers")
        repeated = [solver for solver in self.solvers if self.solvers.count(solver) > 1]
        if repeated:
            raise InvalidInput(f"{repeated[0]!r} is given twice", "solvers")
        limits = (("seeds", 1, 10_000), ("threads", 1, 1024), ("batch", 1, 1000), ("seed", 0, 2**53))
        for field, low, high in limits:
            if not low <= getattr(self, field) <= high:
                raise InvalidInput(f"is {getattr(self, field)}; accepted are {low} to {high}", field)
        if self.reference is not None and self.reference not in self.solvers:
            raise InvalidInput(f"{self.reference!r} is none of the solvers {', '.join(self.solvers)}", "reference")


def write(definition: Definition, file: Path) -> None:
    """Write a definition as TOML, unless the file says the same in its own words.

    Relative paths are kept relative to the file's folder.
    """
    with contextlib.suppress(InvalidInput):
        if read(file) == definition:
            return
    paths = [path.as_posix() if path.is_absolute() else os.path.relpath(path, file.parent) for path in definition.paths]
    values = {
        "name": definition.name,
        "instances": paths,
        "solvers": list(definition.solvers),
        "budget": seconds_text(definition.budget),
        "seeds": definition.seeds,
        "seed": definition.seed,
        "threads": definition.threads,
        "memory": bytes_text(definition.memory),
        "batch": definition.batch,
        "reference": definition.reference,
        "rounding": definition.rounding,
    }
    # JSON strings, integers and lists of strings are TOML as they stand.
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items() if value is not None]
    draft = file.with_name(file.name + ".part")
    draft.write_text("# Run again with: versus compare FILE\n" + "\n".join(lines) + "\n")
    draft.replace(file)


def read(file: Path) -> Definition:
    """Read a definition; relative paths are taken from the file's folder.

    Raises
    ------
    InvalidInput
        If it is not TOML, or a key is unknown, missing or of the wrong type.
    """
    try:
        table = tomllib.loads(file.read_text())
    except FileNotFoundError:
        raise InvalidInput("no such file", str(file)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"is not TOML: {error}", str(file)) from None
    try:
        return _from_table(table, file.parent)
    except InvalidInput as error:
        raise error.within(str(file)) from None


def _from_table(table: dict[str, Any], folder: Path) -> Definition:
    strings = ("name", "budget", "memory", "reference", "rounding")
    numbers = ("seeds", "seed", "threads", "batch")
    lists = ("instances", "solvers")
    accepted = (*lists, *strings, *numbers)
    for key, value in table.items():
        if key not in accepted:
            raise InvalidInput(f"unknown key; accepted are {', '.join(accepted)}", key)
        if key in strings and not isinstance(value, str):
            raise InvalidInput(f"is {value!r}; expected a string", key)
        if key in numbers and type(value) is not int:
            raise InvalidInput(f"is {value!r}; expected an integer", key)
        if key in lists and not (isinstance(value, list) and all(isinstance(entry, str) for entry in value)):
            raise InvalidInput(f"is {value!r}; expected a list of strings", key)
    for key in (*lists, "budget"):
        if key not in table:
            raise InvalidInput("is missing", key)
    values: dict[str, Any] = dict(table)
    values["paths"] = tuple(folder / path for path in values.pop("instances"))
    values["solvers"] = tuple(values["solvers"])
    values["budget"] = parse_seconds(values["budget"], "budget")
    if "memory" in values:
        values["memory"] = parse_bytes(values["memory"], "memory")
    known = {field.name for field in fields(Definition)}
    return Definition(**{key: value for key, value in values.items() if key in known})
