"""Keys, hosts, origins, bodies, headers and log lines: what every request meets, whatever route it asks for."""

import asyncio
import http.client
import io
import json
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from services.api import security
from services.api.security import Admin, Reader, Submitter, auth_needed
from services.logs import Formatter
from services.settings import Settings
from services.store.keys import Keys, parse
from services.store.store import Store

LIMIT = 10_000
PROBLEM = "application/problem+json"


@pytest.fixture
def settings(tmp_path) -> Settings:
    """Keys are asked for, bodies are small, and the service has a name."""
    return Settings(auth="keys", data_dir=tmp_path, max_body_bytes=LIMIT, allowed_hosts=("versus.example",))


@pytest.fixture
def app(app: FastAPI) -> FastAPI:
    """The application, with routes that need each scope, one that fails, and one that streams."""

    @app.get("/v1/test/read")
    async def read(caller: Reader) -> str:
        return str(caller.key)

    @app.post("/v1/test/submit")
    async def submit(request: Request, _caller: Submitter) -> int:
        return len(await request.body())

    @app.delete("/v1/test/admin")
    async def admin(_caller: Admin) -> str:
        return "deleted"

    @app.get("/v1/test/forgotten")
    async def forgotten() -> str:
        return "a route whose author forgot to ask for a scope"

    @app.get("/v1/test/fails")
    async def fails(request: Request, _caller: Reader) -> None:
        raise RuntimeError(f"with {request.headers['authorization']}")

    @app.get("/v1/test/kept")
    async def kept(_caller: Reader) -> Response:
        return Response("{}", headers={"ETag": '"1"'}, media_type="application/json")

    @app.get("/v1/test/stream")
    async def stream(_caller: Reader) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"data: 1\n\n"
            await asyncio.sleep(1.0)
            yield b"data: 2\n\n"

        return StreamingResponse(parts(), media_type="text/event-stream")

    return app


