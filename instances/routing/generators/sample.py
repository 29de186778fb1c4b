"""A batch of planar instances as stacked arrays: what the samplers return and what training consumes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from instances.routing.instance import RoutingInstance
from instances.routing.rounding import IntArray, Rounding

UNIT_DECIMALS = 6  # a unit-square instance lies on a grid of 10^6 by 10^6


@dataclass(frozen=True, eq=False)
class Sample:
    """B instances of N locations each, of which index 0 is the depot (TSP: the city where a tour starts).

    Parameters
    ----------
    coordinates
        int64, shape (B, N, 2), in [0, extent].
    demand
        int64, shape (B, N), zero at the depot; None for TSP.
    capacity
        int64, shape (B,); None for TSP.
    extent
        Side of the square in grid units.
    """

    coordinates: IntArray
    demand: IntArray | None
    capacity: IntArray | None
    extent: int

    @property
    def unit_coordinates(self) -> npt.NDArray[np.float64]:
        """The coordinates scaled to the unit square, float64, shape (B, N, 2)."""
        return self.coordinates / self.extent

    def instance(self, index: int, *, rounding: Rounding, coordinate_decimals: int) -> RoutingInstance:
        """Member ``index`` of the batch as an instance: a TSP has one vehicle, a CVRP any number."""
        return RoutingInstance(
            rounding=rounding,
            coordinates=self.coordinates[index],
            coordinate_decimals=coordinate_decimals,
            demand=None if self.demand is None else self.demand[index],
            capacity=None if self.capacity is None else int(self.capacity[index]),
            num_vehicles=1 if self.capacity is None else None,
        )


def on_unit_grid(points: npt.NDArray[np.float64]) -> IntArray:
    """Points of the unit square on the grid of 10^6, each to its nearest grid point."""
    grid: IntArray = np.rint(points * 10**UNIT_DECIMALS).astype(np.int64)
    return grid
