"""What PyVRP makes of the validation set: the other end of the gap that training shows."""

import hashlib
import json
import math
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from instances.routing.instance import RoutingInstance
from instances.routing.rounding import Rounding
from instances.routing.solution import Routes
from solvers.neural.batch import Batch
from solvers.neural.state import tour_lengths
from solvers.routing.iterated_local_search import PyVrp

DECIMALS = 6  # of the grid on which PyVRP sees an instance
FILE = "reference.json"


class _Best:
    """A search that only the iterations end; it keeps the last solution, which is PyVRP's best."""

    budget, seed, threads = math.inf, 1, 1

    def __init__(self) -> None:
        self.solution = Routes(())

    def running(self) -> bool:
        return True

    def remaining(self) -> float:
        return math.inf

    def report(self, solution: Routes) -> None:
        self.solution = solution


def reference_costs(batches: Sequence[Batch], iterations: int, folder: Path) -> Tensor:
    """PyVRP's cost of every instance after ``iterations``, in its own unit, float64, one after the other.

    They are computed once and kept in the folder.
    """
    digest = hashlib.sha256(f"{version('pyvrp')} {iterations}".encode())
    for batch in batches:
        for tensor in (batch.coordinates, batch.demand, batch.capacity, batch.scale):
            digest.update(tensor.cpu().numpy().tobytes())
    path = folder / FILE
    if path.exists():
        kept = json.loads(path.read_text())
        if kept["digest"] == digest.hexdigest():
            return torch.tensor(kept["costs"], dtype=torch.float64)
    costs = [_cost(batch[row : row + 1], iterations) for batch in batches for row in range(len(batch))]
    draft = path.with_name(path.name + ".part")
    draft.write_text(json.dumps({"digest": digest.hexdigest(), "pyvrp": version("pyvrp"), "costs": costs}) + "\n")
    draft.replace(path)
    return torch.tensor(costs, dtype=torch.float64)


def _cost(one: Batch, iterations: int) -> float:
    """The cost of a batch of one instance."""
    grid = np.rint((one.coordinates[0].cpu().double().numpy() + 0.5) * 10**DECIMALS).astype(np.int64)
    instance = RoutingInstance(
        rounding=Rounding.UNROUNDED,
        coordinates=grid,
        coordinate_decimals=DECIMALS,
        demand=one.demand[0].cpu().numpy() if one.has_depot else None,
        capacity=int(one.capacity[0]) if one.has_depot else None,
        num_vehicles=None if one.has_depot else 1,
    )
    search = _Best()
    PyVrp(iterations=iterations).solve(instance, search)
    tour = [location for route in search.solution.routes for location in (0, *route)]
    tours = torch.tensor(tour, device=one.coordinates.device).view(1, 1, -1)
    return tour_lengths(one, tours).item()