@pytest.fixture
def key(store: Store) -> Callable[..., dict[str, str]]:
    """Makes a key of some scopes: the headers that carry it."""

    def make(*scopes: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {Keys(store.engine).add('test', scopes)}"}

    return make


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What this process logs, as the service writes it."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(Formatter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)


def requests_in(log: io.StringIO, number: int) -> list[dict[str, object]]:
    """The lines about requests, of which there will be so many: they are written after the answer is sent."""
    until = time.monotonic() + 5
    while True:
        entries = [json.loads(line) for line in log.getvalue().splitlines()]
        entries = [entry for entry in entries if entry["logger"] == "services.api.middleware"]
        if len(entries) >= number or time.monotonic() > until:
            assert len(entries) == number
            return entries
        time.sleep(0.01)


def raw(client: httpx.Client, text: str) -> tuple[int, str]:
    """Status and body of the answer to a request sent as it stands."""
    where = urlsplit(str(client.base_url))
    with socket.create_connection((where.hostname, where.port), timeout=10) as connection:
        connection.sendall(text.replace("\n", "\r\n").encode())
        with http.client.HTTPResponse(connection) as answer:
            answer.begin()
            assert answer.headers["content-type"] == PROBLEM
            return answer.status, answer.read().decode()


def refused(answer: httpx.Response, status: int, where: str) -> str:
    """That an answer is a problem of this status and place; its words."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    document = answer.json()
    assert document["status"] == status and document["where"] == where
    return str(document["detail"])


def test_without_a_key_401(client):
    """Every path of the API, also one without a route or a scope, asks for a key and says how to send it."""
    for path in ("/v1/test/read", "/v1/test/forgotten", "/v1/nowhere", "/v1/system", "/metrics"):
        answer = client.get(path)
        assert "Authorization: Bearer vs_" in refused(answer, 401, "Authorization")
        assert answer.headers["www-authenticate"] == 'Bearer realm="versus"'


def test_open_paths_need_no_key(client):
    """Health, readiness and the description of the API are for everyone."""
    for path in security.OPEN:
        assert client.get(path).status_code == 200, path


def test_no_key_401_before_the_body_is_read(client):
    """A request without a key is refused although its body has not come, and is not JSON."""
    status, _ = raw(client, "POST /v1/test/submit HTTP/1.1\nHost: localhost\nContent-Length: 500\n\n{")
    assert status == 401


@pytest.mark.parametrize("kind", ["unknown", "wrong secret", "no key", "revoked"])
def test_a_wrong_key_401(client, store, key, kind):
    """Unknown, with another's secret, malformed or revoked: the same words, and the challenge says invalid."""
    good = key("read")["Authorization"]
    id, secret = parse(good.removeprefix("Bearer "))
    if kind == "revoked":
        Keys(store.engine).revoke(id)
    token = {
        "unknown": f"vs_{'0' * 12}_{secret}",
        "wrong secret": f"vs_{id}_{'0' * 64}",
        "no key": "hunter2",
        "revoked": f"vs_{id}_{secret}",
    }[kind]
    answer = client.get("/v1/test/read", headers={"Authorization": f"Bearer {token}"})
    assert "unknown or revoked" in refused(answer, 401, "Authorization")
    assert answer.headers["www-authenticate"] == 'Bearer realm="versus", error="invalid_token"'
    assert secret not in answer.text


def test_basic_credentials_are_no_key(client, key):
    """Only Bearer is read."""
    token = key("read")["Authorization"].removeprefix("Bearer ")
    refused(client.get("/v1/test/read", headers={"Authorization": f"Basic {token}"}), 401, "Authorization")


def test_each_scope_opens_its_own_routes(client, key):
    """A key does what its scopes say: each stands for itself, and 403 names the one that is needed."""
    calls = {
        "read": ("GET", "/v1/test/read"),
        "submit": ("POST", "/v1/test/submit"),
        "admin": ("DELETE", "/v1/test/admin"),
    }
    for held in calls:
        headers = key(held)
        for needed, (method, path) in calls.items():
            answer = client.request(method, path, headers=headers)
            if needed == held:
                assert answer.status_code == 200
            else:
                assert f"a key of scope {needed}; the scopes of this one: {held}" in refused(
                    answer, 403, "Authorization"
                )
                assert f'error="insufficient_scope", scope="{needed}"' in answer.headers["www-authenticate"]


def test_a_route_hears_who_calls(client, key):
    """The caller is the id of the key."""
    headers = key("read")
    id, _ = parse(headers["Authorization"].removeprefix("Bearer "))
    assert client.get("/v1/test/read", headers=headers).json() == id


def test_a_key_is_looked_up_seldom_and_a_revoked_one_soon_refused(client, store, key, monkeypatch):
    """Many requests in a row read a key once; after its time in memory, its revocation is seen."""
    headers = key("read")
    queries = []
    sa.event.listen(store.engine, "before_cursor_execute", lambda *arguments: queries.append(arguments[2]))
    for _ in range(50):
        assert client.get("/v1/test/read", headers=headers).status_code == 200
    assert sum("api_keys" in query for query in queries) == 1
    Keys(store.engine).revoke(parse(headers["Authorization"].removeprefix("Bearer "))[0])
    monkeypatch.setattr(security, "KEPT_SECONDS", 0.0)
    refused(client.get("/v1/test/read", headers=headers), 401, "Authorization")


def test_a_new_key_works_although_its_id_was_asked_for_before(client, store, key):
    """Ids that there are not are not remembered."""
    headers = key("read")
    with store.engine.begin() as connection:
        rows = connection.execute(sa.text("SELECT * FROM api_keys")).mappings().all()
        connection.execute(sa.text("DELETE FROM api_keys"))
    refused(client.get("/v1/test/read", headers=headers), 401, "Authorization")
    with store.engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO api_keys (id, hash, name, scopes, created_at) VALUES (:id, :hash, :name, :scopes, '')"
            ),
            [{name: row[name] for name in ("id", "hash", "name", "scopes")} for row in rows],
        )
    assert client.get("/v1/test/read", headers=headers).status_code == 200


def test_a_store_that_fails_lets_nobody_in(client, store, key):
    """A key that cannot be looked up is answered by 503, not by a way in."""
    headers = key("read")
    with store.engine.begin() as connection:
        connection.execute(sa.text("PRAGMA foreign_keys=OFF"))
        connection.execute(sa.text("ALTER TABLE api_keys RENAME TO gone"))
    answer = client.get("/v1/test/read", headers=headers)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == PROBLEM


