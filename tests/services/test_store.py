"""The store gives back what it was given, once per key."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from instances.errors import InvalidInput
from instances.problem import BestKnown, Description
from services.records import Comparison, Incumbent, Run, Status
from services.store import store as store_module
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
    status=Status.CRASHED, reason="KeyError", trace=(Incumbent(0.25, 120, b"[[1,2]]"), Incumbent(1.5, 110, b"[[2,1]]")),
    num_reported=4, num_rejected=1, num_late=1, setup_seconds=0.5, wall_seconds=1.9, cpu_seconds=1.8,
    peak_bytes=2**33, involuntary_switches=3, disturbed=True, versions={"versus": "0.1.0"}, machine="m", log="log",
    finished_at="2026-11-20T10:00:00+00:00",
)  # fmt: skip


@pytest.fixture
def store(tmp_path):
    """A new store that holds a comparison without runs."""
    store = Store.in_folder(tmp_path / "new" / "folder", write=True)
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
    store.save_runs("c", RUN)
    results = store.results("c")
    (run,) = results.runs
    assert run == RUN
    assert results.solutions[RUN.key] == [[2, 1]]
    assert list(results.solutions) == [RUN.key]


def test_same_key_again_replaces_the_run(store):
    """A retry writes one row, not two."""
    store.save_runs("c", RUN)
    again = dataclasses.replace(RUN, status=Status.NO_SOLUTION, trace=())
    store.save_runs("c", again)
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
                store.save_runs(
                    "c",
                    dataclasses.replace(
                        RUN, key=key, instance=description.digest, solver=solver, repetition=repetition
                    ),
                )
    keys = [run.key for run in store.results("c").runs]
    assert keys == [f"{solver}i{n}{repetition}" for n in range(3) for solver in "ab" for repetition in (0, 1)]


def test_reopened_store_keeps_everything(store, tmp_path):
    """Closing and opening again loses nothing and migrates nothing twice."""
    store.save_runs("c", RUN)
    store.close()
    again = Store.in_folder(tmp_path / "new" / "folder", write=False)
    assert again.results("c").runs == (RUN,)
    again.close()


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"status": Status.CRASHED}, True),
        ({"status": Status.FINISHED}, False),
        ({"status": Status.KILLED}, False),
        ({"status": Status.KILLED, "trace": ()}, True),
        ({"status": Status.FINISHED, "partial": True}, True),
        ({"status": Status.DECLINED, "trace": ()}, True),
    ],
)
def test_logs_come_with_the_runs_that_did_not_end_well(store, changes, kept):
    """Where a run ended with an answer, nobody asks for its log; the store has it all the same."""
    store.save_runs("c", dataclasses.replace(RUN, **changes))
    (run,) = store.results("c").runs
    assert run.log == ("log" if kept else "")
    with store.engine.connect() as connection:
        assert connection.scalar(sa.select(tables.runs.c.log)) == "log"


def test_one_writes_while_others_read(store, tmp_path):
    """A second writer is refused with the first one's process id until that closes; readers are not."""
    folder = tmp_path / "new" / "folder"
    with pytest.raises(InvalidInput, match=rf"folder: another versus \(pid {os.getpid()}\) is writing here"):
        Store.in_folder(folder, write=True)
    reader = Store.in_folder(folder, write=False)
    assert reader.comparisons() == [COMPARISON]
    reader.close()
    store.close()
    Store.in_folder(folder, write=True).close()


def test_failed_opening_leaves_the_folder_free(tmp_path):
    """Whoever could not open the store does not lock others out."""
    (tmp_path / "versus.sqlite").write_bytes(b"no database" * 1000)
    for _ in range(2):
        with pytest.raises(InvalidInput, match="cannot be opened as a store"):
            Store.in_folder(tmp_path, write=True)


READ = """
import sys
from pathlib import Path
from services.store.store import Store
store = Store.in_folder(Path(sys.argv[1]), write=False)
print(store.results("c").runs[0].key)
"""


