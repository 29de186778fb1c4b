"""Comparisons over HTTP: made, listed, cancelled, made again, deleted."""

import sqlalchemy as sa

from services.api.app import create_app
from services.records import Status
from services.settings import Settings
from services.store import tables

GENERATOR = {"problem": "routing", "kind": "uniform", "parameters": {"size": 5}, "count": 2}


def detail(answer):
    """What a problem says, with its place."""
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json().get("where", ""), answer.json()["detail"]


def test_comparison_is_accepted_with_its_place(client, hints):
    """202, the Location, the terms with canonical specs, all runs queued, and a hint to the workers."""
    body = {
        "title": "two solvers", "generator": GENERATOR, "solvers": ["savings", "nearest"], "budget": "500ms",
        "seeds": 3, "seed": 7, "threads": 1, "memory": "1G", "reference": "nearest", "priority": 2,
    }  # fmt: skip
    answer = client.post("/v1/comparisons", json=body)
    assert answer.status_code == 202
    made = answer.json()
    assert answer.headers["location"] == made["links"]["self"] == f"/v1/comparisons/{made['id']}"
    assert made == client.get(answer.headers["location"]).json()
    assert (made["title"], made["state"], made["num_runs"], made["num_instances"]) == ("two solvers", "queued", 12, 2)
    assert made["counts"] == {"queued": 12, "running": 0, "ended": 0, "by_status": {}}
    assert made["definition"]["solvers"] == {"savings": "savings:shape=1.0", "nearest": "nearest"}
    terms = {"budget": 0.5, "num_seeds": 3, "seed": 7, "memory": 2**30, "reference": "nearest"}
    assert {name: made["definition"][name] for name in terms} == terms
    assert hints == [("cpu", 12)]


def test_stored_instances_are_compared_by_digest(client, compare, store):
    """Digests of instances that are there make a comparison in their order, with equal seeds in both."""
    first = compare()
    digests = store.instance_digests(first["id"])
    second = compare(generator=None, instances=digests[::-1])
    assert store.instance_digests(second["id"]) == digests[::-1]
    one, other = store.comparison(first["id"]), store.comparison(second["id"])
    assert one.run_seed(digests[0], 0) == other.run_seed(digests[0], 0)


def test_wrong_requests_say_where(client, store):
    """Every refusal is 422 with the field, and nothing is queued."""
    good = {"generator": GENERATOR, "solvers": ["savings"], "budget": "1s"}
    for changes, where in (
        ({"generator": None}, "instances"),
        ({"instances": ["0" * 64]}, "instances"),
        ({"generator": None, "instances": ["0" * 64]}, "instances.0"),
        ({"generator": None, "instances": ["x"]}, "instances.0"),
        ({"solvers": []}, "solvers"),
        ({"solvers": ["nobody"]}, "solver 'nobody'"),
        ({"solvers": ["exec:command=true"]}, "solver 'exec:command=true'"),
        ({"budget": "soon"}, "budget"),
        ({"budget": "2h"}, "budget"),
        ({"memory": "9" * 20}, "memory"),
        ({"seeds": 0}, "seeds"),
        ({"seed": -1}, "seed"),
        ({"priority": 11}, "priority"),
        ({"title": "a\nb"}, "title"),
        ({"colour": "red"}, "colour"),
        ({"seeds": 10_000, "generator": {**GENERATOR, "count": 20_000}}, ""),
    ):
        answer = client.post("/v1/comparisons", json={**good, **changes})
        assert answer.status_code == 422, (changes, answer.text)
        assert detail(answer)[0] == where, (changes, answer.text)
    assert store.comparisons() == []


def test_full_queue_is_429_with_a_time(store, serve):
    """Where there is no room, the answer says when to come back."""
    client = serve(create_app(store, lambda needs, number: None, Settings(auth="off", max_queued_runs=3)))
    body = {"generator": GENERATOR, "solvers": ["savings"], "budget": "1s"}
    assert client.post("/v1/comparisons", json=body).status_code == 202
    answer = client.post("/v1/comparisons", json=body)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


def test_rerun_waits_for_room_too(store, serve, end_runs):
    """What would be queued again counts like what is queued anew."""
    client = serve(create_app(store, lambda needs, number: None, Settings(auth="off", max_queued_runs=3)))
    body = {"generator": GENERATOR, "solvers": ["savings"], "budget": "1s"}
    own = client.post("/v1/comparisons", json=body).json()["links"]["self"]
    end_runs(status=Status.CRASHED, trace=())
    assert client.post("/v1/comparisons", json=body).status_code == 202
    assert client.post(f"{own}/rerun").status_code == 429
    end_runs()
    assert client.post(f"{own}/rerun").status_code == 202