@pytest.mark.parametrize(
    ("auth", "host", "needed"),
    [
        (None, "127.0.0.1", False), (None, "localhost", False), (None, "::1", False), (None, "127.8.8.8", False),
        (None, "0.0.0.0", True), (None, "::", True), (None, "", True), (None, "192.168.1.5", True),
        (None, "localhost.example", True), ("keys", "127.0.0.1", True), ("off", "0.0.0.0", False),
    ],
)  # fmt: skip
def test_keys_are_needed_beyond_loopback(auth, host, needed):
    """By default only a service on loopback asks for no key; a setting has the last word."""
    assert auth_needed(Settings(auth=auth), host) is needed


class TestUndecided:
    """Whoever makes the application without saying whether it asks for keys."""

    @pytest.fixture
    def settings(self, tmp_path):
        return Settings(auth=None, data_dir=tmp_path)

    def test_undecided_means_keys(self, client):
        """It asks."""
        refused(client.get("/v1/test/read"), 401, "Authorization")


class TestWithoutKeys:
    """On loopback, where no key is asked for."""

    @pytest.fixture
    def settings(self, tmp_path):
        return Settings(auth="off", data_dir=tmp_path, max_body_bytes=LIMIT)

    def test_everyone_may_do_everything(self, client):
        """No key is read, not even a wrong one."""
        assert client.get("/v1/test/read").json() == "None"
        assert client.delete("/v1/test/admin", headers={"Authorization": "Bearer x"}).status_code == 200

    def test_host_and_origin_are_checked_all_the_same(self, client):
        """A page elsewhere reaches nothing through the browser of someone at this machine."""
        rebound = client.get("/v1/test/read", headers={"Host": "evil.example"})
        refused(rebound, 421, "Host")
        crossed = client.post("/v1/test/submit", headers={"Origin": "http://evil.example"})
        refused(crossed, 403, "Origin")


OWN_HOSTS = [
    "localhost", "LOCALHOST:1", "127.0.0.1:99", "[::1]", "[::1]:8000", "versus.example", "Versus.Example:443",
]  # fmt: skip
OTHER_HOSTS = [
    "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "versus.example.", "10.0.0.1", "[::2]",
]  # fmt: skip
NO_HOSTS = ["", "localhost:", "localhost:x", "a@localhost", "localhost/x", "::1", "[", "localhost, localhost"]


def test_own_hosts_are_served_and_no_others(client):
    """Loopback's names and those of the settings, at any port; a name that an attacker lets point here gets nothing.

    Not even whether the service lives.
    """
    for host in OWN_HOSTS:
        assert client.get("/v1/health", headers={"Host": host}).status_code == 200, host
    for status, hosts in ((421, OTHER_HOSTS), (400, NO_HOSTS)):
        for host in hosts:
            refused(client.get("/v1/health", headers={"Host": host}), status, "Host")


def test_a_request_without_host_is_refused(client):
    """HTTP/1.0 may leave it out; the service does not guess."""
    status, body = raw(client, "GET /v1/health HTTP/1.0\n\n")
    assert status == 400 and '"Host"' in body


FOREIGN_ORIGINS = [
    "http://localhost:1", "https://127.0.0.1", "http://127.0.0.1", "http://evil.example", "null", "", "http://[",
    "http://127.0.0.1:x",
]  # fmt: skip


def test_only_own_pages_change_something(client, key):
    """Origin, where a browser sends it, is this scheme, host and port; reading is not affected by it."""
    own, headers = str(client.base_url).rstrip("/"), key("read", "submit")
    assert client.post("/v1/test/submit", headers=headers | {"Origin": own}).status_code == 200
    for origin in (*FOREIGN_ORIGINS, f"{own}1", own.replace("http://", "http://x@")):
        refused(client.post("/v1/test/submit", headers=headers | {"Origin": origin}), 403, "Origin")
        assert client.get("/v1/test/read", headers=headers | {"Origin": origin}).status_code == 200


