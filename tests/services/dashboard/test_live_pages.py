"""Comparisons in the browser while they run: open pages follow them, through outages and refusals, to their end."""

import re
import time

from services.store.jobs import Jobs

SECONDS = 60


def test_progress_is_live(site, store, fill, end_next, page):
    """A page that is open sees each run end, and changes to the verdict when all have, without being loaded again."""
    fill(store, "one", left=3)
    page.goto(f"{site}/comparisons/one")
    page.evaluate("window.same = true")
    assert page.get_by_role("button", name="Cancel").is_visible()
    progress = page.locator("[data-part=progress]")
    for number in (34, 35):
        end_next(store)
        page.wait_for_function("number => document.querySelector('progress').value === number", arg=number)
        assert progress.inner_text().startswith(f"{number} of 36 runs")
    assert page.locator("#verdict h2").inner_text().startswith("So far")
    Jobs(store.engine).cancel("one")
    page.wait_for_selector("#verdict h2:text-is('Verdict')")
    assert page.locator("#head .badge").inner_text() == "cancelled"
    assert page.evaluate("window.same") is True
    assert page.get_by_role("button", name="Cancel").count() == 0
    assert page.locator("#spoken").inner_text() == "The comparison is cancelled"


def test_progress_is_live_after_an_outage(app, store, fill, end_next, serving, open_context):
    """When the server is back the page is renewed, goes on, and is as whole as before: bar, badge and Copy link."""
    fill(store, "one", left=36)
    page = open_context(expected="net::ERR_", permissions=["clipboard-read", "clipboard-write"]).new_page()
    page.clock.install()
    with serving(app) as site:
        page.goto(f"{site}/comparisons/one")
        page.evaluate("window.first = document.getElementById('head')")
    port = int(site.rpartition(":")[2])
    tick(page, "() => !document.getElementById('lost').hidden")
    with serving(app, port=port):
        tick(page, "() => !window.first.isConnected")
        assert page.locator("#head .badge").inner_text() == "queued"
        end_next(store)
        tick(page, "() => document.querySelector('progress').value === 1")
        assert page.locator("#head .badge").inner_text() == "running"
        assert page.locator("#head .badge").get_attribute("class") == "badge live"
        page.get_by_role("button", name="Copy link").click()
        page.get_by_role("button", name="Link copied").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == f"{site}/comparisons/one"


def tick(page, condition: str) -> None:
    """Let the page's clock run, a second at a time, until a condition holds in the page."""
    deadline = time.monotonic() + SECONDS
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.clock.run_for(1_000)
        time.sleep(0.05)


def test_progress_is_live_after_events_were_refused(site, store, fill, open_context):
    """A browser gives up events that are answered with an error: the page asks for them again after a while."""
    fill(store, "one", left=1)
    page = open_context(expected="503").new_page()
    answers = iter([503])

    def refuse_once(route):
        status = next(answers, None)
        if status is None:
            route.continue_()
        else:
            route.fulfill(status=status)

    page.route("**/events", refuse_once)
    page.goto(f"{site}/comparisons/one")
    Jobs(store.engine).cancel("one")
    page.wait_for_selector("#verdict h2:text-is('Verdict')")
    assert page.locator("#spoken").inner_text() == "The comparison is cancelled"


def test_figures_that_are_replaced_are_let_go(site, store, fill, page):
    """When the page is renewed Plotly forgets what it drew before, and draws what took its place."""
    fill(store, "one", left=1)
    page.goto(f"{site}/comparisons/one")
    page.locator("#ranking .plot").scroll_into_view_if_needed()
    page.wait_for_selector("#ranking .plot[data-drawn=done]")
    page.evaluate("window.drawn = document.querySelector('#ranking .plot')")
    assert page.evaluate("window.drawn.data.length") > 0
    Jobs(store.engine).cancel("one")
    page.wait_for_selector("#verdict h2:text-is('Verdict')")
    assert page.evaluate("window.drawn.isConnected || window.drawn.data !== undefined") is False
    page.wait_for_selector("#ranking .plot[data-drawn=done]")


def test_list_is_live(site, store, fill, end_next, page):
    """Every row follows its comparison, however many there are; at the end badge and buttons are those of the end."""
    names = [f"c{number}" for number in range(5)]
    for name in names:
        fill(store, name, num_instances=1, solvers=["steady", "quick"], left=2)
    page.goto(f"{site}/comparisons")
    page.evaluate("window.same = true")
    assert page.locator("tbody .badge").all_inner_texts() == ["queued"] * 5
    for _ in names:
        end_next(store)
    page.wait_for_function("() => [...document.querySelectorAll('progress')].every(bar => bar.value === 1)")
    assert page.locator("tbody .badge").all_inner_texts() == ["running"] * 5
    for name in names[1:]:
        page.get_by_role("button", name=f"Cancel {name}").wait_for()
    page.get_by_role("button", name="Cancel c0").focus()
    Jobs(store.engine).cancel("c0")
    for _ in names[1:]:
        end_next(store)
    page.wait_for_function("() => !document.querySelector('[data-open]')")
    assert page.locator("tbody .badge").all_inner_texts() == ["finished"] * 4 + ["cancelled"]
    assert set(page.locator("tbody .badge").evaluate_all("all => all.map(one => one.className)")) == {
        "badge good", "badge quiet"
    }  # fmt: skip
    assert page.get_by_role("button", name=re.compile("Cancel")).count() == 0
    assert page.get_by_role("button", name="Run again what failed in c0").is_visible()
    assert page.evaluate("document.activeElement.textContent") == "c0"
    assert page.evaluate("window.same") is True
