"""Road-network instances: locations are crossings of a street graph, distances are shortest paths along it.

The graph is a grid of streets whose crossings are displaced, from which streets are missing, with two
diagonal avenues. So the matrix is metric but not Euclidean, and asymmetric where there are one-way streets.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from instances.errors import InvalidInput
from instances.routing.generators.uniform import MAX_DEMAND, usual_capacity
from instances.routing.instance import RoutingInstance
from instances.routing.rounding import IntArray, Rounding

MAX_ROAD_SIZE = 2000
BLOCK = 100  # metres between crossings
CROSSINGS_PER_LOCATION = 1.5


@dataclass(frozen=True)
class RoadOptions:
    """Options of the road-network generator."""

    removed: float = field(default=0.2, metadata={"help": "share of streets missing, 0 to 1, as connection allows"})
    one_way: float = field(default=0.0, metadata={"help": "share of one-way streets, 0 to 1, as connection allows"})

    def __post_init__(self) -> None:
        for name in ("removed", "one_way"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidInput(f"is {getattr(self, name)}; accepted are 0 to 1", name)


def make(rng: np.random.Generator, size: int, problem: str, options: RoadOptions) -> RoutingInstance:
    """A CVRP or TSP on a street graph, in metres; the coordinates serve for display.

    Raises
    ------
    InvalidInput
        If the size exceeds 2,000.
    """
    import networkx as nx  # not at the top: it alone would double the start-up time of every command

    if size > MAX_ROAD_SIZE:
        raise InvalidInput(f"is {size}; a road network takes at most {MAX_ROAD_SIZE}", "size")
    num_locations = size if problem == "tsp" else size + 1
    side = max(2, int(np.ceil(np.sqrt(CROSSINGS_PER_LOCATION * num_locations))))
    points, streets = _streets(rng, side)

    # A random spanning tree stays, in both directions: so every crossing is reached from every other.
    plan = nx.Graph()
    plan.add_weighted_edges_from((a, b, rng.random()) for a, b in streets.tolist())
    tree = {frozenset(edge) for edge in nx.minimum_spanning_edges(plan, data=False)}
    in_tree = np.array([frozenset(street) in tree for street in streets.tolist()])
    kept = in_tree | (rng.random(len(streets)) >= options.removed)
    two_way = in_tree | (rng.random(len(streets)) >= options.one_way)
    flipped = rng.random(len(streets)) < 0.5
    streets[flipped] = streets[flipped, ::-1]
    length = np.maximum(np.rint(np.hypot(*(points[streets[:, 0]] - points[streets[:, 1]]).T)), 1).astype(np.int64)
    graph = nx.DiGraph()
    for (a, b), metres, both in zip(streets[kept].tolist(), length[kept].tolist(), two_way[kept], strict=True):
        graph.add_edge(a, b, length=metres)
        if both:
            graph.add_edge(b, a, length=metres)

    locations = rng.choice(side * side, size=num_locations, replace=False)
    matrix = np.empty((num_locations, num_locations), np.int64)
    for row, origin in enumerate(locations.tolist()):
        reached = nx.single_source_dijkstra_path_length(graph, origin, weight="length")
        matrix[row] = [reached[destination] for destination in locations.tolist()]
    demand = rng.integers(1, MAX_DEMAND, size=num_locations, endpoint=True)
    demand[0] = 0
    return RoutingInstance(
        rounding=Rounding.EXPLICIT,
        matrix=matrix,
        coordinates=np.rint(points[locations]).astype(np.int64),
        demand=None if problem == "tsp" else demand,
        capacity=None if problem == "tsp" else usual_capacity(size),
        num_vehicles=1 if problem == "tsp" else None,
    )


def _streets(rng: np.random.Generator, side: int) -> tuple[npt.NDArray[np.float64], IntArray]:
    """Displaced crossings of a square grid, float64 (side^2, 2), and pairs of neighbours, int64 (E, 2).

    Neighbours along the grid are joined, and along the two diagonals, the avenues.
    """
    index = np.arange(side * side).reshape(side, side)
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), axis=-1).reshape(-1, 2)
    points = BLOCK * (grid + rng.uniform(-0.25, 0.25, size=grid.shape))
    across = np.stack((index[:, :-1].ravel(), index[:, 1:].ravel()), axis=1)
    down = np.stack((index[:-1].ravel(), index[1:].ravel()), axis=1)
    diagonal, counter = np.diagonal(index), np.diagonal(index[:, ::-1])
    avenues = [np.stack((line[:-1], line[1:]), axis=1) for line in (diagonal, counter)]
    return points, np.concatenate((across, down, *avenues))
