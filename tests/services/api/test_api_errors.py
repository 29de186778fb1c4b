"""Every error leaves as problem details, whatever a client sends and whatever breaks behind."""

import json
import logging
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from pydantic import TypeAdapter

from services.api.app import create_app
from services.api.bodies import StrictRoute
from services.api.schemas import Problem
from services.settings import Settings
from services.store.store import Store

NUMBER = {"problem": "factoring", "version": 1, "n": "15"}
JSON = {"Content-Type": "application/json"}
DEEP = 100_000
Serve = Callable[[FastAPI], httpx.Client]


def problem(answer: httpx.Response, status: int) -> Problem:
    """The problem an answer holds, if it is one of this status."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "Traceback" not in answer.text
    found = TypeAdapter(Problem).validate_json(answer.content)
    assert found.status == status
    assert found.detail
    return found


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/v1/nothing", "/v1/instances/", "/v2/instances", "/%00", "//"])
def test_unknown_paths(client: httpx.Client, path: str) -> None:
    """404 for what is nowhere."""
    problem(client.get(path), 404)


def test_unknown_methods(client: httpx.Client) -> None:
    """405 with the methods there are."""
    answer = client.put("/v1/verify", json={})
    problem(answer, 405)
    assert "POST" in answer.headers["allow"]


HOSTILE = (
    b"",
    b"{",
    b"null",
    b"[]",
    b'"text"',
    b"1" * 5000,
    b"\xff\xfe",
    b'{"document": NaN}',
    b'{"document": {"x": Infinity}}',
    b'{"document": {"x": 1e999}}',
    b'{"a": 1, "a": 2}',
    b'{"\\ud800": 1}',
    b'{"\\u0000": 1}',
    b'{"title": "\\u0000"}',
    b'{"document": {"problem": "factoring", "version": 1, "n": "15", "name": "\\udfff"}, "solution": []}',
    b'{"solution": [[%s]]}' % (b"9" * 400),
    b'{"document": {"problem": "routing", "version": %s}}' % (b"[" * 300 + b"]" * 300),
    b"[" * DEEP,
    b'{"a":' * DEEP,
    b"[" * DEEP + b"]" * DEEP,
)


@pytest.mark.parametrize("path", ["/v1/instances", "/v1/verify", "/v1/comparisons", "/v1/runs"])
def test_hostile_json(client: httpx.Client, path: str) -> None:
    """422 for what is no JSON, or JSON that means nothing here."""
    for body in HOSTILE:
        problem(client.post(path, content=body, headers=JSON), 422)


def test_nesting_at_the_edge_of_what_is_read(client: httpx.Client) -> None:
    """However deep what can just be read, it is quoted back or refused, and breaks nothing."""
    for depth in range(900, 1000, 5):
        nested = b"[" * depth + b"]" * depth
        number = b'{"problem": "factoring", "version": 1, "n": %s}' % nested
        for path, body in (
            ("/v1/instances", number),
            ("/v1/instances", b'{"problem": "routing", "version": %s}' % nested),
            ("/v1/verify", b'{"document": %s, "solution": []}' % number),
        ):
            problem(client.post(path, content=body, headers=JSON), 422)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "x"])
def test_other_media_types(client: httpx.Client, kind: str) -> None:
    """415 with what is accepted."""
    found = problem(client.post("/v1/verify", content=b"{}", headers={"Content-Type": kind}), 415)
    assert "application/json" in found.detail


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x",
        b"--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.num"\r\n\r\n15',
        b"--x\r\nContent-Disposition: form-data\r\n\r\n15\r\n--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\n15\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="\x00"\r\n\r\n15\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="\xff"; filename="\xff.num"\r\n\r\n15\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.num"\r\n\r\n\xff\r\n--x--\r\n',
        b"--x\r\n" + b"y: z\r\n" * 100_000,
    ],
    ids=lambda body: repr(body[-24:]),
)
@pytest.mark.parametrize(
    "kind", ["multipart/form-data; boundary=x", "multipart/form-data", "multipart/form-data; boundary="]
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_broken_forms(client: httpx.Client, kind: str, body: bytes) -> None:
    """400 or 422 for forms that are none, or hold no instance."""
    # Starlette leaves the closing of the file of a part without an end to the garbage collector.
    answer = client.post("/v1/instances", content=body, headers={"Content-Type": kind})
    problem(answer, answer.status_code if answer.status_code == 400 else 422)


def test_an_error_that_quotes_a_lot_is_cut(client: httpx.Client) -> None:
    """A megabyte that is wrong is not sent back."""
    answer = client.post("/v1/instances", json={**NUMBER, "n": [["x" * 10**6]], "kind": 1})
    problem(answer, 422)
    assert len(answer.content) < 10_000
    answer = client.post("/v1/instances", json={"problem": "x" * 10**6})
    problem(answer, 422)
    assert len(answer.content) < 10_000


def test_all_errors_of_a_body_are_told(client: httpx.Client) -> None:
    """Each wrong field has its place and its reason; the first is the problem's own."""
    found = problem(client.post("/v1/verify", json={"instance": 1, "solution": 2}), 422)
    assert found.errors is not None
    assert {error.where for error in found.errors} == {"instance", "solution"}
    assert found.where == found.errors[0].where