def test_own_pages_may_come_by_tls_that_ends_before_the_service(client, key):
    """An https page of this host may ask by http, for a proxy is between; an http page may not ask by https."""
    headers = key("submit") | {"Host": "versus.example", "Origin": "https://versus.example"}
    assert client.post("/v1/test/submit", headers=headers).status_code == 200
    # The server takes the scheme from a proxy at this machine.
    headers["X-Forwarded-Proto"] = "https"
    assert client.post("/v1/test/submit", headers=headers).status_code == 200
    headers["Origin"] = "http://versus.example"
    refused(client.post("/v1/test/submit", headers=headers), 403, "Origin")


def test_an_origin_at_the_default_port_matches_a_host_without_port(client, key):
    """Browsers leave out port 80 in both."""
    for host, origin in (("versus.example", "http://versus.example"), ("[::1]:80", "http://[::1]")):
        headers = {**key("submit"), "Host": host, "Origin": origin}
        assert client.post("/v1/test/submit", headers=headers).status_code == 200


def test_cross_origin_reading_is_not_allowed(client, key):
    """There are no CORS headers, and a preflight is refused."""
    origin = {"Origin": "http://evil.example"}
    answers = [
        client.get("/v1/test/read", headers=key("read") | origin),
        client.options("/v1/test/submit", headers=key("read") | origin | {"Access-Control-Request-Method": "POST"}),
    ]
    assert [answer.status_code for answer in answers] == [200, 405]
    assert not any(name.startswith("access-control") for answer in answers for name in answer.headers)


def test_bodies_up_to_the_limit_are_read(client, key):
    """Exactly the limit is taken, with its length announced or in chunks."""
    headers = key("submit")
    assert client.post("/v1/test/submit", content=b"x" * LIMIT, headers=headers).json() == LIMIT
    chunks = iter([b"x" * 6000, b"x" * 4000])
    assert client.post("/v1/test/submit", content=chunks, headers=headers).json() == LIMIT


def test_too_large_bodies_are_refused_before_they_are_read(client, key):
    """413 by the announced length alone: nothing of the body was sent."""
    token = key("submit")["Authorization"]
    head = f"POST /v1/test/submit HTTP/1.1\nHost: localhost\nAuthorization: {token}\n"
    for length in (LIMIT + 1, 10**19):
        status, body = raw(client, f"{head}Content-Length: {length}\n\n")
        assert status == 413 and "up to 10,000 bytes" in body


def test_too_large_chunked_bodies_are_refused_while_they_come(client, key):
    """413 as soon as the limit is passed, and not after the rest, which never comes."""
    token = key("submit")["Authorization"]
    chunk = f"{6000:x}\n{'x' * 6000}\n"
    head = f"POST /v1/test/submit HTTP/1.1\nHost: localhost\nAuthorization: {token}\n"
    status, _ = raw(client, f"{head}Transfer-Encoding: chunked\n\n{chunk}{chunk}")
    assert status == 413


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip", "unknown"])
def test_compressed_bodies_are_refused(client, key, coding):
    """A small body could become a large one: 415, saying what is taken."""
    answer = client.post("/v1/test/submit", content=b"x", headers=key("submit") | {"Content-Encoding": coding})
    refused(answer, 415, "Content-Encoding")
    assert answer.headers["accept-encoding"] == "identity"


