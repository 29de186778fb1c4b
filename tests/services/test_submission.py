"""What the service takes to be run, and what it refuses before anything is queued."""

import dataclasses
import os

import pytest

from instances.errors import InvalidInput
from instances.routing.generators import generate
from services import submission
from services.records import Comparison
from services.runner.machine import apart_from, core_slots
from services.settings import Settings
from services.store.jobs import Jobs
from services.store.store import Store
from services.submission import Full, Terms

TERMS = Terms(solvers=["savings", "nearest"], budget=1.0)
SETTINGS = Settings(
    max_runs=100, max_queued_runs=10, max_open_comparisons=1, max_budget_seconds=10, max_memory_bytes=2**33,
    max_threads=4, max_instance_size=50,
)  # fmt: skip


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    store = Store.open(f"sqlite:///{tmp_path / 'versus.sqlite'}")
    yield store
    store.close()


def generated(store, parameters, problem="routing", kind="uniform", count=2, seed=1):
    """Instances made by the service."""
    return submission.store_generated(store, SETTINGS, problem, kind, parameters, count, seed)


@pytest.mark.parametrize(
    ("solver", "reason"),
    [
        ("exec:command=true", "runs a command"),
        ("pointer:checkpoint=/etc/passwd", "path"),
        ("pointer:checkpoint=..", "path"),
        ("savings:shape=a\\b", "path"),
        ("pointer:checkpoint=own.safetensors", "auto or the name"),
        ("pointer+beam:checkpoint=a b", "auto or the name"),
        ("savings:shape=1\n", "control characters"),
    ],
)
def test_nothing_that_a_client_names_is_run_or_opened(solver, reason):
    """Commands and whatever may be a path are refused, by the solver's name and its text alone."""
    with pytest.raises(InvalidInput, match=reason):
        submission.check_offered([solver])


@pytest.mark.parametrize("solver", ["savings:shape=1.5", "pointer:checkpoint=cvrp20", "pointer:checkpoint=auto@0a1b2c"])
def test_other_parameters_are_offered(solver):
    """Numbers, the names of shipped checkpoints, and canonical specs pass."""
    submission.check_offered([solver])


def test_solvers_answer_with_their_canonical_spec(store):
    """Defaults are spelled out under the label that was typed, with the problem that each solves."""
    planned = submission.plan("c", TERMS, generated(store, {"size": 5}))
    assert planned.comparison.solvers == {"savings": "savings:shape=1.0", "nearest": "nearest"}
    assert planned.comparison.problems == {"savings": "routing", "nearest": "routing"}
    assert planned.needs == {"savings": "cpu", "nearest": "cpu"}


def test_a_solver_is_asked_once(store):
    """However often a spec is sent, one child answers for it."""
    instances = generated(store, {"size": 5})
    submission.plan("c", TERMS, instances)
    before = submission._answer.cache_info().misses
    for _ in range(100):
        submission.plan("c", TERMS, instances)
    assert submission._answer.cache_info().misses == before


def test_solvers_are_asked_off_the_cores_of_the_runs():
    """Whoever answers takes no time from a run under way, where a core is left; else it shares them."""
    spare, allowed = submission._spare_cores(), os.sched_getaffinity(0)
    timed = frozenset().union(*core_slots(None, 1))
    assert spare <= allowed
    assert not spare & timed if apart_from(timed) else spare == allowed


@pytest.mark.parametrize(
    ("solver", "reason"),
    [
        ("nobody", "unknown; there are: .*savings"),
        ("savings:length=1", "unknown parameter 'length'; accepted are: shape"),
        ("savings:shape=round", "'round' is not accepted; accepted: float"),
        ("Savings", "expected NAME"),
    ],
)
def test_wrong_specs_are_refused_with_what_is_accepted(solver, reason):
    """Names, parameters and values are those of the solver's own description."""
    with pytest.raises(InvalidInput, match=reason):
        submission.resolved_spec(solver)


def test_networks_on_the_accelerator_need_its_queue():
    """A run needs what its spec says: `device=cuda` the gpu, all else the cpu."""
    comparison = Comparison("c", {"a": "pointer:checkpoint=auto@0a,device=cuda", "b": "pointer:device=cpu"}, 1.0, 1)
    assert submission.needs(comparison) == {"a": "gpu", "b": "cpu"}


@pytest.mark.parametrize(
    ("changes", "num_instances", "where"),
    [
        ({"budget": 10.5}, 1, "budget"),
        ({"threads": 5}, 1, "threads"),
        ({"memory": 2**33 + 1}, 1, "memory"),
        ({"reference": "ortools"}, 1, "reference"),
        ({"solvers": ["savings", "savings"]}, 1, "solvers"),
        ({}, 0, "instances"),
        ({"seeds": 2}, 26, ""),
    ],
)
def test_terms_beyond_the_limits_are_refused(changes, num_instances, where):
    """Each limit of the settings, at its place; what is at the limits passes."""
    within = {"budget": 10.0, "threads": 4, "memory": 2**33, "seeds": 2}
    submission.check_terms(SETTINGS, dataclasses.replace(TERMS, **within), 25)
    with pytest.raises(InvalidInput) as caught:
        submission.check_terms(SETTINGS, dataclasses.replace(TERMS, **changes), num_instances)
    assert caught.value.where == where


