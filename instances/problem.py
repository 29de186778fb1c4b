"""What services need of a problem domain, whatever the domain is."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from instances.verdict import Verdict

# An instance and a solution are opaque to services: they only hand them from a problem to the same problem.
Instance = Any
Solution = Any


@dataclass(frozen=True)
class BestKnown:
    """A best-known cost, in the instance's integer units, with where it comes from."""

    cost: int
    proven_optimal: bool
    source: str
    date: str


@dataclass(frozen=True)
class Description:
    """An instance in words and numbers, as tables, pages and selection need it.

    ``size`` counts what the problem counts (``size_unit``: customers, bits); costs are in ``10**-decimals``.
    """

    problem: str
    name: str
    digest: str
    size: int
    size_unit: str
    features: tuple[str, ...]
    decimals: int
    properties: dict[str, str | int | float | None]
    best_known: BestKnown | None


@dataclass(frozen=True)
class FileEntry:
    """One instance read from a file, with what the reader wants the user to know (a convention it chose, say)."""

    instance: Instance
    path: Path
    notes: tuple[str, ...] = ()


class Problem(Protocol):
    """A problem domain: load, dump, verify, describe."""

    name: str

    def load(self, document: dict[str, Any]) -> Instance:
        """The instance of a JSON document; InvalidInput if it is none."""

    def dump(self, instance: Instance) -> dict[str, Any]:
        """The JSON document of an instance."""

    def load_solution(self, document: Any) -> Solution:
        """The solution of a JSON document; InvalidInput if it is none."""

    def dump_solution(self, solution: Solution) -> Any:
        """The JSON document of a solution."""

    def verify(self, instance: Instance, solution: Solution) -> Verdict:
        """The referee's word."""

    def describe(self, instance: Instance) -> Description:
        """The instance in words and numbers."""

    def reads(self, path: Path) -> bool:
        """Whether a file's name says that it holds instances of this problem."""

    def read(self, path: Path, rounding: str | None) -> Iterator[FileEntry]:
        """The instances of a file; InvalidInput if it is malformed."""

    def read_solution(self, instance: Instance, path: Path) -> tuple[Solution, int | None]:
        """The solution of a file and the cost it claims, in the instance's integer units."""

    def write_solution(self, instance: Instance, solution: Solution, cost: int, path: Path) -> None:
        """Write a solution with its verified cost in the format that the path's suffix names."""
