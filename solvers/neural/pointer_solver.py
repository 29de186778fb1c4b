"""``pointer``: a trained pointer network as a solver, anytime within the budget."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from instances.errors import InvalidInput
from instances.routing.generators.sample import UNIT_DECIMALS
from instances.routing.generators.uniform import sample_uniform
from instances.routing.instance import RoutingInstance
from instances.routing.rounding import Rounding
from instances.routing.solution import Routes
from solvers.neural.cards import HASH_DIGITS, Card, Choice, choose
from solvers.neural.checkpoint import Network, load_network, read_checkpoint
from solvers.neural.decode import PAIRS, Decoder, Incumbents, form, group_of, run_stages
from solvers.neural.explain import explain
from solvers.search import Search, unhonoured

_log = logging.getLogger(__name__)

MAX_LOCATIONS = 5_000
"""Above it the tables of all pairs of locations no longer fit in a run's 4 GB."""

HONOURS = frozenset({"tsp", "capacity"})

Device = Literal["cpu", "cuda"]
Decode = Literal["auto", "greedy", "starts", "x8", "sample", "active"]

CHECKPOINT: Any = field(
    default="auto",
    metadata={
        "help": "auto picks the shipped checkpoint by problem and size; else the name of one, or a path. A spec "
        "written by the program adds @ and the hash of the weights, and refuses others"
    },
)
DEVICE: Any = field(default="cpu", metadata={"help": "where the network computes"})


def resolve(solver: Any) -> Choice:
    """The checkpoints that a solver's field names; the field becomes canonical, with the weights' hash."""
    choice = choose(solver.checkpoint, lambda path: read_checkpoint(path)[1])
    object.__setattr__(solver, "checkpoint", choice.text)
    return choice


def reason_to_decline(choice: Choice, network: str | None, instance: RoutingInstance) -> str | None:
    """Why the checkpoints there are cannot take an instance, or None."""
    reason = unhonoured(HONOURS, instance.features)
    if reason is not None:
        return f"{reason}: the network plans routes by coordinates and capacity alone"
    if instance.rounding is Rounding.GEO:
        return "geographical coordinates; the network sees planar ones"
    if instance.num_locations > MAX_LOCATIONS:
        return f"{instance.num_locations} locations; it tabulates all pairs and takes up to {MAX_LOCATIONS}"
    if choice.fitting(form(instance), instance.num_locations, network) is None:
        return f"checkpoint {choice.text} is not for {form(instance)}"
    return None


@dataclass(frozen=True)
class PointerSolver:
    """Pointer network, trained by reinforcement learning: greedy at first, then all starts, x8 views and search.

    It takes tours and capacitated routes in the plane. Without a limit on the fleet, as it cannot promise to keep
    one. With ``iterations`` and time enough, runs with equal seeds report the same solutions.

    References
    ----------
    W. Kool et al., Attention, learn to solve routing problems!, ICLR 2019.
    Y.-D. Kwon et al., POMO, NeurIPS 2020.
    A. Hottung et al., Efficient active search for combinatorial optimization problems, ICLR 2022.
    """

    checkpoint: str = CHECKPOINT
    decode: Decode = field(
        default="auto",
        metadata={
            "help": "where to stop: greedy after one trajectory, starts after one from each location, x8 after "
            "those of all eight views; sample and active then draw until the time is over, active near the best; "
            "auto is active, and x8 in batches"
        },
    )
    iterations: int | None = field(default=None, metadata={"help": "stop after drawing so many times, beside the time"})
    device: Device = DEVICE

    problem: ClassVar[str] = "routing"
    honours: ClassVar[frozenset[str]] = HONOURS
    packages: ClassVar[tuple[str, ...]] = ("torch", "numpy")
    explains: ClassVar[bool] = True
    batches: ClassVar[bool] = True
    network: ClassVar[str] = "pointer"

    def __post_init__(self) -> None:
        if self.iterations is not None and self.iterations < 1:
            raise ValueError(f"iterations is {self.iterations}; it must be at least 1")
        object.__setattr__(self, "_choice", resolve(self))

    def declines(self, instance: RoutingInstance) -> str | None:
        return reason_to_decline(self._choice, self._network, instance)  # type: ignore[attr-defined]

    @property
    def _network(self) -> str | None:
        """The network looked for among all shipped ones; a checkpoint that was named may be of any."""
        return self.network if self.checkpoint.startswith("auto@") else None

    def prepare(self) -> "ReadyPointer":
        return ReadyPointer(self._choice, self._network, self.decode, self.iterations, self.device)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class PointerLstmSolver(PointerSolver):
    """Recurrent pointer network, trained by reinforcement learning: decoded as ``pointer`` is.

    References
    ----------
    I. Bello et al., Neural combinatorial optimization with reinforcement learning, 2016.
    M. Nazari et al., Reinforcement learning for solving the vehicle routing problem, NeurIPS 2018.
    """

    network: ClassVar[str] = "pointer-lstm"