def test_a_full_queue_takes_no_more(store):
    """Runs above the limit of the queue are to be sent later, also single ones; up to it they pass."""
    instances = generated(store, {"size": 5}, count=4)
    planned = submission.plan("c", TERMS, instances)
    submission.check_room(store, SETTINGS, 10, None, single=False)
    Jobs(store.engine).submit(planned.comparison, instances, planned.needs, {}, single=True)
    submission.check_room(store, SETTINGS, 2, None, single=True)
    with pytest.raises(Full, match="8 runs are queued") as caught:
        submission.check_room(store, SETTINGS, 3, None, single=True)
    assert caught.value.retry_seconds > 0


def test_unfinished_comparisons_are_counted_by_key(store):
    """Whoever has too many of them finishes one first; single runs and those of others do not count."""
    instances = generated(store, {"size": 5}, count=1)
    jobs = Jobs(store.engine)
    for single in (True, False):
        submission.check_room(store, SETTINGS, 1, None, single=False)
        planned = submission.plan(submission.new_name(), TERMS, instances)
        jobs.submit(planned.comparison, instances, planned.needs, {}, single=single)
    with pytest.raises(Full, match="1 comparisons of this key are unfinished"):
        submission.check_room(store, SETTINGS, 1, None, single=False)
    submission.check_room(store, SETTINGS, 1, None, single=True)
    submission.check_room(store, SETTINGS, 1, "another", single=False)
    jobs.cancel(planned.comparison.name)
    submission.check_room(store, SETTINGS, 1, None, single=False)


def test_generated_instances_are_the_command_s_own(store):
    """The same kind, size and seed give the instances of `versus generate`, and they are stored."""
    made = generated(store, {"size": 7, "problem": "tsp"}, count=3, seed=5)
    expected = generate("uniform", size=7, count=3, seed=5, problem="tsp")
    assert [known.digest for known in made] == [instance.digest for instance in expected]
    assert submission.stored_instances(store, [known.digest for known in made]) == made
    numbers = generated(store, {"bits": 24, "split": "validation"}, "factoring", "semiprime")
    assert [known.size for known in numbers] == [24, 24]


@pytest.mark.parametrize(
    ("problem", "kind", "parameters", "count", "where"),
    [
        ("packing", "uniform", {"size": 5}, 1, "generator: problem"),
        ("routing", "square", {"size": 5}, 1, "generator: kind"),
        ("routing", "uniform", {}, 1, "generator: parameters.size"),
        ("routing", "uniform", {"size": 51}, 1, "generator: parameters.size"),
        ("routing", "uniform", {"size": "5"}, 1, "generator: parameters.size"),
        ("routing", "uniform", {"size": 5, "colour": 1}, 1, "generator: parameters"),
        ("routing", "uniform", {"size": 5, "problem": "vrptw"}, 1, "generator: problem"),
        ("routing", "x", {"size": 5, "route_size": "nan"}, 1, "generator: parameters.route_size"),
        ("routing", "x", {"size": 5, "route_size": 1e9}, 1, "generator: parameters.route_size"),
        ("routing", "uniform", {"size": 5}, 20_001, "generator: count"),
        ("factoring", "semiprime", {"bits": 3}, 10, "generator: count"),
    ],
)
def test_wrong_generators_are_refused_at_their_place(store, problem, kind, parameters, count, where):
    """Whatever is wrong with a generator is said of its field, and nothing is stored."""
    with pytest.raises(InvalidInput) as caught:
        generated(store, parameters, problem, kind, count)
    assert caught.value.where == where


def test_integers_that_take_long_to_find_are_refused(store):
    """Large primes are looked for in the request's own time, so they are few."""
    with pytest.raises(InvalidInput, match="488 integers of 4096 bits take too long to find; accepted are 7"):
        submission.store_generated(store, Settings(), "factoring", "semiprime", {"bits": 4096}, 488, 1)


def test_instances_must_be_stored_and_different(store):
    """An unknown digest is named with its place, and so is one that is given twice."""
    (known,) = generated(store, {"size": 5}, count=1)
    with pytest.raises(InvalidInput, match=r"instances\.1: 0+ is unknown"):
        submission.stored_instances(store, [known.digest, "0" * 64])
    with pytest.raises(InvalidInput, match="given twice"):
        submission.stored_instances(store, [known.digest, known.digest])


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ({"problem": "packing"}, "document: problem"),
        ({}, "document: problem"),
        ({"problem": "factoring", "version": 1}, "document"),
        ({"problem": "factoring", "version": 1, "n": str(2**50 + 1)}, "document"),
    ],
)
def test_wrong_documents_are_refused(store, document, where):
    """No instance, half an instance, and one that is too large."""
    with pytest.raises(InvalidInput) as caught:
        submission.store_document(store, SETTINGS, document)
    assert caught.value.where.startswith(where)


def test_names_sort_by_time_and_differ():
    """Comparisons made in one second have different names, and those of later seconds come after."""
    names = [submission.new_name() for _ in range(1_000)]
    assert len(set(names)) == 1_000
    assert [name[:15] for name in names] == sorted(name[:15] for name in names)
