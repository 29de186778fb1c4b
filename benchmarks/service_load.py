"""How much the service carries: HTTP, queue, worker, solver's child, referee and PostgreSQL (fsync on), on one machine.

``python -m benchmarks.service_load`` prints a row for each figure with its limit, and exits with 1 if one is missed:

- runs per second of 1,000 separate ``POST /v1/runs`` of a trivial solver on distinct instances, posted by four clients,
  from the first request to the last stored run;
- the median time from a submission to its stored run at an idle service;
- the time in which a comparison of 10,000 instances is accepted, and the median time of its status;
- the median times of ranking, statistics and export of a comparison of 1,000 runs in a store of 1,000,000.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import sqlalchemy as sa

from instances.problems import problem_of
from instances.routing.generators import generate
from services.records import Comparison, Incumbent, Run, Status
from services.runner.machine import describe_machine
from services.store import queries, tables
from services.store.store import Store, insert_comparison, insert_run
from tests.faults.servers import VERSUS, Postgres, Valkey, environment, free_port, wait_for

CLIENTS = 4
TRIVIAL = "nearest"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--instances", type=int, default=10_000)
    parser.add_argument("--stored", type=int, default=1_000_000, help="runs in the large store")
    parser.add_argument("--slack", type=float, default=1.0, help="factor on all limits, for a busy machine")
    options = parser.parse_args()
    port = free_port()
    with Postgres() as postgres, Valkey() as valkey, tempfile.TemporaryDirectory() as folder:
        store = Store.open(postgres.url)
        service = subprocess.Popen(
            [VERSUS, "serve", "--port", str(port), "--data-dir", folder],
            env={**environment(postgres, valkey, 30.0), "VERSUS_MAX_RUNS": "1000000"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        failed = False

        def report(what: str, value: float, unit: str, limit: float, *, least: bool = False) -> None:
            nonlocal failed
            bound = limit / options.slack if least else limit * options.slack
            failed |= value < bound if least else value > bound
            print(f"| {what} | {value:.4g} {unit} | {'at least' if least else 'below'} {bound:g} |", flush=True)

        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
                wait_for(lambda: _ready(client), 60)
                print("; ".join(f"{name} {value}" for name, value in describe_machine().items()))
                print("| figure | measured | limit |\n| --- | --- | --- |")
                _post(client, _body(1)[0])
                wait_for(lambda: _stored(store) == 1, 60)
                bodies = _body(options.runs + 1)[1:]
                report("runs per second", _throughput(store, client, bodies), "/s", 50, least=True)
                report("submission to stored, idle, median", _latency(store, client), "ms", 50)
                for what, value, unit, limit in _large_comparison(client, options.instances):
                    report(what, value, unit, limit)
                name = _fill(store, options.stored)
                for what, seconds in _pages(client, name).items():
                    report(f"{what} of 1,000 runs among {options.stored:,}, median", 1000 * seconds, "ms", 200)
        finally:
            service.terminate()
            service.wait(60)
            store.close()
    return int(failed)


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/v1/ready").status_code == 200 and bool(client.get("/v1/system").json()["workers"])
    except httpx.TransportError:
        return False


def _body(count: int, seed: int = 11) -> list[dict[str, Any]]:
    """Requests for runs of the trivial solver, each on an instance of its own."""
    return [
        {"document": problem_of(instance).dump(instance), "solver": TRIVIAL, "budget": "1s"}
        for instance in generate("uniform", size=20, count=count, seed=seed)
    ]


def _post(client: httpx.Client, body: dict[str, Any]) -> str:
    answer = client.post("/v1/runs", json=body)
    answer.raise_for_status()
    return str(answer.headers["location"])


def _stored(store: Store) -> int:
    with store.engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(tables.runs)) or 0


def _throughput(store: Store, client: httpx.Client, bodies: list[dict[str, Any]]) -> float:
    before = _stored(store)
    started = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda body: _post(client, body), bodies))
    wait_for(lambda: _stored(store) == before + len(bodies), 600)
    return len(bodies) / (time.perf_counter() - started)


def _latency(store: Store, client: httpx.Client, count: int = 50) -> float:
    """Milliseconds until the run can be seen in the database, looked at every millisecond."""
    times = []
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for body in _body(count, seed=12):
            time.sleep(0.2)
            started = time.perf_counter()
            key = _post(client, body).rpartition("/")[2]
            query = sa.select(tables.runs.c.status).where(tables.runs.c.key == key)
            while connection.scalar(query) is None:
                time.sleep(0.001)
            times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)


def _large_comparison(client: httpx.Client, count: int) -> list[tuple[str, float, str, float]]:
    generator = {"problem": "routing", "kind": "uniform", "parameters": {"size": 20}, "count": count, "seed": 3}
    body = {"title": "large", "generator": generator, "solvers": [TRIVIAL, "savings"], "budget": "1s"}
    started = time.perf_counter()
    answer = client.post("/v1/comparisons", json=body)
    accepted = time.perf_counter() - started
    answer.raise_for_status()
    location = answer.headers["location"]
    status = _median(lambda: client.get(location).raise_for_status(), 20)
    client.post(f"{location}/cancel").raise_for_status()
    return [
        (f"a comparison of {count:,} instances accepted in", accepted, "s", 10),
        ("its status, median, while it runs", 1000 * status, "ms", 50),
    ]


def _fill(store: Store, number: int) -> str:
    """Store comparisons of 1,000 runs each, made up but whole, until there are so many runs; the name of one."""
    digests = _digests(store, 100)
    solvers = {name: name for name in ("a", "b", "c", "d", "e")}
    known = queries.descriptions(store.engine, digests)
    described = [known[digest] for digest in digests]
    first = Comparison("filled-0", solvers, 1.0, 2, problems=dict.fromkeys(solvers, "routing"))
    with store.engine.begin() as connection:
        insert_comparison(connection, first, described, {})
        for place, (digest, label, repetition) in enumerate(first.places(digests)):
            trace = tuple(
                Incumbent(0.01 * (k + 1), 7_000_000 - 1000 * k - 37 * (place % 89), b"[[1]]") for k in range(5)
            )
            key = first.run_key(digest, label, repetition)
            run = Run(key, digest, label, label, repetition, place, Status.FINISHED, trace=trace, wall_seconds=1.0,
                      cpu_seconds=1.0, finished_at="2026-11-20T00:00:00+00:00", machine="made up")  # fmt: skip
            insert_run(connection, first.name, run)
    # The others are copies of it, made inside the database.
    names = [column.name for column in tables.runs.c if column.name not in ("key", "comparison")]
    columns = ", ".join(names)
    with store.engine.begin() as connection:
        for copy in range(1, number // 1000):
            definition = replace(first, name=f"filled-{copy}")
            insert_comparison(connection, definition, described[:1], {})
            connection.execute(
                sa.text(
                    f"INSERT INTO runs (key, comparison, {columns}) "
                    f"SELECT md5(key || :copy) || md5(:copy || key), :name, {columns} FROM runs "
                    "WHERE comparison = 'filled-0'"
                ),
                {"copy": str(copy), "name": definition.name},
            )
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("ANALYZE"))
    return first.name


def _digests(store: Store, count: int) -> list[str]:
    with store.engine.connect() as connection:
        return list(connection.scalars(sa.select(tables.instances.c.digest).limit(count)))


def _pages(client: httpx.Client, name: str) -> dict[str, float]:
    paths = {
        "statistics (first, computed)": f"/v1/comparisons/{name}/statistics",
        "statistics, ranking among them": f"/v1/comparisons/{name}/statistics",
        "export as CSV": f"/v1/comparisons/{name}/export?format=csv",
        "export as Parquet": f"/v1/comparisons/{name}/export?format=parquet",
        "export as JSON lines": f"/v1/comparisons/{name}/export?format=jsonl",
        "page of 100 runs": f"/v1/comparisons/{name}/runs",
        "status": f"/v1/comparisons/{name}",
        "list of comparisons": "/v1/comparisons",
    }
    counts = {what: 1 if "first" in what else 20 for what in paths}
    # Those of another comparison before: a process imports what it computes with once.
    (other,) = client.get("/v1/comparisons", params={"single": "true", "limit": 1}).raise_for_status().json()["items"]
    client.get(f"{other['links']['self']}/statistics").raise_for_status()
    return {
        what: _median(lambda path=path: client.get(path).raise_for_status(), counts[what])  # type: ignore[misc]
        for what, path in paths.items()
    }


def _median(call: Callable[[], Any], count: int) -> float:
    times = []
    for _ in range(count):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


if __name__ == "__main__":
    sys.exit(main())
