"""A network joined with a search: its routes as the start of PyVRP or OR-Tools, or its policy in a beam search.

The network computes within the budget. Nothing else distinguishes ``pointer+pyvrp`` from ``pyvrp``, so that their
difference is what the start is worth.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from instances.routing.instance import RoutingInstance
from instances.routing.solution import Routes
from solvers.neural.beam import beam_search
from solvers.neural.cards import Choice
from solvers.neural.decode import run_stages
from solvers.neural.pointer_solver import (
    CHECKPOINT,
    DEVICE,
    HONOURS,
    Device,
    ReadyPointer,
    reason_to_decline,
    resolve,
)
from solvers.routing.iterated_local_search import PyVrp
from solvers.routing.or_tools import Metaheuristic, OrTools, Ruin
from solvers.search import Search

Start = Literal["greedy", "starts", "x8"]

START_SHARE = 0.2
"""Of the budget, at most, for all but the network's first trajectory."""

DECODE: Any = field(
    default="starts",
    metadata={
        "help": "the network's start: the one greedy trajectory, the best of one from each location, or of eight "
        "views; after a fifth of the budget the best so far"
    },
)


class _Network:
    """What the solvers here have in common: which instances the network takes."""

    problem: ClassVar[str] = "routing"
    honours: ClassVar[frozenset[str]] = HONOURS
    _choice: Choice

    def declines(self, instance: RoutingInstance) -> str | None:
        return reason_to_decline(self._choice, self._kind, instance)

    @property
    def _kind(self) -> str | None:
        return "pointer" if self._choice.text.startswith("auto@") else None

    def _ready_network(self, device: Device) -> ReadyPointer:
        return ReadyPointer(self._choice, self._kind, "starts", None, device)


class _Early:
    """The search as the network sees it: over after its share, and with a memory of the last report."""

    def __init__(self, search: Search) -> None:
        self.budget = search.budget
        self.seed = search.seed
        self.threads = search.threads
        self.best: Routes | None = None
        self._search = search

    def running(self) -> bool:
        return self.remaining() > 0 if self.best is not None else self._search.running()

    def remaining(self) -> float:
        return max(0.0, self._search.remaining() - (1 - START_SHARE) * self.budget)

    def report(self, solution: Routes) -> None:
        self.best = solution
        self._search.report(solution)


class _Started:
    """A network that makes the start, and a search that goes on from it."""

    def __init__(self, network: ReadyPointer, decode: Start, after: PyVrp | OrTools) -> None:
        self._network = network
        self._decode = decode
        self._after = after

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        early = _Early(search)
        if instance.num_customers:
            run_stages([self._network.decoder(instance, early)], self._decode)
            if early.best is None:
                return
        self._after.solve_from(instance, search, early.best)


@dataclass(frozen=True)
class _StartedByNetwork(_Network):
    """A solver whose network hands its routes to a search."""

    checkpoint: str = CHECKPOINT
    decode: Start = DECODE
    device: Device = DEVICE

    def __post_init__(self) -> None:
        self._search()
        object.__setattr__(self, "_choice", resolve(self))

    def declines(self, instance: RoutingInstance) -> str | None:
        return super().declines(instance) or self._search().declines(instance)

    def prepare(self) -> _Started:
        return _Started(self._ready_network(self.device), self.decode, self._search().prepare())

    def _search(self) -> PyVrp | OrTools:
        """The search, of this solver's parameters; ValueError if they are wrong."""
        raise NotImplementedError


@dataclass(frozen=True)
class PointerPyVrp(_StartedByNetwork):
    """Pointer network, then PyVRP from the network's routes."""

    iterations: int | None = field(
        default=None, metadata={"help": "PyVRP: stop after so many iterations, beside the time"}
    )

    packages: ClassVar[tuple[str, ...]] = ("torch", *PyVrp.packages)

    def _search(self) -> PyVrp:
        return PyVrp(iterations=self.iterations)


@dataclass(frozen=True)
class PointerOrTools(_StartedByNetwork):
    """Pointer network, then OR-Tools from the network's routes."""

    metaheuristic: Metaheuristic = field(
        default="ruin_and_recreate", metadata={"help": "OR-Tools: how the start is improved"}
    )
    vehicles: Literal["fewest", "tight", "customers"] = field(
        default="tight", metadata={"help": "OR-Tools: vehicles in the model, at least those of the start"}
    )
    ruin: Ruin = field(default="both", metadata={"help": "OR-Tools: what a step of ruin and recreate removes"})
    removed: int = field(default=20, metadata={"help": "OR-Tools: customers such a step removes on average"})
    penalty: float = field(default=0.1, metadata={"help": "OR-Tools: weight of guided local search"})
    iterations: int | None = field(
        default=None, metadata={"help": "OR-Tools: stop after so many solutions, beside the time"}
    )

    packages: ClassVar[tuple[str, ...]] = ("torch", *OrTools.packages)

    def _search(self) -> OrTools:
        return OrTools(
            metaheuristic=self.metaheuristic,
            vehicles=self.vehicles,
            ruin=self.ruin,
            removed=self.removed,
            penalty=self.penalty,
            iterations=self.iterations,
        )


@dataclass(frozen=True)
class PointerBeam(_Network):
    """Pointer network in a simulation-guided beam search over eight views, ever wider until the time is over.

    It begins as ``pointer`` does, with the greedy trajectories up to those of eight views.

    References
    ----------
    J. Choo et al., Simulation-guided beam search for neural combinatorial optimization, NeurIPS 2022.
    """

    checkpoint: str = CHECKPOINT
    width: int = field(default=4, metadata={"help": "members of the first beam; each further one is twice as wide"})
    expansion: int = field(default=4, metadata={"help": "most likely next locations of a member that are simulated"})
    most: int = field(default=1024, metadata={"help": "members of the widest beam, after which it ends"})
    device: Device = DEVICE

    packages: ClassVar[tuple[str, ...]] = ("torch", "numpy")

    def __post_init__(self) -> None:
        if not 1 <= self.width <= self.most:
            raise ValueError(f"width is {self.width}; accepted are 1 to the widest, {self.most}")
        if self.expansion < 2:
            raise ValueError(f"expansion is {self.expansion}; it must be at least 2")
        object.__setattr__(self, "_choice", resolve(self))

    def prepare(self) -> "_ReadyBeam":
        return _ReadyBeam(self._ready_network(self.device), self.width, self.expansion, self.most)


class _ReadyBeam:
    def __init__(self, network: ReadyPointer, width: int, expansion: int, most: int) -> None:
        self._network = network
        self._width = width
        self._expansion = expansion
        self._most = most

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        if instance.num_customers == 0:
            search.report(Routes(()))
            return
        decoder = self._network.decoder(instance, search)
        if not run_stages([decoder], "x8"):
            return
        batch, keys = decoder.search_views()
        width = self._width
        while search.running() and width <= self._most:
            beam_search(decoder.policy, batch, keys, decoder.incumbents, search.running, width, self._expansion)
            width *= 2
