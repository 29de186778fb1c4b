"""The queries of API and dashboard, on SQLite and PostgreSQL alike."""

import pytest
import sqlalchemy as sa

from instances.factoring.instance import FactoringInstance
from instances.problems import problem_of
from services.records import Comparison, Incumbent, Run, Status
from services.store import analyses, pages, queries, tables
from services.store.jobs import Jobs
from services.store.store import Store

INSTANCES = [FactoringInstance(n) for n in (15, 21, 35)]
NEEDS = {"a": "cpu", "b": "cpu"}


@pytest.fixture
def store(database_url):
    """A store that holds three instances."""
    store = Store.open(database_url)
    store.add_instances((problem_of(i).describe(i), problem_of(i).dump(i)) for i in INSTANCES)
    yield store
    store.close()


def submit(store, name, **columns):
    """Queue two solvers on three instances."""
    known = queries.descriptions(store.engine, [instance.digest for instance in INSTANCES])
    comparison = Comparison(name, {"a": "a", "b": "b"}, 2.0, 1, problems={"a": "factoring", "b": "factoring"})
    Jobs(store.engine).submit(comparison, list(known.values()), NEEDS, {}, **columns)


def end(store, number=1, status=Status.FINISHED):
    """End the next runs."""
    jobs = Jobs(store.engine)
    for _ in range(number):
        claim = jobs.claim(["cpu"], 1, "w", 60)
        run = Run(
            claim.run, claim.instance, claim.solver, claim.solver, claim.repetition, 0, status, attempt=claim.attempt,
            trace=(Incumbent(0.5, 0, b'["3", "5"]'),), finished_at="2026-11-20T10:00:00+00:00",
        )  # fmt: skip
        assert jobs.complete(claim, run)


def listed(store, state=None, single=False):
    """Names of the comparisons in a state, newest first."""
    found = queries.comparisons(store.engine, 10, sa.true(), single=single, state=state, title=None)
    return [document["id"] for document in found]


def test_states_are_told_and_chosen_alike(store):
    """What a comparison's document says is what the list chooses it by, in every state."""

    def told():
        return [
            queries.comparison(store.engine, "c")["state"],
            *(s for s in queries.STATES if listed(store, s) == ["c"]),
        ]

    submit(store, "c")
    assert told() == ["queued", "queued"]
    end(store)
    assert told() == ["running", "running"]
    end(store, 5)
    assert told() == ["finished", "finished"]
    with store.engine.begin() as connection:
        connection.execute(tables.runs.delete().where(tables.runs.c.solver == "a"))
    assert told() == ["incomplete", "incomplete"]
    Jobs(store.engine).cancel("c")
    assert told() == ["cancelled", "cancelled"]


def test_progress_counts_every_run_once(store):
    """Queued, running and ended, by status; another revision with every run that ends, and after a rerun."""
    submit(store, "c")
    end(store, 2)
    end(store, 1, Status.CRASHED)
    Jobs(store.engine).claim(["cpu"], 1, "w", 60)
    before = queries.progress(store.engine, ["c"])["c"]
    assert (before.queued, before.running, before.ended) == (2, 1, {"finished": 2, "crashed": 1})
    assert Jobs(store.engine).rerun("c", NEEDS) == 1
    end(store, 3, Status.CRASHED)
    after = queries.progress(store.engine, ["c"])["c"]
    assert after.revision != before.revision


def test_pages_of_runs_hold_each_once(store):
    """Jobs and runs are merged by key, page after page."""
    submit(store, "c")
    end(store, 3)
    keys, after = [], None
    while page := queries.runs_of(store.engine, "c", 2, after):
        keys += [item["id"] for item in page]
        after = keys[-1]
    comparison = store.comparison("c")
    assert keys == sorted(comparison.run_key(i.digest, label, 0) for i in INSTANCES for label in "ab")


