"""Comparisons in the browser: listed, read, cancelled; each kind of them is told as it is, and no text is markup."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from instances.factoring.generators import generate as generate_numbers
from instances.routing.document import dump, load
from instances.routing.generators import generate
from services.api.app import create_app
from services.dashboard.app import install
from services.records import Run, Status
from services.store import queries
from services.store.keys import Keys

HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>{{7*7}}&amp;'


def words(page, selector: str) -> list[str]:
    return [" ".join(text.split()) for text in page.locator(selector).all_inner_texts()]


def draw_all(page) -> None:
    """Scroll to each figure until it is drawn."""
    page.wait_for_function(
        "() => { const left = [...document.querySelectorAll('.plot')].filter(plot => plot.dataset.drawn !== 'done');"
        " left[0]?.scrollIntoView(); return left.length === 0; }"
    )


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
    draw_all(page)
    assert {plot.get_attribute("data-name") for plot in page.locator(".plot").all()} == shown
    assert {"ranking", "time", "profile", "pairs", "size-0", "family"} <= shown


def test_two_problems_and_two_units_are_told_apart(site, store, fill, page):
    """Tabs name the problem they lead to; where tours and other routes mix, each has its figure by size."""
    numbers = [one for bits in (24, 32) for one in generate_numbers("semiprime", bits=bits, count=4)]
    routes = [
        one
        for kind in ("cvrp", "tsp")
        for size in (20, 30)
        for one in generate("uniform", size=size, count=3, problem=kind)
    ]
    solvers = {"steady": "routing", "quick": "routing", "rho": "factoring"}
    fill(store, "one", instances=[*routes, *numbers], solvers=solvers)
    page.goto(f"{site}/comparisons/one")
    tabs = words(page, "#sections a")
    assert len(set(tabs)) == len(tabs)
    assert {f"{what} ({of})" for what in ("Ranking", "Over time", "Pairs") for of in ("routing", "factoring")} <= set(
        tabs
    )
    for link in page.locator("#sections a[href^='#']").all():
        assert page.locator(link.get_attribute("href")).count() == 1
    sizes = page.locator("#routing-where .plot[data-name^=routing-size]")
    draw_all(page)
    assert sizes.count() == 2
    axes = " ".join(sizes.locator(".xtitle").all_text_contents())
    assert "customers" in axes and "cities" in axes


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


def test_a_comparison_of_which_nothing_came_says_why(site, store, fill, page):
    """Where every run crashed the verdict says so and leads to the reasons; no figure is broken, a rerun is offered."""
    crash = {"status": Status.CRASHED, "reason": "boom", "log": "Traceback: boom", "trace": ()}
    fill(store, "one", change=lambda run: replace(run, **crash))
    page.goto(f"{site}/comparisons/one")
    assert page.locator("#head .badge").inner_text() == "finished"
    assert "No solver answered any instance." in words(page, "#verdict li")
    page.get_by_role("link", name="36 runs had no answer").click()
    rows = words(page, "#failures [aria-label=Failures] tbody tr")
    assert len(rows) == 3 and all("crashed 12 boom" in row for row in rows)
    page.locator("#failures summary").first.click()
    assert page.locator("#failures pre").first.inner_text() == "Traceback: boom"
    assert page.get_by_role("button", name="Run again what failed (36)").is_visible()
    draw_all(page)
    page.goto(f"{site}/comparisons")
    assert page.get_by_role("button", name="Run again what failed in one").is_visible()


def test_names_of_instances_are_no_markup(site, store, fill, routing_instances, page):
    """A name that looks like markup stands in the table and in the figures as it is."""
    made = [load({**dump(one), "name": f"{number} {HOSTILE}"}) for number, one in enumerate(routing_instances(6))]
    bad = Run("", "", "", "", 0, 0, Status.CRASHED, reason="boom", log="line")
    fill(store, "one", instances=made, failed={"quick": bad})
    page.goto(f"{site}/comparisons/one")
    names = [f"{number} {HOSTILE}" for number in range(6)]
    assert sorted(page.locator("#instances tbody a").all_inner_texts()) == names
    assert HOSTILE in page.locator("#failures [aria-label=Failures] tbody").inner_text()
    draw_all(page)
    # Its name stands in what a figure shows of an instance that is pointed at, too.
    page.locator("[data-name=size-0]").scroll_into_view_if_needed()
    box = page.locator("[data-name=size-0] .scatterlayer .point").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector(".hoverlayer .hovertext")
    assert "<img src=x" in " ".join(page.locator(".hoverlayer .hovertext").all_text_contents())
    assert page.locator("main img, main script").count() == 0 and page.title() == "one: finished · versus"


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


def test_works_without_javascript(site, store, fill, open_context):
    """Verdict, tables, filters and forms need no script."""
    fill(store, "one", left=2)
    page = open_context(java_script_enabled=False).new_page()
    page.goto(f"{site}/comparisons/one")
    assert page.locator("#verdict li").count() > 3 and page.locator("#ranking tbody tr").count() == 3
    page.get_by_role("button", name="Cancel").click()
    assert page.locator("#head .badge").inner_text() == "cancelled"


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_accessible(site, store, fill, fill_factoring, open_context, axe, look):
    """No serious or critical violation on the list, comparisons of each kind, an empty store; none is too wide."""
    page = open_context(look).new_page()
    page.goto(f"{site}/comparisons")
    assert axe(page) == []
    bad = Run("", "", "", "", 0, 0, Status.CRASHED, reason="boom", log="line")
    fill(store, "done", title="spring", failed={"quick": bad})
    fill(store, "open", left=3)
    fill(store, "lost", change=lambda run: replace(run, status=Status.CRASHED, reason="boom", trace=()))
    fill_factoring(store, "numbers", {"strong": 48, "weak": 32})
    for path in ("/comparisons", *(f"/comparisons/{name}" for name in ("done", "open", "lost", "numbers"))):
        page.goto(site + path)
        if page.locator(".plot").count():
            page.locator(".plot").first.scroll_into_view_if_needed()
            page.wait_for_selector(".plot[data-drawn=done]")
        assert axe(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_everything_can_be_reached_on_a_phone(site, store, fill, open_context):
    """The links to pages and parts are all in the window: none is cut or must be scrolled to sideways."""
    fill(store, "one")
    page = open_context("phone").new_page()
    page.goto(f"{site}/comparisons/one")
    links = page.locator("header nav a, #sections a")
    assert links.count() > 10
    for link in links.all():
        box = link.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 360, link.inner_text()
    cut = "all => all.filter(one => one.scrollWidth > one.clientWidth).length"
    assert page.locator("header nav ul, #sections ul").evaluate_all(cut) == 0


def test_theme_is_chosen_and_kept(site, page):
    """The button turns the page dark, and the next page is dark from the start."""
    page.goto(f"{site}/comparisons")
    page.get_by_role("button", name="Use the dark theme").click()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.goto(f"{site}/comparisons/new")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark == "rgb(16, 18, 22)"
