"""A small set of instances that comes with the project, generated: routing of 20 to 200 customers, and integers.

Three families of routing and the integers are one JSON-lines file each. A test makes them again and compares.
"""

from pathlib import Path

from instances.factoring.generators import generate as integers
from instances.files import write_jsonl
from instances.problem import Instance
from instances.routing.generators import generate

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
_INTEGERS = (
    *(("semiprime", bits) for bits in (32, 48, 64, 80, 96)),
    ("unbalanced", 96),
    ("close", 128),
    ("pm1-smooth", 128),
    ("smooth", 128),
    ("prime-power", 96),
    ("carmichael", 64),
    ("mersenne", 67),
)


def paths() -> list[Path]:
    """The bundled files, by name."""
    return sorted(Path(__file__).parent.glob("*.jsonl"))


def make() -> dict[str, list[Instance]]:
    """The bundled instances, made again, by the stem of their file."""
    x = [generate("x", size=size, count=1, seed=SEED)[0] for size in _SIZES]
    tsp = [generate("clustered", size=size, count=1, seed=SEED, problem="tsp")[0] for size in _SIZES]
    solomon = [
        generate("solomon", size=size, count=1, seed=SEED, customers=customers, horizon=horizon)[0]
        for size, customers, horizon in _SOLOMON
    ]
    numbers = [integers(kind, bits=bits, count=1, seed=SEED)[0] for kind, bits in _INTEGERS]
    return {"clustered-tsp": tsp, "factoring": numbers, "solomon": solomon, "x": x}


def write(folder: Path) -> None:
    """Write the bundled files into ``folder``."""
    for family, members in make().items():
        write_jsonl(members, folder / f"{family}.jsonl")
