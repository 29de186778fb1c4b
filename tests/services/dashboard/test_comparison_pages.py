"""Comparisons in the browser: listed, read, cancelled; their words agree with the export, and no text is markup."""

import csv
import io
import re
from collections import defaultdict
from pathlib import Path
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from scipy import stats

from services.api.app import create_app
from services.dashboard.app import install
from services.records import Run, Status
from services.store import queries
from services.store.jobs import Jobs
from services.store.keys import Keys

HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>{{7*7}}&amp;'


def words(page, selector: str) -> list[str]:
    return [" ".join(text.split()) for text in page.locator(selector).all_inner_texts()]


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_empty_store_says_what_to_do_first(site, page):
    """Without a comparison there is a button that leads to the first one, and the command."""
    page.goto(site)
    assert page.url == f"{site}/comparisons"
    assert page.get_by_role("heading", name="Nothing has been compared yet").is_visible()
    assert f"--server {site}" in page.locator("pre").inner_text()
    page.get_by_role("link", name="Make the first comparison").click()
    assert page.get_by_role("heading", level=1).inner_text() == "New comparison"


def test_list_is_filtered_in_the_address(site, store, fill, page):
    """State and title choose; the choice stands in the address, and JSON is asked for the same."""
    fill(store, "20261120-1", title="spring")
    fill(store, "20261120-2", title="autumn", left=3)
    page.goto(f"{site}/comparisons")
    assert words(page, "tbody th a") == ["autumn", "spring"]
    page.get_by_label("State").select_option("finished")
    page.get_by_role("button", name="Choose").click()
    page.wait_for_url("**state=finished**")
    assert words(page, "tbody th a") == ["spring"]
    page.goto(f"{site}/comparisons?title=AUT")
    assert words(page, "tbody th a") == ["autumn"]
    twin = page.locator("link[rel=alternate]").get_attribute("href")
    assert [item["title"] for item in httpx.get(f"{site}{twin}").json()["items"]] == ["autumn"]
    page.goto(f"{site}/comparisons?title=winter")
    assert page.get_by_role("heading", name="No comparison fits").is_visible()


def test_list_comes_in_pages(site, store, fill, page):
    """Of more comparisons than a page holds, each stands on exactly one page."""
    for number in range(53):
        fill(store, f"c{number:02}", num_instances=1, solvers=["steady"])
    page.goto(f"{site}/comparisons")
    seen = words(page, "tbody th a")
    page.get_by_role("link", name="Next page").click()
    page.wait_for_url("**cursor=**")
    seen += words(page, "tbody th a")
    assert sorted(seen) == [f"c{number:02}" for number in range(53)]
    assert page.get_by_role("link", name="Next page").count() == 0
    assert page.get_by_role("link", name="First page").is_visible()


def test_page_says_what_the_json_says(site, store, fill, page):
    """The verdict's sentences, the ranking's numbers and the figures are those of the JSON routes."""
    fill(store, "one", title="one for all")
    page.goto(f"{site}/comparisons/one")
    assert page.title() == "one for all: finished · versus"
    said = httpx.get(f"{site}/v1/comparisons/one/statistics").json()
    assert page.locator("link[rel=alternate]").get_attribute("href") == "/v1/comparisons/one/statistics"
    part = said["problems"]["routing"]
    assert words(page, "#verdict li") == [" ".join(line.split()) for line in [*part["conclusion"], part["over_time"]]]
    ranking = words(page, "#ranking tbody th")
    assert ranking == [row["solver"] for row in part["ranking"]] == ["steady", "quick", "poor"]
    means = [float(text.split()[0]) for text in words(page, "#ranking tbody td:nth-of-type(3)")]
    assert means == [round(row["gap"]["value"], 2) for row in part["ranking"]]
    sure = ["clear" if lead["clear"] else "not clear" for lead in part["leads"]]
    assert words(page, "#time tbody td:last-child") == sure and len(set(sure)) == 2
    names = httpx.get(f"{site}/v1/comparisons/one/figures").json()["problems"]["routing"]
    shown = {name for name in names if not name.startswith("map-")}
    page.wait_for_function("number => document.querySelectorAll('.plot').length === number", arg=len(shown))
    for plot in page.locator(".plot").all():
        plot.scroll_into_view_if_needed()
    page.wait_for_function("() => [...document.querySelectorAll('.plot')].every(plot => plot.dataset.drawn === 'done')")
    assert {plot.get_attribute("data-name") for plot in page.locator(".plot").all()} == shown
    assert {"ranking", "time", "profile", "pairs", "size-0", "family"} <= shown


