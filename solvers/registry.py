"""Solvers by name, through entry points: built-ins use the same door as a third party's."""

from importlib.metadata import EntryPoint, entry_points

from instances.errors import InvalidInput

GROUP = "versus.solvers"


def solver_entry_points() -> dict[str, EntryPoint]:
    """All registered solvers, name to entry point, sorted by name; nothing is imported.

    Raises
    ------
    InvalidInput
        If two distributions register the same name.
    """
    found: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        other = found.get(entry.name)
        if other is not None and other.value != entry.value:
            raise InvalidInput(f"registered twice, as {other.value} and {entry.value}", f"solver {entry.name!r}")
        found[entry.name] = entry
    return found


def find(name: str) -> EntryPoint:
    """The entry point of a solver; InvalidInput, with the names there are, if it is unknown."""
    known = solver_entry_points()
    if name not in known:
        raise InvalidInput(f"unknown; there are: {', '.join(known)}", f"solver {name!r}")
    return known[name]
