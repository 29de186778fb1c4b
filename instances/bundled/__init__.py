"""A small set of instances that comes with the project: three families of 20 to 200 customers, generated.

Each family is one JSON-lines file. A test makes them again and compares the digests.
"""

import json
from pathlib import Path

from instances.routing import document
from instances.routing.generators import generate
from instances.routing.instance import RoutingInstance

SEED = 1

_SIZES = (25, 30, 40, 50, 75, 100, 150, 200)
_SOLOMON = (
    (20, "random", "short"),
    (25, "clustered", "short"),
    (30, "random-clustered", "short"),
    (40, "random", "long"),
    (50, "clustered", "long"),
    (60, "random-clustered", "long"),
    (80, "random", "short"),
    (100, "clustered", "short"),
)


def paths() -> list[Path]:
    """The bundled files, by name."""
    return sorted(Path(__file__).parent.glob("*.jsonl"))


def make() -> dict[str, list[RoutingInstance]]:
    """The bundled instances, made again, by the stem of their file."""
    x = [generate("x", size=size, count=1, seed=SEED)[0] for size in _SIZES]
    tsp = [generate("clustered", size=size, count=1, seed=SEED, problem="tsp")[0] for size in _SIZES]
    solomon = [
        generate("solomon", size=size, count=1, seed=SEED, customers=customers, horizon=horizon)[0]
        for size, customers, horizon in _SOLOMON
    ]
    return {"clustered-tsp": tsp, "solomon": solomon, "x": x}


def write(folder: Path) -> None:
    """Write the bundled files into ``folder``."""
    for family, members in make().items():
        lines = [json.dumps(document.dump(member), separators=(",", ":")) for member in members]
        (folder / f"{family}.jsonl").write_text("\n".join(lines) + "\n")
