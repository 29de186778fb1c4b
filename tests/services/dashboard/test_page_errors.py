"""What goes wrong has a page that helps: a wrong address, a store that fails, a server that stops answering."""

import contextlib
import socket
import time

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI


@pytest.mark.parametrize(
    ("path", "words"), [("/nowhere", "No page has the address"), ("/comparisons/x", "no comparison x")]
)
def test_wrong_address(site, open_context, path, words):
    """A page says so and leads on; under /v1 the same is a problem in JSON."""
    page = open_context(expected="404").new_page()
    answer = page.goto(site + path)
    assert answer.status == 404 and words in page.locator("main").inner_text()
    page.get_by_role("link", name="All comparisons").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Comparisons"
    problem = httpx.get(f"{site}/v1{path}")
    assert problem.status_code == 404 and problem.headers["content-type"] == "application/problem+json"


def test_text_of_an_address_is_no_markup(site, page, open_context):
    """A path that looks like markup stands there as text."""
    page = open_context(expected="404").new_page()
    page.goto(f"{site}/%3Cimg%20src=x%20onerror=alert(1)%3E")
    assert "<img src=x onerror=alert(1)>" in page.locator("main code").first.inner_text()
    assert page.locator("main img").count() == 0


def test_store_that_fails(site, store, open_context):
    """A page of status 503 says that nothing is lost and what helps; when the store is back, it works again."""
    page = open_context(expected="503").new_page()
    with store.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE comparisons RENAME TO away"))
    answer = page.goto(f"{site}/comparisons")
    assert answer.status == 503 and answer.headers["retry-after"] == "5"
    assert page.get_by_role("heading", name="The store cannot be reached").is_visible()
    assert "versus doctor" in page.locator("main").inner_text()
    with store.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE away RENAME TO comparisons"))
    page.get_by_role("link", name="Try again").click()
    assert page.get_by_role("heading", name="Nothing has been compared yet").is_visible()


def test_wrong_method_and_cursor(site):
    """Other refusals of a page are pages, too, with the status and what would be accepted."""
    answer = httpx.post(f"{site}/comparisons")
    assert answer.status_code == 405 and answer.headers["allow"] == "GET" and "<h1>" in answer.text
    answer = httpx.get(f"{site}/comparisons?cursor=x")
    assert answer.status_code == 422 and "is no cursor of this list" in answer.text
    answer = httpx.get(f"{site}/comparisons?state=odd")
    assert answer.status_code == 422 and "queued" in answer.text


def wait_for_banner(page, *, shown: bool) -> None:
    """Let the page's clock run, a second at a time, until it says that the server does not answer, or no longer."""
    for _ in range(60):
        page.clock.run_for(1_000)
        time.sleep(0.02)
        if page.locator("#lost").is_visible() == shown:
            return
    raise AssertionError("a minute of the page's clock was not enough")


@pytest.mark.parametrize("silent", [False, True], ids=["refuses", "accepts and never answers"])
def test_server_that_stops_answering(app: FastAPI, store, serving, open_context, silent):
    """The open page says so within its next look, be it refused or left waiting, and takes it back when it answers."""
    page = open_context(expected="net::ERR_").new_page()
    page.clock.install()
    with serving(app) as site:
        page.goto(f"{site}/comparisons")
        assert page.locator("#lost").is_hidden()
    port = int(site.rpartition(":")[2])
    # The system takes connections up to its backlog, whether or not anybody ever accepts them.
    with socket.create_server(("127.0.0.1", port)) if silent else contextlib.nullcontext():
        wait_for_banner(page, shown=True)
        assert "does not answer" in page.locator("#lost").inner_text()
    with serving(app, port=port):
        wait_for_banner(page, shown=False)


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_accessible(site, open_context, axe, look):
    """No serious or critical violation on an error's page, which is no wider than a phone."""
    page = open_context(look, expected="404").new_page()
    page.goto(f"{site}/nowhere/{'x' * 150}")
    assert page.get_by_role("heading", level=1).inner_text() == "There is nothing here"
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
