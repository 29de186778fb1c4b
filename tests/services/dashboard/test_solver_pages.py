"""Solvers in the browser: what they honour and take, the networks' checkpoints, and what came of them."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from playwright.sync_api import BrowserContext, Page

from services import computed
from services.api.app import create_app
from services.dashboard import solvers
from services.dashboard.app import install
from services.store import queries
from services.store.store import Store

FOLDER = Path(__file__).resolve().parents[3] / "solvers/neural/checkpoints"
CARDS = [
    json.loads(file.read_text()) for place in (FOLDER, FOLDER / "factoring") for file in sorted(place.glob("*.json"))
]
HOSTILE = "ImportError: <img src=x onerror=alert(1)><script>alert(2)</script>"
PARAMETER = {"name": "width", "type": "int", "default": "4", "required": False, "help": "members of the beam"}
OWN = {"versions": {"versus": "0.1.0"}, "parameters": []}
KNOWN: list[dict[str, Any]] = [
    {"name": "broken", "error": HOSTILE},
    {"name": "pointer", "summary": "A network.", "problem": "routing", "honours": ["capacity", "tsp"],
     "versions": {"versus": "0.1.0", "torch": "2.13.0"}, "parameters": [PARAMETER]},
    {"name": "pointer+beam", "summary": "A hybrid.", "problem": "routing", "honours": ["capacity", "tsp"], **OWN},
    {"name": "pointer-lstm", "summary": "Another network.", "problem": "routing", "honours": ["tsp"], **OWN},
    {"name": "pointer-digits", "summary": "Points at digits.", "problem": "factoring", "honours": [], **OWN},
    {"name": "pointer-prime", "summary": "Points at primes.", "problem": "factoring", "honours": [], **OWN},
    {"name": "rho", "summary": "A walk.", "problem": "factoring", "honours": [], **OWN},
    {"name": "steady", "summary": "A made-up one.", "problem": "routing", "honours": ["capacity"], **OWN},
]  # fmt: skip
NETWORKS = {
    "pointer": "pointer",
    "pointer+beam": "pointer",
    "pointer-lstm": "pointer-lstm",
    "pointer-prime": "prime-pointer",
    "pointer-digits": "digit-pointer",
}
"""The network of each solver that is one, by the name that cards have for it."""


class Known:
    """A catalogue that answers after some time."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    async def solvers(self) -> list[dict[str, Any]]:
        """The made-up solvers."""
        await asyncio.sleep(self.seconds)
        return KNOWN


@pytest.fixture
def app(app: FastAPI) -> FastAPI:
    """The application with made-up solvers."""
    app.state.service = replace(app.state.service, catalogue=Known())
    return app


def test_every_solver_is_listed_and_a_broken_one_says_why(site: str, page: Page) -> None:
    """By problem, with what each honours; the reason of one that cannot be used is shown as text."""
    page.goto(f"{site}/solvers")
    assert page.locator("tbody a[href^='/solvers/']").all_inner_texts() == [
        "broken", "pointer", "pointer+beam", "pointer-lstm", "steady", "pointer-digits", "pointer-prime", "rho",
        *(card["name"] for card in CARDS),
    ]  # fmt: skip
    assert page.get_by_role("row", name="pointer").first.inner_text().split("\t")[1:3] == [
        "A network.",
        "capacity, tsp",
    ]
    for card in CARDS:
        href = page.get_by_role("link", name=card["name"], exact=True).get_attribute("href")
        assert NETWORKS[href.removeprefix("/solvers/").removesuffix(f"#{card['name']}")] == card["network"]
    bits = page.get_by_role("row", name="prime-pointer").inner_text()
    assert "balanced semiprimes of 20–32 bits" in bits
    assert page.get_by_text(HOSTILE).is_visible()
    page.get_by_role("link", name="broken").click()
    assert page.title() == "broken: unavailable · versus"
    assert page.locator("pre").inner_text() == HOSTILE
    assert page.locator("main img").count() == 0


def test_a_network_shows_the_cards_of_its_own_checkpoints(site: str, page: Page) -> None:
    """Weights, training and evaluation with its interval stand there as in the cards; other solvers have none."""
    page.goto(f"{site}/solvers/pointer")
    assert page.get_by_role("row", name="width").inner_text().split("\t") == [
        "width",
        "int",
        "4",
        "members of the beam",
    ]
    for name in [solver["name"] for solver in KNOWN]:
        page.goto(f"{site}/solvers/{name}")
        own = [card for card in CARDS if card["network"] == NETWORKS.get(name)]
        assert bool(own) == (name in NETWORKS)
        headings = page.locator("h2", has_text="Checkpoint ").all_inner_texts()
        assert headings == [f"Checkpoint {card['name']}" for card in own], name
        text = page.locator("main").inner_text()
        for card in own:
            assert card["sha256"] in text
            for stage in card["training"]["stages"]:
                assert stage["command"] in text and f"{stage['instances']:,}".replace(",", "\u202f") in text
            for row in card["evaluation"]:
                assert f"{row['mean']:.4f} [{row['low']:.4f}, {row['high']:.4f}]" in text