def test_same_key_makes_one_comparison(client, store):
    """A request that is sent again with its key is answered as before."""
    body = {"generator": GENERATOR, "solvers": ["savings"], "budget": "1s"}
    answers = [client.post("/v1/comparisons", json=body, headers={"Idempotency-Key": "one"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    assert answers[0].headers["location"] == answers[1].headers["location"]
    assert len(store.comparisons()) == 1


def test_state_follows_the_runs(client, compare, end_runs):
    """Queued, then running with an estimate, then finished, with the counts of each."""
    own = compare()["links"]["self"]
    end_runs(1)
    under_way = client.get(own).json()
    assert (under_way["state"], under_way["counts"]["queued"], under_way["counts"]["ended"]) == ("running", 3, 1)
    assert under_way["seconds_left"] > 0
    end_runs()
    finished = client.get(own).json()
    assert (finished["state"], finished["seconds_left"]) == ("finished", 0)
    assert finished["counts"]["by_status"] == {"finished": 4}
    assert len({document["revision"] for document in (under_way, finished)}) == 2


def test_cancelled_comparison_keeps_what_has_ended(client, compare, end_runs):
    """What is queued ends as cancelled, what has ended stays; a finished comparison is not cancelled any more."""
    own = compare()["links"]["self"]
    end_runs(1)
    cancelled = client.post(f"{own}/cancel").json()
    assert cancelled["state"] == "cancelled"
    assert cancelled["counts"]["by_status"] == {"finished": 1, "cancelled": 3}
    other = compare()["links"]["self"]
    end_runs()
    assert client.post(f"{other}/cancel").json()["state"] == "finished"


def test_rerun_makes_what_failed_again(client, compare, end_runs, hints):
    """Crashed runs are queued again, the others are kept, and the workers are told."""
    own = compare()["links"]["self"]
    end_runs(1)
    end_runs(status=Status.CRASHED, trace=())
    before = client.get(own).json()
    hints.clear()
    answer = client.post(f"{own}/rerun")
    assert answer.status_code == 202
    assert answer.json()["counts"] == {"queued": 3, "running": 0, "ended": 1, "by_status": {"finished": 1}}
    assert hints == [("cpu", 3)]
    end_runs(status=Status.CRASHED, trace=())
    after = client.get(own).json()
    assert after["counts"] == before["counts"]
    assert after["revision"] != before["revision"]


def test_deleted_comparison_leaves_its_instances(client, compare, store, end_runs):
    """Runs, jobs and solutions go with it, instances stay; a second time it is not there."""
    own = compare()["links"]["self"]
    end_runs(1)
    assert client.delete(own).status_code == 204
    with store.engine.connect() as connection:
        for table in (tables.runs, tables.jobs, tables.run_solutions, tables.comparison_instances):
            assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 0
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.instances)) == 2
    assert client.get(own).status_code == client.delete(own).status_code == 404


def test_list_is_newest_first_in_pages(client, compare, end_runs):
    """Pages join up to all comparisons once; filters choose by state and part of the title."""
    made = [compare(title=f"number {number}", priority=3 - number)["id"] for number in range(3)]
    end_runs(4)
    client.post("/v1/runs", json={"document": {"problem": "factoring", "version": 1, "n": "15"}, "solver": "trial",
                                  "budget": "1s"})  # fmt: skip
    found, cursor = [], None
    while True:
        page = client.get("/v1/comparisons", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        found += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == made[::-1]

    def listed(**params):
        return [item["title"] for item in client.get("/v1/comparisons", params=params).json()["items"]]

    assert listed(state="finished") == ["number 0"]
    assert listed(state="queued") == ["number 2", "number 1"]
    assert listed(title="BER 1") == ["number 1"]
    assert listed(title="%") == []
    assert len(listed(single=True)) == 1
    assert client.get("/v1/comparisons", params={"cursor": "x"}).status_code == 422


def test_states_of_comparisons_without_jobs(client, compare, store, end_runs):
    """One that misses runs is incomplete, one that was cancelled is cancelled; the list chooses them alike."""
    compare(title="incomplete")
    end_runs(1)
    with store.engine.begin() as connection:
        connection.execute(tables.jobs.delete())
    cancelled = compare(title="cancelled")
    client.post(f"{cancelled['links']['self']}/cancel")
    for state in ("incomplete", "cancelled"):
        (item,) = client.get("/v1/comparisons", params={"state": state}).json()["items"]
        assert (item["title"], item["state"]) == (state, state)


def test_unknown_comparison_is_404(client):
    """Whatever is asked of a comparison that is not there."""
    paths = ("", "/runs", "/statistics", "/figures", "/figures/ranking", "/export", "/events")
    for path in paths:
        answer = client.get(f"/v1/comparisons/none{path}")
        assert (answer.status_code, detail(answer)[0]) == (404, "id"), path
    for path in ("/cancel", "/rerun"):
        assert client.post(f"/v1/comparisons/none{path}").status_code == 404
