"""The dashboard in a real browser: an application served on loopback, a page that fails on errors, and axe."""

import contextlib
import json
import os
import random
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from instances.factoring.generators import generate as generate_numbers
from instances.problem import BestKnown, Description, Instance
from instances.problems import problem_named, problem_of
from instances.routing.generators import generate
from services.api.app import create_app
from services.dashboard.app import install
from services.records import Comparison, Incumbent, Run, Status
from services.settings import Settings
from services.store import tables
from services.store.jobs import Jobs
from services.store.store import Store, insert_comparison, insert_run

AXE = Path(__file__).parent / "axe.min.js"
"""axe-core 4.14.1 of the npm registry (MPL-2.0), unchanged."""
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
SIZES = {"light": (1280, 900), "dark": (1280, 900), "phone": (360, 740)}
SECONDS = 60


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    executable = os.environ.get("VERSUS_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("no browser: neither chromium is on PATH nor VERSUS_CHROMIUM set")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def app(store: Store, settings: Settings, hints: list[tuple[str, int]]) -> FastAPI:
    """The application with its pages."""
    app = create_app(store, lambda needs, number: hints.append((needs, number)), settings)
    install(app)
    return app


@pytest.fixture
def site(app: FastAPI) -> Iterator[str]:
    """The address at which the application is served."""
    with serving(app) as url:
        yield url


@contextlib.contextmanager
def serving(app: FastAPI, port: int = 0) -> Iterator[str]:
    """An application served in a thread; its address."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_level="critical", ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", port)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                time.sleep(0.005)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def open_context(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Open contexts, of which a page with an error on its console fails the test.

    ``look`` is light, dark or phone; what ``expected`` names may stand in an error.
    """
    opened: list[BrowserContext] = []
    errors: list[str] = []

    def open_one(look: str = "light", expected: str | None = None, **options: Any) -> BrowserContext:
        width, height = SIZES[look]
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if look == "dark" else "light", **options
        )
        context.set_default_timeout(SECONDS * 1000)

        def note(message: ConsoleMessage) -> None:
            if message.type == "error" and (expected is None or expected not in message.text):
                errors.append(f"{message.page.url if message.page else ''}: {message.text}")

        context.on("console", note)
        context.on("weberror", lambda error: errors.append(str(error.error)))
        opened.append(context)
        return context

    yield open_one
    for context in opened:
        context.close()
    assert errors == []


@pytest.fixture
def page(open_context: Callable[..., BrowserContext]) -> Page:
    """A page of a window in the light theme."""
    return open_context().new_page()


