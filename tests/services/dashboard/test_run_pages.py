"""Runs in the browser: listed, read, watched as they run, and cancelled."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from playwright.sync_api import BrowserContext, Page, Route

from instances.problem import Description
from instances.problems import problem_of
from instances.routing import generators
from services.records import Comparison, Incumbent, Run, Status
from services.store import explanations, tables
from services.store.jobs import Claim, Jobs
from services.store.store import Store
from services.store.workers import register

HOSTILE = "<img src=x onerror=alert(1)></pre><script>alert(2)</script>"
ROUTES = b"[[1,2,3],[4,5,6,7,8]]"


class Known:
    """A catalogue of a solver that explains itself, and of one that does not."""

    async def solvers(self) -> list[dict[str, Any]]:
        """The solvers."""
        return [{"name": "pointer", "explains": True}, {"name": "pointer-digits", "explains": False}]


@pytest.fixture
def app(app: FastAPI) -> FastAPI:
    """The application with made-up solvers."""
    app.state.service = replace(app.state.service, catalogue=Known())
    return app


class Bench:
    """A comparison of one instance whose runs a test makes by hand."""

    def __init__(self, store: Store, solvers: Sequence[str] = ("first", "second")) -> None:
        (instance,) = generators.generate("uniform", size=8, count=1, seed=1)
        problem = problem_of(instance)
        self.known: Description = problem.describe(instance)
        store.add_instances([(self.known, problem.dump(instance))])
        self.comparison = Comparison(
            "bench", {label: label for label in solvers}, 2.0, 1, problems=dict.fromkeys(solvers, "routing")
        )
        self.jobs = Jobs(store.engine)
        self.jobs.submit(self.comparison, [self.known], dict.fromkeys(solvers, "cpu"), {}, title="on the bench")

    def key(self, solver: str) -> str:
        """The key of a solver's run."""
        return self.comparison.run_key(self.known.digest, solver, 0)

    def claim(self) -> Claim:
        """Take the job whose turn it is."""
        claim = self.jobs.claim(["cpu"], 1, "a worker", 60.0)
        assert claim is not None
        return claim

    def run(self, claim: Claim, **changes: Any) -> Run:
        """How a claimed job ended: finished, unless told otherwise."""
        run = Run(
            key=claim.run, instance=claim.instance, solver=claim.solver, spec=claim.solver, repetition=0, seed=7,
            status=Status.FINISHED, trace=(Incumbent(0.25, 5_000_000, ROUTES), Incumbent(1.5, 4_000_000, ROUTES)),
            num_reported=4, num_rejected=1, num_late=1, setup_seconds=0.5, wall_seconds=2.0, cpu_seconds=1.25,
            peak_bytes=64 * 2**20, involuntary_switches=3, disturbed=True, versions={"versus": "9.9"},
            machine="an abacus", log="all went well", finished_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            attempt=claim.attempt,
        )  # fmt: skip
        return replace(run, **changes)

    def end(self, **changes: Any) -> str:
        """Take the next job and end it; its key."""
        claim = self.claim()
        assert self.jobs.complete(claim, self.run(claim, **changes))
        return claim.run


@pytest.fixture
def bench(store: Store) -> Bench:
    """The runs of two solvers, queued."""
    return Bench(store)


def facts(page: Page) -> dict[str, str]:
    """What the page says in lists of terms."""
    terms, values = page.locator("dl dt").all_inner_texts(), page.locator("dl dd").all_inner_texts()
    return dict(zip(terms, values, strict=True))