class ReadyPointer:
    """Loaded networks; see :class:`PointerSolver` for the parameters."""

    def __init__(
        self,
        choice: Choice,
        network: str | None,
        decode: Decode = "auto",
        iterations: int | None = None,
        device: Device = "cpu",
    ) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise InvalidInput("is cuda, but torch finds no such device; accepted is cpu", "device")
        self.device = torch.device(device)
        self._choice = choice
        self._network = network
        self._decode = decode
        self._iterations = iterations
        self._policies = {
            card.name: load_network(choice.weights(card), card.network, card.config).to(self.device)
            for card in choice.cards
            if network in (None, card.network)
        }
        torch.set_num_threads(1)
        self._warm_up()

    def policy(self, instance: RoutingInstance) -> tuple[Card, Network]:
        """The network for an instance, and its card."""
        card = self._choice.fitting(form(instance), instance.num_locations, self._network)
        assert card is not None, "declined"
        return card, self._policies[card.name]

    def decoder(self, instance: RoutingInstance, search: Search) -> Decoder:
        """What decodes one instance within a search; it says in the log which weights it uses."""
        torch.set_num_threads(search.threads)
        card, policy = self.policy(instance)
        _log.info(describe_use(card, instance))
        group = group_of([instance], self.device)
        return Decoder(policy, group, Incumbents(group, [search.report]), search.running)

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        if instance.num_customers == 0:
            search.report(Routes(()))
            return
        decoder = self.decoder(instance, search)
        if not run_stages([decoder], self._decode) or self._decode in ("greedy", "starts", "x8"):
            return
        generator = torch.Generator(self.device).manual_seed(search.seed)
        draw = decoder.sample if self._decode == "sample" else decoder.active
        draw(generator, self._iterations)

    def explain(self, instance: RoutingInstance, solution: Routes) -> dict[str, Any]:
        """How likely the network of this instance held each step of a solution; see :mod:`solvers.neural.explain`."""
        return explain(*self.policy(instance), instance, solution)

    def solve_many(self, instances: Sequence[RoutingInstance], searches: Sequence[Search]) -> None:
        """Solve instances together, those of one problem and size in one pass; greedily.

        Every stage ends for all instances before the next one begins, so that each has an incumbent early.

        Parameters
        ----------
        instances
            Of any sizes; none of them declined.
        searches
            One for each: where its solutions are reported. They share the budget and the threads of the first.
        """
        first = searches[0]
        torch.set_num_threads(first.threads)
        together: dict[tuple[str, int], list[int]] = {}
        for index, instance in enumerate(instances):
            if instance.num_customers == 0:
                searches[index].report(Routes(()))
            else:
                together.setdefault((form(instance), instance.num_locations), []).append(index)
        decoders = []
        for (_, size), members in together.items():
            number = max(1, PAIRS // size**2)
            for begin in range(0, len(members), number):
                part = members[begin : begin + number]
                group = group_of([instances[index] for index in part], self.device)
                incumbents = Incumbents(group, [searches[index].report for index in part])
                decoders.append(Decoder(self.policy(group.instances[0])[1], group, incumbents, first.running))
        run_stages(decoders, self._decode)

    def _warm_up(self) -> None:
        """Decode tiny instances in every way once, so that no run pays for the first use of an operation."""
        for problem in ("tsp", "cvrp"):
            for size in (5, 40):
                sample = sample_uniform(np.random.default_rng(0), 1, size, problem)
                instance = sample.instance(0, rounding=Rounding.UNROUNDED, coordinate_decimals=UNIT_DECIMALS)
                if self._choice.fitting(problem, size, self._network) is None:
                    continue
                group = group_of([instance], self.device)
                incumbents = Incumbents(group, [lambda routes: None])
                decoder = Decoder(self.policy(instance)[1], group, incumbents, lambda: True)
                run_stages([decoder], "starts")
                decoder.active(torch.Generator(self.device).manual_seed(0), 1)


def describe_use(card: Card, instance: RoutingInstance) -> str:
    """Which weights a run uses, and whether the instance is like those they were trained on."""
    size = instance.num_locations - (form(instance) == "cvrp")
    where = "as this instance" if card.distance(size) == 0 else f"this instance is larger or smaller, {size}"
    return f"checkpoint {card.name} ({card.sha256[:HASH_DIGITS]}), trained on {card.distribution}; {where}"
