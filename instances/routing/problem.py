"""Routing as services see it: load, dump, verify, describe, and the files of the field."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from instances.errors import InvalidInput
from instances.problem import Description, FileEntry
from instances.routing import best_known, referee
from instances.routing import document as documents
from instances.routing.formats import numbers, solomon, solutions, tsplib
from instances.routing.instance import RoutingInstance
from instances.routing.rounding import Rounding
from instances.routing.solution import Routes
from instances.text import read_text, suffix, write_text
from instances.verdict import Verdict

# What may replace the rule of a file with planar coordinates.
PLANAR = (Rounding.NEAREST, Rounding.TRUNCATED, Rounding.CEILING, Rounding.ATT, Rounding.UNROUNDED)


class RoutingProblem:
    """The routing domain; see :class:`instances.problem.Problem`."""

    name = "routing"
    cost_unit = ""
    suffixes: tuple[str, ...] = (".vrp", ".tsp", ".atsp", ".txt")
    solution_suffixes: tuple[str, ...] = solutions.SUFFIXES

    def owns(self, instance: object) -> bool:
        return isinstance(instance, RoutingInstance)

    def load(self, document: dict[str, Any]) -> RoutingInstance:
        return documents.load(document)

    def dump(self, instance: RoutingInstance) -> dict[str, Any]:
        return documents.dump(instance)

    def load_solution(self, document: Any) -> Routes:
        return documents.load_solution(document)

    def dump_solution(self, solution: Routes) -> list[list[int]]:
        return documents.dump_solution(solution)

    def solution_words(self, solution: Routes) -> str:
        count = len(solution.routes)
        return "1 route" if count == 1 else f"{count} routes"

    def verify(self, instance: RoutingInstance, solution: Routes) -> Verdict:
        return referee.verify(instance, solution)

    def describe(self, instance: RoutingInstance) -> Description:
        """The instance in words and numbers; a tour's size counts its cities, any other's its customers."""
        tour = "tsp" in instance.features
        return Description(
            problem=self.name,
            name=instance.name,
            digest=instance.digest,
            size=instance.num_locations if tour else instance.num_customers,
            size_unit="cities" if tour else "customers",
            features=tuple(sorted(instance.features)),
            decimals=instance.decimals,
            properties={
                "rounding": instance.rounding.value,
                "edges": _edges(instance),
                "capacity": instance.capacity,
                "total_demand": None if instance.demand is None else int(instance.demand.sum()),
                "vehicles": instance.num_vehicles,
                "max_route_distance": instance.max_route_distance,
                "max_route_duration": instance.max_route_duration,
                "depot": instance.depot,
            },
            best_known=best_known.find(instance),
        )

    def read(self, path: Path, rounding: str | None) -> Iterator[FileEntry]:
        """The one instance of a file.

        Without ``rounding`` the file's own rule holds, unless the table of best-known values knows the
        instance under another only; a note says so.
        """
        rule = _rule(rounding)
        text = read_text(path)
        reader = solomon.read if suffix(path) == ".txt" else tsplib.read
        notes = []
        try:
            instance = reader(text, rule)
            if rule is None and best_known.find(instance) is None:
                for other in best_known.other_roundings(instance):
                    candidate = reader(text, other) if other in PLANAR else instance
                    if (found := best_known.find(candidate)) is not None:
                        notes.append(
                            f"distances are {other}, not {instance.rounding}, as in the best-known value of "
                            f"{instance.name} ({found.source}); --rounding {instance.rounding} overrides this"
                        )
                        instance = candidate
                        break
        except InvalidInput as error:
            raise error.within(str(path)) from error
        if rule is not None and instance.rounding is not rule:
            notes.append(f"distances stay {instance.rounding}: --rounding applies to planar coordinates")
        yield FileEntry(instance, path, tuple(notes))

    def write(self, instance: RoutingInstance, path: Path) -> None:
        """Write a .vrp, .tsp, .atsp or Solomon .txt file, if it reads back as the same instance."""
        form = suffix(path)
        try:
            text = solomon.write(instance) if form == ".txt" else tsplib.write(instance, form)
            again = solomon.read(text) if form == ".txt" else tsplib.read(text)
            if again != instance:
                raise InvalidInput(f"would not come back from a {form} file as it is; accepted is .json")
        except InvalidInput as error:
            raise error.within(str(path)) from error
        write_text(text, path)

    def read_solution(self, instance: RoutingInstance, path: Path) -> tuple[Routes, int | Decimal | None]:
        """The solution of a .sol, .tour or .json file and the cost it claims.

        Where distances are not rounded, true costs are published with fewer digits than the referee's: there
        a claim that agrees with the cost to the claim's last digit is returned as that cost.
        """
        text = read_text(path)
        try:
            solution, claimed = solutions.read(text, suffix(path), instance)
        except InvalidInput as error:
            raise error.within(str(path)) from error
        if claimed is None:
            return solution, None
        if instance.rounding is Rounding.UNROUNDED:
            cost = referee.verify(instance, solution).cost
            if cost is not None and _agrees(claimed, cost, instance):
                return solution, cost
        return solution, numbers.in_units(claimed, instance.decimals)

    def write_solution(self, instance: RoutingInstance, solution: Routes, cost: int, path: Path) -> None:
        try:
            text = solutions.write(instance, solution, cost, suffix(path))
        except InvalidInput as error:
            raise error.within(str(path)) from error
        write_text(text, path)


ROUTING = RoutingProblem()


def _edges(instance: RoutingInstance) -> str:
    if instance.matrix is not None:
        return "matrix"
    return "geographical" if instance.rounding is Rounding.GEO else "planar"


def _rule(rounding: str | None) -> Rounding | None:
    if rounding is None:
        return None
    if rounding not in PLANAR:
        raise InvalidInput(f"is {rounding!r}; accepted are {', '.join(PLANAR)}", "rounding")
    return Rounding(rounding)


def _agrees(claimed: Decimal, cost: int, instance: RoutingInstance) -> bool:
    """Whether a claim is the cost to its last digit, give or take half a unit for each distance summed."""
    last_digit = Decimal(1).scaleb(instance.decimals - numbers.num_decimals(claimed))
    arcs = 2 * instance.num_locations
    return abs(claimed.scaleb(instance.decimals) - cost) <= (last_digit + arcs) / 2
