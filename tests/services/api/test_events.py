"""Server-sent events: what happens to a run, once each, until it has ended."""

import contextlib
import json
import time

import anyio
import pytest
import sqlalchemy as sa

from services.api import events
from services.api.events import Streams
from services.store.jobs import Jobs


def told(response):
    """The events of a stream as they come, as (event, id, data)."""
    fields = {}
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if name:
            fields[name] = value
        elif "event" in fields:
            yield fields["event"], fields.get("id"), json.loads(fields["data"])
            fields = {}


@contextlib.contextmanager
def watching(client, path, last_id=None):
    """The events that come after one, as they come."""
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    with client.stream("GET", path, headers=headers, timeout=30) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield told(response)


def watch(client, path, last_id=None):
    """All events that come after one."""
    with watching(client, path, last_id) as coming:
        return list(coming)


@pytest.fixture
def run(compare, client):
    """The one queued run of a comparison: its key, and the path of its events."""
    made = compare(solvers=["savings"], generator={"problem": "routing", "kind": "uniform", "parameters": {"size": 5},
                                                   "count": 1})  # fmt: skip
    (item,) = client.get(made["links"]["runs"]).json()["items"]
    return item["id"], f"/v1/runs/{item['id']}/events"


def test_ended_run_is_told_at_once(client, run, end_runs):
    """All incumbents in order, each with its id, then the end; the stream is over then."""
    end_runs()
    found = watch(client, run[1])
    assert [(event, id) for event, id, _ in found] == [
        ("state", None), ("incumbent", "1:0.01"), ("incumbent", "1:0.25"), ("end", "1:end"),
    ]  # fmt: skip
    assert found[1][2] == {"seconds": 0.01, "cost": 1_000_500}
    assert (found[-1][2]["status"], found[-1][2]["cost"]) == ("finished", 1_000_000)


@pytest.mark.parametrize(
    ("last_id", "expected"),
    [
        ("1:0.01", ["state", "incumbent", "end"]),
        ("1:0.25", ["state", "end"]),
        ("1:end", ["state", "end"]),
        ("0:0.25", ["restart", "state", "incumbent", "incumbent", "end"]),
        ("nothing of ours", ["state", "incumbent", "incumbent", "end"]),
        ("1:nan", ["state", "incumbent", "incumbent", "end"]),
    ],
)
def test_stream_goes_on_after_an_event(client, run, end_runs, last_id, expected):
    """Of the same attempt only what came later is sent, of another one all after a restart."""
    end_runs()
    assert [event for event, _, _ in watch(client, run[1], last_id)] == expected


def test_incumbents_are_told_while_it_runs(client, run, store, end_runs):
    """States and incumbents as they come, a restart before those of another attempt, and the end."""
    jobs = Jobs(store.engine)
    with watching(client, run[1]) as coming:
        assert next(coming) == ("state", None, {"state": "queued", "attempt": 0})
        claim = jobs.claim(["cpu"], 1, "w", 60)
        jobs.renew(claim, 60, [(0.1, 30)])
        assert next(coming) == ("state", None, {"state": "running", "attempt": 1})
        assert next(coming) == ("incumbent", "1:0.1", {"seconds": 0.1, "cost": 30})
        jobs.renew(claim, 60, [(0.1, 30), (0.2, 20), (0.30000000000000004, 10)])
        assert next(coming) == ("incumbent", "1:0.2", {"seconds": 0.2, "cost": 20})
        assert next(coming)[1] == "1:0.30000000000000004"
        jobs.give_back(claim)
        assert next(coming)[2] == {"state": "queued", "attempt": 1}
        claim = jobs.claim(["cpu"], 1, "w", 60)
        jobs.renew(claim, 60, [(0.1, 40)])
        assert [next(coming)[:2] for _ in range(3)] == [("restart", None), ("state", None), ("incumbent", "2:0.1")]
        jobs.give_back(claim)
        end_runs()
        assert list(coming)[-1][:2] == ("end", "3:end")


def test_deleted_run_ends_its_stream(client, run):
    """Whoever watches a run that is deleted is told so."""
    with watching(client, run[1]) as coming:
        next(coming)
        comparison = client.get(run[1].removesuffix("/events")).json()["links"]["comparison"]
        assert client.delete(comparison).status_code == 204
        assert [event for event, _, _ in coming] == ["deleted"]


def test_progress_of_a_comparison_is_told_until_its_end(client, compare, end_runs):
    """Counts whenever they change, then the end; a finished comparison ends at once."""
    path = compare()["links"]["events"]
    with watching(client, path) as coming:
        assert next(coming)[2]["counts"]["queued"] == 4
        end_runs(1)
        event, _, progress = next(coming)
        assert (event, progress["state"], progress["counts"]["ended"]) == ("progress", "running", 1)
        end_runs()
        assert [(event, data["state"]) for event, _, data in coming] == [("end", "finished")]
    assert [event for event, _, _ in watch(client, path)] == ["end"]


def test_streams_are_bounded(client, run, monkeypatch):
    """More streams than a process holds are refused until one ends; the others go on."""
    monkeypatch.setattr(events, "MAX_STREAMS", 1)
    with watching(client, run[1]) as coming:
        next(coming)
        refused = client.get(run[1])
        assert (refused.status_code, refused.json()["status"]) == (429, 429)
        assert int(refused.headers["retry-after"]) > 0
        client.post(f"{run[1].removesuffix('/events')}/cancel")
        assert list(coming)[-1][0] == "end"
    assert watch(client, run[1])[-1][2]["status"] == "cancelled"


def test_left_streams_are_given_back(client, run, app):
    """A client that goes away frees its stream."""
    with watching(client, run[1]) as coming:
        next(coming)
        assert app.state.streams.num_open == 1
    for _ in range(200):
        if app.state.streams.num_open == 0:
            return
        time.sleep(0.025)
    raise AssertionError("the stream is still held")


def test_store_that_fails_for_a_moment_ends_no_stream():
    """A query is asked again until the store answers."""
    answers = iter([sa.exc.OperationalError("", {}, Exception("restarting")), "answer"])

    def query():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def ask():
        return await Streams().ask(query)

    assert anyio.run(ask) == "answer"
