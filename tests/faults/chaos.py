"""500 runs over HTTP while processes are killed, Redis is emptied and PostgreSQL restarts: none lost, none doubled.

Every few seconds one process of the service, chosen at random, gets SIGKILL: a solver's child, a judge, the worker or
the API; ``versus serve`` starts the last two anew. At the end every run is in a final state once.
``python -m tests.faults.chaos [--runs 500] [--every 3] [--seed 1]``.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import sqlalchemy as sa

from instances.problems import problem_of
from instances.routing.generators import generate
from services.store import tables
from services.store.store import Store
from tests.faults.servers import VERSUS, Postgres, Valkey, environment, free_port, wait_for

LEASE = 5.0
KINDS = {
    "solver": "services.runner.child",
    "judge": "services.runner.judge",
    "worker": "celeryd",
    "api": "main() api",
}
FINAL_SECONDS = 900
MOST_OVERRUN = 5.0
"""Seconds that a lease may be over: until those who look after it are back, where they were killed."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two kills")
    parser.add_argument("--budget", default="300ms")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    port = free_port()
    with Postgres() as postgres, Valkey() as valkey, tempfile.TemporaryDirectory() as folder:
        store = Store.open(postgres.url)
        with Path(folder, "service.log").open("wb") as log:
            service = subprocess.Popen(
                [VERSUS, "serve", "--port", str(port), "--data-dir", folder],
                env=environment(postgres, valkey, LEASE),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        url = f"http://127.0.0.1:{port}/v1"
        killed: Counter[str] = Counter()
        over = threading.Event()
        longest = [0.0]
        try:
            wait_for(lambda: _answers(url), 60)
            watcher = threading.Thread(target=_watch, args=(postgres.url, over, longest))
            watcher.start()
            submitter = threading.Thread(target=_submit, args=(url, options.runs, options.budget))
            submitter.start()
            started = time.monotonic()
            events = {options.runs // 4: "redis", options.runs // 2: "postgres", 3 * options.runs // 4: "redis"}
            while (done := _count(store)) < options.runs or submitter.is_alive() or events:
                if time.monotonic() - started > FINAL_SECONDS:
                    break
                for at in [at for at in events if at <= done]:
                    name = events.pop(at)
                    server = valkey if name == "redis" else postgres
                    server.stop()
                    time.sleep(1.0)
                    server.start()
                    killed[f"{name} restarted"] += 1
                    print(f"{time.monotonic() - started:6.1f} s  {done} runs done; {name} restarted", flush=True)
                time.sleep(chance.uniform(0.5, 1.5) * options.every)
                kind = chance.choice(sorted(KINDS))
                if pids := _processes(service.pid, KINDS[kind]):
                    os.kill(chance.choice(pids), signal.SIGKILL)
                    killed[kind] += 1
            submitter.join(60)
            seconds = time.monotonic() - started
            over.set()
            watcher.join()
        finally:
            over.set()
            service.terminate()
            service.wait(60)
        failed = _report(store, options.runs, seconds, killed, longest[0])
        if failed:
            kept = Path(tempfile.gettempdir(), "versus-chaos.log")
            kept.write_bytes(Path(folder, "service.log").read_bytes())
            print(f"the service's log: {kept}")
        store.close()
        return int(failed)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready").status_code == 200
    except httpx.TransportError:
        return False


def _submit(url: str, number: int, budget: str) -> None:
    """Post every run, again and again with the same Idempotency-Key until it is taken."""
    with httpx.Client(timeout=20) as client:
        for place, instance in enumerate(generate("uniform", size=20, count=number, seed=5)):
            solver = ("pyvrp", "nearest", "ortools")[place % 3]
            body = {"document": problem_of(instance).dump(instance), "solver": solver, "budget": budget}
            while True:
                try:
                    answer = client.post(f"{url}/runs", json=body, headers={"Idempotency-Key": f"chaos-{place}"})
                    if answer.status_code == 202:
                        break
                    if answer.status_code not in (409, 429, 503):
                        raise RuntimeError(answer.text)
                except httpx.TransportError:
                    pass
                time.sleep(0.2)


def _watch(database_url: str, over: threading.Event, longest: list[float]) -> None:
    """Note by how long a running job's lease was exceeded at worst."""
    engine = sa.create_engine(database_url, pool_pre_ping=True)
    query = sa.text("SELECT max(extract(epoch FROM clock_timestamp()) - lease_until) FROM jobs WHERE state = 'running'")
    while not over.wait(0.2):
        try:
            with engine.connect() as connection:
                longest[0] = max(longest[0], float(connection.scalar(query) or 0.0))
        except sa.exc.OperationalError:
            continue
    engine.dispose()


def _count(store: Store) -> int:
    try:
        with store.engine.connect() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(tables.runs)) or 0
    except sa.exc.OperationalError:
        return 0


def _processes(ancestor: int, words: str) -> list[int]:
    """Descendants of a process with these words in their command line."""
    listing = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listing.splitlines()]
    parents = {int(pid): int(parent) for pid, parent, *_ in rows}
    found = []
    for pid, _, *rest in rows:
        process = int(pid)
        while process > 1 and process != ancestor:
            process = parents.get(process, 0)
        if process == ancestor and rest and words in rest[0]:
            found.append(int(pid))
    return found


def _report(store: Store, number: int, seconds: float, killed: Counter[str], longest: float) -> bool:
    """Print what became of the runs; whether one was lost, doubled, left, or held beyond its lease."""
    with store.engine.connect() as connection:
        ended = connection.execute(
            sa.select(tables.runs.c.status, sa.func.count()).group_by(tables.runs.c.status)
        ).all()
        attempts = connection.execute(
            sa.select(tables.runs.c.attempt, sa.func.count()).group_by(tables.runs.c.attempt)
        ).all()
        comparisons = connection.scalar(sa.select(sa.func.count()).select_from(tables.comparisons))
        instances = connection.scalar(sa.select(sa.func.count(sa.distinct(tables.runs.c.instance))))
        left = connection.scalar(sa.select(sa.func.count()).select_from(tables.jobs))
    total = sum(count for _, count in ended)
    print(f"{number} runs submitted in {seconds:.0f} s; killed or restarted: {dict(killed)}")
    print(f"runs stored: {total}, of {instances} instances, in {comparisons} submissions; left in the queue: {left}")
    print(f"by status: {dict(map(tuple, ended))}; by attempt: {dict(sorted(map(tuple, attempts)))}")
    print(f"a lease was exceeded by {longest:.1f} s at most (the reaper looks once a second)")
    whole = total == instances == comparisons == number and left == 0
    restarted = killed["redis restarted"] == 2 and killed["postgres restarted"] == 1
    return not (whole and restarted and longest <= MOST_OVERRUN)


if __name__ == "__main__":
    sys.exit(main())
