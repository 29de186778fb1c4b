"""Write instances/routing/best_known.csv from the published tables and the instances beside the checkout.

Run ``python benchmarks/make_best_known.py ../shared/data`` again
when the definition of an instance's digest changes.
"""

import csv
import re
import sys
from pathlib import Path

from instances.routing.best_known import OBJECTIVE, TABLE
from instances.routing.formats import solomon, tsplib
from instances.routing.instance import RoutingInstance
from instances.routing.rounding import Rounding
from instances.text import read_text

ROUNDINGS = {
    "EUC_2D nint": Rounding.NEAREST,
    "explicit int matrix": Rounding.EXPLICIT,
    "real EUC": Rounding.UNROUNDED,
    "distance, trunc to 0.1 (DIMACS)": Rounding.TRUNCATED,
    "real dist, 2 dec": Rounding.UNROUNDED,
    **{f"TSPLIB {name}": rounding for name, rounding in tsplib.EDGE_WEIGHT_TYPES.items()},
}
PROVEN = {"yes": "yes", "unknown": "unknown", "no/unknown": "unknown"}
# Christofides, Mingozzi and Toth: customers, capacity, cost; these and the limits stand in the .vrp files.
CMT_SOURCE = "comment of the file in vidalt/HGS-CVRP@080cdedc"
CMT = (
    (50, 160, "524.61"), (75, 140, "835.26"), (100, 200, "826.14"), (150, 200, "1028.42"),
    (199, 200, "1291.29"), (50, 160, "555.43"), (75, 140, "909.68"), (100, 200, "865.94"),
    (150, 200, "1162.55"), (199, 200, "1395.85"),
    (120, 200, "1042.11"), (100, 200, "819.56"), (120, 200, "1541.14"), (100, 200, "866.37"),
)  # fmt: skip
CMT_LIMITED = (6, 7, 8, 9, 10, 13, 14)


def main(folder: Path) -> None:
    """Combine the two tables, the CMT values and the digests into one table, sorted by set and name."""
    files: dict[str, Path] = {}
    with (folder / "bks.csv").open(newline="") as stream:
        for record in csv.DictReader(stream):
            files[record["name"].casefold()] = folder / record["file"]
    with (folder / "bks_more.csv").open(newline="") as stream:
        table = [row(record, files) for record in csv.DictReader(stream)]
    table += [cmt_row(number, *values) for number, values in enumerate(CMT, start=1)]
    table.sort(key=lambda row: (row["set"], natural(str(row["name"])), str(row["rounding"]), row["objective"]))
    with TABLE.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, table[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)


def row(record: dict[str, str], files: dict[str, Path]) -> dict[str, object]:
    """A row of the table from one of bks_more.csv."""
    tour = record["set"] == "TSPLIB"
    convention, *details = (part.strip() for part in record["convention"].split(";"))
    name = record["name"].removesuffix("_distance")
    rounding = ROUNDINGS[convention]
    instance = read(files[name.casefold()], rounding) if name.casefold() in files else None
    if instance is not None:
        rounding = instance.rounding
    return {
        "name": name,
        "set": record["set"].removeprefix("CVRP-").removeprefix("VRPTW-").replace("solomon", "Solomon"),
        "num_locations": int(record["customers_or_cities"]) + (0 if tour else 1),
        "capacity": record["capacity"],
        "total_demand": "" if instance is None or instance.demand is None else int(instance.demand.sum()),
        "digest": "" if instance is None else instance.digest,
        "rounding": rounding,
        "objective": objective(record["convention"]),
        "features": " ".join(sorted(features(record["set"], name))),
        "cost": record["best_known_cost"],
        "num_routes": details[0].removesuffix(" vehicles") if details else "",
        "proven": PROVEN.get(record["proven_optimal"], "no"),
        "source": record["source"],
        "date": found[0] if (found := re.findall(r"\d{4}-\d{2}-\d{2}", record["source"])) else "by 2026-11",
    }


def cmt_row(number: int, customers: int, capacity: int, cost: str) -> dict[str, object]:
    """A row of the table for an instance of Christofides, Mingozzi and Toth."""
    return {
        "name": f"CMT{number}",
        "set": "CMT",
        "num_locations": customers + 1,
        "capacity": capacity,
        "total_demand": "",
        "digest": "",
        "rounding": Rounding.UNROUNDED,
        "objective": "distance",
        "features": " ".join(sorted(features("CMT", f"CMT{number}"))),
        "cost": cost,
        "num_routes": "",
        "proven": "unknown",
        "source": CMT_SOURCE,
        "date": "by 2026-11",
    }


def objective(convention: str) -> str:
    """What a published cost is the least of."""
    return "vehicles, then distance" if "hierarchical" in convention else OBJECTIVE


def features(family: str, name: str) -> set[str]:
    """The features of a set's instances, apart from a matrix."""
    if family == "TSPLIB":
        return {"tsp"}
    if family.startswith("VRPTW"):
        return {"capacity", "fleet", "service-times", "time-windows"}
    if family == "CMT" and int(name.removeprefix("CMT")) in CMT_LIMITED:
        return {"capacity", "route-duration", "service-times"}
    if family == "CVRP-Li" or (family == "CVRP-Golden" and int(name.removeprefix("Golden_")) <= 8):
        return {"capacity", "route-distance"}
    return {"capacity"}


def read(path: Path, rounding: Rounding) -> RoutingInstance:
    """The instance of a file under the rounding of its published cost."""
    reader = solomon.read if path.suffix == ".txt" else tsplib.read
    return reader(read_text(path), rounding if rounding is not Rounding.EXPLICIT else None)


def natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts X-n101 before X-n1001."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
