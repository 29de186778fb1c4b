"""The client gets what it asks for, once, over connections that are lost and from servers that are busy."""

import contextlib
import dataclasses
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
import uvicorn

from instances.errors import InvalidInput
from instances.problems import problem_of
from instances.routing.generators import generate
from services.api.app import create_app
from services.client import Client, ServiceError
from services.records import Incumbent, Run, Status
from services.settings import Settings
from services.store.jobs import Claim, Jobs
from services.store.keys import Keys
from services.store.store import Store

SEMIPRIMES = [{"problem": "factoring", "version": 1, "n": str(n)} for n in (8051, 8633, 9797)]
TERMS = {"solvers": ["trial"], "budget": "1s"}


@contextlib.contextmanager
def serving(store: Store, **settings: object) -> Iterator[str]:
    """The API on a store, without a worker; its URL."""
    app = create_app(store, lambda needs, number: None, Settings(**{"auth": "off", **settings}))
    config = uvicorn.Config(app, port=0, log_level="critical", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.005)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def url(store: Store) -> Iterator[str]:
    with serving(store) as url:
        yield url


class Lossy(httpx.BaseTransport):
    """A network that loses every so-many-th answer, after the server has done what was asked."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.paths: Counter[str] = Counter()
        self._inner = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.paths[f"{request.method} {request.url.path}"] += 1
        answer = self._inner.handle_request(request)
        if self.paths.total() % self.every == 0:
            answer.close()
            raise httpx.ReadError("lost", request=request)
        return answer

    def close(self) -> None:
        self._inner.close()


class Cutting:
    """A proxy that resets every connection after some bytes, few at first, then ever more."""

    def __init__(self, url: str, seed: int) -> None:
        self._target = ("127.0.0.1", httpx.URL(url).port or 0)
        self._random = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.num_cut = 0
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        # A connection wakes who waits for one.
        self._target = ("", 0)
        with socket.create_connection(self._listener.getsockname()):
            pass
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if not self._target[1]:
                client.close()
                return
            thread = threading.Thread(target=self._pass, args=(client, socket.create_connection(self._target)))
            self._threads.append(thread)
            thread.start()

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        left = self._random.randrange(50, 600 * 2**self.num_cut)
        with client, server:
            for end in (client, server):
                end.settimeout(0.05)
            while self._target[1]:
                for source, sink in ((client, server), (server, client)):
                    try:
                        data = source.recv(4096)
                    except TimeoutError:
                        continue
                    except OSError:
                        return
                    if not data:
                        return
                    with contextlib.suppress(OSError):
                        sink.sendall(data[: max(0, left)])
                    left -= len(data)
                if left <= 0:
                    self.num_cut += 1
                    # Closed with a reset, as a cable that is pulled ends in.
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return


def work(store: Store, seconds: float = 0.0) -> None:
    """End all queued runs as a worker would, one after another."""
    jobs = Jobs(store.engine)
    while claim := jobs.claim(["cpu"], 1, "w", 30.0):
        jobs.renew(claim, 30.0, [(0.1, 9)])
        time.sleep(seconds)
        jobs.complete(claim, ended(claim))


def ended(claim: Claim) -> Run:
    trace = (Incumbent(0.1, 9, b'["8051"]'), Incumbent(0.2, 0, b'["83","97"]'))
    return Run(
        claim.run, claim.instance, claim.solver, "trial:limit=none", claim.repetition, 5, Status.FINISHED, trace=trace,
        num_reported=2, wall_seconds=0.5, versions={"versus": "0"}, machine="this one", log="said\n",
        finished_at="2026-11-20T10:00:00+00:00", attempt=claim.attempt,
    )  # fmt: skip


def test_instances_are_sent_in_requests_that_the_service_accepts(store):
    """More than one body may hold goes in several; what is there is known, and not stored twice."""
    instances = list(generate("uniform", size=20, count=30, seed=1))
    documents = [problem_of(instance).dump(instance) for instance in instances]
    transport = Lossy(10**9)
    with serving(store, max_body_bytes=4_000) as url, Client(url, transport=transport) as client:
        stored = client.add_instances(documents)
        assert [one["digest"] for one in stored] == [instance.digest for instance in instances]
        assert all(one["new"] for one in stored)
        assert transport.paths["POST /v1/instances"] > 3
        assert not any(one["new"] for one in client.add_instances(documents[:3]))
        assert client.has_instance(instances[0].digest)
        assert not client.has_instance("0" * 64)
        assert client.instance(instances[0].digest)["document"] == documents[0]
        assert len(list(client.instances(problem="routing"))) == 30


def test_errors_say_what_and_where(store, url):
    """What is wrong with a request is InvalidInput, whatever else is refused carries its status."""
    with Client(url) as client:
        with pytest.raises(InvalidInput, match="must be a JSON object"):
            client.add_instances([{"no": "problem"}])
        with pytest.raises(InvalidInput) as wrong:
            client.compare({**TERMS, "instances": ["0" * 64]})
        assert wrong.value.where == "instances.0"
        with pytest.raises(ServiceError, match="no such comparison") as unknown:
            client.comparison("none such?")
        assert (unknown.value.status, unknown.value.where) == (404, "id")
    secret = Keys(store.engine).add("reader", {"read"})
    with serving(store, auth="keys") as guarded:
        with Client(guarded) as client, pytest.raises(ServiceError, match="an API key is needed") as closed:
            client.system()
        assert closed.value.status == 401
        with Client(guarded, secret) as client:
            assert client.system()["auth"] == "keys"
            with pytest.raises(ServiceError, match="scope submit") as narrow:
                client.add_instances(SEMIPRIMES)
        assert narrow.value.status == 403


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "ftp://host", "http://", "http://host/?a=b", "https://me:secret@host", "http://host:x"]
)
def test_url_that_is_none_is_refused(url):
    """Accepted is where a service is, and no password in it, which the message does not repeat."""
    with pytest.raises(InvalidInput) as refused:
        Client(url)
    assert "accepted is" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_key_that_cannot_be_sent_is_not_repeated():
    """A key with a line break is refused before anything is sent, without being shown."""
    with pytest.raises(InvalidInput) as refused:
        Client("http://127.0.0.1", "vs_secret\nHost: other")
    assert "secret" not in str(refused.value)


def test_lost_answers_double_nothing(store, url):
    """Every other answer is lost after the server did what was asked: nothing is there twice, nothing is missing."""
    with Client(url, transport=Lossy(2)) as client:
        stored = client.add_instances(SEMIPRIMES)
        made = client.compare({**TERMS, "instances": [one["digest"] for one in stored], "seeds": 40})
        run = client.solve({"document": SEMIPRIMES[0], "solver": "rho", "budget": "1s"})
        work(store)
        assert client.wait(made["id"])["state"] == "finished"
        records = list(client.records(made["id"]))
        assert len({record.key for record in records}) == len(records) == 120
        assert len(list(client.runs(made["id"]))) == 120
        assert client.run(run["id"])["state"] == "ended"
    assert sorted(comparison.num_seeds for comparison in store.comparisons()) == [1, 40]


def test_cut_connections_double_nothing(store, url):
    """Connections are reset after a few bytes, in requests and answers: one comparison, all its runs, each once."""
    proxy = Cutting(url, seed=3)
    try:
        with Client(proxy.url, patience=120) as client:
            stored = client.add_instances(SEMIPRIMES)
            made = client.compare({**TERMS, "instances": [one["digest"] for one in stored], "seeds": 40})
            worker = threading.Thread(target=work, args=(store, 0.01))
            worker.start()
            seen = [document["counts"]["ended"] for document in client.watch(made["id"])]
            worker.join()
            records = list(client.records(made["id"]))
    finally:
        proxy.close()
    assert proxy.num_cut >= 3
    assert (seen, seen[-1]) == (sorted(seen), 120)
    assert len({record.key for record in records}) == len(records) == 120
    assert len(store.comparisons()) == 1


def test_records_hold_all_that_the_store_holds(store, url):
    """A run comes as it was stored, with its trace and its last solution."""
    with Client(url) as client:
        (stored,) = client.add_instances(SEMIPRIMES[:1])
        made = client.compare({**TERMS, "instances": [stored["digest"]]})
        work(store)
        (record,) = client.records(made["id"])
    (kept,) = store.results(made["id"]).runs
    # Logs of runs that ended well are stored, but not loaded.
    assert record == dataclasses.replace(kept, log="said\n")
    assert [incumbent.solution for incumbent in record.trace] == [None, b'["83","97"]']
    assert record.seed == kept.seed == 5


def test_events_go_on_where_they_were_cut(store, url):
    """A watched run shows each incumbent once and ends, though its stream is cut again and again."""
    proxy = Cutting(url, seed=1)
    jobs = Jobs(store.engine)
    with Client(url) as client:
        run = client.solve({"document": SEMIPRIMES[0], "solver": "rho", "budget": "60s"})["id"]
    claim = jobs.claim(["cpu"], 1, "w", 30.0)
    assert claim is not None

    trace = [(float(number), 100 - number) for number in range(1, 25)]

    def improve() -> None:
        for number in range(1, 25):
            jobs.renew(claim, 30.0, trace[:number])
            time.sleep(0.1)
        whole = tuple(Incumbent(seconds, cost) for seconds, cost in trace)
        jobs.complete(claim, dataclasses.replace(ended(claim), trace=whole))

    worker = threading.Thread(target=improve)
    try:
        with Client(proxy.url, patience=120) as client:
            worker.start()
            events = list(client.events(run))
    finally:
        worker.join()
        proxy.close()
    assert proxy.num_cut >= 2
    assert [(e.data["seconds"], e.data["cost"]) for e in events if e.kind == "incumbent"] == trace
    assert (events[-1].kind, events[-1].data["status"]) == ("end", "finished")


def test_without_events_it_is_asked_again_and_again(store, url):
    """Where a gateway lets no stream through, a comparison is still watched to its end."""

    class Gateway(Lossy):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("/events"):
                self.paths["events"] += 1
                return httpx.Response(502, text="<html>", request=request)
            return super().handle_request(request)

    transport = Gateway(10**9)
    with Client(url, transport=transport) as client:
        (stored,) = client.add_instances(SEMIPRIMES[:1])
        made = client.compare({**TERMS, "instances": [stored["digest"]]})
        watched = client.watch(made["id"])
        assert next(watched)["state"] == "queued"
        work(store)
        assert [document["state"] for document in watched] == ["finished"]
    assert transport.paths["events"] == 1


def test_busy_service_is_asked_again_when_it_says(tmp_path):
    """429 and 503 are waited out, for as long as Retry-After says, and told once; other refusals are final."""
    answers = [
        httpx.Response(429, json={"detail": "full", "status": 429}, headers={"Retry-After": "1"}),
        httpx.Response(503, text="starting"),
        httpx.Response(200, json={"items": []}),
        httpx.Response(500, json={"detail": "an error of the service"}),
    ]
    keys = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers.get("Idempotency-Key"))
        return answers.pop(0)

    told: list[str] = []
    with Client("http://service", transport=httpx.MockTransport(answer), tell=told.append) as client:
        started = time.monotonic()
        assert client.compare({}) == {"items": []}
        assert time.monotonic() - started >= 1
        assert len(set(keys)) == 1 and None not in keys
        with pytest.raises(ServiceError, match="an error of the service"):
            client.compare({})
    assert len(set(keys)) == 2
    assert told == ["http://service/v1/comparisons answers 503 Service Unavailable; trying again",
                    "http://service answers again"]  # fmt: skip


def test_patience_ends():
    """A server that is not there is said so, after as long as was asked for."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    started = time.monotonic()
    client = Client(f"http://127.0.0.1:{port}", patience=1.0)
    with client, pytest.raises(ServiceError, match="cannot be reached") as gone:
        client.system()
    assert gone.value.status is None
    assert 0.9 < time.monotonic() - started < 5
