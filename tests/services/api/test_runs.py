"""Runs over HTTP: single ones made, all of them read."""

import pytest

from services.records import Status
from services.store.jobs import Jobs

DOCUMENT = {"problem": "factoring", "version": 1, "n": "8051"}


@pytest.fixture
def single(client):
    """Posts a single run, with fields changed as given; its document."""

    def post(**changes):
        answer = client.post("/v1/runs", json={"document": DOCUMENT, "solver": "trial", "budget": "1s", **changes})
        assert answer.status_code == 202, answer.text
        assert answer.headers["location"] == answer.json()["links"]["self"]
        return answer.json()

    return post


def test_single_run_is_a_comparison_of_its_own(client, single, hints):
    """The run is queued under its key, its instance stored, and its comparison kept out of the list."""
    made = single(seed=5, priority=-3)
    assert (made["state"], made["attempt"], made["trace"], made["cost"]) == ("queued", 0, [], None)
    assert (made["solver"], made["priority"]) == ("trial", -3)
    assert made["spec"].startswith("trial:order=ascending,")
    assert made == client.get(made["links"]["self"]).json()
    assert client.get(made["links"]["instance"]).json()["document"]["n"] == "8051"
    assert client.get(made["links"]["comparison"]).json()["single"]
    assert client.get("/v1/comparisons").json()["items"] == []
    assert hints == [("cpu", 1)]


def test_stored_instance_is_solved_by_digest(client, single):
    """A digest in place of the document makes another run of the same instance."""
    first = single()
    second = single(document=None, instance=first["instance"]["digest"])
    assert second["instance"] == first["instance"]
    assert second["id"] != first["id"]


def test_wrong_requests_say_where(client):
    """Each refusal names its field."""
    good = {"document": DOCUMENT, "solver": "trial", "budget": "1s"}
    for changes, where in (
        ({"document": None}, "instance"),
        ({"instance": "0" * 64}, "instance"),
        ({"document": None, "instance": "0" * 64}, "instances.0"),
        ({"document": {**DOCUMENT, "n": "x"}}, "document: n"),
        ({"solver": "trial:order=upwards"}, ""),
        ({"threads": 65}, "threads"),
        ({"memory": "1T"}, "memory"),
    ):
        answer = client.post("/v1/runs", json={**good, **changes})
        assert (answer.status_code, answer.json().get("where", "")) == (422, where), answer.text


def test_run_has_one_shape_in_every_state(client, single, store, end_runs):
    """Queued, running with its incumbents so far, and ended: the same fields, and what was measured at the end."""
    own = single()["links"]["self"]
    jobs = Jobs(store.engine)
    claim = jobs.claim(["cpu"], 1, "w", 60)
    jobs.renew(claim, 60, [(0.5, 13)])
    running = client.get(own).json()
    assert (running["state"], running["attempt"], running["trace"], running["cost"]) == ("running", 1, [[0.5, 13]], 13)
    assert running["started_at"] >= running["queued_at"]
    assert "status" not in running
    jobs.give_back(claim)
    (run,) = end_runs()
    ended = client.get(own).json()
    assert (ended["state"], ended["status"], ended["attempt"], ended["cost"]) == ("ended", "finished", 2, run.cost)
    assert ended["trace"] == [[found.seconds, found.cost] for found in run.trace]
    assert running.keys() - ended.keys() == {"queued_at", "started_at"}
    assert "log" not in ended
    assert client.get(own, params={"log": True}).json()["log"] == "what it printed"


def test_unknown_runs_are_404(client):
    """A key that no run has, and 422 for what is no key."""
    for path in ("", "/solution", "/events"):
        assert client.get(f"/v1/runs/{'0' * 64}{path}").status_code == 404
        assert client.get(f"/v1/runs/none{path}").status_code == 422
    assert client.post(f"/v1/runs/{'0' * 64}/cancel").status_code == 404


def test_cancelled_run_ends_at_once_while_it_is_queued(client, single, store):
    """A queued run is cancelled at once, a running one is to be; an ended one stays as it is."""
    own = single()["links"]["self"]
    assert client.post(f"{own}/cancel").json()["status"] == "cancelled"
    assert client.post(f"{own}/cancel").json()["status"] == "cancelled"
    own = single()["links"]["self"]
    Jobs(store.engine).claim(["cpu"], 1, "w", 60)
    told = client.post(f"{own}/cancel").json()
    assert (told["state"], told["cancelling"]) == ("running", True)


def test_one_run_of_a_comparison_is_cancelled_alone(client, compare):
    """The others of its comparison go on."""
    own = compare()["links"]
    key = client.get(own["runs"]).json()["items"][0]["id"]
    client.post(f"/v1/runs/{key}/cancel")
    state = client.get(own["self"]).json()
    assert (state["state"], state["counts"]["queued"], state["counts"]["by_status"]) == ("running", 3, {"cancelled": 1})


