"""`versus doctor`: what is well, what is not, and what to do; and `versus migrate`."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import redis
import sqlalchemy as sa

from services.store import tables, workers
from services.store.store import Store

VERSUS = str(Path(sys.executable).with_name("versus"))


def versus(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("VERSUS_")}
    return subprocess.run(
        [VERSUS, *arguments], env={**clean, **variables}, capture_output=True, text=True, timeout=300, check=False
    )


def examine(code: int, **variables: str) -> dict[str, list[dict[str, str]]]:
    """The findings by part, of a doctor that ends with a code."""
    done = versus("doctor", "--json", **variables)
    assert done.returncode == code, done.stdout + done.stderr
    found: dict[str, list[dict[str, str]]] = {}
    for finding in json.loads(done.stdout):
        found.setdefault(finding["part"], []).append(finding)
    return found


def states(found: Mapping[str, list[dict[str, str]]], part: str) -> set[str]:
    return {finding["state"] for finding in found[part]}


def test_clean_machine_is_well(tmp_path):
    """Without configuration nothing has failed, nothing is made, and the lines are for people."""
    done = versus("doctor", VERSUS_DATA_DIR=str(tmp_path / "data"))
    assert done.returncode == 0, done.stdout
    for part in ("packages", "machine", "disk", "broker", "solvers", "store"):
        assert part in done.stdout
    assert "starts its own" in done.stdout
    assert "fail" not in {line[:4] for line in done.stdout.splitlines()}
    assert list(tmp_path.iterdir()) == []


def test_every_part_of_a_service_is_seen(postgres_url, redis_url):
    """Store, clock, broker and worker are well on real ones; no password is shown."""
    assert versus("migrate", VERSUS_DATABASE_URL=postgres_url).returncode == 0
    store = Store.open(postgres_url, migrate=False)
    workers.register(store.engine, "w", host="h", needs=["cpu"], slots=2, threads=1, machine={})
    store.close()
    found = examine(0, VERSUS_DATABASE_URL=postgres_url, VERSUS_REDIS_URL=redis_url)
    assert {"store", "clock", "broker", "workers"} <= set(found)
    for part in ("store", "clock", "broker", "workers"):
        assert states(found, part) == {"ok"}, found[part]
    assert "noeviction" in found["broker"][0]["text"]


def test_what_is_wrong_is_said_with_a_remedy(tmp_path, redis_url):
    """A broker that evicts, a broker and a database that are not there, an old schema, a damaged file."""
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    database = f"sqlite:///{tmp_path / 'versus.sqlite'}"
    Store.open(database).close()
    found = examine(0, VERSUS_DATABASE_URL=database, VERSUS_REDIS_URL=redis_url)
    assert states(found, "broker") == states(found, "workers") == {"warn"}
    assert "noeviction" in found["broker"][0]["remedy"]
    engine = sa.create_engine(database)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    engine.dispose()
    found = examine(
        1, VERSUS_DATABASE_URL=database, VERSUS_REDIS_URL="redis://:hidden@127.0.0.1:1/0",
    )  # fmt: skip
    assert states(found, "broker") == states(found, "store") == {"fail"}
    assert "versus migrate" in found["store"][0]["remedy"] + found["store"][0]["text"]
    assert "hidden" not in json.dumps(found)
    (tmp_path / "broken").write_bytes(b"no database" * 100)
    assert states(examine(1, VERSUS_DATABASE_URL=f"sqlite:///{tmp_path / 'broken'}"), "store") == {"fail"}
    found = examine(1, VERSUS_DATABASE_URL="postgresql://u:hidden@127.0.0.1:1/d")
    assert states(found, "store") == {"fail"}
    assert "hidden" not in json.dumps(found)


def test_runs_that_nobody_will_make_are_seen(tmp_path):
    """Queued runs fail the check while no worker serves their queue, or none with their threads."""
    database = f"sqlite:///{tmp_path / 'versus.sqlite'}"
    store = Store.open(database)
    workers.register(store.engine, "w", host="h", needs=["cpu"], slots=2, threads=1, machine={})
    store.close()
    job = {
        "run": "r", "comparison": "c", "instance": "i", "solver": "s", "repetition": 0, "threads": 1, "priority": 0,
        "turn": 0, "state": "queued", "attempt": 0, "losses": 0, "cancel": False, "queued_at": 0.0,
    }  # fmt: skip
    # An engine of its own: the store's asks for the comparison and the instance.
    engine = sa.create_engine(database)
    with engine.begin() as connection:
        for run, needs, threads in (("a", "cpu", 1), ("b", "gpu", 1), ("c", "cpu", 2)):
            connection.execute(tables.jobs.insert().values({**job, "run": run, "needs": needs, "threads": threads}))
    engine.dispose()
    found = examine(1, VERSUS_DATABASE_URL=database)
    well, cpu, gpu = found["workers"]
    assert (well["state"], cpu["state"], gpu["state"]) == ("ok", "fail", "fail")
    assert "queue cpu that no worker takes: 1" in cpu["text"]
    assert "--queues cpu` with --threads above 1" in cpu["remedy"]
    assert "queue gpu that no worker takes: 1" in gpu["text"]


def test_migrate_says_from_what_to_what(database_url):
    """Each step once; then that there is nothing to do; a database that is not there is exit code 1."""
    first = versus("migrate", VERSUS_DATABASE_URL=database_url)
    assert first.returncode == 0, first.stderr
    steps = first.stdout.splitlines()
    assert steps[0].startswith("upgrade  -> 0001")
    assert steps[-1] == "the store is up to date"
    assert versus("migrate", VERSUS_DATABASE_URL=database_url).stdout == "the store is up to date already\n"


def test_parts_say_what_they_miss(tmp_path):
    """No broker, no database, a URL that is none: one line, and the exit code of what waiting helps or not."""
    database = f"sqlite:///{tmp_path / 'versus.sqlite'}"
    for command in (("api", "--port", "0"), ("worker", "--queues", "cpu")):
        without = versus(*command, VERSUS_DATABASE_URL=database)
        assert (without.returncode, "VERSUS_REDIS_URL: is not set" in without.stderr) == (2, True)
        absent = versus(
            *command, VERSUS_DATABASE_URL="postgresql://u:hidden@127.0.0.1:1/d", VERSUS_REDIS_URL="redis://127.0.0.1:1"
        )
        assert absent.returncode == 1, absent.stderr
        assert "cannot be opened" in absent.stderr
        assert "hidden" not in absent.stderr
        wrong = versus(*command, VERSUS_DATABASE_URL="nonsense", VERSUS_REDIS_URL="redis://127.0.0.1:1")
        assert (wrong.returncode, "VERSUS_DATABASE_URL: is no" in wrong.stderr) == (2, True)
    unseen = versus("worker", "--queues", "cpu", "--check", VERSUS_DATABASE_URL=database, VERSUS_REDIS_URL="redis://x")
    assert unseen.returncode == 1
    assert "no worker of" in unseen.stderr
