"""Best-known costs of the classic sets: facts, matched to an instance by content, never by a file's name.

``best_known.csv`` has a row per published value: name, set, locations (the depot included), capacity, total
demand and digest where the instance was at hand, rounding, objective, features, cost, number of routes,
proven or not, source and date. ``benchmarks/make_best_known.py`` writes it. Costs are decimal numbers in the
instance's own measure.
"""

import csv
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

from instances.problem import BestKnown
from instances.routing.instance import RoutingInstance
from instances.routing.rounding import Rounding

TABLE = Path(__file__).with_name("best_known.csv")
OBJECTIVE = "distance"


@dataclass(frozen=True)
class Row:
    """One published value, as the table has it; an empty string or None means that it is not known."""

    name: str
    set: str
    num_locations: int
    capacity: int | None
    total_demand: int | None
    digest: str
    rounding: Rounding
    objective: str
    features: frozenset[str]
    cost: Decimal
    num_routes: int | None
    proven: str
    source: str
    date: str


def find(instance: RoutingInstance) -> BestKnown | None:
    """The lowest published cost of an instance, under its rounding and for the distance objective, or None.

    A row with a digest holds for that content alone. A row without holds for an instance of the same name,
    locations, capacity, rounding, features and (where known) total demand. Rows for which the number of
    vehicles comes first are kept in the table but never returned: their distance is not the lowest.

    A cost published with more digits than the instance's unit is rounded to it; one published with fewer, as
    usual where distances are not rounded, is exact to its last digit only.
    """
    by_digest, by_name = _tables()
    rows = by_digest.get(instance.digest, [])
    if not rows:
        rows = [row for row in by_name.get(_name_key(instance), []) if not row.digest and _holds(row, instance)]
    if not rows:
        return None
    row = min(rows, key=lambda row: row.cost)
    cost = int(row.cost.scaleb(instance.decimals).to_integral_value())
    return BestKnown(cost, row.proven == "yes", row.source, row.date)


def other_roundings(instance: RoutingInstance) -> tuple[Rounding, ...]:
    """Rules but the instance's own under which the table has an instance of that name, size and capacity."""
    rows = _tables()[1].get(_name_key(instance), [])
    found = [row.rounding for row in rows if row.capacity == instance.capacity]
    return tuple(dict.fromkeys(rounding for rounding in found if rounding is not instance.rounding))


def _name_key(instance: RoutingInstance) -> tuple[str, int]:
    return instance.name.strip().casefold(), instance.num_locations


def _holds(row: Row, instance: RoutingInstance) -> bool:
    demand = None if instance.demand is None else int(instance.demand.sum())
    return (
        row.capacity == instance.capacity
        and row.rounding is instance.rounding
        and row.features == instance.features - {"matrix", "asymmetric"}
        and row.total_demand in (None, demand)
    )


@cache
def _tables() -> tuple[dict[str, list[Row]], dict[tuple[str, int], list[Row]]]:
    """Rows for the distance objective, by digest where they have one, and all by name and locations."""
    by_digest: dict[str, list[Row]] = {}
    by_name: dict[tuple[str, int], list[Row]] = {}
    for row in rows():
        if row.objective != OBJECTIVE:
            continue
        if row.digest:
            by_digest.setdefault(row.digest, []).append(row)
        by_name.setdefault((row.name.casefold(), row.num_locations), []).append(row)
    return by_digest, by_name


def rows() -> tuple[Row, ...]:
    """All rows of the table, also those for another objective."""

    def number(text: str) -> int | None:
        return int(text) if text else None

    with TABLE.open(newline="", encoding="utf-8") as stream:
        return tuple(
            Row(
                name=record["name"],
                set=record["set"],
                num_locations=int(record["num_locations"]),
                capacity=number(record["capacity"]),
                total_demand=number(record["total_demand"]),
                digest=record["digest"],
                rounding=Rounding(record["rounding"]),
                objective=record["objective"],
                features=frozenset(record["features"].split()),
                cost=Decimal(record["cost"]),
                num_routes=number(record["num_routes"]),
                proven=record["proven"],
                source=record["source"],
                date=record["date"],
            )
            for record in csv.DictReader(stream)
        )
