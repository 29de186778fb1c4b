"""A service to test the API on: an SQLite store, a real server on loopback, and a client of it."""

import contextlib
import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from services.api.app import create_app
from services.records import Incumbent, Run, Status
from services.settings import Settings
from services.store.jobs import Jobs
from services.store.store import Store


@pytest.fixture
def app(store: Store, settings: Settings, hints: list[tuple[str, int]]) -> FastAPI:
    """The application on the store."""
    return create_app(store, lambda needs, number: hints.append((needs, number)), settings)


@pytest.fixture
def serve() -> Iterator[Callable[[FastAPI], httpx.Client]]:
    """A function that serves an application on loopback until the test ends, and gives a client of it."""
    with contextlib.ExitStack() as stack:
        yield lambda app: stack.enter_context(httpx.Client(base_url=stack.enter_context(_serving(app)), timeout=120))


@pytest.fixture
def client(app: FastAPI, serve: Callable[[FastAPI], httpx.Client]) -> httpx.Client:
    """A client of the application."""
    return serve(app)


@contextlib.contextmanager
def _serving(app: FastAPI) -> Iterator[str]:
    """An application served in a thread; its URL."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def end_runs(store: Store) -> Callable[..., list[Run]]:
    """A worker that makes its answers up: it ends ``most`` of the queued runs, each with fields changed as given."""
    jobs = Jobs(store.engine)

    def end(most: int = 1_000, **changes: Any) -> list[Run]:
        ended = []
        while len(ended) < most and (claim := jobs.claim(["cpu", "gpu"], 64, "made up", 60.0)) is not None:
            comparison = store.comparison(claim.comparison)
            cost = 1_000_000 + 1_000 * list(comparison.solvers).index(claim.solver)
            solution = json.dumps([[customer] for customer in range(1, 6)]).encode()
            made = Run(
                key=claim.run,
                instance=claim.instance,
                solver=claim.solver,
                spec=comparison.solvers[claim.solver],
                repetition=claim.repetition,
                seed=comparison.run_seed(claim.instance, claim.repetition),
                status=Status.FINISHED,
                trace=(Incumbent(0.01, cost + 500, solution), Incumbent(0.25, cost, solution)),
                wall_seconds=comparison.budget,
                log="what it printed",
                finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
                attempt=claim.attempt,
            )
            run = dataclasses.replace(made, **changes)
            assert jobs.complete(claim, run)
            ended.append(run)
        return ended

    return end


FIVE_CUSTOMERS = {"problem": "routing", "kind": "uniform", "parameters": {"size": 5}, "count": 2}


@pytest.fixture
def compare(client: httpx.Client) -> Callable[..., dict[str, Any]]:
    """Posts a comparison of two solvers on two small instances, with fields changed as given; its document."""

    def post(**changes: Any) -> dict[str, Any]:
        body = {"generator": FIVE_CUSTOMERS, "solvers": ["savings", "nearest"], "budget": "1s", **changes}
        answer = client.post("/v1/comparisons", json=body)
        assert answer.status_code == 202, answer.text
        document: dict[str, Any] = answer.json()
        return document

    return post