def test_an_unexpected_error_says_nothing_of_itself(app: FastAPI, client: httpx.Client) -> None:
    """500 without the error's words, which may hold anything."""

    @app.get("/v1/broken")
    def broken() -> None:
        raise ValueError("secret words")

    answer = client.get("/v1/broken")
    problem(answer, 500)
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    "error", [sa.exc.TimeoutError("QueuePool"), sa.exc.OperationalError("SELECT 'x'", {}, OSError("y"))]
)
def test_a_store_that_cannot_be_reached(app: FastAPI, client: httpx.Client, error: Exception) -> None:
    """503, to be tried again, without the statement."""

    @app.get("/v1/broken")
    def broken() -> None:
        raise error

    answer = client.get("/v1/broken")
    problem(answer, 503)
    assert answer.headers["retry-after"]
    assert "SELECT" not in answer.text


def test_a_store_that_is_read_only(
    store: Store, settings: Settings, tmp_path: Path, client: httpx.Client, serve: Serve
) -> None:
    """What is there can be read; what would be written is refused with 503."""
    digest = client.post("/v1/instances", json=NUMBER).json()["items"][0]["digest"]
    read_only = Store.open(f"sqlite:///file:{tmp_path / 'versus.sqlite'}?mode=ro&uri=true")
    reader = serve(create_app(read_only, lambda _needs, _number: None, settings))
    try:
        assert reader.get(f"/v1/instances/{digest}").status_code == 200
        problem(reader.post("/v1/instances", json={**NUMBER, "n": "21"}), 503)
        problem(reader.post("/v1/instances", json={**NUMBER, "n": "21"}, headers={"Idempotency-Key": "k"}), 503)
    finally:
        read_only.close()


def test_a_full_disk(store: Store, client: httpx.Client) -> None:
    """503 while there is no room, nothing half stored, and no help needed once there is."""
    limited = True

    def limit(connection: Any, _record: Any) -> None:
        # SQLite's own "database or disk is full", at the size that it has.
        if limited:
            connection.execute("PRAGMA max_page_count = 1")

    sa.event.listen(store.engine, "connect", limit)
    store.engine.dispose()
    body = "".join(json.dumps({**NUMBER, "n": str(n)}) + "\n" for n in range(2, 5000))
    lines = {"Content-Type": "application/x-ndjson", "Idempotency-Key": "k"}
    problem(client.post("/v1/instances", content=body, headers=lines), 503)
    assert client.get("/v1/instances").json()["items"] == []
    limited = False
    store.engine.dispose()
    assert client.post("/v1/instances", content=body, headers=lines).status_code == 201


def test_a_client_that_goes_away(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    """A body that ends too early is not an error of the service."""
    caplog.set_level(logging.INFO)
    with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as connection:
        head = "POST /v1/instances HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99"
        connection.sendall(f"{head}\r\n\r\n{{".encode())
    for _ in range(500):
        if lines := [record for record in caplog.records if getattr(record, "path", "") == "/v1/instances"]:
            break
        time.sleep(0.01)
    assert [getattr(line, "status", None) for line in lines] == [400]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_large_answers_are_compressed(client: httpx.Client) -> None:
    """Who can read gzip gets it; small answers stay as they are."""
    assert client.get("/v1/openapi.json").headers["content-encoding"] == "gzip"
    assert "content-encoding" not in client.get("/v1/openapi.json", headers={"Accept-Encoding": "identity"}).headers
    assert "content-encoding" not in client.get("/v1/nothing").headers


def test_every_route_documents_its_problems(client: httpx.Client) -> None:
    """The OpenAPI document says of every route that its errors are problem details, and its schemas are all there."""
    document = client.get("/v1/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for status in ("4XX", "5XX"):
                content = operation["responses"][status]["content"]
                assert list(content) == ["application/problem+json"], (path, method)
            assert operation["tags"], (path, method)
            assert operation["summary"], (path, method)
    used = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert used <= set(document["components"]["schemas"])
    assert "HTTPValidationError" not in used


def test_every_body_is_read_strictly(app: FastAPI) -> None:
    """No route reads JSON in another way than the others."""
    for route in app.routes:
        for inner in getattr(getattr(route, "original_router", None), "routes", []):
            assert inner.body_field is None or isinstance(inner, StrictRoute), inner.path
