"""A factory of synthetic results, and what an application is made of."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from instances.problem import BestKnown, Description
from services.records import Comparison, Incumbent, Results, Run, Status
from services.settings import Settings
from services.store.store import Store

# What a solver did on an instance with one seed: nothing, a cost, or a trace of (seconds, cost).
Outcome = None | int | Sequence[tuple[float, int]]


def make_results(
    costs: Mapping[str, Sequence[Sequence[Outcome]]],
    best_known: Sequence[int | None] | int | None = None,
    budget: float = 1.0,
    reference: str | None = None,
    decimals: int = 0,
) -> Results:
    """Results from ``costs[solver][instance][seed]``; a None outcome is a run without a solution."""
    num_instances = len(next(iter(costs.values())))
    known = best_known if isinstance(best_known, Sequence) else [best_known] * num_instances
    instances = {
        f"digest-{place}": Description(
            problem="routing",
            name=f"instance-{place}",
            digest=f"digest-{place}",
            size=20,
            size_unit="customers",
            features=("capacity",),
            decimals=decimals,
            properties={"rounding": "nearest"},
            best_known=None if cost is None else BestKnown(cost, True, "made up", "2026-11-01"),
        )
        for place, cost in enumerate(known)
    }
    num_seeds = max(len(seeds) for by_instance in costs.values() for seeds in by_instance)
    comparison = Comparison("synthetic", {label: label for label in costs}, budget, num_seeds, reference=reference)
    runs = [
        _run(label, digest, repetition, outcome, budget)
        for label, by_instance in costs.items()
        for digest, seeds in zip(instances, by_instance, strict=True)
        for repetition, outcome in enumerate(seeds)
    ]
    return Results(comparison, instances, tuple(runs))


def _run(label: str, digest: str, repetition: int, outcome: Outcome, budget: float) -> Run:
    trace = [(0.0, outcome)] if isinstance(outcome, int) else outcome or []
    return Run(
        key=f"{label}/{digest}/{repetition}",
        instance=digest,
        solver=label,
        spec=label,
        repetition=repetition,
        seed=repetition,
        status=Status.FINISHED if trace else Status.NO_SOLUTION,
        trace=tuple(Incumbent(seconds, cost) for seconds, cost in trace),
        wall_seconds=budget,
        cpu_seconds=budget,
    )


def change_runs(results: Results, solver: str, **changes: object) -> Results:
    """The same results with fields of one solver's runs changed."""
    runs = tuple(replace(run, **changes) if run.solver == solver else run for run in results.runs)
    return replace(results, runs=runs)


@pytest.fixture(name="make_results")
def _make_results() -> Callable[..., Results]:
    return make_results


@pytest.fixture(name="change_runs")
def _change_runs() -> Callable[..., Results]:
    return change_runs


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    store = Store.open(f"sqlite:///{tmp_path / 'versus.sqlite'}")
    yield store
    store.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The default settings, asking for no key."""
    return Settings(auth="off", data_dir=tmp_path)


@pytest.fixture
def hints() -> list[tuple[str, int]]:
    """The hints that the application gave, as (needs, number)."""
    return []