def test_downloads(site, store, fill, page, tmp_path):
    """CSV, PNG and SVG are files with what their names say."""
    fill(store, "one")
    page.goto(f"{site}/comparisons/one")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV", exact=True).click()
    assert download.value.suggested_filename == "one.csv"
    rows = rows_of(Path(download.value.path()).read_text())
    assert len(rows) == 36
    page.locator("#ranking .plot").scroll_into_view_if_needed()
    for kind, begin in (("PNG", b"\x89PNG"), ("SVG", b"<svg")):
        with page.expect_download() as download:
            page.locator("#ranking .saves").get_by_text(kind).click()
        assert download.value.suggested_filename == f"ranking.{kind.lower()}"
        assert begin in Path(download.value.path()).read_bytes()[:200]


@pytest.mark.parametrize("seeds", [1, 3])
def test_words_agree_with_the_export(site, store, fill, page, seeds):
    """Leader, mean gaps, differences, their intervals and p-values, recomputed from the CSV by numpy and scipy alone.

    An interval must hold the recomputed mean, and be that of scipy's bootstrap up to its randomness.
    """
    fill(store, "one", num_instances=24, seeds=seeds)
    costs = defaultdict(lambda: defaultdict(list))
    references = {}
    for row in rows_of(httpx.get(f"{site}/v1/comparisons/one/export?format=csv").text):
        costs[row["solver"]][row["instance_digest"]].append(float(row["cost"]))
        references[row["instance_digest"]] = float(row["reference_cost"])
    digests = list(references)
    reference = np.array([references[digest] for digest in digests])
    median = {solver: np.array([np.median(of[digest]) for digest in digests]) for solver, of in costs.items()}
    gap = {solver: 100 * (median[solver] - reference) / reference for solver in median}
    page.goto(f"{site}/comparisons/one")
    said = words(page, "#verdict li")

    bounds = r"(-?[\d.]+) % \[(-?[\d.]+), (-?[\d.]+)\]"
    match = re.fullmatch(
        rf"(\w+) has the lowest mean gap: {bounds} over (\d+) instances, (\d+) of them answered\.", said[0]
    )
    leader, number, answered = match[1], int(match[5]), int(match[6])
    assert leader == min(gap, key=lambda solver: gap[solver].mean())
    assert number == answered == len(digests) == 24
    check(gap[leader], match)

    pattern = re.compile(
        rf"(\w+) beats (\w+) by {bounds} \(mean over (\d+) instances both answered, p ([<=]) ([\d.e-]+)\)\."
    )
    beaten = {match[2]: match for match in map(pattern.fullmatch, said) if match}
    assert beaten.keys() == gap.keys() - {leader}
    for loser, match in beaten.items():
        assert match[1] == leader and int(match[6]) == len(digests)
        differences = 100 * (median[loser] - median[leader]) / reference
        check(differences, re.match(rf"(\w+) beats \w+ by {bounds}", match[0]))
        # By Holm a corrected p-value is at most three times the pair's own, of three pairs.
        p = 3 * stats.wilcoxon(differences, zero_method="pratt").pvalue
        assert (match[7], match[8]) == ("<", "0.001") and p < 0.001


def check(values: np.ndarray, match: re.Match[str]) -> None:
    """The mean stands within half a unit of its last digit, inside the bounds, and these are scipy's to 15 %."""
    mean, low, high = (float(match[place]) for place in (2, 3, 4))
    unit = 10.0 ** -len(match[2].partition(".")[2])
    assert abs(values.mean() - mean) <= unit / 2 + 1e-9
    assert low <= values.mean() + unit and values.mean() - unit <= high
    if np.ptp(values) == 0:
        assert low == high == mean
        return
    other = stats.bootstrap((values,), np.mean, n_resamples=9999, method="BCa", rng=np.random.default_rng(1))
    slack = 0.15 * (other.confidence_interval.high - other.confidence_interval.low) + unit
    assert abs(other.confidence_interval.low - low) < slack and abs(other.confidence_interval.high - high) < slack


def test_factoring_says_how_large(site, fill_factoring, store, page):
    """Share solved, who solved the most and the largest sizes agree with the export; figures are by bits and time."""
    fill_factoring(store, "one", {"strong": 48, "weak": 32})
    solved = defaultdict(list)
    for row in rows_of(httpx.get(f"{site}/v1/comparisons/one/export?format=csv").text):
        solved[row["solver"]].append((int(row["size"]), row["answered"] == "True"))
    numbers = {solver: sum(answered for _, answered in runs) for solver, runs in solved.items()}
    page.goto(f"{site}/comparisons/one")
    said = words(page, "#verdict li")
    assert said[0].startswith(f"strong solved the most: {numbers['strong']} of 16 instances")
    assert said[1].startswith(f"Solved by the others: weak {numbers['weak']}.")
    assert words(page, "#ranking tbody td:nth-of-type(1)") == [f"{numbers[one]} of 16" for one in ("strong", "weak")]
    shares = [100 * (1 - numbers[one] / 16) for one in ("strong", "weak")]
    assert [float(text.split()[0]) for text in words(page, "#ranking tbody td:nth-of-type(2)")] == shares
    largest = {one: max(size for size, answered in runs if answered) for one, runs in solved.items()}
    rows = words(page, "#sizes .scroll:first-of-type tbody tr")
    assert [row.split()[-2] for row in rows[:2]] == [str(largest[one]) for one in ("strong", "weak")]
    for section in ("#sizes", "#time"):
        page.locator(f"{section} .plot").scroll_into_view_if_needed()
        page.wait_for_selector(f"{section} .plot[data-drawn=done]")