def test_every_answer_is_secured(client, key):
    """Answers, refusals of every kind and failures carry the headers that keep browsers from misusing them."""
    headers = key("read")
    answers = [
        client.get("/v1/health"),
        client.get("/v1/test/read", headers=headers),
        client.get("/v1/test/read"),
        client.get("/v1/health", headers={"Host": "evil.example"}),
        client.get("/v1/nowhere", headers=headers),
        client.get("/v1/test/fails", headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 401, 421, 404, 500]
    for answer in answers:
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; frame-ancestors 'none'")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert "x-request-id" in answer.headers


def test_answers_with_an_etag_may_be_kept_by_their_reader(client, key):
    """They are asked for again each time, and no shared cache keeps them."""
    answer = client.get("/v1/test/kept", headers=key("read"))
    assert answer.headers["cache-control"] == "private, no-cache"


def test_streams_pass_as_they_come(client, key):
    """The first event arrives before the second is made."""
    with client.stream("GET", "/v1/test/stream", headers=key("read")) as answer:
        started = time.monotonic()
        parts = answer.iter_raw()
        assert next(parts) == b"data: 1\n\n"
        assert time.monotonic() - started < 0.8
        assert b"".join(parts) == b"data: 2\n\n"


def test_a_request_has_an_id(client):
    """The client's, if it is short and plain; else a new one."""
    assert client.get("/v1/health", headers={"X-Request-ID": "a.B-9_"}).headers["x-request-id"] == "a.B-9_"
    made = [
        client.get("/v1/health", headers={"X-Request-ID": given}).headers["x-request-id"]
        for given in ("", "a b", "x" * 65, b"a\xe9", "<script>")
    ]
    assert all(len(id) == 32 for id in made) and len(set(made)) == 5


def test_every_request_is_one_line_of_log(client, key, log):
    """Method, path without query, status, time, id and key; refusals and failures too."""
    headers = key("read") | {"X-Request-ID": "first"}
    id, _ = parse(headers["Authorization"].removeprefix("Bearer "))
    client.get("/v1/test/read?token=geheim", headers=headers)
    client.get("/v1/test/read", headers={"X-Request-ID": "second"})
    client.get("/v1/health", headers={"X-Request-ID": "third", "Host": "evil.example"})
    client.get("/v1/test/fails", headers=headers | {"X-Request-ID": "fourth"})
    entries = requests_in(log, 4)
    told = [[entry[name] for name in ("request_id", "method", "path", "status", "key")] for entry in entries]
    assert told == [
        ["first", "GET", "/v1/test/read", 200, id],
        ["second", "GET", "/v1/test/read", 401, None],
        ["third", "GET", "/v1/health", 421, None],
        ["fourth", "GET", "/v1/test/fails", 500, id],
    ]
    assert all(0 <= entry["milliseconds"] < 5000 for entry in entries)
    assert "geheim" not in "".join(json.dumps(entry) for entry in entries)


def test_a_failure_is_logged_with_its_request_and_told_without_detail(client, key, log):
    """The log has the traceback under the request's id; the answer has neither."""
    answer = client.get("/v1/test/fails", headers=key("read") | {"X-Request-ID": "broken"})
    assert answer.status_code == 500 and answer.headers["x-request-id"] == "broken"
    assert "RuntimeError" not in answer.text and "Traceback" not in answer.text
    requests_in(log, 1)
    failures = [entry for line in log.getvalue().splitlines() if "exc_info" in (entry := json.loads(line))]
    assert [entry["request_id"] for entry in failures] == ["broken"]
    assert "RuntimeError: with Bearer vs_" in failures[0]["exc_info"]


def test_a_key_occurs_in_no_log_and_no_table(client, store, key, log):
    """Wherever a client puts it: header, path, query, body, id; used, refused, or in the text of a failure."""
    headers = key("read", "submit")
    token = headers["Authorization"].removeprefix("Bearer ")
    _, secret = parse(token)
    client.get("/v1/test/read", headers=headers)
    client.get(f"/v1/{token}?key={token}", headers=headers)
    client.get("/v1/test/read", headers={"Authorization": f"Basic {token}"})
    client.post("/v1/test/submit", content=token, headers=headers | {"Content-Encoding": token})
    client.post(
        "/v1/test/submit", content=token, headers=headers | {"Origin": f"http://{token}", "Idempotency-Key": "1"}
    )
    client.get("/v1/health", headers={"Host": token, "X-Request-ID": token})
    client.get("/v1/test/fails", headers=headers)
    requests_in(log, 7)
    assert "vs_" in log.getvalue()
    own = [line for line in log.getvalue().splitlines() if json.loads(line)["logger"].startswith("services")]
    assert len(own) == 8
    assert not any(secret in line for line in own)
    assert secret not in log.getvalue()
    with store.engine.connect() as connection:
        for table in sa.inspect(store.engine).get_table_names():
            for row in connection.execute(sa.text(f'SELECT * FROM "{table}"')):
                assert secret not in repr(row)


def test_the_description_names_the_key(client):
    """The OpenAPI document says that a bearer key is needed, and where."""
    document = client.get("/v1/openapi.json").json()
    assert document["components"]["securitySchemes"]["API key"]["scheme"] == "bearer"
    assert document["paths"]["/v1/system"]["get"]["security"] == [{"API key": []}]
    assert "security" not in document["paths"]["/v1/health"]["get"]
