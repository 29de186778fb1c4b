"""A job ends exactly once, whoever dies on the way, on SQLite and PostgreSQL alike."""

import dataclasses
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from instances.problems import problem_of
from instances.routing.generators import generate
from services.records import Comparison, Incumbent, Run, Status
from services.store import tables
from services.store.jobs import Claim, Jobs
from services.store.store import Store, insert_run

LEASE = 30.0


def comparison(name: str = "c", num_seeds: int = 1, **terms: object) -> Comparison:
    solvers = {"nearest": "nearest", "savings": "savings"}
    return dataclasses.replace(Comparison(name, solvers, budget=1.0, num_seeds=num_seeds), **terms)


def submit(store: Store, definition: Comparison, count: int = 3, **submission: object) -> Jobs:
    """Queue a comparison of generated instances."""
    made = [(problem_of(i), i) for i in generate("uniform", size=5, count=count, seed=1)]
    described = [problem.describe(instance) for problem, instance in made]
    store.add_instances(zip(described, (problem.dump(instance) for problem, instance in made), strict=True))
    jobs = Jobs(store.engine)
    jobs.submit(definition, described, dict.fromkeys(definition.solvers, "cpu"), {}, **submission)
    return jobs


def ended(claim: Claim, status: Status = Status.FINISHED) -> Run:
    """A run as a worker would store it."""
    return Run(
        claim.run, claim.instance, claim.solver, claim.solver, claim.repetition, 1, status,
        trace=(Incumbent(0.5, 10, b"[[1]]"),), attempt=claim.attempt,
    )  # fmt: skip


def claim(jobs: Jobs, worker: str = "w", lease: float = LEASE, threads: int = 1) -> Claim | None:
    return jobs.claim(["cpu"], threads, worker, lease)


def statuses(store: Store, name: str = "c") -> Counter[str]:
    return Counter(run.status.value for run in store.results(name).runs)


def test_every_job_becomes_one_run(store):
    """Claimed and completed, the jobs are the comparison's runs, in its order, and none is left."""
    definition = comparison(num_seeds=2)
    jobs = submit(store, definition)
    made = []
    while (job := claim(jobs)) is not None:
        assert jobs.complete(job, ended(job))
        made.append((job.instance, job.solver, job.repetition))
    assert made == list(definition.places(store.instance_digests("c")))
    assert {run.key for run in store.results("c").runs} == {definition.run_key(*place) for place in made}
    assert jobs.queued() == {}


def test_two_workers_never_share_a_job(store):
    """Eight threads that claim at the same time get different jobs, and all of them."""
    jobs = submit(store, comparison(num_seeds=10))

    def work(worker: int) -> list[str]:
        taken = []
        while (job := claim(jobs, f"w{worker}")) is not None:
            taken.append(job.run)
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = [run for runs in pool.map(work, range(8)) for run in runs]
    assert len(taken) == len(set(taken)) == 60


def test_lost_attempt_stores_nothing(store):
    """After the reaper gave a job to another, the first worker's result is dropped and its lease is not renewed."""
    jobs = submit(store, comparison())
    first = claim(jobs, "first", lease=-1.0)
    assert jobs.reap(cap=3) == 1
    second = claim(jobs, "second")
    assert second.run == first.run
    assert second.attempt == first.attempt + 1
    assert jobs.renew(first, LEASE, None) is None
    assert not jobs.complete(first, ended(first))
    assert not jobs.give_back(first)
    assert jobs.complete(second, ended(second))
    assert not jobs.complete(second, ended(second))
    (run,) = store.results("c").runs
    assert run.attempt == second.attempt


def test_renewed_lease_is_not_reaped(store):
    """A worker that renews keeps its job; its incumbents can be seen meanwhile."""
    jobs = submit(store, comparison())
    job = claim(jobs, lease=-1.0)
    assert jobs.renew(job, LEASE, [(0.1, 12), (0.2, 11)]) is False
    assert jobs.reap(cap=1) == 0
    with store.engine.connect() as connection:
        trace = connection.scalar(sa.select(tables.jobs.c.trace).where(tables.jobs.c.run == job.run))
    assert trace == [[0.1, 12], [0.2, 11]]
    assert jobs.complete(job, ended(job))


def test_job_that_kills_its_workers_crashes_at_the_cap(store):
    """A job lost three times is not tried for ever: it ends as crashed and says why."""
    jobs = submit(store, comparison())
    run = claim(jobs, "w1", lease=-1.0).run
    for worker in ("w2", "w3"):
        assert jobs.reap(cap=3) == 1
        assert claim(jobs, worker, lease=-1.0).run == run
    assert jobs.reap(cap=3) == 1
    crashed = next(r for r in store.results("c").runs if r.key == run)
    assert crashed.status is Status.CRASHED
    assert crashed.reason == "its worker was lost 3 times; the last was w3"
    assert crashed.attempt == 3