def axe(page: Page) -> list[str]:
    """The serious and critical violations that axe finds, each with the places."""
    # By the debugger, not as a script element: the page's own policy lets no foreign script in.
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {one['help']}: {[node['target'] for node in one['nodes'][:5]]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


@pytest.fixture(name="axe")
def _axe() -> Callable[[Page], list[str]]:
    return axe


@pytest.fixture(name="serving")
def _serving() -> Any:
    return serving


QUALITY = {"steady": 1.01, "twin": 1.01, "quick": 1.05, "poor": 1.3}
"""The costs of made-up solvers, in parts of the best that there could be."""


def routing_instances(number: int) -> list[Instance]:
    """So many instances of 20, 30 and 40 customers."""
    sizes = (20, 30, 40)
    counts = [len(range(place, number, len(sizes))) for place in range(len(sizes))]
    return [
        one
        for kind, size, count in zip(("uniform", "clustered", "uniform"), sizes, counts, strict=True)
        for one in (generate(kind, size=size, count=count, seed=5) if count else [])
    ]


def made_up(comparison: Comparison, known: Description, label: str, repetition: int, rng: random.Random) -> Run:
    """A finished run with made-up costs; a declined one where the solver solves another problem."""
    trace: tuple[Incumbent, ...] = ()
    solves = comparison.problems[label]
    if solves == known.problem == "routing":
        cost = round(100_000 * known.size * QUALITY.get(label, 1.1) * rng.gauss(1.0, 0.01))
        tour = list(range(1, known.size))
        routes = [tour] if known.size_unit == "cities" else [[customer] for customer in (*tour, known.size)]
        solution = json.dumps(routes).encode()
        trace = (Incumbent(0.02, round(cost * 1.3), solution), Incumbent(rng.uniform(0.1, 0.9), cost, solution))
    elif solves == known.problem:
        trace = (Incumbent(rng.uniform(0.01, 0.5), 0, b'["2", "3"]'),)
    return Run(
        key=comparison.run_key(known.digest, label, repetition), instance=known.digest, solver=label, spec=label,
        repetition=repetition, seed=comparison.run_seed(known.digest, repetition),
        status=Status.FINISHED if trace else Status.DECLINED, reason="" if trace else f"solves {solves}",
        trace=trace, num_reported=len(trace), wall_seconds=1.0, cpu_seconds=1.0, machine="a made-up machine",
        versions={label: "1.0"}, finished_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )  # fmt: skip


def fill(
    store: Store,
    name: str,
    *,
    title: str = "",
    solvers: Sequence[str] | Mapping[str, str] = ("steady", "quick", "poor"),
    num_instances: int = 12,
    instances: Sequence[Instance] | None = None,
    num_known: int = 0,
    seeds: int = 1,
    left: int = 0,
    failed: Mapping[str, Run] | None = None,
    change: Callable[[Run], Run] = lambda run: run,
) -> None:
    """Store a comparison: the last ``left`` runs queued, the others ended with made-up costs.

    ``solvers`` solve routing, or each the problem given with it. ``instances`` are generated by default; the first
    ``num_known`` have a best-known cost that no run reaches. ``failed`` are records that take the place of every third
    run of a solver; ``change`` gives the run that takes the place of any other.
    """
    rng = random.Random(name)
    made = routing_instances(num_instances) if instances is None else instances
    described = [problem_of(instance).describe(instance) for instance in made]
    described[:num_known] = [
        replace(known, best_known=BestKnown(90_000 * known.size, True, "made up", "2026-11-01"))
        for known in described[:num_known]
    ]
    store.add_instances((known, problem_of(one).dump(one)) for known, one in zip(described, made, strict=True))
    problems = dict(solvers) if isinstance(solvers, Mapping) else dict.fromkeys(solvers, "routing")
    comparison = Comparison(name, {label: label for label in problems}, 1.0, seeds, problems=problems)
    jobs = Jobs(store.engine)
    jobs.submit(comparison, described, dict.fromkeys(problems, "cpu"), {"made by": "a test"}, title=title)
    places = list(comparison.places(described))
    with store.engine.begin() as connection:
        for number, place in enumerate(places[: len(places) - left]):
            run = change(made_up(comparison, *place, rng))
            if failed and run.solver in failed and number % 3 == 0:
                other = failed[run.solver]
                run = replace(run, status=other.status, reason=other.reason, log=other.log, trace=())
            connection.execute(tables.jobs.delete().where(tables.jobs.c.run == run.key))
            insert_run(connection, name, run)


def end_next(store: Store) -> Run:
    """Take the job whose turn it is and end it, as a worker does."""
    jobs = Jobs(store.engine)
    claim = jobs.claim(["cpu"], 1, "a worker", 60.0)
    assert claim is not None
    known = store.results(claim.comparison).instances[claim.instance]
    comparison = store.comparison(claim.comparison)
    run = replace(made_up(comparison, known, claim.solver, claim.repetition, random.Random(1)), attempt=claim.attempt)
    assert jobs.complete(claim, run)
    return run


def fill_factoring(store: Store, name: str, solved_up_to: Mapping[str, int], budget: float = 1.0) -> None:
    """Store a finished comparison of semiprimes: each solver solves those of up to so many bits, in made-up time."""
    rng = random.Random(name)
    problem = problem_named("factoring")
    made = [one for bits in (24, 32, 40, 48) for one in generate_numbers("semiprime", bits=bits, count=4)]
    described = [problem.describe(instance) for instance in made]
    store.add_instances((known, problem.dump(one)) for known, one in zip(described, made, strict=True))
    labels = list(solved_up_to)
    comparison = Comparison(
        name, {label: label for label in labels}, budget, 1, problems=dict.fromkeys(labels, "factoring")
    )
    sizes = {known.digest: known.size for known in described}
    with store.engine.begin() as connection:
        insert_comparison(connection, comparison, described, {})
        for digest, label, repetition in comparison.places([known.digest for known in described]):
            solved = sizes[digest] <= solved_up_to[label]
            seconds = rng.uniform(0.01, 0.5)
            run = Run(
                key=comparison.run_key(digest, label, repetition), instance=digest, solver=label, spec=label,
                repetition=repetition, seed=1, status=Status.FINISHED if solved else Status.NO_SOLUTION,
                trace=(Incumbent(seconds, 0, b'["2", "3"]'),) if solved else (), wall_seconds=budget,
                cpu_seconds=budget, finished_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            )  # fmt: skip
            insert_run(connection, name, run)


@pytest.fixture(name="fill_factoring")
def _fill_factoring() -> Callable[..., None]:
    return fill_factoring


@pytest.fixture(name="fill")
def _fill() -> Callable[..., None]:
    return fill


@pytest.fixture(name="end_next")
def _end_next() -> Callable[[Store], Run]:
    return end_next


@pytest.fixture(name="routing_instances")
def _routing_instances() -> Callable[[int], list[Instance]]:
    return routing_instances
