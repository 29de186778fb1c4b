"""What services need of a problem domain, whatever the domain is."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
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
    """One instance read from a file, with what the user should know (a convention that was chosen, say)."""

    instance: Instance
    path: Path
    notes: tuple[str, ...] = ()


class Problem(Protocol):
    """A problem domain: load, dump, verify, describe."""

    name: str
    cost_unit: str
    """What a cost counts, in the plural ("bits still composite"); empty where it is a plain number."""
    suffixes: tuple[str, ...]
    """Suffixes of its own instance formats, besides the JSON document; ``.gz`` may follow each."""
    solution_suffixes: tuple[str, ...]
    """Suffixes of its solution formats."""

    def owns(self, instance: Instance) -> bool:
        """Whether an instance is one of this problem."""

    def load(self, document: dict[str, Any]) -> Instance:
        """The instance of a JSON document; InvalidInput if it is none."""

    def dump(self, instance: Instance) -> dict[str, Any]:
        """The JSON document of an instance."""

    def load_solution(self, document: Any) -> Solution:
        """The solution of a JSON document; InvalidInput if it is none."""

    def dump_solution(self, solution: Solution) -> Any:
        """The JSON document of a solution."""

    def solution_words(self, solution: Solution) -> str:
        """The solution in a few words, for one line of text."""

    def verify(self, instance: Instance, solution: Solution) -> Verdict:
        """The referee's word."""

    def describe(self, instance: Instance) -> Description:
        """The instance in words and numbers."""

    def read(self, path: Path, rounding: str | None) -> Iterator[FileEntry]:
        """The instances of a file with one of the suffixes; InvalidInput if it is malformed."""

    def write(self, instance: Instance, path: Path) -> None:
        """Write an instance in the format of the path's suffix; InvalidInput if that cannot hold it."""

    def read_solution(self, instance: Instance, path: Path) -> tuple[Solution, int | Decimal | None]:
        """The solution of a file and the cost it claims, in the instance's units.

        The claim equals the referee's cost if and only if it is true; it is no integer where it is finer than
        the unit.
        """

    def write_solution(self, instance: Instance, solution: Solution, cost: int, path: Path) -> None:
        """Write a solution with its verified cost in the format that the path's suffix names."""
