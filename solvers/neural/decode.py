"""Decoding: from a network and instances to ever better routes, priced exactly.

Shapes: R rows (a row is one view of one instance), S trajectories of each, T steps, N locations.

References
----------
Y.-D. Kwon et al., POMO, NeurIPS 2020: all starts, eight augmentations.
A. Hottung, Y.-D. Kwon and K. Tierney, Efficient active search for combinatorial optimization problems, ICLR 2022:
the lookup table of section 3.3.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from instances.routing.instance import RoutingInstance
from instances.routing.rounding import IntArray
from instances.routing.solution import Routes
from solvers.neural.batch import Batch, make_batch
from solvers.neural.checkpoint import Network
from solvers.neural.pointer_lstm import PointerLSTM
from solvers.neural.rollout import draw
from solvers.neural.state import State

CHUNK = 30_000  # locations x trajectories decoded at once: what the cache holds
FEWEST = 8  # trajectories decoded at once, however many locations
MOST_STARTS = 100  # starts of each view; more of them bring less than more views
PAIRS = 250_000  # pairs of locations encoded at once: likewise
MOST_PAIRS = 8_000_000  # pairs of locations searched at once: memory
# Section 3.3's alpha and sigma, as tuned in the paper's appendix.
ACTIVE = {"cvrp": (0.54, 9.6), "tsp": (0.51, 8.6)}

Running = Callable[[], bool]


def form(instance: RoutingInstance) -> str:
    """``cvrp`` with a capacity, else ``tsp``: without one a single route is the shortest."""
    return "tsp" if instance.capacity is None else "cvrp"


@dataclass(frozen=True, eq=False)
class Group:
    """Instances of one form and one number of locations, as the network sees them.

    Parameters
    ----------
    instances
        B of them.
    nodes
        int64, shape (B, N): the location that each of the network's nodes is; the depot comes first.
    batch
        B instances.
    """

    instances: tuple[RoutingInstance, ...]
    nodes: IntArray
    batch: Batch


def group_of(instances: Sequence[RoutingInstance], device: torch.device) -> Group:
    """The instances, all of one form and size, as one batch."""
    nodes = np.stack([np.concatenate(([instance.depot], instance.customers)) for instance in instances])
    coordinates = np.stack([_points(instance)[row] for instance, row in zip(instances, nodes, strict=True)])
    if form(instances[0]) == "tsp":
        return Group(tuple(instances), nodes, make_batch(coordinates).to(device))
    demand = np.zeros(nodes.shape, np.int64)
    for row, instance in enumerate(instances):
        if instance.demand is not None:
            demand[row] = instance.demand[nodes[row]]
    capacity = np.array([max(1, instance.capacity or 0) for instance in instances])
    return Group(tuple(instances), nodes, make_batch(coordinates, demand, capacity).to(device))


def _points(instance: RoutingInstance) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    assert instance.coordinates is not None
    return instance.coordinates.astype(np.float64)


class Incumbents:
    """The best tour of each instance of a group, by exact cost; every improvement is reported.

    Parameters
    ----------
    group
        The instances.
    reports
        A function for each instance, called with routes that are better than all before.
    """

    def __init__(self, group: Group, reports: Sequence[Callable[[Routes], None]]) -> None:
        self._group = group
        self._reports = reports
        self.costs: list[float] = [math.inf] * len(reports)
        self.tours: list[IntArray] = [np.zeros(0, np.int64)] * len(reports)

    def offer(self, tours: Tensor, begin: int = 0) -> bool:
        """Price the tours of some rows, int64, shape (R, S, T), the first of them row ``begin``.

        Returns
        -------
        bool
            Whether any is better than its instance's incumbent.
        """
        improved = False
        for row, candidates in enumerate(tours.cpu().numpy(), start=begin):
            index = row % len(self.costs)
            instance = self._group.instances[index]
            walks = self._group.nodes[index][candidates]
            costs = _exact_costs(instance, walks)
            best = int(costs.argmin())
            if costs[best] < self.costs[index]:
                improved = True
                self.costs[index], self.tours[index] = int(costs[best]), candidates[best]
                self._reports[index](_routes(walks[best], instance.depot))
        return improved


def _exact_costs(instance: RoutingInstance, walks: IntArray) -> IntArray:
    """The instance's own integer lengths of closed walks over locations, shape (S, T); the result (S,)."""
    if form(instance) == "cvrp":
        walks = np.pad(walks, ((0, 0), (1, 0)), constant_values=instance.depot)
    onwards = np.roll(walks, -1, axis=1)
    few = walks.size < instance.num_locations**2  # the matrix would cost more
    lengths = instance.lengths(walks, onwards) if few else instance.distances[walks, onwards]
    total: IntArray = lengths.sum(axis=1)
    return total


