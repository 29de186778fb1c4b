"""Workers are known from their start until they leave, and for a day after they were last seen."""

import pytest
import sqlalchemy as sa

from services.store import tables, workers
from services.store.store import Store

MACHINE = {"processor": "a", "cores": "8"}


@pytest.fixture
def engine(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path / 'versus.sqlite'}")
    yield store.engine
    store.close()


def start(engine: sa.Engine, id: str, slots: int = 7) -> None:
    workers.register(engine, id, host="node7", needs=["cpu"], slots=slots, threads=1, machine=MACHINE)


def silent(engine: sa.Engine, id: str, seconds: float) -> None:
    """Let a worker have been seen so long ago."""
    query = tables.workers.update().where(tables.workers.c.id == id)
    with engine.begin() as connection:
        connection.execute(query.values(seen_at=tables.workers.c.seen_at - seconds))


def test_a_worker_is_listed_with_what_it_said(engine):
    """All it registered comes back, and it was seen just now."""
    start(engine, "a")
    (worker,) = workers.known(engine)
    assert (worker.id, worker.host, worker.needs, worker.slots, worker.threads) == ("a", "node7", ("cpu",), 7, 1)
    assert worker.machine == MACHINE
    assert 0 <= worker.seen_seconds < 5 and 0 <= worker.up_seconds < 5


def test_being_seen_sets_its_silence_back(engine):
    """The seconds since it was seen grow, until it is seen again; those since its start do not change by that."""
    start(engine, "a")
    silent(engine, "a", 100)
    assert 100 <= workers.known(engine)[0].seen_seconds < 105
    assert workers.seen(engine, "a")
    assert workers.known(engine)[0].seen_seconds < 5


def test_a_forgotten_worker_is_told_to_register_again(engine):
    """``seen`` of one that is not there says so and adds nothing."""
    assert not workers.seen(engine, "a")
    assert workers.known(engine) == []


def test_a_restart_replaces_and_a_day_forgets(engine):
    """A worker of the same id takes the place of the older; one not seen for a day goes when another starts."""
    start(engine, "a", slots=1)
    start(engine, "a", slots=2)
    start(engine, "b")
    silent(engine, "b", workers.FORGET_SECONDS + 1)
    start(engine, "c")
    assert [(worker.id, worker.slots) for worker in workers.known(engine)] == [("a", 2), ("c", 7)]


def test_who_leaves_is_gone(engine):
    """Leaving removes that one alone."""
    start(engine, "a")
    start(engine, "b")
    workers.leave(engine, "a")
    assert [worker.id for worker in workers.known(engine)] == ["b"]