def test_given_back_job_is_not_a_loss(store):
    """A worker that stops gives its job back: it is claimed again, and never counts as lost."""
    jobs = submit(store, comparison())
    for _ in range(5):
        job = claim(jobs)
        assert jobs.give_back(job)
    assert jobs.reap(cap=1) == 0
    again = claim(jobs)
    assert jobs.complete(again, ended(again))


def test_cancel_ends_queued_and_tells_running(store):
    """Queued runs end as cancelled at once; the running one's worker is told, and what it stores counts."""
    jobs = submit(store, comparison())
    job = claim(jobs)
    assert jobs.cancel("c") == 6
    assert statuses(store) == {"cancelled": 5}
    assert jobs.renew(job, LEASE, None) is True
    assert jobs.complete(job, ended(job, Status.CANCELLED))
    assert statuses(store) == {"cancelled": 6}
    assert claim(jobs) is None


def test_cancelled_run_of_a_dead_worker_ends(store):
    """A cancelled job whose worker never answers again ends as cancelled, not as crashed, and is not tried again."""
    jobs = submit(store, comparison())
    claim(jobs, lease=-1.0)
    jobs.cancel("c")
    assert jobs.reap(cap=3) == 1
    assert statuses(store) == {"cancelled": 6}


def test_cancelled_job_given_back_ends(store):
    """Given back by a worker that stops, a cancelled job is ended by the reaper instead of queued for ever."""
    jobs = submit(store, comparison())
    job = claim(jobs)
    jobs.cancel("c")
    assert jobs.give_back(job)
    assert jobs.reap(cap=3) == 1
    assert statuses(store) == {"cancelled": 6}


def test_cancel_one_run(store):
    """Cancelling one run leaves the others queued."""
    jobs = submit(store, comparison())
    definition = comparison()
    key = definition.run_key(*next(iter(definition.places(store.instance_digests("c")))))
    assert jobs.cancel("c", key) == 1
    assert statuses(store) == {"cancelled": 1}
    assert jobs.queued() == {"cpu": 5}


def test_rerun_makes_failures_and_missing_runs_again(store):
    """What crashed or was cancelled is queued again, finished runs stay, and old attempts stay fenced off."""
    jobs = submit(store, comparison())
    first, second = claim(jobs), claim(jobs)
    assert jobs.complete(first, ended(first))
    assert jobs.complete(second, ended(second, Status.CRASHED))
    jobs.cancel("c")
    assert jobs.rerun("c", {"nearest": "cpu", "savings": "cpu"}) == 5
    assert statuses(store) == {"finished": 1}
    again = next(job for job in iter(lambda: claim(jobs), None) if job.run == second.run)
    assert again.attempt == second.attempt + 1
    assert not jobs.complete(second, ended(second))
    assert jobs.complete(again, ended(again))


@pytest.fixture
def shared(postgres_url):
    """A store with several writers at a time, between whose statements others can come."""
    store = Store.open(postgres_url)
    yield store
    store.close()


@pytest.fixture
def meanwhile(shared):
    """Do something by another connection right after the first statement that begins with one of these words."""

    def do(words: tuple[str, ...], action: Callable[[], object]) -> None:
        def after(connection, cursor, statement, *rest):
            if statement.startswith(words) and not happened:
                happened.append(statement)
                action()

        sa.event.listen(shared.engine, "after_cursor_execute", after)

    happened: list[str] = []
    yield do
    assert len(happened) == 1


def test_run_that_ends_during_a_rerun_is_not_made_again(shared, meanwhile):
    """Whichever of the two tables is read first, it is found in one of them."""
    jobs = submit(shared, comparison())
    held = claim(jobs)
    meanwhile(("SELECT runs.key", "SELECT jobs.run"), lambda: jobs.complete(held, ended(held)))
    assert jobs.rerun("c", {"nearest": "cpu", "savings": "cpu"}) == 0
    assert statuses(shared) == {"finished": 1}
    assert jobs.queued() == {"cpu": 5}


def test_job_that_is_claimed_during_a_cancel_is_cancelled(shared, meanwhile):
    """A worker that takes one while the others are cancelled gets none, or hears of it."""
    jobs = submit(shared, comparison())
    claim(jobs)
    meanwhile(("UPDATE jobs",), lambda: claim(jobs, "quick"))
    jobs.cancel("c")
    with shared.engine.connect() as connection:
        left = connection.execute(sa.select(tables.jobs.c.state, tables.jobs.c.cancel)).all()
    assert left
    assert all(row == ("running", True) for row in left)


@pytest.mark.parametrize("way", ["complete", "reap"])
def test_job_of_a_run_that_has_ended_is_forgotten(store, way):
    """Should a run stand in both tables, its job ends without a second result, and hinders no other."""
    jobs = submit(store, comparison())
    other, held = (claim(jobs, lease=-1.0 if way == "reap" else LEASE) for _ in range(2))
    with store.engine.begin() as connection:
        insert_run(connection, "c", ended(held))
    if way == "complete":
        assert not jobs.complete(held, ended(held, Status.CRASHED))
    else:
        assert jobs.reap(cap=1) == 1
    assert statuses(store)["finished"] == 1
    with store.engine.connect() as connection:
        left = connection.scalars(sa.select(tables.jobs.c.run)).all()
    assert held.run not in left
    assert (other.run in left) == (way == "complete")


