"""What a comparison says, over HTTP: computed once when it has ended, anew before."""

import csv
import io
import json

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from services import computed
from services.analysis.metrics import run_rows
from services.analysis.overview import overviews
from services.export import json_text
from services.records import Status
from services.report.builder import figures_of
from services.report.content import median_costs
from services.store import analyses, tables

TWO_PROBLEMS = ["savings", "nearest", "trial", "rho"]


@pytest.fixture
def finished(compare, end_runs):
    """A finished comparison of two solvers."""
    made = compare()
    end_runs()
    return made


def test_statistics_are_those_of_the_command(client, finished, store):
    """Conclusion, ranking and pairs are the overview's, with the curves of the problem beside them."""
    said = client.get(finished["links"]["statistics"]).json()
    part = overviews(store.results(finished["id"]))["routing"]
    of_problem = said["problems"]["routing"]
    assert {name: of_problem[name] for name in part.document()} == json.loads(json_text(part.document()))
    assert (said["state"], said["comparison"]) == ("finished", finished["id"])
    assert [row["solver"] for row in of_problem["gap_over_time"]] == ["savings", "nearest"]
    assert of_problem["leads"][-1]["solver"] == "savings"
    assert of_problem["performance_profile"][0]["fractions"] == [1.0]
    assert "solved_over_time" not in of_problem


def test_several_problems_are_told_apart(client, compare, store, end_runs):
    """Each problem has its statistics, with the curves that suit its costs, and figures under its own names."""
    routing = store.instance_digests(compare()["id"])
    document = {"problem": "factoring", "version": 1, "n": "8051"}
    (number,) = client.post("/v1/instances", json=document).json()["items"]
    end_runs()
    own = compare(generator=None, instances=[*routing, number["digest"]], solvers=TWO_PROBLEMS)["links"]
    end_runs(12, trace=())
    said = client.get(own["statistics"]).json()["problems"]
    assert set(said) == {"routing", "factoring"}
    assert said["factoring"]["solved_or_not"]
    assert {"solved_over_time", "solved_by_size", "largest_sizes"} <= said["factoring"].keys()
    names = client.get(own["figures"]).json()["problems"]
    assert {"routing-ranking", "routing-time", "routing-profile"} <= set(names["routing"])
    assert {"factoring-ranking", "factoring-time"} <= set(names["factoring"])


def test_statistics_without_any_run_are_said(client, compare):
    """Before the first run has ended nothing is concluded, and nothing fails."""
    own = compare()["links"]
    said = client.get(own["statistics"]).json()["problems"]["routing"]
    assert said["conclusion"][0] == "Nothing can be concluded: no instance was run by every solver."
    assert said["ranking"][0]["gap"]["value"] is None
    for name in client.get(own["figures"]).json()["problems"]["routing"]:
        assert client.get(f"{own['figures']}/{name}").status_code == 200
    assert client.get(own["export"]).text == ""


def test_figures_are_the_report_s(client, finished, store):
    """Every figure of the report by its name, as Plotly's JSON; an unknown one is 404."""
    path = finished["links"]["figures"]
    names = client.get(path).json()["problems"]["routing"]
    part = overviews(store.results(finished["id"]))["routing"]
    drawn = figures_of(part, median_costs(part.results), ["savings", "nearest"])
    assert names == list(drawn)
    assert {"ranking", "time", "profile", "map-0", "map-1"} <= set(names)
    for name in names:
        assert client.get(f"{path}/{name}").text == drawn[name].to_json()
    assert client.get(f"{path}/none").status_code == 404


def test_finished_statistics_are_computed_once(client, finished, store):
    """What is kept is sent, also by another process; other runs make it stale."""
    own = finished["links"]
    first = client.get(own["statistics"]).content
    document = client.get(own["self"]).json()
    kept = analyses.kept(store.engine, finished["id"], "statistics", computed.revision(document))
    assert kept is not None
    assert first.endswith(kept.removeprefix(b"{"))
    assert analyses.kept(store.engine, finished["id"], "statistics", "another") is None
    marked = json.dumps({"problems": {}, "notes": ["kept"]}).encode()
    analyses.keep(store.engine, finished["id"], computed.revision(document), {"statistics": marked})
    assert client.get(own["statistics"]).json()["notes"] == ["kept"]


def test_statistics_follow_the_runs_while_they_end(client, compare, end_runs, store):
    """Before the end nothing is kept and no tag given; each run that ends changes what is said."""
    own = compare()["links"]
    end_runs(2)
    before = client.get(own["statistics"])
    end_runs(1)
    after = client.get(own["statistics"])
    assert before.json()["problems"] != after.json()["problems"]
    assert "etag" not in before.headers
    with store.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.analyses)) == 0


def test_rerun_makes_statistics_anew(client, compare, end_runs):
    """After a rerun neither what was kept nor its tag holds any more."""
    own = compare()["links"]
    end_runs(3)
    end_runs(status=Status.CRASHED, trace=())
    before = client.get(own["statistics"])
    client.post(f"{own['self']}/rerun")
    end_runs()
    after = client.get(own["statistics"], headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    answered = [row["num_answered"] for row in after.json()["problems"]["routing"]["ranking"]]
    assert answered == [2, 2]


@pytest.mark.parametrize("part", ["statistics", "figures", "figures/ranking", "export"])
def test_finished_results_have_a_tag(client, finished, part):
    """The same again is 304 without a body; another tag gets the whole."""
    path = f"{finished['links']['self']}/{part}"
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert client.get(path, headers={"If-None-Match": '"another"'}).content == first.content


def test_export_has_a_row_for_every_ended_run(client, compare, end_runs, store):
    """CSV, JSON lines and Parquet hold the rows of `versus compare --json`, in the comparison's order."""
    made = compare(title="x")
    end_runs(3)
    rows = run_rows(store.results(made["id"]))
    path = made["links"]["export"]
    lines = client.get(path, params={"format": "jsonl"})
    assert [json.loads(line) for line in lines.text.splitlines()] == rows
    table = client.get(path, params={"format": "parquet"})
    assert pq.read_table(io.BytesIO(table.content)).to_pylist() == rows
    text = client.get(path)
    read = list(csv.DictReader(io.StringIO(text.text)))
    assert [row["instance_digest"] for row in read] == [row["instance_digest"] for row in rows]
    assert [float(row["cost"]) for row in read] == [row["cost"] for row in rows]
    assert text.headers["content-disposition"] == f'attachment; filename="{made["id"]}.csv"'
    assert client.get(path, params={"format": "xlsx"}).status_code == 422


def test_large_exports_come_in_parts(client, compare, end_runs, monkeypatch):
    """Above the number of rows that are kept, the same rows are sent some instances at a time."""
    made = compare(generator={"problem": "routing", "kind": "uniform", "parameters": {"size": 5}, "count": 5})
    end_runs()
    paths = [f"{made['links']['export']}?format={form}" for form in ("csv", "jsonl", "parquet")]
    whole = [client.get(path).content for path in paths]
    monkeypatch.setattr(computed, "KEPT_ROWS", 1)
    monkeypatch.setattr(computed.queries, "EXPORTED_INSTANCES", 2)
    in_parts = [client.get(path).content for path in paths]
    assert in_parts[:2] == whole[:2]
    rows = [json.loads(line) for line in whole[1].splitlines()]
    assert pq.read_table(io.BytesIO(in_parts[2])).to_pylist() == rows
