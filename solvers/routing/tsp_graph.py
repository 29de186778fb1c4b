"""Travelling-salesman heuristics of networkx.

References
----------
N. Christofides, Worst-case analysis of a new heuristic for the travelling salesman problem, 1976.
S. Kirkpatrick, C. D. Gelatt and M. P. Vecchi, Optimization by simulated annealing, 1983.
"""

import math
import random
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import networkx
import numpy as np
from networkx.algorithms import approximation
from networkx.algorithms.approximation import traveling_salesman

from instances.routing.instance import RoutingInstance
from instances.routing.solution import Routes
from solvers.search import Search, unhonoured

MAX_CITIES = 1_200
_HONOURS = frozenset({"tsp", "matrix"})


@dataclass(frozen=True)
class Christofides:
    """Christofides' tour: minimum spanning tree and minimum-weight matching, by networkx.

    The tour is at most 3/2 of the shortest where the triangle inequality holds; on other instances it is a
    tour without that guarantee. It reports one solution when it is done, which takes some 30 s at 1,000
    cities.
    """

    problem: ClassVar[str] = "routing"
    honours: ClassVar[frozenset[str]] = _HONOURS
    packages: ClassVar[tuple[str, ...]] = ("networkx",)

    def declines(self, instance: RoutingInstance) -> str | None:
        return _declines(instance)

    def prepare(self) -> "Christofides":
        return self

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        if instance.num_locations <= 3:
            search.report(_route(instance, [instance.depot, *instance.customers.tolist(), instance.depot]))
            return
        search.report(_route(instance, approximation.christofides(_graph(instance))))


@dataclass(frozen=True)
class SimulatedAnnealing:
    """Simulated annealing of a tour, by networkx, again and again from the best tour until the time is over.

    It begins with the nearest-neighbour tour, and reports that and every improvement. With ``iterations`` the
    sequence of its solutions depends on the seed alone.
    """

    move: Literal["reverse", "swap", "insert"] = field(
        default="reverse",
        metadata={"help": "what a move does: reverse a section, swap two cities, move one city"},
    )
    temperature: float = field(
        default=0.2, metadata={"help": "at the beginning, as a multiple of the mean arc of the first tour"}
    )
    cooling: float = field(
        default=0.02, metadata={"help": "by which part the temperature falls after as many moves as cities"}
    )
    iterations: int | None = field(default=None, metadata={"help": "moves in all; none: until the time is over"})

    problem: ClassVar[str] = "routing"
    honours: ClassVar[frozenset[str]] = _HONOURS
    packages: ClassVar[tuple[str, ...]] = ("networkx", "numpy")

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature is {self.temperature}; accepted are values above 0")
        if not 0 < self.cooling < 1:
            raise ValueError(f"cooling is {self.cooling}; accepted are values between 0 and 1")
        if self.iterations is not None and self.iterations < 0:
            raise ValueError(f"iterations is {self.iterations}; accepted are 0 and more, or none")

    def declines(self, instance: RoutingInstance) -> str | None:
        return _declines(instance)

    def prepare(self) -> "SimulatedAnnealing":
        return self

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        graph = _graph(instance)
        cycle = [instance.depot, *instance.customers.tolist(), instance.depot]
        if instance.num_locations > 3:
            cycle = approximation.greedy_tsp(graph, source=instance.depot)
        walk = _Walk(instance, self, search, cycle)
        if instance.num_locations <= 3:
            return
        generator = random.Random(search.seed)
        try:
            while True:
                approximation.simulated_annealing_tsp(
                    graph,
                    walk.best,
                    source=instance.depot,
                    temp=max(1e-9, self.temperature * walk.cost / instance.num_locations),
                    move=walk.propose,
                    # As long as it takes the temperature to fall to a hundredth.
                    max_iterations=math.ceil(math.log(100) / self.cooling),
                    N_inner=instance.num_locations,
                    alpha=self.cooling,
                    seed=generator,
                )
        except _Over:
            return


class _Over(Exception):
    """Raised inside networkx to end it, which has no other way to be ended."""


class _Walk:
    """The move that networkx is given: it sees accepted tours come back, and so reports improvements."""

    def __init__(self, instance: RoutingInstance, solver: SimulatedAnnealing, search: Search, cycle: list[int]) -> None:
        self.instance, self.search = instance, search
        self.kind, self.moves_left = solver.move, math.inf if solver.iterations is None else solver.iterations
        self.best, self.cost = cycle, self._length(cycle)
        self._proposed: list[int] = []
        search.report(_route(instance, cycle))

    def propose(self, cycle: list[int], generator: random.Random) -> list[int]:
        """A neighbour of ``cycle``, as a new list: networkx's own moves change it even when rejected."""
        if cycle is self._proposed and (cost := self._length(cycle)) < self.cost:
            self.best, self.cost = cycle, cost
            self.search.report(_route(self.instance, cycle))
        if self.moves_left <= 0 or not self.search.running():
            raise _Over
        self.moves_left -= 1
        self._proposed = _MOVES[self.kind](cycle.copy(), generator)
        return self._proposed

    def _length(self, cycle: list[int]) -> int:
        return int(self.instance.distances[cycle[:-1], cycle[1:]].sum())


def _reverse_section(cycle: list[int], generator: random.Random) -> list[int]:
    """A 2-opt move, in the manner of networkx's own moves: the first and last city stay."""
    first, last = sorted(generator.sample(range(1, len(cycle) - 1), 2))
    cycle[first : last + 1] = cycle[last : first - 1 : -1]
    return cycle


_MOVES = {
    "reverse": _reverse_section,
    "swap": traveling_salesman.swap_two_nodes,
    "insert": traveling_salesman.move_one_node,
}


def _declines(instance: RoutingInstance) -> str | None:
    if instance.num_locations > MAX_CITIES:
        return f"needs a complete graph in memory and takes at most {MAX_CITIES} cities"
    return unhonoured(_HONOURS, instance.features)


def _graph(instance: RoutingInstance) -> networkx.Graph:
    """The complete graph of the instance's distances."""
    rows, columns = np.triu_indices(instance.num_locations, 1)
    lengths = instance.distances[rows, columns]
    graph = networkx.Graph()
    graph.add_nodes_from(range(instance.num_locations))
    graph.add_weighted_edges_from(zip(rows.tolist(), columns.tolist(), lengths.tolist(), strict=True))
    return graph


def _route(instance: RoutingInstance, cycle: list[int]) -> Routes:
    """A cycle, begun anywhere and closed, as the route that begins after the depot."""
    start = cycle.index(instance.depot)
    return Routes((tuple(cycle[start + 1 : -1] + cycle[:start]),))