def test_history_says_what_was_computed(site: str, store: Any, fill: Callable[..., None], page: Page) -> None:
    """Every comparison with the solver is a row; its mean gap is that of the statistics, once they are kept."""
    fill(store, "c1", title="first", solvers=["steady", "quick"])
    fill(store, "c2", title="second", solvers=["quick", "poor"])
    fill(store, "c3", title="third", solvers=["steady", "poor"], left=3)
    page.goto(f"{site}/solvers/steady")
    rows = page.get_by_role("region", name="Comparisons with steady").locator("tbody tr")
    assert rows.locator("th").all_inner_texts() == ["third", "first"]
    assert rows.nth(1).locator("td").all_inner_texts()[4:6] == ["–", "–"]
    said = json.loads(computed.statistics(store, queries.comparison(store.engine, "c1")))
    (row,) = (row for row in said["problems"]["routing"]["ranking"] if row["solver"] == "steady")
    page.reload()
    answered, gap = rows.nth(1).locator("td").all_inner_texts()[4:6]
    assert answered == f"{row['num_answered']} of {row['num_instances']}"
    assert gap.startswith(f"{row['gap']['value']:.2f} [{row['gap']['low']:.2f}")
    assert rows.nth(0).locator("td").all_inner_texts()[1:2] == ["running"]


def test_history_comes_in_pages(
    site: str, store: Any, fill: Callable[..., None], page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more comparisons than a page holds, each is on one page, the newest first; others' are not among them."""
    monkeypatch.setattr(solvers, "SHOWN_COMPARISONS", 3)
    for number in range(7):
        fill(store, f"c{number}", solvers=["steady", "quick"], num_instances=1)
        fill(store, f"other{number}", solvers=["quick"], num_instances=1)
    page.goto(f"{site}/solvers/steady")
    rows = page.get_by_role("region", name="Comparisons with steady").locator("tbody th")
    seen = rows.all_inner_texts()
    while page.get_by_role("link", name="Next page").count():
        address = page.url
        page.get_by_role("link", name="Next page").click()
        page.wait_for_url(lambda url, before=address: url != before)
        seen += rows.all_inner_texts()
    assert seen == [f"c{number}" for number in reversed(range(7))]
    assert page.get_by_role("link", name="First page").get_attribute("href") == "/solvers/steady#history"
    assert httpx.get(f"{site}/solvers/steady?cursor=nonsense").status_code == 422


def test_a_page_does_not_wait_for_solvers_that_are_asked(site: str, app: FastAPI, page: Page) -> None:
    """While they are asked what they can do the page says so, and then shows them by itself."""
    slow = Known(seconds=1.0)
    app.state.service = replace(app.state.service, catalogue=slow)
    page.goto(f"{site}/solvers")
    assert page.get_by_role("heading", level=1).inner_text() == "The solvers are being asked"
    slow.seconds = 0.0
    page.get_by_role("link", name="steady").wait_for()


def test_unknown_solvers_have_a_page(site: str, open_context: Callable[..., BrowserContext]) -> None:
    """A name that there is not gets a page that lists those there are."""
    page = open_context(expected="404").new_page()
    answer = page.goto(f"{site}/solvers/nonsense")
    assert answer is not None and answer.status == 404
    assert "there are broken, pointer, pointer+beam" in page.locator("main").inner_text()
    assert httpx.get(f"{site}/v1/solvers/nonsense").headers["content-type"] == "application/problem+json"


def test_every_page_answers_on_each_database(
    database_url: str, settings: Any, serving: Any, fill: Callable[..., None]
) -> None:
    """The queries of these pages are understood by SQLite and PostgreSQL, whatever is asked for."""
    store = Store.open(database_url)
    fill(store, "c1", solvers=["steady", "quick"], num_instances=3, left=2)
    app = create_app(store, lambda _needs, _number: None, settings)
    app.state.service = replace(app.state.service, catalogue=Known())
    install(app)
    run = queries.runs_of(store.engine, "c1", 1, None, status="finished")[0]
    with serving(app) as site, httpx.Client(base_url=site, timeout=60) as client:
        for path in (
            "/instances", "/instances?feature=capacity&min_size=1&name=uni%25", "/instances?name=%00&problem=%00",
            f"/instances/{run['instance']}", f"/instances/{run['instance']}?comparison=c1&a=quick&b=%00",
            "/runs", "/runs?state=finished&solver=%00", "/runs?state=running", "/runs?comparison=c1&solver=steady",
            f"/runs?state=queued&solver=quick&instance={run['instance']}", f"/runs?instance={run['instance']}",
            f"/runs/{run['id']}", f"/runs/{run['id']}/incumbents", "/solvers", "/solvers/steady", "/system",
        ):  # fmt: skip
            answer = client.get(path)
            assert answer.status_code == 200, path
            assert answer.elapsed.total_seconds() < 5
        assert client.get(f"/instances/{run['instance']}?comparison=%00").status_code == 200
        assert client.get("/instances?cursor=nonsense").status_code == 422
    store.close()


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_pages_are_accessible(
    site: str, store: Any, fill: Callable[..., None], open_context: Callable[..., BrowserContext], axe: Any, look: str
) -> None:
    """No serious violation on the pages of solvers, and no page wider than the window."""
    fill(store, "c1", solvers=["steady", "quick"])
    page = open_context(look).new_page()
    for path in ("/solvers", "/solvers/pointer", "/solvers/broken", "/solvers/steady", "/solvers/pointer-prime"):
        page.goto(site + path)
        assert axe(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