def test_partial_results_are_marked(site, store, fill, page):
    """Of a comparison under way what has ended is shown, and said to be partial; nothing is ranked on missing runs."""
    fill(store, "one", left=6)
    page.goto(f"{site}/comparisons/one")
    assert page.locator("#verdict .badge").inner_text() == "partial results"
    assert any("is incomplete: 30 of 36 runs" in line for line in words(page, "#verdict li"))
    assert "30 of 36 runs" in page.locator("[data-part=progress]").inner_text()
    assert page.get_by_role("heading", name="So far").is_visible()


def test_failures_are_shown_with_reasons_and_no_text_is_markup(site, store, fill, page):
    """Titles, reasons and logs that look like markup stand there as they are."""
    bad = Run("", "", "", "", 0, 0, Status.CRASHED, reason=f"boom {HOSTILE}", log=f"line {HOSTILE}")
    fill(store, "one", title=f"title {HOSTILE}", failed={"quick": bad})
    page.goto(f"{site}/comparisons/one")
    assert page.get_by_role("heading", level=1).inner_text() == f"title {HOSTILE}"
    (row,) = words(page, "#failures tbody:first-of-type tr:has(.badge)")
    assert f"boom {HOSTILE}" in row and "crashed" in row and "quick" in row
    page.locator("#failures summary").click()
    assert page.locator("#failures pre").inner_text() == f"line {HOSTILE}"
    assert page.locator("main img, main script").count() == 0 and HOSTILE in page.title()
    page.goto(f"{site}/comparisons")
    assert words(page, "tbody th a") == [f"title {HOSTILE}"]
    page.goto(f"{site}/comparisons?title={quote(HOSTILE)}")
    assert page.get_by_label("Title or id has").input_value() == HOSTILE


def test_policy_lets_no_other_script_run(site, store, fill, open_context):
    """The page's Content-Security-Policy names its own scripts alone: one that gets in does not run."""
    fill(store, "one")
    answer = httpx.get(f"{site}/comparisons/one")
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["script-src"] == "'self'" and policy["default-src"] == "'none'" and policy["base-uri"] == "'none'"
    assert "'unsafe-inline'" not in httpx.get(f"{site}/comparisons").headers["Content-Security-Policy"]
    page = open_context(expected="Content Security Policy").new_page()
    page.goto(f"{site}/comparisons/one")
    page.evaluate(
        "() => { const evil = document.createElement('script'); evil.textContent = 'window.ran = 1';"
        " document.body.append(evil); document.body.insertAdjacentHTML('beforeend', '<a id=x onclick=\"ran=1\">x</a>');"
        " document.getElementById('x').click(); }"
    )
    assert page.evaluate("window.ran") is None