def test_a_run_is_told_whole(site: str, bench: Bench, page: Page) -> None:
    """State, cost, times, refusals, versions, machine, log and every incumbent stand on its page."""
    key = bench.end()
    page.goto(f"{site}/runs/{key}")
    assert page.title() == f"first on {bench.known.name}: finished · versus"
    said = facts(page)
    assert said["Cost"] == "4.0000"
    assert said["Wall time"] == "2 s" and said["CPU time"] == "1.25 s" and said["Set-up"] == "0.5 s"
    assert said["Peak memory"] == "64 MiB"
    assert said["Refused answers"] == said["Late answers"] == "1"
    assert said["Versions"] == "versus 9.9" and said["Machine"] == "an abacus" and said["Attempt"] == "1"
    assert page.locator("#incumbents td").all_inner_texts() == ["0.25", "5.0000", "1.5", "4.0000"]
    assert page.locator("pre").inner_text() == "all went well"
    assert page.locator("#trace svg").get_attribute("aria-label") == (
        "Cost against time: first from 5.0000 at 0.25 s to 4.0000 at 1.5 s"
    )
    twin = httpx.get(site + page.locator("link[rel=alternate]").get_attribute("href")).json()
    assert (twin["id"], twin["log"], twin["status"]) == (key, "all went well", "finished")
    link = page.get_by_role("link", name="Solution .sol")
    assert "Route #1: 1 2 3" in httpx.get(site + link.get_attribute("href")).text
    page.get_by_role("link", name="Replay it on the instance").click()
    page.locator("#replay[data-ready=yes]").wait_for()
    assert page.locator("svg.map").count() == 1


def test_solutions_of_the_whole_trace_are_served(site: str, bench: Bench) -> None:
    """The route for replaying answers with each incumbent and its solution; of a queued run with 409."""
    key = bench.end()
    found = httpx.get(f"{site}/runs/{key}/incumbents").json()
    assert found == {
        "run": key,
        "decimals": bench.known.decimals,
        "incumbents": [
            {"seconds": 0.25, "cost": 5_000_000, "solution": json.loads(ROUTES)},
            {"seconds": 1.5, "cost": 4_000_000, "solution": json.loads(ROUTES)},
        ],
    }
    assert httpx.get(f"{site}/runs/{bench.key('second')}/incumbents").status_code == 409


@pytest.mark.parametrize("status", [Status.CRASHED, Status.MEMORY, Status.NO_SOLUTION, Status.DECLINED])
def test_a_failure_says_why_and_user_text_is_text(site: str, bench: Bench, page: Page, status: Status) -> None:
    """Reason and log are shown as they are, and nothing in them is markup."""
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    key = bench.end(status=status, trace=(), reason=HOSTILE, log=HOSTILE)
    page.goto(f"{site}/runs/{key}")
    assert page.title().endswith(f": {status} · versus")
    assert page.get_by_text(HOSTILE).count() == 2
    assert page.get_by_role("link", name=re.compile("Solution")).count() == 0
    page.goto(f"{site}/runs")
    assert page.get_by_text(HOSTILE[:80]).is_visible()
    assert page.locator("main img").count() == 0 and dialogs == []


def test_a_run_is_watched_as_it_runs(site: str, bench: Bench, page: Page) -> None:
    """Without being loaded again the page shows queued, running, each incumbent, and the end."""
    page.goto(f"{site}/runs/{bench.key('first')}")
    badge = page.locator("#state .badge")
    assert badge.inner_text() == "queued"
    claim = bench.claim()
    bench.jobs.renew(claim, 60.0, [(0.5, 6_000_000)])
    page.locator("#incumbents tr").wait_for()
    assert badge.inner_text() == "running"
    bench.jobs.renew(claim, 60.0, [(0.5, 6_000_000), (0.75, 5_500_000)])
    page.get_by_role("cell", name="5.5000").wait_for()
    assert page.locator("#incumbents td").all_inner_texts() == ["0.5", "6.0000", "0.75", "5.5000"]
    assert page.locator("#cost").inner_text() == "5.5000"
    assert page.locator("#trace circle").count() == 2
    bench.jobs.complete(claim, bench.run(claim))
    page.get_by_role("link", name="Solution .sol").wait_for()
    assert badge.inner_text() == "finished"


def test_an_instance_shows_what_there_is_before_all_has_ended(site: str, bench: Bench, page: Page) -> None:
    """While runs wait the instance's page shows those that have ended, and leads to the others."""
    page.goto(f"{site}/instances/{bench.known.digest}")
    assert "first is queued: watch it" in page.locator("main").inner_text()
    page.get_by_text("There is no solution yet to show.").wait_for()
    key = bench.end()
    page.reload()
    page.locator("#replay[data-ready=yes]").wait_for()
    assert "first: 4.0000" in page.locator("#said").inner_text()
    page.get_by_role("link", name="run 1 of first").click()
    assert page.url == f"{site}/runs/{key}"


