"""The store gives back what it was given, once per key."""

import dataclasses

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from instances.errors import InvalidInput
from instances.problem import BestKnown, Description
from services.records import Comparison, Incumbent, Run, Status
from services.store import tables
from services.store.store import Store

COMPARISON = Comparison(name="c", solvers={"a": "a:x=1", "b": "b"}, budget=2.0, num_seeds=2, reference="a")
DESCRIPTIONS = [
    Description("routing", f"i{n}", f"{n:064d}", 20 + n, "customers", ("capacity", "fleet"), 1, {"rounding": "nearest"},
                BestKnown(100 + n, True, "source", "2026-01-01") if n else None)
    for n in range(3)
]  # fmt: skip
RUN = Run(
    key="k" * 64, instance=DESCRIPTIONS[1].digest, solver="b", spec="b", repetition=1, seed=2**31 - 1,
    status=Status.FINISHED, reason="", trace=(Incumbent(0.25, 120, [[1, 2]]), Incumbent(1.5, 110, [[2, 1]])),
    num_reported=4, num_rejected=1, num_late=1, setup_seconds=0.5, wall_seconds=1.9, cpu_seconds=1.8,
    peak_bytes=2**33, involuntary_switches=3, disturbed=True, versions={"versus": "0.1.0"}, machine="m", log="log",
    finished_at="2026-11-20T10:00:00+00:00",
)  # fmt: skip


@pytest.fixture
def store(tmp_path):
    """A new store that holds a comparison without runs."""
    store = Store.in_folder(tmp_path / "new" / "folder", create=True)
    store.add_comparison(COMPARISON, [(d, {"document of": d.name}) for d in DESCRIPTIONS], {"machine": "m"})
    yield store
    store.close()


def test_comparison_comes_back_whole(store):
    """Comparison, instances in order with their best-known values, and environment survive."""
    results = store.results("c")
    assert results.comparison == COMPARISON
    assert list(results.instances.values()) == DESCRIPTIONS
    assert results.environment == {"machine": "m"}
    assert results.runs == ()
    assert results.documents[DESCRIPTIONS[2].digest] == {"document of": "i2"}
    assert store.comparisons() == [COMPARISON]


def test_run_comes_back_whole(store):
    """Every field of a run survives, its trace and its best solution too."""
    store.save_run("c", RUN)
    results = store.results("c")
    (run,) = results.runs
    assert run == RUN
    assert results.solutions[RUN.key] == [[2, 1]]
    assert list(results.solutions) == [RUN.key]


def test_same_key_again_replaces_the_run(store):
    """A retry writes one row, not two."""
    store.save_run("c", RUN)
    again = dataclasses.replace(RUN, status=Status.CRASHED, trace=())
    store.save_run("c", again)
    assert store.results("c").runs == (again,)
    assert store.run_keys("c") == {RUN.key}
    with pytest.raises(KeyError):
        store.results("c").solutions[RUN.key]


def test_runs_are_ordered_as_the_comparison_is(store):
    """Runs come by instance, solver and repetition, in whatever order they ended."""
    for solver in "ba":
        for description in reversed(DESCRIPTIONS):
            for repetition in (1, 0):
                key = f"{solver}{description.name}{repetition}"
                store.save_run(
                    "c",
                    dataclasses.replace(
                        RUN, key=key, instance=description.digest, solver=solver, repetition=repetition
                    ),
                )
    keys = [run.key for run in store.results("c").runs]
    assert keys == [f"{solver}i{n}{repetition}" for n in range(3) for solver in "ab" for repetition in (0, 1)]


def test_reopened_store_keeps_everything(store, tmp_path):
    """Closing and opening again loses nothing and migrates nothing twice."""
    store.save_run("c", RUN)
    store.close()
    again = Store.in_folder(tmp_path / "new" / "folder", create=False)
    assert again.results("c").runs == (RUN,)
    again.close()


def test_instances_are_stored_once(store):
    """A second comparison of the same instances adds no documents."""
    other = dataclasses.replace(COMPARISON, name="d")
    store.add_comparison(other, [(d, {"document of": d.name}) for d in DESCRIPTIONS], {})
    with store.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.instances)) == 3


def test_failed_comparison_leaves_nothing_behind(store):
    """A comparison that cannot be stored whole is not stored at all."""
    with pytest.raises(sa.exc.StatementError):
        store.add_comparison(dataclasses.replace(COMPARISON, name="e"), [(DESCRIPTIONS[0], {})], {"bad": object()})
    assert [comparison.name for comparison in store.comparisons()] == ["c"]


def test_folder_without_a_store_is_refused(tmp_path):
    """Reading never creates a store."""
    with pytest.raises(InvalidInput, match=r"no results here; expected versus\.sqlite"):
        Store.in_folder(tmp_path, create=False)
    assert list(tmp_path.iterdir()) == []


def test_migrations_make_exactly_the_declared_tables(store):
    """The history ends at the tables that the code declares."""
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