def test_cancel_rerun_delete(site, store, fill, page, hints):
    """Cancel ends what waits, rerun queues it again and tells the workers, delete asks first and removes it."""
    fill(store, "one", left=6)
    page.goto(f"{site}/comparisons")
    page.get_by_role("button", name="Cancel one").click()
    page.wait_for_url("**/comparisons/one")
    assert page.locator("#head .badge").inner_text() == "cancelled"
    assert queries.comparison(store.engine, "one")["counts"]["by_status"] == {"finished": 30, "cancelled": 6}
    page.get_by_role("button", name="Run again what failed (6)").click()
    page.wait_for_selector("#head .badge:text-is('running')")
    assert queries.comparison(store.engine, "one")["counts"]["queued"] == 6 and hints == [("cpu", 6)]
    # What is deleted while its figures are being drawn is an error on the console.
    page.locator(".plot").first.scroll_into_view_if_needed()
    page.wait_for_selector(".plot[data-drawn=done]")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.plot[data-drawn]')].every(plot => plot.dataset.drawn === 'done')"
    )
    asked = []
    page.once("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    page.get_by_role("button", name="Delete").click()
    assert "36 runs" in asked[0] and queries.comparison(store.engine, "one") is not None
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url(f"{site}/comparisons")
    assert queries.comparison(store.engine, "one") is None


@pytest.mark.parametrize("action", ["cancel", "rerun", "delete"])
def test_forms_of_other_sites_do_nothing(site, store, fill, action):
    """Without the session's token, and from another origin, a form changes nothing."""
    fill(store, "one", left=6)
    with httpx.Client(base_url=site) as client:
        client.get("/comparisons")
        assert client.post(f"/comparisons/one/{action}").status_code == 403
        assert client.post(f"/comparisons/one/{action}", data={"csrf": "0" * 64}).status_code == 403
        token = re.search('name="csrf" value="([0-9a-f]+)"', client.get("/comparisons/one").text)[1]
        elsewhere = {"Origin": "https://elsewhere.example"}
        assert client.post(f"/comparisons/one/{action}", data={"csrf": token}, headers=elsewhere).status_code == 403
    assert queries.comparison(store.engine, "one")["counts"]["queued"] == 6


def test_what_a_key_does_not_allow_is_not_offered(store, settings, serving, fill, open_context):
    """A key that may only read sees the verdict, the figures and the downloads, and no button that changes anything."""
    fill(store, "one", left=1)
    app = create_app(store, lambda needs, number: None, settings.model_copy(update={"auth": "keys"}))
    install(app)
    key = Keys(store.engine).add("Ann", ["read"])
    page = open_context(expected="status of 403").new_page()
    with serving(app) as site:
        page.goto(f"{site}/comparisons/one")
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/comparisons/one")
        assert page.locator("#verdict li").count() > 3
        page.locator("#ranking .plot").scroll_into_view_if_needed()
        page.wait_for_selector("#ranking .plot[data-drawn=done]")
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV", exact=True).click()
        assert len(rows_of(Path(download.value.path()).read_text())) == 35
        assert page.locator("main form").count() == 0
        answer = page.goto(f"{site}/comparisons/new")
        assert answer.status == 403 and "scope submit" in page.locator("main").inner_text()


def test_instances_come_in_pages(site, store, fill, page):
    """The table of instances holds fifty at a time; each row leads to its instance."""
    fill(store, "one", num_instances=60, solvers=["steady", "quick"])
    page.goto(f"{site}/comparisons/one")
    first = page.locator("#instances tbody tr").count()
    page.locator("#instances").get_by_role("link", name="Next page").click()
    page.wait_for_url("**from=50**")
    assert (first, page.locator("#instances tbody tr").count()) == (50, 10)
    href = page.locator("#instances tbody a").first.get_attribute("href")
    assert re.fullmatch(r"/instances/[0-9a-f]{64}\?comparison=one", href)


def test_progress_is_live(site, store, fill, page):
    """A page that is open sees runs end, and changes to the verdict when all have, without being loaded again."""
    fill(store, "one", left=1)
    page.goto(f"{site}/comparisons/one")
    page.evaluate("window.same = true")
    assert page.get_by_role("button", name="Cancel").is_visible()
    Jobs(store.engine).cancel("one")
    page.wait_for_selector("#verdict h2:text-is('Verdict')")
    assert page.locator("#head .badge").inner_text() == "cancelled"
    assert page.evaluate("window.same") is True
    assert page.get_by_role("button", name="Cancel").count() == 0
    assert page.locator("#spoken").inner_text() == "The comparison is cancelled"


def test_works_without_javascript(site, store, fill, open_context):
    """Verdict, tables, filters and forms need no script."""
    fill(store, "one", left=2)
    page = open_context(java_script_enabled=False).new_page()
    page.goto(f"{site}/comparisons/one")
    assert page.locator("#verdict li").count() > 3 and page.locator("#ranking tbody tr").count() == 3
    page.get_by_role("button", name="Cancel").click()
    assert page.locator("#head .badge").inner_text() == "cancelled"


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_accessible(site, store, fill, open_context, axe, look):
    """No serious or critical violation on the list, a comparison and an empty store; nothing is wider than a phone."""
    page = open_context(look).new_page()
    page.goto(f"{site}/comparisons")
    assert axe(page) == []
    bad = Run("", "", "", "", 0, 0, Status.CRASHED, reason="boom", log="line")
    fill(store, "done", title="spring", failed={"quick": bad})
    fill(store, "open", left=3)
    for path in ("/comparisons", "/comparisons/done", "/comparisons/open"):
        page.goto(site + path)
        if page.locator(".plot").count():
            page.locator(".plot").first.scroll_into_view_if_needed()
            page.wait_for_selector(".plot[data-drawn=done]")
        assert axe(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_theme_is_chosen_and_kept(site, page):
    """The button turns the page dark, and the next page is dark from the start."""
    page.goto(f"{site}/comparisons")
    page.get_by_role("button", name="Use the dark theme").click()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.goto(f"{site}/comparisons/new")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark == "rgb(16, 18, 22)"