def _routes(walk: IntArray, depot: int) -> Routes:
    """A closed walk cut at the depot."""
    begin = int(np.argmax(walk == depot)) if (walk == depot).any() else 0
    routes: list[list[int]] = [[]]
    for location in np.roll(walk, -begin).tolist():
        if location == depot:
            routes.append([])
        else:
            routes[-1].append(location)
    return Routes(tuple(tuple(route) for route in routes if route))


Memory = Any  # what a recurrent network carries from step to step; None for others


def next_scores(policy: Network, keys: Any, state: State, memory: Memory) -> tuple[Tensor, Memory]:
    """Scores of the next locations, float32, shape (R, S, N), and the memory after this step."""
    if isinstance(policy, PointerLSTM):
        hidden, memory = policy.remember(keys, state.last[:, None], memory)
        return policy.scores(keys, state.last, state.load, state.mask, hidden[:, 0]), memory
    return policy.scores(keys, state.last, state.load, state.mask, None if state.has_depot else state.first), None


@torch.no_grad()
def follow(
    policy: Network,
    keys: Any,
    state: State,
    running: Running,
    generator: torch.Generator | None = None,
    table: Tensor | None = None,
    exponent: float = 1.0,
    memory: Memory = None,
) -> Tensor | None:
    """Take the policy's steps from a state to the end.

    Parameters
    ----------
    policy, keys
        The network, and what it made of R rows.
    state
        Where S trajectories of each stand.
    running
        Whether to go on.
    generator
        Source of randomness for sampling; None takes the most likely step (greedy).
    table
        Added to the log-probabilities of going from one location to another, float32, shape (R, N, N).
    exponent
        Of the policy's probabilities.
    memory
        What the steps before left, if there were any.

    Returns
    -------
    Tensor
        The steps, int64, shape (R, S, T); None if it was stopped before the end.
    """
    steps = []
    rows = torch.arange(len(state.last), device=state.last.device)[:, None]
    while not bool(state.finished.all()):
        if not running():
            return None
        scores, memory = next_scores(policy, keys, state, memory)
        if table is not None:
            scores = scores * exponent + table[rows, state.last]
        if generator is None:
            action = scores.argmax(dim=-1)
        else:
            action = draw(scores.softmax(dim=-1), generator)
        steps.append(action)
        state = state.step(action)
    return torch.stack(steps, dim=-1) if steps else state.last.new_zeros((*state.last.shape, 0))


