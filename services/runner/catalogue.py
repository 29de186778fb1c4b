"""What solvers there are, asked of the solvers in children: this process imports none of them."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from services.runner.machine import core_slots
from services.runner.process import SolverProcess, Unavailable
from solvers.registry import solver_entry_points

DESCRIBE_MEMORY = 4 * 1024**3


def describe_all() -> list[dict[str, Any]]:
    """Each registered solver's description, or its name and the error that makes it unavailable, by name."""
    names = list(solver_entry_points())
    cores = frozenset().union(*core_slots(None, 1))

    def describe(name: str) -> dict[str, Any]:
        try:
            return SolverProcess.describe(name, cores, DESCRIBE_MEMORY)
        except Unavailable as error:
            return {"name": name, "error": str(error)}

    with ThreadPoolExecutor(max_workers=4) as executor:
        return list(executor.map(describe, names))
