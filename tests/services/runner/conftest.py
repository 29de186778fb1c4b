"""A third party's package of hostile solvers, visible to solver children, and a slot to run them in."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from instances.problems import problem_of
from instances.routing.instance import RoutingInstance
from instances.routing.rounding import Rounding
from services.runner.hearing import Judge
from services.runner.machine import core_slots
from services.runner.slot import Slot, Task, encode

HOSTILE = Path(__file__).parents[1] / "hostile"
MEMORY = 512 * 1024**2
SOLVERS = (
    "trivial", "together", "declining", "hanging", "stubborn", "hoarding", "odd-failure", "nested",
    "unspeakable", "littering", "leaking", "leaking-grandchild", "forking", "deserting",
    "flooding", "flooding-reports", "garbling", "infeasible", "late", "dying", "raising", "exiting",
    "haunting", "counting", "unpreparable", "ticking", "unlucky", "restless", "delegating",
    "choking", "falling", "bloated", "forging", "forging-readiness", "slow-to-prepare", "inundating",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def hostile_package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Put an installed distribution with the hostile solvers on the children's path."""
    site = tmp_path_factory.mktemp("site")
    info = site / "hostile-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile\nVersion: 1.0\n")
    lines = [f"{name} = hostile_solvers:{name.title().replace('-', '')}" for name in SOLVERS]
    (info / "entry_points.txt").write_text(
        "[versus.solvers]\n" + "\n".join([*lines, "broken-import = broken_import:Nothing"]) + "\n"
    )
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(HOSTILE)]))
    patch.syspath_prepend(site)
    yield
    patch.undo()


@pytest.fixture
def slot() -> Iterator[Slot]:
    """One core, one thread, 512 MB."""
    with Slot(core_slots(1, 1)[0], 1, MEMORY) as slot:
        yield slot


@pytest.fixture
def instance() -> RoutingInstance:
    """Twenty customers and a depot on a line."""
    coordinates = np.stack([np.arange(21) * 10, np.zeros(21, dtype=int)], axis=1)
    demand = np.ones(21, dtype=int)
    demand[0] = 0
    return RoutingInstance(rounding=Rounding.NEAREST, coordinates=coordinates, demand=demand, capacity=10, name="line")


@pytest.fixture
def task(instance: RoutingInstance) -> Callable[..., Task]:
    """Make a task of a solver spec on the instance."""

    def make(spec: str, budget: float = 1.0, seed: int = 7, on: RoutingInstance = instance) -> Task:
        return Task(f"key of {spec}", encode(problem_of(on), on), on.digest, spec, spec, 0, seed, budget)

    return make


@pytest.fixture
def referee(slot: Slot, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Give the slot a judge whose referee misbehaves in a way of hostile_judge."""

    def misbehave(manner: str) -> None:
        monkeypatch.setenv("HOSTILE_REFEREE", manner)
        slot._judge = Judge(slot._judge.cores, "hostile_judge")

    return misbehave
