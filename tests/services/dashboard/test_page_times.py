"""How long pages take, measured in the browser: first content, and a comparison of 10,000 runs ready to be used."""

import json
import os
from statistics import median

import httpx
import pytest

FIRST_SECONDS = 0.3
READY_SECONDS = 2.0
TRIES = 5


@pytest.fixture
def large(store, fill):
    """A comparison of 10,000 runs."""
    fill(store, "large", num_instances=1000, seeds=2, solvers=["steady", "quick", "poor", "slow", "odd"])
    return "large"


def first_content(page) -> float:
    """Seconds from the navigation to the first content that is painted."""
    page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length")
    return page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") / 1000


def ready(page) -> float:
    """Seconds from the navigation to scripts run, statistics shown and the first figure drawn."""
    page.wait_for_selector("#ranking .plot", state="attached")
    page.evaluate("document.querySelector('#ranking').scrollIntoView()")
    page.wait_for_selector("#ranking .plot[data-drawn=done]")
    return page.evaluate("performance.now()") / 1000


def test_pages_are_quick(site, large, open_context):
    """First content under 300 ms on every page, a comparison of 10,000 runs usable under 2 s.

    Each in a new browser session, in which nothing is cached, and then from another page of it.

    Before anyone has asked for its statistics they follow the first content; then they are kept. What is printed is
    the median of the tries, what is asserted the best of them, and on a machine under load in proportion more.
    """
    page = open_context().new_page()
    page.goto(f"{site}/comparisons/{large}")
    times = {"first content before the statistics are made": [first_content(page)]}
    times["ready before the statistics are made"] = [ready(page)]
    paths = {"list": "/comparisons", "new": "/comparisons/new", "10,000 runs": f"/comparisons/{large}"}
    for name, path in paths.items():
        for _ in range(TRIES):
            page = open_context().new_page()
            page.goto(site + path, wait_until="commit")
            times.setdefault(f"first content, {name}", []).append(first_content(page))
            if path.endswith(large):
                times.setdefault(f"ready, {name}", []).append(ready(page))
            page.goto(f"{site}/system")
            page.goto(site + path, wait_until="commit")
            times.setdefault(f"first content, {name}, from another page", []).append(first_content(page))
            if path.endswith(large):
                times.setdefault(f"ready, {name}, from another page", []).append(ready(page))
    print(json.dumps({name: round(median(seconds), 3) for name, seconds in times.items()}, indent=1))
    slack = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    for name, seconds in times.items():
        if name.startswith("first content,"):
            assert min(seconds) < FIRST_SECONDS * slack, name
    assert min(times["ready, 10,000 runs"]) < READY_SECONDS * slack
    # Never 10,000 rows: a page stays small whatever the comparison holds.
    assert len(httpx.get(f"{site}/comparisons/{large}").content) < 400_000