def test_comparisons_take_turns(store):
    """A small comparison submitted behind a large one is served alternately with it, not after it."""
    jobs = submit(store, comparison("large", num_seeds=10))
    for _ in range(7):
        claim(jobs)
    submit(store, comparison("small"))
    order = [claim(jobs).comparison for _ in range(12)]
    assert order.count("small") == 6


def test_higher_priority_goes_first(store):
    """A comparison of higher priority is served whole before the others."""
    jobs = submit(store, comparison("usual"))
    submit(store, comparison("urgent"), priority=5)
    assert [claim(jobs).comparison for _ in range(7)] == ["urgent"] * 6 + ["usual"]


def test_job_waits_for_a_worker_with_its_threads_and_device(store):
    """A job of two threads is not given to a worker of one, nor a job of the gpu queue to one of the cpu queue."""
    jobs = submit(store, comparison("wide", threads=2))
    assert claim(jobs) is None
    assert jobs.queued(threads=1) == {}
    assert claim(jobs, threads=2) is not None
    assert jobs.claim(["gpu"], 2, "w", LEASE) is None


def test_deleted_comparison_takes_its_jobs_along(store):
    """Deleting a comparison fences its running job off; nothing of it remains."""
    jobs = submit(store, comparison())
    job = claim(jobs)
    with store.engine.begin() as connection:
        connection.execute(tables.comparisons.delete())
    assert jobs.renew(job, LEASE, None) is None
    assert not jobs.complete(job, ended(job))
    assert claim(jobs) is None


def test_reapers_beside_each_other_count_a_loss_once(store):
    """Two reapers that look at the same moment end or requeue a lost job once."""
    jobs = submit(store, comparison())
    claim(jobs, lease=-1.0)
    barrier = threading.Barrier(4)

    def reap(_: int) -> int:
        barrier.wait()
        return jobs.reap(cap=3)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(reap, range(4))) == 1
    with store.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.sum(tables.jobs.c.losses))) == 1


def test_submitting_ten_thousand_instances_is_quick(tmp_path):
    """Queueing 20,000 runs is one transaction of seconds, far below what a client would wait."""
    store = Store.open(f"sqlite:///{tmp_path}/versus.sqlite")
    definition = comparison(num_seeds=3333)
    started = time.monotonic()
    submit(store, definition)
    assert Jobs(store.engine).queued() == {"cpu": 19998}
    assert time.monotonic() - started < 60
    store.close()


class LifeCycle(RuleBasedStateMachine):
    """Any sequence of claims, deaths, renewals, cancels, reruns and results keeps each run in exactly one place."""

    claims = Bundle("claims")

    @initialize()
    def begin(self) -> None:
        self.store = Store.open("sqlite://")
        self.definition = comparison()
        self.jobs = submit(self.store, self.definition, count=2)
        self.keys = {self.definition.run_key(*p) for p in self.definition.places(self.store.instance_digests("c"))}
        self.stored: dict[str, int] = {}

    @rule(target=claims, dead=st.booleans())
    def claim(self, dead: bool) -> Claim | None:
        return claim(self.jobs, lease=-1.0 if dead else LEASE)

    @rule(held=claims)
    def renew(self, held: Claim | None) -> None:
        if held is not None:
            self.jobs.renew(held, LEASE, None)

    @rule(held=claims, status=st.sampled_from([Status.FINISHED, Status.CRASHED, Status.CANCELLED]))
    def complete(self, held: Claim | None, status: Status) -> None:
        if held is not None and self.jobs.complete(held, ended(held, status)):
            assert self.stored.get(held.run, 0) < held.attempt
            self.stored[held.run] = held.attempt

    @rule(held=consumes(claims))
    def give_back(self, held: Claim | None) -> None:
        if held is not None:
            self.jobs.give_back(held)

    @rule()
    def reap(self) -> None:
        self.jobs.reap(cap=2)

    @rule()
    def cancel(self) -> None:
        self.jobs.cancel("c")

    @rule()
    def rerun(self) -> None:
        self.jobs.rerun("c", {"nearest": "cpu", "savings": "cpu"})

    @invariant()
    def each_run_is_in_one_place(self) -> None:
        with self.store.engine.connect() as connection:
            queued = list(connection.scalars(sa.select(tables.jobs.c.run)))
            done = list(connection.scalars(sa.select(tables.runs.c.key)))
        assert sorted(queued + done) == sorted(self.keys)

    def teardown(self) -> None:
        self.store.close()


LifeCycle.TestCase.settings = settings(
    max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLifeCycle = pytest.mark.filterwarnings("ignore::ResourceWarning")(LifeCycle.TestCase)