def test_lists_of_runs_come_from_indexes(store):
    """Whatever they are chosen by, no list of runs or jobs is made by looking at all there are."""
    submit(store, "c")
    end(store, 5)
    place = pages.before(("2026-11-20T10:00:00+00:00", "f"), *queries.RUN_ORDER)
    seen = []
    sa.event.listen(store.engine, "before_cursor_execute", lambda *arguments: seen.append(arguments[2:4]))
    digest = INSTANCES[0].digest
    for chosen in ({}, {"status": "finished"}, {"solver": "a"}, {"instance": digest}):
        assert len(queries.ended_runs(store.engine, 10, sa.true(), **chosen)) > 0
        queries.ended_runs(store.engine, 10, place, **chosen)
    for chosen in ({}, {"solver": "a"}, {"instance": digest}):
        queries.open_runs(store.engine, "queued", 10, "0", **chosen)
    asked = [one for one in seen if " runs" in one[0] or " jobs" in one[0]]
    assert len(asked) == 11
    if store.engine.dialect.name == "sqlite":
        with store.engine.connect() as connection:
            for text, parameters in asked:
                plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters)]
                assert not any(step.startswith("SCAN") and "USING INDEX" not in step for step in plan), (text, plan)
                if "runs.instance = ?" in text:
                    assert any("ix_runs_comparison_instance" in step for step in plan), plan


def test_run_is_found_whatever_became_of_it(store):
    """As a job, as a run, and not at all once its comparison is deleted; its solution is the last one."""
    submit(store, "c")
    (item, *_) = queries.runs_of(store.engine, "c", 6, None)
    assert queries.run(store.engine, item["id"])["state"] == "queued"
    end(store, 6)
    assert queries.run(store.engine, item["id"])["status"] == "finished"
    assert queries.best_solution(store.engine, item["id"]) == ["3", "5"]
    assert queries.delete_comparison(store.engine, "c")
    assert queries.run(store.engine, item["id"]) is None
    assert not queries.delete_comparison(store.engine, "c")


def test_results_in_parts_are_the_results(store, monkeypatch):
    """The parts together are what the store gives at once, in the same order."""
    submit(store, "c")
    end(store, 5)
    monkeypatch.setattr(queries, "EXPORTED_INSTANCES", 2)
    parts = list(queries.results_in_parts(store.engine, "c"))
    assert [len(part.instances) for part in parts] == [2, 1]
    assert tuple(run for part in parts for run in part.runs) == store.results("c").runs


def test_single_runs_are_listed_apart(store):
    """They neither stand among the comparisons nor count as open ones."""
    submit(store, "c")
    submit(store, "s", single=True)
    assert (listed(store), listed(store, single=True)) == (["c"], ["s"])
    assert queries.num_open_comparisons(store.engine, None) == 1
    assert queries.num_queued(store.engine) == 12


def test_estimate_follows_the_workers_and_then_the_pace(store):
    """Before anything has ended, budget over slots; without workers nothing is promised."""
    submit(store, "c")
    assert queries.comparison(store.engine, "c")["seconds_left"] is None
    worker = {"id": "w", "host": "h", "needs": ["cpu"], "slots": 3, "threads": 1, "machine": {}, "started_at": 0.0,
              "seen_at": 0.0}  # fmt: skip
    with store.engine.begin() as connection:
        connection.execute(tables.workers.insert(), worker)
    assert queries.comparison(store.engine, "c")["seconds_left"] == 6 * 2.0 / 3


def test_analysis_is_kept_for_its_revision(store):
    """The last one of a kind is there under its revision; a deleted comparison takes its own along and keeps none."""
    submit(store, "c")
    for revision in ("1", "2"):
        analyses.keep(store.engine, "c", revision, {"statistics": revision.encode(), "rows": b""})
    assert analyses.kept(store.engine, "c", "statistics", "2") == b"2"
    assert analyses.kept(store.engine, "c", "statistics", "1") is None
    queries.delete_comparison(store.engine, "c")
    analyses.keep(store.engine, "c", "2", {"statistics": b""})
    assert analyses.kept(store.engine, "c", "statistics", "2") is None
