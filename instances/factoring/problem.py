"""Factoring as services see it: load, dump, verify, describe, and its files."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from instances.errors import InvalidInput
from instances.factoring import document as documents
from instances.factoring import formats, numbers, referee
from instances.factoring.instance import FactoringInstance
from instances.factoring.solution import Factors
from instances.problem import BestKnown, Description, FileEntry
from instances.text import read_text, suffix, write_text
from instances.verdict import Verdict

# C. F. Gauss, Disquisitiones arithmeticae, 1801, article 16.
COMPLETE = BestKnown(0, True, "every integer has a complete factorisation", "1801")


class FactoringProblem:
    """The factoring domain; see :class:`instances.problem.Problem`."""

    name = "factoring"
    cost_unit = "bits still composite"
    suffixes: tuple[str, ...] = (".num",)
    solution_suffixes: tuple[str, ...] = formats.SUFFIXES

    def owns(self, instance: object) -> bool:
        return isinstance(instance, FactoringInstance)

    def load(self, document: dict[str, Any]) -> FactoringInstance:
        return documents.load(document)

    def dump(self, instance: FactoringInstance) -> dict[str, Any]:
        return documents.dump(instance)

    def load_solution(self, document: Any) -> Factors:
        return documents.load_solution(document)

    def dump_solution(self, solution: Factors) -> list[str]:
        return documents.dump_solution(solution)

    def solution_words(self, solution: Factors) -> str:
        return formats.words(solution)

    def verify(self, instance: FactoringInstance, solution: Factors) -> Verdict:
        return referee.verify(instance, solution)

    def describe(self, instance: FactoringInstance) -> Description:
        """The instance in words and numbers; its size is the bit length of n."""
        kind = instance.kind or None
        return Description(
            problem=self.name,
            name=instance.name,
            digest=instance.digest,
            size=instance.bits,
            size_unit="bits",
            features=(),
            decimals=0,
            properties={"digits": len(numbers.text(instance.n)), "kind": kind, "family": kind},
            best_known=COMPLETE,
        )

    def read(self, path: Path, rounding: str | None) -> Iterator[FileEntry]:
        """The instances of a file; one without a name is called by the file, and its place if there are several."""
        content = read_text(path)
        try:
            instances = formats.read_numbers(content)
        except InvalidInput as error:
            raise error.within(str(path)) from error
        notes = () if rounding is None else ("--rounding does not apply: an integer has no distances",)
        stem = path.name.split(".")[0]
        for place, instance in enumerate(instances, start=1):
            name = instance.name or (stem if len(instances) == 1 else f"{stem}-{place}")
            yield FileEntry(replace(instance, name=name), path, notes)

    def write(self, instance: FactoringInstance, path: Path) -> None:
        """Write a .num file; kind and comment are left out."""
        write_text(formats.write_number(instance), path)

    def read_solution(self, instance: FactoringInstance, path: Path) -> tuple[Factors, int | None]:
        """The factors of a .factors or .json file and the cost it claims."""
        content = read_text(path)
        try:
            return formats.read_factors(content, suffix(path))
        except InvalidInput as error:
            raise error.within(str(path)) from error

    def write_solution(self, instance: FactoringInstance, solution: Factors, cost: int, path: Path) -> None:
        try:
            content = formats.write_factors(solution, cost, suffix(path))
        except InvalidInput as error:
            raise error.within(str(path)) from error
        write_text(content, path)


FACTORING = FactoringProblem()
