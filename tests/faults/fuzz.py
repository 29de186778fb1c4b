"""schemathesis over the whole OpenAPI and 10,000 mutated requests: no answer is a server error or shows a traceback.

``python -m tests.faults.fuzz [--requests 10000] [--examples 30] [--seed 1]``.
"""

import argparse
import copy
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from instances.problems import problem_of
from instances.routing.generators import generate
from tests.faults.servers import VERSUS, free_port, wait_for

HOSTILE: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**400, 1e308, -0.0, 0.1, "", " ", "0", "a" * 10_000,
    "\u0000", "\ud800",
    "..", "../../etc/passwd", "%00", "' OR 1=1 --", "<script>", "\u202e", "🦊", [], [[]], {}, {"": ""},
    ["a"] * 500, "2s", "-1s", "1e9h", "nan", "exec:command=id", "pointer:checkpoint=/etc/passwd", "nearest", "routing",
]  # fmt: skip
THREADS = 4
STREAMS = "events$"


@dataclass
class Request:
    """A request in parts that can be spoiled one by one."""

    method: str
    path: list[str]
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--examples", type=int, default=30, help="schemathesis' examples of each operation")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder, Path(folder, "log").open("wb") as log:
        settings = {"VERSUS_MAX_RUNS": "200", "VERSUS_MAX_BUDGET_SECONDS": "1", "VERSUS_MAX_OPEN_COMPARISONS": "20"}
        service = subprocess.Popen(
            [VERSUS, "serve", "--port", str(port), "--data-dir", folder],
            env={**os.environ, **settings}, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            wait_for(lambda: _answers(url), 60)
            requests = _valid(url)
            failed = _mutate(url, requests, options.requests, options.seed)
            failed |= _schemathesis(url, options.examples, options.seed, "--exclude-path-regex", STREAMS)
            # A stream ends with what it tells of, so these come when nothing is left to do.
            wait_for(lambda: _is_idle(url), 300)
            failed |= _schemathesis(url, options.examples, options.seed, "--include-path-regex", STREAMS)
        finally:
            service.terminate()
            service.wait(60)
        if b"Traceback" in Path(folder, "log").read_bytes():
            print("the service's own log holds a traceback:")
            print(Path(folder, "log").read_text()[-5000:])
            failed = True
    return int(failed)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/v1/ready").status_code == 200
    except httpx.TransportError:
        return False


def _is_idle(url: str) -> bool:
    """Whether nothing is queued or running; what is, is cancelled."""
    with httpx.Client(base_url=f"{url}/v1", timeout=60) as client:
        system = client.get("/system").raise_for_status().json()
        for state, single in itertools.product(("queued", "running"), ("true", "false")):
            for comparison in client.get("/comparisons", params={"state": state, "single": single}).json()["items"]:
                client.post(f"{comparison['links']['self'].removeprefix('/v1')}/cancel")
    return not any((*system["queued"].values(), *system["running"].values()))


def _valid(url: str) -> list[Request]:
    """Requests that are answered well, one of each kind, on things that are there."""
    with httpx.Client(base_url=f"{url}/v1", timeout=60) as client:
        instances = generate("uniform", size=10, count=2, seed=1)
        documents = [problem_of(instance).dump(instance) for instance in instances]
        document, other = documents
        digest = client.post("/instances", json=document).raise_for_status().json()["items"][0]["digest"]
        run = {"instance": digest, "solver": "savings", "budget": "200ms"}
        made = client.post("/runs", json=run).raise_for_status().json()["id"]
        comparison = {
            "title": "t",
            "instances": [digest],
            "solvers": ["nearest", "savings"],
            "budget": "200ms",
            "seeds": 1,
        }
        name = client.post("/comparisons", json=comparison).raise_for_status().json()["id"]
        wait_for(lambda: client.get(f"/comparisons/{name}").json()["state"] == "finished", 60)
        solution = client.get(f"/runs/{made}/solution").raise_for_status().json()["solution"]
        generator = {"problem": "routing", "kind": "x", "parameters": {"size": 10}, "count": 2, "seed": 1}
        queries: dict[str, dict[str, str]] = {
            "instances": {"problem": "routing", "min_size": "1", "limit": "5"},
            "comparisons": {"limit": "5"}, "runs": {},
        }  # fmt: skip
        return [
            *(Request("GET", ["v1", kind], query) for kind, query in queries.items()),
            *(Request("GET", ["v1", name]) for name in ("solvers", "generators", "system", "health", "ready")),
            Request("GET", ["v1", "solvers", "pyvrp"]),
            Request("GET", ["v1", "instances", digest]),
            Request("GET", ["v1", "instances", digest, "file"], {"format": ".vrp"}),
            Request("GET", ["v1", "comparisons", name]),
            *(
                Request("GET", ["v1", "comparisons", name, part])
                for part in ("runs", "records", "statistics", "figures")
            ),
            Request("GET", ["v1", "comparisons", name, "figures", "routing-ranking"]),
            Request("GET", ["v1", "comparisons", name, "export"], {"format": "csv"}),
            Request("GET", ["v1", "runs", made], {"log": "true"}),
            Request("GET", ["v1", "runs", made, "solution"], {"format": ".sol"}),
            Request("GET", ["v1", "runs", made, "events"], headers={"Last-Event-ID": "1:0.1"}),
            Request("POST", ["v1", "instances"], body=other),
            Request(
                "POST", ["v1", "runs"], body={"document": document, "solver": "nearest", "budget": "50ms", "seed": 1}
            ),
            Request("POST", ["v1", "runs"], body=run, headers={"Idempotency-Key": "k"}),
            Request("POST", ["v1", "comparisons"], body=comparison),
            Request(
                "POST", ["v1", "comparisons"], body={"generator": generator, "solvers": ["nearest"], "budget": "50ms"}
            ),
            Request("POST", ["v1", "comparisons", name, "cancel"]),
            Request("POST", ["v1", "comparisons", name, "rerun"]),
            Request("POST", ["v1", "runs", made, "cancel"]),
            Request("POST", ["v1", "verify"], body={"instance": digest, "solution": solution}),
            Request(
                "POST", ["v1", "verify"], body={"document": document, "solution_text": "Route #1: 1", "format": ".sol"}
            ),
        ]


def _mutate(url: str, requests: list[Request], number: int, seed: int) -> bool:
    """Send spoiled requests; whether an answer was a server error, or none came."""
    chance = random.Random(seed)
    statuses: Counter[int] = Counter()
    wrong: list[str] = []
    lock = threading.Lock()

    def send(spoiled: tuple[str, str, bytes | None, dict[str, str]]) -> None:
        method, target, body, headers = spoiled
        try:
            answer = client.request(method, f"{url}{target}", content=body, headers=headers)
            bad = answer.status_code >= 500 or "Traceback (most recent" in answer.text
            status, words = answer.status_code, answer.text[:300]
        except (httpx.InvalidURL, httpx.LocalProtocolError, UnicodeError):
            return
        except httpx.TransportError as error:
            bad, status, words = True, 0, repr(error)
        with lock:
            statuses[status] += 1
            if bad:
                wrong.append(f"{method} {target[:200]} {(body or b'')[:300]!r} {headers}: {status} {words}")

    with httpx.Client(timeout=60) as client, ThreadPoolExecutor(THREADS) as pool:
        # In rounds, because what cannot be written as HTTP is not sent and does not count.
        while missing := number - statuses.total():
            list(pool.map(send, (_spoiled(copy.deepcopy(chance.choice(requests)), chance) for _ in range(missing))))
    print(f"{statuses.total()} mutated requests: {dict(sorted(statuses.items()))}; server errors: {len(wrong)}")
    print("\n".join(wrong[:10]))
    return bool(wrong)


def _spoiled(request: Request, chance: random.Random) -> tuple[str, str, bytes | None, dict[str, str]]:
    """Method, target, body and headers of a request in which one to three things are other than they should be."""
    body: bytes | None = None
    headers = {"Content-Type": "application/json", **request.headers} if request.body is not None else request.headers
    spoil_bytes = False
    for _ in range(chance.randint(1, 3)):
        match chance.choice(["path", "query", "body", "body", "body", "bytes", "header", "method"]):
            case "path":
                request.path[chance.randrange(len(request.path))] = str(chance.choice(HOSTILE))[:500]
            case "query":
                request.query[chance.choice([*request.query, "limit", "cursor", "format", "x"])] = str(
                    chance.choice(HOSTILE)
                )[:500]
            case "body" if request.body is not None:
                request.body = _spoiled_value(request.body, chance)
            case "bytes":
                spoil_bytes = True
            case "header":
                name = chance.choice(
                    ["Content-Type", "Accept", "Idempotency-Key", "Last-Event-ID", "If-None-Match", "X-A"]
                )
                headers = {**headers, name: str(chance.choice(HOSTILE)).encode("ascii", "replace").decode()[:300]}
            case "method":
                request.method = chance.choice(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
    if request.body is not None:
        body = json.dumps(request.body).encode()
        if spoil_bytes and body:
            spoiled = bytearray(body)
            for _ in range(chance.randint(1, 5)):
                spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
            body = bytes(spoiled[: chance.randint(1, len(spoiled))])
    path = "/".join(quote(part, safe="%./", errors="surrogatepass") for part in request.path)
    query = urlencode(request.query, errors="surrogatepass")
    return request.method, f"/{path}" + (f"?{query}" if query else ""), body, headers


def _spoiled_value(value: Any, chance: random.Random) -> Any:
    """The value with something in it replaced, left out, doubled or added."""
    places = list(_places(value))
    if not places or chance.random() < 0.05:
        return chance.choice(HOSTILE)
    holder, key = chance.choice(places)
    match chance.choice(["replace", "replace", "replace", "leave out", "add"]):
        case "replace":
            holder[key] = chance.choice(HOSTILE)
        case "leave out":
            del holder[key]
        case "add" if isinstance(holder, dict):
            holder[str(chance.choice(HOSTILE))[:50]] = chance.choice(HOSTILE)
        case "add":
            holder.insert(key, chance.choice(HOSTILE))
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a JSON value, as what holds it and its key or index."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in list(entries):
        yield value, key
        yield from _places(entry)


def _schemathesis(url: str, examples: int, seed: int, *which: str) -> bool:
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/v1/openapi.json",
            "--checks", "not_a_server_error", "--max-examples", str(examples), "--workers", "1", "--seed", str(seed),
            "--request-timeout", "30", "--suppress-health-check", "all", *which,
            "--continue-on-failure", "--warnings", "off",
        ],
        capture_output=True, text=True, check=False,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.faults.fuzz_hooks"},
    )  # fmt: skip
    print(done.stdout[-2500:])
    return done.returncode != 0


if __name__ == "__main__":
    sys.exit(main())