def test_solution_is_read_as_document_and_as_file(client, compare, end_runs):
    """The best verified solution as JSON and as a .sol file; other formats are refused with those accepted."""
    own = compare()["links"]["runs"]
    (run,) = end_runs(1)
    path = f"/v1/runs/{run.key}/solution"
    document = client.get(path).json()
    assert (document["cost"], document["solution"]) == (run.cost, [[1], [2], [3], [4], [5]])
    file = client.get(path, params={"format": ".sol"})
    assert file.text.splitlines()[0] == "Route #1: 1"
    assert file.headers["content-disposition"].startswith("attachment")
    refused = client.get(path, params={"format": ".vrp"})
    assert (refused.status_code, refused.json()["where"]) == (422, "format")
    queued = client.get(own, params={"status": "queued"}).json()["items"][0]["id"]
    assert client.get(f"/v1/runs/{queued}/solution").status_code == 409
    (run,) = end_runs(1, status=Status.NO_SOLUTION, trace=())
    assert client.get(f"/v1/runs/{run.key}/solution").status_code == 404


def test_runs_of_a_comparison_are_listed_once(client, compare, store, end_runs):
    """Pages of queued, running and ended runs hold each once; filters choose by solver, status and instance."""
    compare()
    own = compare(seeds=3, priority=1)
    ended = end_runs(5)
    Jobs(store.engine).claim(["cpu"], 1, "w", 60)
    path = own["links"]["runs"]
    found, cursor = [], None
    while True:
        page = client.get(path, params={"limit": 5} | ({"cursor": cursor} if cursor else {})).json()
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert len({item["id"] for item in found}) == len(found) == 12
    assert sorted(item["state"] for item in found) == ["ended"] * 5 + ["queued"] * 6 + ["running"]

    def number(**params):
        return len(client.get(path, params=params).json()["items"])

    assert number(solver="savings") == 6
    assert number(status="finished") == 5
    assert number(status="queued") == 6
    assert number(status="running") == 1
    assert number(instance=found[0]["instance"]) == 6
    assert number(status="finished", solver="savings") == sum(run.solver == "savings" for run in ended)
    assert client.get(path, params={"status": "lost"}).status_code == 422


def test_ended_runs_of_all_are_newest_first(client, compare, end_runs):
    """GET /v1/runs pages through what has ended, the newest first; other states on request."""
    compare()
    compare()
    for second in range(6):
        end_runs(1, finished_at=f"2026-11-20T10:00:0{second}+00:00")
    first = client.get("/v1/runs", params={"limit": 4}).json()
    second = client.get("/v1/runs", params={"limit": 4, "cursor": first["next"]}).json()
    times = [item["finished_at"][17:19] for item in (*first["items"], *second["items"])]
    assert (times, second["next"]) == (["05", "04", "03", "02", "01", "00"], None)
    assert len(client.get("/v1/runs", params={"state": "queued"}).json()["items"]) == 2


def test_runs_of_all_are_chosen(client, compare, store, end_runs):
    """By status, solver and instance, ended ones and open ones alike; what cannot be is refused with its field."""
    compare()
    end_runs(1, status=Status.CRASHED, trace=(), reason="boom")
    ended = end_runs(3)
    compare(seeds=2)
    Jobs(store.engine).claim(["cpu"], 1, "w", 60)

    def chosen(**params):
        return client.get("/v1/runs", params=params).json()["items"]

    digest = ended[-1].instance
    for state, number in (("ended", 4), ("queued", 7), ("running", 1)):
        every = chosen(state=state)
        assert len(every) == number
        of_each = [chosen(state=state, solver=solver) for solver in ("savings", "nearest")]
        assert {run["solver"] for run in of_each[0]} <= {"savings"} and sum(map(len, of_each)) == number
        for run in every:
            same = [other for other in every if other["instance"] == run["instance"]]
            assert chosen(state=state, instance=run["instance"]) == same
            both = [other for other in same if other["solver"] == run["solver"]]
            assert chosen(state=state, instance=run["instance"], solver=run["solver"]) == both
        assert chosen(state=state, instance="0" * 64) == chosen(state=state, solver="savings:shape=2") == []
    assert [run["reason"] for run in chosen(status="crashed")] == ["boom"]
    assert {run["id"] for run in chosen(status="finished")} == {run.key for run in ended}
    assert {run["id"] for run in chosen(status="finished", instance=digest)} == {
        run.key for run in ended if run.instance == digest
    }
    for params, where in (
        ({"status": "queued"}, "status"),
        ({"status": "finished", "state": "running"}, "status"),
        ({"instance": "x"}, "instance"),
        ({"solver": "a\nb"}, "solver"),
    ):
        answer = client.get("/v1/runs", params=params)
        assert answer.status_code == 422 and where in answer.json()["where"], params


def test_pages_of_chosen_runs_follow_each_other(client, compare, end_runs):
    """A cursor goes on where its page ended among those that fit alone."""
    compare(seeds=3)
    for second in range(12):
        end_runs(1, finished_at=f"2026-11-20T10:00:{second:02}+00:00")
    found, cursor = [], None
    while True:
        params = {"solver": "savings", "status": "finished", "limit": 4} | ({"cursor": cursor} if cursor else {})
        page = client.get("/v1/runs", params=params).json()
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert [item["finished_at"] for item in found] == sorted((item["finished_at"] for item in found), reverse=True)
    assert len({item["id"] for item in found}) == len(found) == 6 and {item["solver"] for item in found} == {"savings"}