class Decoder:
    """The stages of decoding a group, each of which goes on from the incumbents of those before.

    Parameters
    ----------
    policy
        The network.
    group
        The instances.
    incumbents
        Where the tours go.
    running
        Whether to go on; asked before every step.
    """

    def __init__(self, policy: Network, group: Group, incumbents: Incumbents, running: Running) -> None:
        self.policy = policy
        self.group = group
        self.incumbents = incumbents
        self.running = running
        self._encoded: tuple[Batch, Any] | None = None
        nodes = group.batch.num_locations
        step = max(1, math.ceil(nodes / MOST_STARTS))
        self._starts = torch.arange(0, nodes, step, device=group.batch.coordinates.device)

    def greedy(self) -> None:
        """One trajectory of each instance."""
        self._construct(*self._identity(), self._starts[:1])

    def starts(self) -> None:
        """Greedy trajectories from the other starts, at most about a hundred of them."""
        self._construct(*self._identity(), self._starts[1:])

    def augmented(self) -> None:
        """Greedy trajectories of all starts in the seven other views."""
        size = len(self.group.instances)
        for begin, batch, keys in self._views(size):
            self._construct(batch, keys, self._starts, begin)

    def drawn(self, generator: torch.Generator, number: int) -> None:
        """So many trajectories of each instance, drawn from the policy."""
        self._draw(*self._identity(), generator, number)

    def sample(self, generator: torch.Generator, rounds: int | None) -> None:
        """Trajectories drawn from the policy in all views until the time, or the rounds, are over."""
        batch, keys = self.search_views()
        number = self._num_samples(len(batch))
        while self.running() and rounds != 0:
            self._draw(batch, keys, generator, number)
            rounds = None if rounds is None else rounds - 1

    def active(self, generator: torch.Generator, rounds: int | None) -> None:
        """Draw trajectories near the incumbent of one instance until the time, or the rounds, are over.

        A table makes the edges of the incumbent as likely as sigma allows, and changes with the incumbent.
        """
        batch, keys = self.search_views()
        alpha, sigma = ACTIVE["cvrp" if batch.has_depot else "tsp"]
        number = self._num_samples(len(batch))
        table = None
        while self.running() and rounds != 0:
            if table is None:
                table = self._table(batch, keys, alpha, sigma)
            if self._draw(batch, keys, generator, number, table, alpha):
                table = None
            rounds = None if rounds is None else rounds - 1

    @torch.no_grad()
    def _identity(self) -> tuple[Batch, Any]:
        """The instances as they are; one alone is encoded once, of many the memory would be too much."""
        if self._encoded is not None:
            return self._encoded
        encoded = self.group.batch, self.policy.encode(self.group.batch)
        if len(self.group.instances) == 1:
            self._encoded = encoded
        return encoded

    def _views(self, first: int) -> Iterator[tuple[int, Batch, Any]]:
        """The rows of the eight views from ``first`` on, as many at once as memory allows."""
        views = self.group.batch.augmented()
        number = max(1, PAIRS // views.num_locations**2)
        for begin in range(first, len(views), number):
            if not self.running():
                return
            part = views[begin : begin + number]
            with torch.no_grad():
                keys = self.policy.encode(part)
            yield begin, part, keys

    def search_views(self) -> tuple[Batch, Any]:
        """As many whole views as may be searched at once."""
        nodes, size = self.group.batch.num_locations, len(self.group.instances)
        number = min(8, max(1, MOST_PAIRS // (size * nodes**2)))
        batch = self.group.batch.augmented()[: number * size]
        with torch.no_grad():
            return batch, self.policy.encode(batch)

    def _num_samples(self, rows: int) -> int:
        return max(1, max(FEWEST, CHUNK // self.group.batch.num_locations) // rows)

    def _construct(self, batch: Batch, keys: Any, starts: Tensor, begin: int = 0) -> None:
        """Greedy trajectories of every row from every start, in chunks."""
        most = max(FEWEST, CHUNK // batch.num_locations)
        num_starts = min(len(starts), most)
        rows = max(1, most // max(1, num_starts))
        for row in range(0, len(batch), rows):
            part = slice(row, row + rows)
            for some in torch.split(starts, num_starts) if num_starts else ():
                ahead = some.expand(len(batch.coordinates[part]), -1)
                steps = follow(self.policy, keys.part(part), State.begin(batch[part], ahead), self.running)
                if steps is None:
                    return
                self.incumbents.offer(torch.cat((ahead[..., None], steps), dim=-1), begin + row)

    def _draw(
        self,
        batch: Batch,
        keys: Any,
        generator: torch.Generator,
        number: int,
        table: Tensor | None = None,
        exponent: float = 1.0,
    ) -> bool:
        """``number`` trajectories of every row; whether one of them improves."""
        nodes, device = batch.num_locations, batch.coordinates.device
        # From random starts: measurably better than where the policy itself would begin.
        starts = torch.randint(nodes, (len(batch), number), generator=generator, device=device)
        state = State.begin(batch, starts)
        steps = follow(self.policy, keys, state, self.running, generator, table, exponent)
        return steps is not None and self.incumbents.offer(torch.cat((starts[..., None], steps), dim=-1))

    @torch.no_grad()
    def _table(self, batch: Batch, keys: Any, alpha: float, sigma: float) -> Tensor:
        """ln max(1, sigma / p^alpha) at the incumbent's edges, 0 elsewhere; float32, shape (R, N, N)."""
        tour = torch.from_numpy(self.incumbents.tours[0]).to(batch.coordinates.device)
        table = torch.zeros_like(keys.affinity)
        rows = torch.arange(len(batch), device=table.device)
        state, memory = State.begin(batch, tour[:1].expand(len(batch), 1)), None
        for action in tour[1:]:
            scores, memory = next_scores(self.policy, keys, state, memory)
            likelihood = scores.log_softmax(dim=-1)[:, 0, action]
            table[rows, state.last[:, 0], action] = (math.log(sigma) - alpha * likelihood).clamp(min=0)
            state = state.step(action.expand(len(batch), 1))
        # The step to the start, which was given, counts as certain.
        table[:, 0 if batch.has_depot else tour[-1], tour[0]] = math.log(sigma)
        return table


def run_stages(decoders: Sequence[Decoder], last: str) -> bool:
    """The greedy stages up to ``last``, each for all decoders; whether time is left."""
    for decode, stage in (("greedy", Decoder.greedy), ("starts", Decoder.starts), ("x8", Decoder.augmented)):
        for decoder in decoders:
            if not decoder.running():
                return False
            stage(decoder)
        if decode == last:
            break
    return True
