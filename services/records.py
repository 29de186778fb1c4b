"""What a comparison is and what its runs leave behind: plain values, no behaviour beyond derived facts."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeVar

from instances.problem import Description

T = TypeVar("T")


class Status(StrEnum):
    """How a run ended."""

    FINISHED = "finished"
    KILLED = "killed"
    NO_SOLUTION = "no-solution"
    CRASHED = "crashed"
    MEMORY = "memory"
    DECLINED = "declined"
    UNAVAILABLE = "unavailable"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Incumbent:
    """A verified solution that improved on all before it: arrival in seconds after the start, and its cost."""

    seconds: float
    cost: int
    solution: bytes | None = field(default=None, compare=False, repr=False)
    """The solution's document in JSON, as the solver's child encoded it; None where only the trace was loaded."""


@dataclass(frozen=True)
class Comparison:
    """Instances x solvers x seeds under one budget.

    ``solvers`` maps the label shown to people (the spec as it was typed) to the canonical spec, ``problems`` to the
    problem it solves. ``memory`` is in bytes per run, ``budget`` in seconds of wall time. ``reference`` is the label
    of the solver that pairs are compared with; None compares all pairs.
    """

    name: str
    solvers: dict[str, str]
    budget: float
    num_seeds: int
    seed: int = 0
    threads: int = 1
    memory: int = 4 * 1024**3
    batch: int = 1
    reference: str | None = None
    problems: dict[str, str] = field(default_factory=dict)

    def run_seed(self, instance_digest: str, repetition: int) -> int:
        """The 31-bit seed of a run: from comparison seed, instance and repetition, the same for every solver."""
        text = f"{self.seed}/{instance_digest}/{repetition}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1

    def places(self, instances: Sequence[T]) -> Iterator[tuple[T, str, int]]:
        """All runs as (instance, label, repetition), in the order in which they are made.

        An instance is named by its digest, or several that are solved together by theirs. Solvers innermost and in
        rotating order, so that a drift of the machine falls on all alike.
        """
        labels = list(self.solvers)
        for repetition in range(self.num_seeds):
            for position, instance in enumerate(instances):
                turn = (position + repetition) % len(labels)
                for label in labels[turn:] + labels[:turn]:
                    yield instance, label, repetition

    def run_key(self, instance_digest: str, label: str, repetition: int) -> str:
        """Hash that identifies a run: a retry or a resumed comparison writes the same key again."""
        parts = [
            self.name, instance_digest, label, self.solvers[label], self.budget, self.threads, self.memory, "cpu",
            self.batch, self.run_seed(instance_digest, repetition), repetition,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Run:
    """The record of one solver on one instance with one seed.

    ``trace`` holds strictly improving verified incumbents (thinned to 200); the last is the run's answer. Seconds
    are the parent's clock from the moment the warm child was told to go.
    """

    key: str
    instance: str
    """Digest of the instance."""
    solver: str
    """Label of the solver within the comparison."""
    spec: str
    """Canonical spec."""
    repetition: int
    seed: int
    status: Status
    reason: str = ""
    """Why it ended so: the reason of a decline, the signal or error of a crash, the first rejected violation."""
    trace: tuple[Incumbent, ...] = ()
    partial: bool = False
    """Whether the last incumbent leaves something to do, as a factorisation with a composite part does."""
    num_reported: int = 0
    num_rejected: int = 0
    num_late: int = 0
    setup_seconds: float = 0.0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    involuntary_switches: int = 0
    disturbed: bool = False
    """Whether something else took the core of a one-thread run: CPU time below 0.9 of wall time."""
    versions: dict[str, str] = field(default_factory=dict)
    machine: str = ""
    log: str = ""
    finished_at: str = ""
    attempt: int = 1
    """Which attempt at it this is; more than the first where a worker was lost."""

    @property
    def cost(self) -> int | None:
        """Cost of the last incumbent, None without one."""
        return self.trace[-1].cost if self.trace else None

    @property
    def answered(self) -> bool:
        """Whether there is a verified answer, and a whole one."""
        return bool(self.trace) and not self.partial


@dataclass(frozen=True)
class Results:
    """A comparison's runs with what is known of their instances, the input of statistics, figures and reports."""

    comparison: Comparison
    instances: dict[str, Description]
    """By digest, in the order of the comparison."""
    runs: tuple[Run, ...]
    environment: dict[str, str] = field(default_factory=dict)
    documents: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Instance documents by digest, for drawing; may be empty."""
    solutions: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Documents of the best solution by run key, for drawing; may be empty."""

    def by_problem(self) -> dict[str, "Results"]:
        """The results of each problem by its name: its instances, the solvers that solve it, and their runs.

        A solver of another problem declines by nature; its runs say nothing here. A reference of another problem
        compares nothing here either: all pairs are compared.
        """
        return {problem: self._of(problem) for problem in dict.fromkeys(d.problem for d in self.instances.values())}

    def _of(self, problem: str) -> "Results":
        comparison = self.comparison
        instances = {digest: known for digest, known in self.instances.items() if known.problem == problem}
        solvers = {
            label: spec
            for label, spec in comparison.solvers.items()
            if comparison.problems.get(label, problem) == problem
        }
        reference = comparison.reference if comparison.reference in solvers else None
        return replace(
            self,
            comparison=replace(comparison, solvers=solvers, reference=reference),
            instances=instances,
            runs=tuple(run for run in self.runs if run.instance in instances and run.solver in solvers),
        )
