"""Metrics: what was asked, what waits, what ended and who works, told cheaply however large the store is."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from instances.problems import problem_named
from instances.routing.generators import generate
from services.api import metrics
from services.api.metrics import Metrics, ended_between, job_counts
from services.records import Comparison, Run, Status
from services.store import workers
from services.store.jobs import Jobs

Samples = dict[tuple[str, tuple[str, ...]], float]


def samples(text: bytes | str) -> Samples:
    """Values by name and labels' values, in the order of the labels' names."""
    text = text.decode() if isinstance(text, bytes) else text
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def submitted(store):
    """A comparison of four runs, queued for cpu."""
    (instance,) = generate("x", size=10, count=1, seed=1)
    problem = problem_named("routing")
    description = problem.describe(instance)
    store.add_instances([(description, problem.dump(instance))])
    comparison = Comparison("c", {"a": "a", "b": "b"}, 1.0, 2)
    Jobs(store.engine).submit(comparison, [description], {"a": "cpu", "b": "gpu"}, {})
    return comparison


def end_runs(store, comparison, ends: list[tuple[Status, datetime]]) -> None:
    """Let runs of a comparison have ended so."""
    digest = store.instance_digests(comparison.name)[0]
    for number, (status, ended_at) in enumerate(ends):
        stamp = ended_at.isoformat(timespec="milliseconds")
        run = Run(f"{number}-{stamp}", digest, "a", "a", 0, 1, status, finished_at=stamp)
        store.save_runs(comparison.name, run)


def test_requests_are_counted_by_the_template_of_their_route(client):
    """However many paths are asked for, there are as many labels as routes, and one for all without."""
    for path in ("a", "b", "c"):
        client.get(f"/v1/instances/{path * 64}")
        client.get(f"/{path}")
    client.request("BREW", "/v1/health")
    client.get("/v1/health")
    found = samples(client.get("/metrics").text)
    name = "versus_http_requests_total"
    assert found[name, ("GET", "/v1/instances/{digest}", "404")] == 3
    assert found[name, ("GET", "other", "404")] == 3
    assert found[name, ("GET", "/v1/health", "200")] == 1
    assert found[name, ("other", "/v1/health", "405")] == 1
    assert found["versus_http_request_seconds_count", ("GET", "/v1/health")] == 1
    assert 0 < found["versus_http_request_seconds_sum", ("GET", "/v1/health")] < 5


def test_refusals_are_counted_too(client):
    """A request that no route sees is one of those without."""
    client.get("/v1/health", headers={"Host": "evil.example"})
    assert samples(client.get("/metrics").text)["versus_http_requests_total", ("GET", "other", "421")] == 1


def test_the_answer_is_what_prometheus_reads(client):
    """Its media type is that of the text format, and the process' own metrics are there."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert samples(answer.text)["process_resident_memory_bytes", ()] > 1e6


def test_two_applications_count_apart(store):
    """Nothing is global: what one counts, the other does not know."""
    first, second = Metrics(store.engine, 30.0), Metrics(store.engine, 30.0)
    first.observe("GET", "/x", 200, 0.1)
    assert samples(first.text())["versus_http_requests_total", ("GET", "/x", "200")] == 1
    assert ("versus_http_requests_total", ("GET", "/x", "200")) not in samples(second.text())


def test_jobs_are_told_by_state_and_need(store, submitted):
    """Queued and running for each queue, those without jobs as 0."""
    Jobs(store.engine).claim(["cpu"], 1, "w", 30.0)
    found = samples(Metrics(store.engine, 30.0).text())
    told = {key: value for key, value in found.items() if key[0].startswith("versus_jobs")}
    assert told == {
        ("versus_jobs_queued", ("cpu",)): 1, ("versus_jobs_queued", ("gpu",)): 2,
        ("versus_jobs_running", ("cpu",)): 1, ("versus_jobs_running", ("gpu",)): 0,
    }  # fmt: skip


def test_workers_are_told_while_they_are_seen(store):
    """Those seen within a lease's time count, for each queue they serve, with their slots."""
    for id, needs in (("a", ["cpu"]), ("b", ["cpu", "gpu"])):
        workers.register(store.engine, id, host="h", needs=needs, slots=3, threads=1, machine={})
    found = samples(Metrics(store.engine, 30.0).text())
    assert [found["versus_workers", (needs,)] for needs in ("cpu", "gpu")] == [2, 1]
    assert [found["versus_slots", (needs,)] for needs in ("cpu", "gpu")] == [6, 3]
    assert samples(Metrics(store.engine, -1.0).text())["versus_workers", ("cpu",)] == 0


def test_runs_that_end_are_counted_once(store, submitted, monkeypatch):
    """Each is counted when it is old enough that all of its time are stored, by its status, and never again."""
    monkeypatch.setattr(metrics, "KEPT_SECONDS", -1.0)
    now = datetime.now(UTC)
    end_runs(store, submitted, [(Status.FINISHED, now - timedelta(hours=1))])
    told = Metrics(store.engine, 30.0)
    end_runs(
        store, submitted,
        [(Status.FINISHED, now + timedelta(seconds=1))] * 2 + [(Status.CRASHED, now + timedelta(seconds=2))],
    )  # fmt: skip

    def ended() -> dict[str, float]:
        found = samples(told.text())
        return {labels[0]: value for (name, labels), value in found.items() if name == "versus_runs_ended_total"}

    assert ended() == {}
    monkeypatch.setattr(metrics, "LAG", timedelta(seconds=-10))
    assert ended() == {"finished": 2, "crashed": 1}
    assert ended() == {"finished": 2, "crashed": 1}
    monkeypatch.setattr(metrics, "LAG", timedelta(hours=1))
    assert ended() == {"finished": 2, "crashed": 1}


def test_the_store_is_asked_seldom(store):
    """Two readings in a row ask it once."""
    queries = []
    sa.event.listen(store.engine, "before_cursor_execute", lambda *arguments: queries.append(arguments[2]))
    told = Metrics(store.engine, 30.0)
    assert queries == []
    told.text()
    number = len(queries)
    assert number == 3
    told.text()
    assert len(queries) == number


def test_no_reading_scans_the_runs(store):
    """Ended runs come from the index of their times, jobs from theirs alone: a store of millions is read as fast."""

    def plan(query: sa.Select[str, int]) -> str:
        text = str(query.compile(store.engine, compile_kwargs={"literal_binds": True}))
        with store.engine.connect() as connection:
            return " ".join(row[3] for row in connection.execute(sa.text(f"EXPLAIN QUERY PLAN {text}")))

    assert "SEARCH runs USING INDEX ix_runs_finished_at_key" in plan(ended_between("2026", "2027"))
    seen = []
    sa.event.listen(store.engine, "before_cursor_execute", lambda *arguments: seen.append(arguments[2]))
    job_counts(store.engine)
    with store.engine.connect() as connection:
        (row,) = connection.execute(sa.text(f"EXPLAIN QUERY PLAN {seen[0]}")).all()
    assert "COVERING INDEX ix_jobs_state_needs_priority_turn" in row[3]


def test_a_store_that_fails_leaves_the_rest_told(store):
    """The requests are told all the same, and that the store cannot be read."""
    told = Metrics(store.engine, 30.0)
    told.observe("GET", "/x", 200, 0.1)
    with store.engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE jobs"))
    found = samples(told.text())
    assert found["versus_store_up", ()] == 0
    assert found["versus_http_requests_total", ("GET", "/x", "200")] == 1
    assert not any(name.startswith("versus_jobs") for name, _ in found)
