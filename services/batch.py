"""The batch evaluation: plan a comparison, run what is missing, keep the results."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from instances.errors import InvalidInput
from instances.files import read_paths
from instances.problem import Description, Instance, Problem
from instances.problems import problem_of
from services import definition as definitions
from services.analysis.comparable import check_comparable
from services.definition import Definition
from services.records import Comparison, Results, Run, Status
from services.runner.machine import core_slots, describe_machine
from services.runner.pool import resolve, run_all
from services.runner.slot import Task, encode
from services.store.store import Store

Instances = dict[str, tuple[Problem, Instance]]
"""By digest, in order."""


@dataclass(frozen=True)
class Plan:
    """A comparison ready to run: every file read, every solver resolved."""

    definition: Definition
    comparison: Comparison
    instances: Instances
    descriptions: dict[str, Description]
    cores: list[frozenset[int]]
    notes: tuple[str, ...]

    @property
    def num_runs(self) -> int:
        """Runs of the whole comparison."""
        return len(self.instances) * len(self.comparison.solvers) * self.comparison.num_seeds


def plan(definition: Definition, jobs: int | None = None) -> Plan:
    """Read all files and resolve all solvers; nothing has run and nothing is written when this raises.

    Raises
    ------
    InvalidInput
        If a file, a solver spec or a term is wrong (bad files are all listed), or if the instances cannot be
        averaged together.
    Unavailable
        If a solver cannot be imported here.
    """
    cores = core_slots(jobs, definition.threads)
    instances, notes = read_instances(definition)
    resolved = resolve(definition.solvers, cores[0], definition.threads, definition.memory)
    comparison = Comparison(
        name=definition.name,
        solvers={label: answer.spec for label, answer in resolved.items()},
        problems={label: answer.problem for label, answer in resolved.items()},
        budget=definition.budget,
        num_seeds=definition.seeds,
        seed=definition.seed,
        threads=definition.threads,
        memory=definition.memory,
        batch=definition.batch,
        reference=definition.reference,
    )
    descriptions = {digest: problem.describe(instance) for digest, (problem, instance) in instances.items()}
    check_comparable(Results(comparison, descriptions, ()))
    return Plan(definition, comparison, instances, descriptions, cores, notes)


def read_instances(definition: Definition) -> tuple[Instances, tuple[str, ...]]:
    """The instances of a definition's files, and what to know of how they were read; InvalidInput lists bad files."""
    notes: list[str] = []
    instances: Instances = {}
    for entry in read_paths(definition.paths, definition.rounding):
        notes += [f"{entry.path}: {note}" for note in entry.notes]
        if entry.instance.digest in instances:
            notes.append(f"{entry.path}: the same instance as {instances[entry.instance.digest][1].name}, kept once")
        else:
            instances[entry.instance.digest] = problem_of(entry.instance), entry.instance
    return instances, tuple(notes)


def open_results(plan: Plan, folder: Path, command: str) -> tuple[Store, Plan]:
    """The folder's store, holding this comparison: as begun earlier, under the name it had then, or new.

    Raises
    ------
    InvalidInput
        If the folder holds another comparison.
    """
    store = Store.in_folder(folder, write=True)
    for stored in store.comparisons():
        renamed = replace(plan, comparison=replace(plan.comparison, name=stored.name))
        if stored != renamed.comparison or store.instance_digests(stored.name) != list(plan.instances):
            store.close()
            raise InvalidInput(
                "holds a comparison of other instances, solvers or terms; choose another --out", str(folder)
            )
        return store, renamed
    definitions.write(plan.definition, folder / definitions.FILE_NAME)
    environment = {**describe_machine(), "command": command}
    described = (
        (plan.descriptions[digest], problem.dump(instance)) for digest, (problem, instance) in plan.instances.items()
    )
    store.add_comparison(plan.comparison, described, environment)
    return store, plan


def execute(plan: Plan, store: Store, on_run: Callable[[Run], None]) -> Results:
    """Make the runs that the store lacks, each stored as it ends, and return all results."""
    comparison = plan.comparison
    present = store.run_keys(comparison.name)
    # Those of a batch are stored at once, so that none is made again among others than before.
    missing = (group for group in tasks(plan) if any(task.key not in present for task in group))
    for runs in run_all(missing, plan.cores, comparison.threads, comparison.memory, comparison.batch > 1):
        store.save_runs(comparison.name, *runs)
        for run in runs:
            on_run(run)
    return store.results(comparison.name)


def tasks(plan: Plan) -> Iterator[list[Task]]:
    """All runs, in the order in which they are made: by themselves, or in batches of several instances."""
    comparison = plan.comparison
    documents: dict[str, bytes] = {}

    def task(digest: str, label: str, repetition: int) -> Task:
        problem, instance = plan.instances[digest]
        # Encoded once, when first needed, for that holds up whatever else this process does.
        if digest not in documents:
            documents[digest] = encode(problem, instance)
        return Task(
            key=comparison.run_key(digest, label, repetition),
            document=documents[digest],
            digest=digest,
            label=label,
            spec=comparison.solvers[label],
            repetition=repetition,
            seed=comparison.run_seed(digest, repetition),
            budget=comparison.budget,
        )

    digests = list(plan.instances)
    batches = [digests[start : start + comparison.batch] for start in range(0, len(digests), comparison.batch)]
    for batch, label, repetition in comparison.places(batches):
        yield [task(digest, label, repetition) for digest in batch]


def complete(results: Results) -> bool:
    """Whether every run ended well and every instance has a verified answer.

    Well means: finished, declined, or killed at its limit with an answer.
    """
    answered = {run.instance for run in results.runs if run.answered}
    well = all(
        run.status in (Status.FINISHED, Status.DECLINED) or (run.status is Status.KILLED and run.answered)
        for run in results.runs
    )
    return well and answered == set(results.instances)
