"""`versus serve`: everything starts, works and stops with one command."""

import contextlib
import http.client
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from instances.files import write_instance
from instances.routing.generators import generate
from services.runner import proc
from services.runner.machine import apart_from, core_slots

VERSUS = str(Path(sys.executable).with_name("versus"))
MARK = "VERSUS_TEST_MARK"


def marked(mark: str) -> list[int]:
    """The processes that live and inherited a mark; those that show a title of their own have lost it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def ask(port: int, path: str, body: Any = None) -> tuple[int, Any]:
    """The status and the document of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        sent = None if body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, sent, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def get(port: int, path: str) -> int:
    return ask(port, path)[0]


class Serving:
    """A service that runs."""

    def __init__(self, *arguments: object, log: Path) -> None:
        self.mark = secrets.token_hex(8)
        self.log = log
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VERSUS_")}
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                [VERSUS, "serve", *map(str, arguments)], stdout=subprocess.PIPE, stderr=errors, text=True,
                env={**environment, MARK: self.mark},
            )  # fmt: skip
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self.line)
        assert found, log.read_text()
        self.port = int(found[1])

    def children(self) -> dict[int, str]:
        """Everything below it that lives: process ids and command lines."""
        lines = {}
        for pid in proc._living(proc.descendants(self.process.pid)):
            with contextlib.suppress(OSError):
                lines[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        return lines

    def child(self, word: str) -> int:
        """The one child whose command line has a word."""
        (found,) = (pid for pid, line in self.children().items() if word in line)
        return found

    def left(self, family: Iterable[int], seconds: float = 0.0) -> list[int]:
        """What still lives of its family, so long after its end at the latest."""
        deadline = time.monotonic() + seconds
        while (alive := proc._living([*family, *marked(self.mark)])) and time.monotonic() < deadline:
            time.sleep(0.02)
        return alive

    def close(self) -> None:
        family = self.children()
        self.process.kill()
        self.process.communicate()
        assert not self.left(family, 10)


@pytest.fixture
def serving(tmp_path):
    """A service on a free port with a folder of its own."""
    service = Serving("--port", 0, "--data-dir", tmp_path / "data", log=tmp_path / "log")
    yield service
    service.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_command_starts_everything_and_stops_it(serving, tmp_path, number):
    """It says where it serves and that no key is needed, answers at once, and is gone seconds after a signal."""
    assert "no API key is needed" in serving.line
    assert get(serving.port, "/v1/health") == 200
    assert get(serving.port, "/v1/system") == 200
    assert (tmp_path / "data" / "versus.sqlite").is_file()
    family = serving.children()
    assert len(family) >= 3
    started = time.monotonic()
    serving.process.send_signal(number)
    assert serving.process.wait(timeout=60) == 0
    assert time.monotonic() - started < 20
    assert not serving.left(family)


@pytest.fixture
def run(serving, tmp_path):
    """The path of a long run that is under way."""
    write_instance(generate("x", size=100, count=1, seed=1)[0], tmp_path / "one.json")
    document = json.loads((tmp_path / "one.json").read_text())
    status, run = ask(serving.port, "/v1/runs", {"document": document, "solver": "pyvrp", "budget": "600s"})
    assert status == 202
    path = run["links"]["self"]
    deadline = time.monotonic() + 120
    while not ask(serving.port, path)[1].get("trace"):
        assert time.monotonic() < deadline, serving.log.read_text()
        time.sleep(0.1)
    return path


def test_runs_under_way_are_given_back(serving, run, tmp_path):
    """It stops in the middle of a run whose events somebody follows; started again, it makes the run again."""
    follower = http.client.HTTPConnection("127.0.0.1", serving.port, timeout=60)
    follower.request("GET", f"{run}/events")
    events = follower.getresponse()
    assert events.status == 200
    assert events.readline()
    family = serving.children()
    assert any("services.runner.child" in line for line in family.values())
    serving.process.send_signal(signal.SIGINT)
    # Its end is the stream's, in form or not: whoever follows asks again.
    with contextlib.suppress(http.client.IncompleteRead, OSError):
        events.read()
    follower.close()
    assert serving.process.wait(timeout=60) == 0
    assert not serving.left(family)
    again = Serving("--port", 0, "--data-dir", tmp_path / "data", log=tmp_path / "again")
    try:
        state = {"state": "queued"}
        deadline = time.monotonic() + 20
        while state["state"] == "queued" and time.monotonic() < deadline:
            time.sleep(0.1)
            state = ask(again.port, run)[1]
        # Not lost, for nobody had to wait for the lease's end.
        assert (state["state"], state["attempt"]) == ("running", 2)
    finally:
        again.close()


def test_sigkill_leaves_nothing(serving, run):
    """What it started dies with it, even if it cannot say goodbye: the parts, the solver and the judge."""
    family = serving.children()
    assert len(family) >= 5
    serving.process.kill()
    serving.process.wait()
    assert not serving.left(family, 5)


@pytest.mark.parametrize("word", [" api ", "worker ", "valkey-server"])
def test_a_part_that_dies_is_started_again(serving, word):
    """API, worker and broker come back after SIGKILL, under the address that they had."""
    killed = serving.child(word)
    os.kill(killed, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while not [pid for pid, line in serving.children().items() if word in line and pid != killed]:
        assert time.monotonic() < deadline, serving.log.read_text()
        time.sleep(0.05)
    # The socket listens all the while: a request waits until the API is back.
    assert get(serving.port, "/v1/health") == 200
    assert "is started again" in serving.log.read_text()


def test_parts_import_no_solver_and_keep_off_their_cores(serving):
    """Neither torch nor a solver's library is mapped into any part; API and broker keep off the solvers' cores."""
    for pid, line in serving.children().items():
        if "services.runner" not in line:
            maps = Path(f"/proc/{pid}/maps").read_text()
            assert not re.search(r"libtorch|pywrapcp|ortools", maps), line
    others = apart_from(frozenset().union(*core_slots(None, 1)))
    for word in (" api ", "valkey-server"):
        assert os.sched_getaffinity(serving.child(word)) == (others or os.sched_getaffinity(0))


def test_secrets_stand_on_no_command_line(serving, run):
    """The broker's password goes by stdin and environment, and not to what the worker starts."""
    environment = Path(f"/proc/{serving.child(' api ')}/environ").read_bytes().decode().split("\0")
    (url,) = (line for line in environment if line.startswith("VERSUS_REDIS_URL="))
    password = url.partition("://:")[2].partition("@")[0]
    assert len(password) == 48
    assert not any(password in line for line in serving.children().values())
    for word in ("services.runner.child", "services.runner.judge"):
        assert password not in Path(f"/proc/{serving.child(word)}/environ").read_text()
    assert password not in serving.log.read_text()


def test_what_is_no_request_gets_a_problem_too(serving):
    """Lines that are no HTTP, and the API's own root, are answered as every other error is."""
    with socket.create_connection(("127.0.0.1", serving.port), timeout=30) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request")
    assert b"content-type: application/problem+json" in head.lower()
    assert json.loads(body)["status"] == 400
    assert ask(serving.port, "/v1")[1]["status"] == 404


def test_a_folder_has_one_service(serving, tmp_path):
    """A second one in the same folder is refused with the first one's process id, and starts nothing."""
    second = versus("serve", "--port", 0, "--data-dir", tmp_path / "data")
    assert second.returncode == 2
    assert f"another versus (pid {serving.process.pid})" in second.stderr


def versus(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([VERSUS, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False)


def test_port_in_use_is_said(tmp_path):
    """Exit code 2, the port, and what to do; nothing is started, no folder made."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = versus("serve", "--port", port, "--data-dir", tmp_path / "data")
    assert refused.returncode == 2
    assert f"--port {port}: cannot listen on 127.0.0.1: Address already in use; choose another" in refused.stderr
    assert not (tmp_path / "data").exists()


def test_too_many_jobs_are_refused(tmp_path):
    """More runs at a time than cores are refused before anything is started."""
    refused = versus("serve", "--port", 0, "--data-dir", tmp_path / "data", "--jobs", 999)
    assert refused.returncode == 2
    assert "--jobs: 999 jobs" in refused.stderr


def test_wrong_setting_is_named(tmp_path, monkeypatch):
    """A variable that cannot be read is named with what is wrong."""
    monkeypatch.setenv("VERSUS_LEASE_SECONDS", "soon")
    refused = versus("serve", "--port", 0, "--data-dir", tmp_path / "data")
    assert refused.returncode == 2
    assert "VERSUS_LEASE_SECONDS: is 'soon'" in refused.stderr
    monkeypatch.delenv("VERSUS_LEASE_SECONDS")
    monkeypatch.setenv("VERSUS_ALLOWED_HOSTS", "a,b")
    refused = versus("serve", "--port", 0, "--data-dir", tmp_path / "data")
    assert refused.returncode == 2
    assert "allowed_hosts" in refused.stderr


def test_a_compared_folder_is_served(tmp_path):
    """`versus serve --data-dir DIR` opens what `versus compare --out DIR` wrote."""
    write_instance(generate("x", size=8, count=1, seed=1)[0], tmp_path / "one.vrp")
    made = versus(
        "compare", tmp_path / "one.vrp", "--solver", "savings", "--budget", "1s", "--out", tmp_path / "data"
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    service = Serving("--port", 0, "--data-dir", tmp_path / "data", log=tmp_path / "log")
    try:
        assert get(service.port, "/v1/comparisons") == 200
    finally:
        service.close()
