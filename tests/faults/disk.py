"""A full disk and a read-only database in the middle of a comparison: a clear error, nothing half-written, recovery.

The disk is a small tmpfs that holds a SQLite store and is filled, so this needs root; the read-only database is
PostgreSQL, told so. ``python -m tests.faults.disk``.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import sqlalchemy as sa

from instances.problems import problem_of
from instances.routing.generators import generate
from services.store import tables
from services.store.store import Store
from tests.faults.servers import VERSUS, Postgres, Valkey, environment, free_port, wait_for

NUM_RUNS = 8
OUTAGE_SECONDS = 12.0
LEASE = 5.0


def main() -> int:
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], check=True)
        try:
            filler = Path(folder, "filler")
            url = f"sqlite:///{folder}/versus.sqlite"
            failed |= scenario("disk full", url, folder, {}, lambda: fill(filler), filler.unlink)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
    with Postgres() as postgres, Valkey() as valkey, tempfile.TemporaryDirectory() as folder:
        own = environment(postgres, valkey, LEASE)
        failed |= scenario(
            "read-only database", postgres.url, folder, own,
            lambda: read_only(postgres, "on"), lambda: read_only(postgres, "off"),
        )  # fmt: skip
    return int(failed)


def fill(file: Path) -> None:
    """Take every byte that is left."""
    with file.open("wb", buffering=0) as sink:
        try:
            while True:
                sink.write(bytes(1 << 16))
        except OSError:
            pass


def read_only(postgres: Postgres, state: str) -> None:
    """Let no transaction write from now on, or let them again."""
    address = f"host={postgres.host} port={postgres.port} user=postgres"
    with psycopg.connect(address, autocommit=True, options="-c default_transaction_read_only=off") as connection:
        connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {state}")
        connection.execute("SELECT pg_reload_conf()")


def scenario(
    name: str, url: str, folder: str, own: dict[str, str], begin: Callable[[], None], end: Callable[[], None]
) -> bool:
    """Let the outage happen in the middle of a comparison; whether something went wrong."""
    port = free_port()
    log = Path(tempfile.gettempdir(), f"versus-{name.replace(' ', '-')}.log")
    with log.open("wb") as output:
        service = subprocess.Popen(
            [VERSUS, "serve", "--port", str(port), "--data-dir", folder],
            env={**os.environ, "VERSUS_LEASE_SECONDS": str(LEASE), **own}, stdout=output, stderr=output,
        )  # fmt: skip
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/v1", timeout=60) as client:
        try:
            wait_for(lambda: _answers(client), 60)
            documents = [
                problem_of(instance).dump(instance)
                for instance in generate("uniform", size=20, count=NUM_RUNS + 1, seed=3)
            ]
            for document in documents[:NUM_RUNS]:
                _post(client, document).raise_for_status()
            wait_for(lambda: _ended(client) >= 2, 60)
            begin()
            time.sleep(1.0)
            refused = _post(client, documents[-1])
            print(f"{name}: a submission gets {refused.status_code}: {refused.json().get('detail')}")
            readable = client.get("/runs").status_code
            time.sleep(OUTAGE_SECONDS)
            during = _ended(client)
            end()
            again = wait_for(lambda: (answer := _post(client, documents[-1])).status_code == 202 and answer, 30)
            wait_for(lambda: _ended(client) == NUM_RUNS + 1, 120)
        finally:
            service.terminate()
            service.wait(60)
    store = Store.open(url)
    with store.engine.connect() as connection:
        rows = connection.execute(sa.select(tables.runs.c.key, tables.runs.c.status, tables.runs.c.attempt)).all()
        solved = set(connection.scalars(sa.select(tables.run_solutions.c.run)))
        left = connection.scalar(sa.select(sa.func.count()).select_from(tables.jobs))
    store.close()
    whole = {row.key for row in rows} == solved and len(rows) == NUM_RUNS + 1 and not left
    print(f"{name}: reading gave {readable}; {during} runs had ended when it was over; then {again.status_code} again")
    statuses, attempts = Counter(row.status for row in rows), Counter(row.attempt for row in rows)
    print(f"{name}: {len(rows)} runs, each with its solution: {whole}; {dict(statuses)}; attempts {dict(attempts)}")
    return not (whole and refused.status_code == 503 and readable == 200 and set(statuses) == {"finished"})


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/ready").status_code == 200
    except httpx.TransportError:
        return False


def _post(client: httpx.Client, document: object) -> httpx.Response:
    return client.post("/runs", json={"document": document, "solver": "pyvrp", "budget": "1s"})


def _ended(client: httpx.Client) -> int:
    return len(client.get("/runs").raise_for_status().json()["items"])


if __name__ == "__main__":
    sys.exit(main())
