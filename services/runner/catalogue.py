"""What solvers there are, asked of the solvers in children: this process imports none of them."""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from services.runner.machine import core_slots
from services.runner.process import SolverProcess, Unavailable
from solvers import registry

DESCRIBE_MEMORY = 4 * 1024**3
CACHE_NAME = "solvers.json"


def describe_all() -> list[dict[str, Any]]:
    """Each registered solver's description, or its name and the error that makes it unavailable, by name.

    Descriptions are kept in the user's cache folder; a solver is asked again when its distribution's version, one
    of its packages' versions, a source file or the Python version is another. Errors are not kept.
    """
    entries = registry.solver_entry_points()
    keys = {name: _key(entry) for name, entry in entries.items()}
    kept = _read_cache()
    known = {
        name: kept[name]["description"]
        for name, key in keys.items()
        if name in kept and kept[name]["key"] == key and _installed(kept[name]["description"]["versions"])
    }
    missing = [name for name in entries if name not in known]
    if missing:
        asked = dict(zip(missing, _ask(missing), strict=True))
        fresh = {name: {"key": keys[name], "description": d} for name, d in asked.items() if "error" not in d}
        _write_cache(kept | fresh)
        known |= asked
    return [known[name] for name in entries]


def _ask(names: list[str]) -> list[dict[str, Any]]:
    """The solvers' own descriptions, or why there are none, in children of this process."""
    cores = frozenset().union(*core_slots(None, 1))

    def describe(name: str) -> dict[str, Any]:
        try:
            return SolverProcess.describe(name, cores, DESCRIBE_MEMORY)
        except Unavailable as error:
            return {"name": name, "error": str(error)}

    with ThreadPoolExecutor(max_workers=4) as executor:
        return list(executor.map(describe, names))


def _key(entry: EntryPoint) -> str:
    """Hash of what a description depends on, except the packages that the solver names itself."""
    own = {Path(registry.__file__).parent, Path(__file__).parent}
    sources = [(str(file), *_state(file)) for place in {*own, *_places(entry.module)} for file in _files(place)]
    version = entry.dist.version if entry.dist else ""
    parts = [sys.version, entry.name, entry.value, entry.dist.name if entry.dist else "", version, sorted(sources)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _places(module: str) -> Iterator[Path]:
    """The folders, or the file, of the package a module belongs to, found without importing it."""
    with contextlib.suppress(ImportError, ValueError):
        if found := importlib.util.find_spec(module.partition(".")[0]):
            yield from map(Path, found.submodule_search_locations or filter(None, [found.origin]))


def _files(place: Path) -> Iterator[Path]:
    return place.rglob("*.py") if place.is_dir() else iter([place])


def _state(file: Path) -> tuple[int, int]:
    """A file's time of change and size; zeros if it has gone."""
    with contextlib.suppress(OSError):
        state = file.stat()
        return state.st_mtime_ns, state.st_size
    return 0, 0


def _installed(versions: dict[str, str]) -> bool:
    """Whether these versions of packages are the installed ones."""
    try:
        return all(importlib.metadata.version(package) == version for package, version in versions.items())
    except importlib.metadata.PackageNotFoundError:
        return False


def _cache_file() -> Path:
    """Where the user's caches are by the XDG base directory specification."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "versus" / CACHE_NAME


def _read_cache() -> dict[str, Any]:
    """What was kept, by name; nothing if it cannot be read or is damaged."""
    try:
        kept = json.loads(_cache_file().read_text())
        for entry in kept.values():
            entry["key"], entry["description"]["versions"].items()
    except (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError):
        return {}
    return dict(kept)


def _write_cache(kept: dict[str, Any]) -> None:
    """Keep descriptions, whole or not at all; a folder that cannot be written to keeps nothing."""
    with contextlib.suppress(OSError, RuntimeError):
        file = _cache_file()
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=file.name, delete=False) as new:
            json.dump(kept, new)
        Path(new.name).replace(file)