@pytest.mark.parametrize("writing", [False, True], ids=["at rest", "being written"])
def test_folder_that_cannot_be_written_to_is_read(store, tmp_path, writing):
    """Results are read from a read-only folder, as a medium or another user's, and nothing appears in it."""
    store.save_runs("c", RUN)
    if not writing:
        store.close()
    folder = tmp_path / "what?" / "folder"
    shutil.copytree(tmp_path / "new" / "folder", folder)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    command = [sys.executable, "-c", READ, str(folder)]
    if os.geteuid() == 0:  # permissions do not stop root, but a read-only mount does
        script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
        command = ["unshare", "--mount", "sh", "-c", script, str(folder), *command]
        if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode != 0:
            pytest.skip("root without the right to mount: nothing here cannot be written to")
    folder.chmod(0o555)
    read = subprocess.run(command, capture_output=True, text=True, check=False)
    assert read.stdout.split() == [RUN.key], read.stderr
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_store_of_a_newer_version_is_refused(store, tmp_path):
    """Nothing is read from, or written to, a schema that this version does not know."""
    with store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(InvalidInput, match=r"versus\.sqlite: was written by a newer versus \(schema 9999\)"):
        Store.in_folder(tmp_path / "new" / "folder", write=False)


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
        Store.in_folder(tmp_path, write=False)
    assert list(tmp_path.iterdir()) == []


OPEN = """
import sys
from services.store.store import Store
Store.open(sys.argv[1]).close()
"""


def test_two_may_migrate_at_once(database_url):
    """Replicas that start together with an empty database all find it migrated."""
    command = [sys.executable, "-c", OPEN, database_url]
    starting = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    ended = [(process.communicate()[1], process.returncode) for process in starting]
    assert [code for _, code in ended] == [0] * 4, ended
    store = Store.open(database_url, migrate=False)
    assert store.comparisons() == []
    store.close()


def test_migrations_make_exactly_the_declared_tables(store):
    """The history ends at the tables that the code declares."""
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []


@pytest.mark.parametrize("begun_at", ["0001", "0002"])
def test_older_store_is_migrated_with_all_its_rows(database_url, begun_at):
    """A store that an earlier versus wrote has every comparison, run and solution after it was brought up to date."""
    engine = sa.create_engine(database_url)
    config = Config()
    config.set_main_option("script_location", str(Path(store_module.__file__).parent / "migrations"))
    run = {
        "key": RUN.key, "comparison": "c", "instance": RUN.instance, "solver": "b", "spec": "b", "repetition": 1,
        "seed": 7, "status": "finished", "reason": "", "cost": 110, "trace": "[[0.5, 110]]", "num_reported": 1,
        "num_rejected": 0, "num_late": 0, "setup_seconds": 0.5, "wall_seconds": 1.0, "cpu_seconds": 1.0,
        "peak_bytes": 1, "involuntary_switches": 0, "disturbed": False, "versions": "{}", "machine": "m", "log": "",
        "finished_at": "2026-11-20T10:00:00+00:00",
    } | ({"partial": False} if begun_at == "0002" else {})  # fmt: skip
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, begun_at)
        for table, rows in {
            "comparisons": [
                {"name": "c", "definition": json.dumps(dataclasses.asdict(COMPARISON)), "environment": "{}",
                 "created_at": "2026-11-20T09:00:00+00:00"}
            ],
            "instances": [{"digest": d.digest, "document": zlib.compress(b"{}")} for d in DESCRIPTIONS],
            "comparison_instances": [
                {"comparison": "c", "position": n, "instance": d.digest,
                 "description": json.dumps(dataclasses.asdict(d))}
                for n, d in enumerate(DESCRIPTIONS)
            ],
            "runs": [run],
            "run_solutions": [{"run": RUN.key, "solutions": zlib.compress(b"[[[1, 2]]]")}],
        }.items():  # fmt: skip
            columns = ", ".join(rows[0])
            values = ", ".join(f":{name}" for name in rows[0])
            connection.execute(sa.text(f"INSERT INTO {table} ({columns}) VALUES ({values})"), rows)
    engine.dispose()
    store = Store.open(database_url)
    results = store.results("c")
    assert list(results.instances.values()) == DESCRIPTIONS
    (kept,) = results.runs
    assert (kept.cost, kept.partial, kept.attempt) == (110, False, 1)
    assert results.solutions[RUN.key] == [[1, 2]]
    with store.engine.connect() as connection:
        assert connection.scalar(sa.select(tables.comparisons.c.num_runs)) == len(DESCRIPTIONS) * 2 * 2
        assert connection.scalars(sa.select(tables.instances.c.name).order_by(tables.instances.c.name)).all() == [
            "i0", "i1", "i2",
        ]  # fmt: skip
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
    store.close()