def test_a_second_attempt_begins_anew(site: str, bench: Bench, page: Page) -> None:
    """Incumbents of a lost attempt do not stay beside those of the next."""
    claim = bench.claim()
    bench.jobs.renew(claim, 60.0, [(0.5, 6_000_000)])
    page.goto(f"{site}/runs/{claim.run}")
    assert page.locator("#incumbents td").all_inner_texts() == ["0.5", "6.0000"]
    page.wait_for_timeout(500)
    bench.jobs.give_back(claim)
    again = bench.claim()
    while again.run != claim.run:
        again = bench.claim()
    bench.jobs.renew(again, 60.0, [(0.6, 7_000_000)])
    page.get_by_role("cell", name="7.0000").wait_for()
    assert page.locator("#incumbents td").all_inner_texts() == ["0.6", "7.0000"]


def test_a_run_is_watched_on_after_its_events_were_refused(
    site: str, bench: Bench, open_context: Callable[..., BrowserContext]
) -> None:
    """A browser gives up events that are answered with an error: the page asks for them again after a while."""
    page = open_context(expected="503").new_page()
    asked: list[str] = []

    def refuse_once(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.fulfill(status=503)
        else:
            route.continue_()

    page.route("**/events", refuse_once)
    page.goto(f"{site}/runs/{bench.key('first')}")
    bench.jobs.renew(bench.claim(), 60.0, [(0.5, 6_000_000)])
    page.get_by_role("cell", name="6.0000").wait_for()
    assert len(asked) == 2
    assert page.locator("#state .badge").get_attribute("class") == "badge live"


def test_a_queued_run_is_cancelled(site: str, bench: Bench, page: Page) -> None:
    """The button ends it at once; the other run of the comparison goes on."""
    page.goto(f"{site}/runs/{bench.key('second')}")
    page.get_by_role("button", name="Cancel").click()
    page.locator("#state .badge").get_by_text("cancelled").wait_for()
    assert page.get_by_role("button", name="Cancel").count() == 0
    assert bench.claim().run == bench.key("first")


def test_list_is_filtered_in_the_address(site: str, bench: Bench, page: Page) -> None:
    """By state, solver, comparison and instance; running ones stand above those that have ended."""
    ended = bench.end()
    page.goto(f"{site}/runs")
    assert page.locator("tbody a[href^='/runs/']").all_inner_texts() == ["first"]
    running = bench.claim().run
    page.reload()
    assert page.get_by_role("heading", level=2).all_inner_texts() == ["Running now", "Ended"]
    assert page.locator("tbody a[href^='/runs/']").all_inner_texts() == ["second", "first"]
    page.get_by_label("State").select_option("running")
    page.get_by_role("button", name="Choose").click()
    page.wait_for_url(re.compile("state=running"))
    for query, keys in {
        "state=running": [running],
        "state=running&solver=second": [running],
        "state=running&solver=first": [],
        f"state=running&instance={bench.known.digest}": [running],
        f"state=running&instance={'0' * 64}": [],
        "state=queued": [],
        "state=finished": [ended],
        "state=finished&solver=second": [],
        "state=crashed": [],
        "solver=first": [ended],
        "solver=second": [],
        "comparison=bench": sorted([ended, running]),
        "comparison=bench&state=finished": [ended],
        f"comparison=bench&instance={bench.known.digest}&solver=second": [running],
        "comparison=none": [],
        f"instance={bench.known.digest}": [ended],
        f"instance={'0' * 64}": [],
    }.items():
        page.goto(f"{site}/runs?{query}")
        links = page.locator("tbody a[href^='/runs/']").all()
        assert [link.get_attribute("href").removeprefix("/runs/") for link in links] == keys, query
        twin = httpx.get(site + page.locator("link[rel=alternate]").get_attribute("href"))
        if query == "comparison=none":
            assert twin.status_code == 404
        else:
            assert [item["id"] for item in twin.json()["items"]] == keys, query


def test_the_runs_of_a_comparison_lead_to_its_csv(site: str, bench: Bench, page: Page) -> None:
    """The list of one comparison's runs offers its export; that of all runs none."""
    bench.end()
    page.goto(f"{site}/runs")
    assert page.get_by_role("link", name="CSV of the whole comparison").count() == 0
    page.goto(f"{site}/runs?comparison=bench&state=finished")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV of the whole comparison").click()
    assert download.value.suggested_filename == "bench.csv"
    assert Path(download.value.path()).read_text().count("\n") == 2


def test_list_comes_in_pages(site: str, store: Store, page: Page) -> None:
    """Of more runs than a page holds, each is on one page, the newest first."""
    labels = [f"solver-{number:02}" for number in range(60)]
    bench = Bench(store, labels)
    ends = [bench.end(finished_at=f"2026-11-20T10:00:{number:02}.000+00:00") for number in range(60)]
    page.goto(f"{site}/runs")
    seen = []
    while True:
        seen += [link.get_attribute("href").removeprefix("/runs/") for link in page.locator("tbody th a").all()]
        if not page.get_by_role("link", name="Next page").count():
            break
        page.get_by_role("link", name="Next page").click()
        page.wait_for_url(re.compile("cursor="))
    assert seen == ends[::-1]
    assert page.get_by_role("link", name="First page").get_attribute("href") == "/runs"


def test_unknown_runs_have_a_page(site: str, open_context: Callable[..., BrowserContext]) -> None:
    """A key that is not there, or is none, gets a page that says so; so does a state that there is not."""
    page = open_context(expected="4").new_page()
    for path in (f"/runs/{'0' * 64}", "/runs/x"):
        answer = page.goto(site + path)
        assert answer is not None and answer.status == 404
        assert "there is no such run" in page.locator("main").inner_text()
    answer = page.goto(f"{site}/runs?state=nonsense")
    assert answer is not None and answer.status == 422
    assert "finished" in page.locator("main").inner_text()


def test_system_says_what_waits_and_who_works(site: str, store: Store, bench: Bench, page: Page) -> None:
    """Queue, workers with when they were seen, and what to do where nobody takes the runs; all as the JSON says."""
    page.goto(f"{site}/system")
    assert page.get_by_role("heading", level=1).inner_text() == "Runs wait, and no worker takes them"
    assert "versus worker --queues cpu" in page.get_by_role("status").first.inner_text()
    machine = {"processor": "an abacus"}
    register(store.engine, "w-1", host="node7", needs=["cpu"], slots=3, threads=2, machine=machine)
    register(store.engine, "w-2", host="node8", needs=["gpu"], slots=1, threads=1, machine=machine)
    with store.engine.begin() as connection:
        silent = tables.workers.update().where(tables.workers.c.id == "w-2")
        connection.execute(silent.values(seen_at=tables.workers.c.seen_at - 3600))
    page.reload()
    assert page.get_by_role("heading", level=1).inner_text() == "Everything is running"
    rows = [
        [cell.split("\n")[0] for cell in row.locator("th,td").all_inner_texts()]
        for row in page.get_by_role("region", name="Workers").locator("tbody tr").all()
    ]
    assert [(*row[:2], *row[4:]) for row in rows] == [
        ("node7", "working", "cpu", "3", "2", "an abacus"),
        ("node8", "silent", "gpu", "1", "1", "an abacus"),
    ]
    twin = httpx.get(f"{site}{page.locator('link[rel=alternate]').get_attribute('href')}").json()
    queues = [
        row.locator("th,td").all_inner_texts()
        for row in page.get_by_role("region", name="Queues").locator("tbody tr").all()
    ]
    assert queues == [
        [needs, str(twin["queued"][needs]), str(twin["running"][needs]), "3" if needs == "cpu" else "0"]
        for needs in ("cpu", "gpu")
    ]
    assert twin["queued"]["cpu"] == 2
    assert "API keys" in facts(page) and facts(page)["Longest budget of a run"] == "3600s"


def test_a_failing_store_has_a_page(site: str, store: Store, open_context: Callable[..., BrowserContext]) -> None:
    """Without its tables every page answers that the store cannot be reached, not with a trace."""
    with store.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE runs RENAME TO gone"))
    page = open_context(expected="50").new_page()
    answer = page.goto(f"{site}/runs")
    assert answer is not None and answer.status in (500, 503)
    assert page.get_by_role("heading", level=1).is_visible()
    assert "Traceback" not in page.content() and "SELECT" not in page.content()


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_pages_are_accessible(
    site: str, bench: Bench, open_context: Callable[..., BrowserContext], axe: Any, look: str
) -> None:
    """No serious violation on the pages of runs and the system, and no page wider than the window."""
    ended = bench.end(reason="a solution was refused: " + "x" * 200)
    page = open_context(look).new_page()
    for path in ("/runs", "/runs?state=queued", f"/runs/{ended}", f"/runs/{bench.key('second')}", "/system"):
        page.goto(site + path)
        assert axe(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def explained(number: int) -> dict[str, Any]:
    """The document of a made-up construction of a tour over so many locations, in their order."""
    steps = []
    for at in range(number - 1):
        open_ones = list(range(at + 1, number))[:10]
        total = sum(1 / (place + 1) for place in range(len(open_ones)))
        steps.append({
            "at": at, "chosen": at + 1,
            "probabilities": [[location, 1 / (place + 1) / total] for place, location in enumerate(open_ones)],
        })  # fmt: skip
    return {"checkpoint": "tsp20@6a56363d67e9", "decode": "greedy", "steps": steps}


@pytest.mark.parametrize("look", ["light", "phone"])
def test_a_construction_is_asked_for_and_replayed(
    site: str, store: Store, hints: Any, open_context: Callable[..., BrowserContext], axe: Any, look: str
) -> None:
    """A button asks a worker; then each step's likely next locations are listed, and drawn by their probability."""
    bench = Bench(store, ["pointer"])
    key = bench.end()
    page = open_context(look).new_page()
    page.goto(f"{site}/runs/{key}")
    page.get_by_role("link", name="How the network came to it").click()
    page.get_by_role("button", name="Explain it").click()
    page.get_by_role("heading", name="A worker is asked").wait_for()
    assert axe(page) == []
    asked = explanations.next_asked(store.engine, ["cpu"])
    assert asked is not None and asked.run == key and hints == [("cpu", 1)]
    explanation = explained(9)
    explanations.keep(store.engine, key, explanation)
    # The page looks for it by itself.
    slider = page.get_by_label("Step of the construction")
    slider.wait_for()
    for place, step in enumerate(explanation["steps"]):
        slider.evaluate("(slider, place) => { slider.value = place; slider.dispatchEvent(new Event('input')); }", place)
        assert f"from {step['at']} to {step['chosen']}, with" in page.locator("#said").inner_text()
        rows = [row.locator("td").all_inner_texts() for row in page.locator("#candidates tr").all()]
        assert [(row[0], row[1], row[3]) for row in rows] == [
            (str(location), f"{100 * part:.1f} %", "chosen" if location == step["chosen"] else "")
            for location, part in step["probabilities"]
        ]
        widths = [float(path.get_attribute("stroke-width")) for path in page.locator(".map .candidate").all()]
        assert widths == sorted(widths, reverse=True) and len(widths) == len(step["probabilities"])
        assert page.locator(".map .visited").get_attribute("d").count("L") == place
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Play").click()
    page.get_by_text("Step 2 of 8").wait_for()


def test_only_what_can_be_explained_is_offered_to_be(site: str, store: Store, page: Page) -> None:
    """A run leads to its construction where its solver explains itself, whatever others are called."""
    bench = Bench(store, ["pointer", "pointer-digits", "pointer-unknown"])
    for _ in range(3):
        bench.end()
    for solver, offered in {"pointer": 1, "pointer-digits": 0, "pointer-unknown": 0}.items():
        page.goto(f"{site}/runs/{bench.key(solver)}")
        assert page.get_by_role("link", name="Replay it on the instance").count() == 1
        assert page.get_by_role("link", name="How the network came to it").count() == offered, solver


def test_what_cannot_be_explained_says_why(
    site: str, store: Store, open_context: Callable[..., BrowserContext]
) -> None:
    """A solver that does not explain itself is refused, and a worker's error is shown as text."""
    bench = Bench(store, ["pointer", "other"])
    ended = {bench.end(), bench.end()}
    page = open_context(expected="409").new_page()
    page.goto(f"{site}/runs/{bench.key('other')}/construction")
    page.get_by_role("button", name="Explain it").click()
    page.get_by_text("other cannot explain itself").wait_for()
    assert bench.key("pointer") in ended
    explanations.ask(store.engine, bench.key("pointer"), "cpu")
    explanations.keep(store.engine, bench.key("pointer"), {"error": HOSTILE})
    page.goto(f"{site}/runs/{bench.key('pointer')}/construction")
    assert page.get_by_text(HOSTILE).is_visible()
    assert page.locator("main img").count() == 0
