"""Instances in the browser: sent in, listed, and shown with the solutions that solvers found, on maps and over time."""

import itertools
import json
import re
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page

from instances.factoring import generators as factoring
from instances.files import write_jsonl
from instances.problems import problem_of
from instances.routing import document as documents
from instances.routing import generators as routing
from services.batch import plan, tasks
from services.dashboard.instances import FEATURES
from services.definition import Definition
from services.records import Comparison, Incumbent, Run, Status
from services.runner.pool import run_all
from services.store.store import Store
from solvers.routing.segments import FEATURES as ALL_FEATURES

HOSTILE = "<img src=x onerror=alert(1)>\"'</script><script>alert(2)</script>{{7*7}}"


def compare(store: Store, folder: Path, name: str, instances: list[Any], solvers: list[str], budget: float) -> None:
    """Make the runs of a comparison and store them."""
    file = folder / f"{name}.jsonl"
    write_jsonl(instances, file)
    planned = plan(Definition(paths=(file,), solvers=tuple(solvers), budget=budget, name=name), jobs=1)
    described = [
        (planned.descriptions[digest], problem_of(one).dump(one)) for digest, (_, one) in planned.instances.items()
    ]
    store.add_comparison(planned.comparison, described, {})
    for runs in run_all(tasks(planned), planned.cores, 1, planned.comparison.memory):
        store.save_runs(name, *runs)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a store with comparisons of a map, of numbers, and of a matrix without coordinates."""
    folder = tmp_path_factory.mktemp("filled")
    url = f"sqlite:///{folder / 'versus.sqlite'}"
    store = Store.open(url)
    maps = list(routing.generate("x", size=30, count=1, seed=3))
    compare(store, folder, "maps", maps, ["nearest", "savings", "pyvrp", "christofides"], 0.4)
    numbers = list(factoring.generate("smooth", bits=64, count=1, seed=2))
    compare(store, folder, "numbers", numbers, ["trial", "rho"], 0.4)
    document = documents.dump(next(iter(routing.generate("road", size=8, count=1, seed=1))))
    del document["coordinates"]
    document.pop("coordinate_decimals", None)
    compare(
        store, folder, "matrix", [documents.load({**document, "comment": HOSTILE, "name": HOSTILE})], ["savings"], 0.4
    )
    store.close()
    return url


@pytest.fixture
def store(filled: str) -> Iterator[Store]:
    """The filled store."""
    store = Store.open(filled)
    yield store
    store.close()


def digest_of(store: Store, comparison: str) -> str:
    """The one instance of a comparison."""
    (digest,) = store.instance_digests(comparison)
    return digest


def shown(cost: int, decimals: int) -> str:
    """A cost as people read it."""
    return f"{cost / 10**decimals:,.{min(decimals, 4)}f}".replace(",", "\u202f")


def edges(routes: list[list[int]]) -> set[frozenset[int]]:
    """The edges of routes between customers."""
    return {frozenset(edge) for route in routes for edge in itertools.pairwise(route)}


def ready(page: Page) -> None:
    """Wait until the solutions are loaded and drawn."""
    page.locator("#replay[data-ready=yes]").wait_for()


def test_features_are_those_of_the_instances() -> None:
    """The list offers each feature there is."""
    assert set(FEATURES) == ALL_FEATURES


def test_list_is_filtered_in_the_address(site: str, store: Store, page: Page) -> None:
    """Filters stand in the address, the JSON twin answers the same, and a link leads to the instance."""
    page.goto(f"{site}/instances")
    assert page.locator("tbody tr").count() == 3
    page.get_by_label("Problem").select_option("factoring")
    page.get_by_role("button", name="Choose").click()
    page.wait_for_url(re.compile("problem=factoring"))
    assert page.locator("tbody tr").count() == 1
    twin = httpx.get(site + page.locator("link[rel=alternate]").get_attribute("href")).json()
    assert [item["digest"] for item in twin["items"]] == [digest_of(store, "numbers")]
    page.locator("tbody a").click()
    assert page.url == f"{site}/instances/{digest_of(store, 'numbers')}"
    for query, number in (
        ("feature=matrix", 1),
        ("min_size=10&max_size=30", 1),
        ("name=nothing-like-it", 0),
        ("min_size=x", 3),
    ):
        page.goto(f"{site}/instances?{query}")
        assert page.locator("tbody tr").count() == number, query


def test_an_empty_store_says_what_to_do(tmp_path, page: Page, serving: Any) -> None:
    """Without instances there is the upload, and a way to a generator."""
    from services.api.app import create_app
    from services.dashboard.app import install
    from services.settings import Settings

    empty = Store.open(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    app = create_app(empty, lambda _needs, _number: None, Settings(auth="off", data_dir=tmp_path))
    install(app)
    with serving(app) as site:
        page.goto(f"{site}/instances")
        assert page.get_by_role("heading", name="There are no instances yet").is_visible()
        assert page.get_by_label("Upload instance files").is_visible()
        page.goto(f"{site}/runs")
        assert page.get_by_role("heading", name="Nothing has run yet").is_visible()
        page.goto(f"{site}/system")
        assert page.get_by_role("heading", level=1).inner_text() == "No worker is seen"
    empty.close()


def test_files_are_uploaded(tmp_path, page: Page, serving: Any, open_context: Callable[..., BrowserContext]) -> None:
    """One file leads to its instance, several to a list, and a malformed one to the reason; nothing is half stored."""
    from services.api.app import create_app
    from services.dashboard.app import install
    from services.settings import Settings

    store = Store.open(f"sqlite:///{tmp_path / 'new.sqlite'}")
    app = create_app(store, lambda _needs, _number: None, Settings(auth="off", data_dir=tmp_path))
    install(app)
    good, other, bad = (tmp_path / name for name in ("good.num", "other.num", "bad.vrp"))
    good.write_text("8051  # good\n")
    other.write_text("10403  # other\n")
    bad.write_text("NAME: bad\nDIMENSION: many\n")
    with serving(app) as site:
        page.goto(f"{site}/instances")
        page.get_by_label("Upload instance files").set_input_files(good)
        page.get_by_role("button", name="Upload", exact=True).click()
        page.wait_for_url(re.compile(r"/instances/[0-9a-f]{64}"))
        assert page.get_by_role("heading", level=1).inner_text() == "good"
        page.goto(f"{site}/instances")
        page.get_by_label("Upload instance files").set_input_files([good, other])
        page.get_by_role("button", name="Upload", exact=True).click()
        page.get_by_text("good was there already").wait_for()
        assert page.get_by_role("status").get_by_role("listitem").all_inner_texts() == [
            "good was there already", "other stored",
        ]  # fmt: skip
        page = open_context(expected="422").new_page()
        page.goto(f"{site}/instances")
        page.get_by_label("Upload instance files").set_input_files([bad])
        page.get_by_role("button", name="Upload", exact=True).click()
        assert "Nothing was stored. bad.vrp" in page.get_by_role("alert").first.inner_text()
        page.get_by_role("button", name="Upload", exact=True).click()
        assert page.get_by_role("alert").first.inner_text() == "Choose a file first."
        assert len(httpx.get(f"{site}/v1/instances").json()["items"]) == 2
    store.close()


def test_files_are_dragged_onto_the_page(tmp_path, page: Page, serving: Any) -> None:
    """A file that is dropped is sent; a page of another session's token sends nothing."""
    from services.api.app import create_app
    from services.dashboard.app import install
    from services.settings import Settings

    store = Store.open(f"sqlite:///{tmp_path / 'new.sqlite'}")
    app = create_app(store, lambda _needs, _number: None, Settings(auth="off", data_dir=tmp_path))
    install(app)
    with serving(app) as site:
        refused = httpx.post(f"{site}/instances", files={"files": ("a.num", b"8051")}, data={"csrf": "0" * 64})
        assert refused.status_code == 403
        page.goto(f"{site}/instances")
        assert page.locator("tbody tr").count() == 0
        dropped = page.evaluate_handle(
            "() => { const data = new DataTransfer(); data.items.add(new File(['8051  # dropped'], 'a.num')); "
            "return data; }"
        )
        page.dispatch_event("form.upload", "drop", {"dataTransfer": dropped})
        page.wait_for_url(re.compile(r"/instances/[0-9a-f]{64}"))
        assert page.get_by_role("heading", level=1).inner_text() == "dropped"
    store.close()


def test_an_instance_is_taken_into_a_new_comparison(site: str, store: Store, page: Page) -> None:
    """The button leads to the form with this instance chosen."""
    digest = digest_of(store, "numbers")
    page.goto(f"{site}/instances/{digest}")
    page.get_by_role("link", name="Compare solvers on it").click()
    page.wait_for_url(re.compile("/comparisons/new"))
    assert page.locator("input[name=instance]:checked").evaluate_all("boxes => boxes.map(box => box.value)") == [digest]


def test_results_are_those_of_the_json_route(site: str, store: Store, page: Page) -> None:
    """Each run of the comparison on the instance is a row, with the cost and the gap to the best of them."""
    digest = digest_of(store, "maps")
    page.goto(f"{site}/instances/{digest}?comparison=maps")
    runs = httpx.get(f"{site}/v1/comparisons/maps/runs", params={"instance": digest}).json()["items"]
    best = min(run["cost"] for run in runs if run["cost"] is not None)
    rows = {row[0]: row[1:] for row in (
        [cell.split("\n")[0].strip() for cell in line.locator("th,td").all_inner_texts()]
        for line in page.get_by_role("region", name="Table of results").locator("tbody tr").all()
    )}  # fmt: skip
    assert set(rows) == {run["solver"] for run in runs} == {"nearest", "savings", "pyvrp", "christofides"}
    for run in runs:
        state, cost, gap = rows[run["solver"]][:3]
        assert state.startswith(run["status"])
        assert cost == ("–" if run["cost"] is None else shown(run["cost"], run["decimals"]))
        assert gap == ("–" if run["cost"] is None else f"{100 * (run['cost'] - best) / best:.2f}")


def test_two_solutions_are_compared_edge_by_edge(site: str, store: Store, page: Page) -> None:
    """The numbers of common and own edges are those of the solutions, and in both views those that the map draws so."""
    digest = digest_of(store, "maps")
    results = store.results("maps")
    routes = {run.solver: results.solutions[run.key] for run in results.runs if run.trace}
    first, second = edges(routes["nearest"]), edges(routes["pyvrp"])
    assert first - second and second - first
    words = (
        f"{len(first & second)} edges are in both, {len(first - second)} only in nearest, "
        f"{len(second - first)} only in pyvrp. The ways from and to the depot are not counted."
    )
    for view in ("side", "overlay"):
        page.goto(f"{site}/instances/{digest}?comparison=maps&a=nearest&b=pyvrp&view={view}")
        ready(page)
        assert page.locator("#edges").inner_text() == words
        assert page.get_by_text("from and to the depot, not counted as a difference").is_visible()
        drawn = drawn_edges(page)
        if view == "side":
            for one, own in zip(drawn, (first - second, second - first), strict=True):
                assert (one["own"], one["common"]) == (len(own), len(first & second))
        else:
            (one,) = drawn
            assert (one["shared"], one["other"]) == (len(first & second), len(second - first))
            assert one["own"] == len(first - second) + len(second - first)
            both = [route for solver in ("nearest", "pyvrp") for route in routes[solver] if route]
            assert one["legs"] == len({end for route in both for end in (route[0], route[-1])})


def drawn_edges(page: Page) -> list[dict[str, int]]:
    """Of each map how many lines are drawn in each way."""
    return page.evaluate(
        "[...document.querySelectorAll('svg.map')].map(map => { const number = {}; "
        "for (const path of map.querySelectorAll('.edges')) for (const name of path.classList) "
        "number[name] = (number[name] ?? 0) + path.getAttribute('d').split('L').length - 1; return number; })"
    )


@pytest.mark.parametrize("look", ["light", "dark"])
def test_lines_of_the_map_are_legible(
    site: str, store: Store, open_context: Callable[..., BrowserContext], look: str
) -> None:
    """Every line has the contrast of 3 that graphics need to the map's ground, and what differs is the thickest."""
    page = open_context(look).new_page()
    for view in ("side", "overlay"):
        page.goto(f"{site}/instances/{digest_of(store, 'maps')}?comparison=maps&a=nearest&b=pyvrp&view={view}")
        ready(page)
        ground = page.evaluate("getComputedStyle(document.querySelector('svg.map')).backgroundColor")
        lines = page.evaluate(
            "[...document.querySelectorAll('.map .edges')].map(path => { const style = getComputedStyle(path); "
            "return [path.classList.contains('own'), style.stroke, style.opacity, parseFloat(style.strokeWidth)]; })"
        )
        assert all(opacity == "1" and contrast(stroke, ground) >= 3 for _, stroke, opacity, _ in lines)
        widths = {own: [width for of, *_, width in lines if of == own] for own in (True, False)}
        assert min(widths[True]) >= 2 * max(widths[False])


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two colours as ``rgb(...)``."""
    light = []
    for colour in (one, other):
        values = [int(value) / 255 for value in re.fullmatch(r"rgb\((\d+), (\d+), (\d+)\)", colour).groups()]
        linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]
        light.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(light) + 0.05) / (min(light) + 0.05)


def test_routes_alike_have_one_colour_on_both_maps(site: str, store: Store, page: Page) -> None:
    """A route that shares more than half of its stops with one on the other map has that one's colour."""
    page.goto(f"{site}/instances/{digest_of(store, 'maps')}?comparison=maps&a=nearest&b=pyvrp")
    ready(page)
    first, second = page.evaluate(
        "() => { const map = RouteMap.all[0]; const first = routeColours([[1, 2, 3], [4, 5, 6], [7, 8]], map); "
        "const second = routeColours([[8, 7], [9, 3, 2, 1], [6, 5, 10, 11]], map, first); "
        "return [first, second].map(colours => [...colours].map(([route, colour]) => [Math.min(...route), colour])); }"
    )
    first, second = dict(first), dict(second)
    assert sorted(first.values()) == [0, 1, 2]
    assert (second[1], second[7]) == (first[1], first[7])


def test_nothing_is_sent_before_show_is_pressed(site: str, store: Store, page: Page) -> None:
    """Choosing a solver alone changes no page; the button does."""
    page.goto(f"{site}/instances/{digest_of(store, 'maps')}?comparison=maps&a=nearest&b=pyvrp")
    ready(page)
    page.evaluate("window.same = true")
    page.get_by_label("Show", exact=True).select_option("savings")
    page.get_by_label("as maps").select_option("overlay")
    page.wait_for_timeout(300)
    assert page.evaluate("window.same") is True and "savings" not in page.url
    page.get_by_role("button", name="Show").click()
    page.wait_for_url(re.compile("a=savings.*view=overlay"))


def test_the_slider_replays_the_incumbents(site: str, store: Store, page: Page) -> None:
    """At each place of the slider costs are those of the trace then; the place stands in the address."""
    digest = digest_of(store, "maps")
    (run,) = (run for run in store.results("maps").runs if run.solver == "pyvrp")
    trace = [(found.seconds, found.cost) for found in run.trace]
    page.goto(f"{site}/instances/{digest}?comparison=maps&a=pyvrp&b=")
    ready(page)
    slider = page.get_by_label("Time in the run")
    assert int(slider.get_attribute("max")) == len(trace) - 1
    decimals = store.results("maps").instances[digest].decimals
    for place, (_, cost) in enumerate(trace):
        slider.evaluate("(slider, place) => { slider.value = place; slider.dispatchEvent(new Event('input')); }", place)
        assert f"pyvrp: {shown(cost, decimals)}" in page.locator("#said").inner_text()
        assert slider.get_attribute("aria-valuetext") == page.locator("#said").inner_text()
    if len(trace) > 1:
        slider.focus()
        page.keyboard.press("Home")
        page.wait_for_url(re.compile("[?&]t="))
        page.reload()
        ready(page)
        assert slider.input_value() == "0"
        page.get_by_role("button", name="Play").click()
        page.wait_for_function("() => document.getElementById('time').value === document.getElementById('time').max")
        page.get_by_role("button", name="Play").wait_for()


def test_what_is_pointed_at_is_told(site: str, store: Store, page: Page) -> None:
    """Under the pointer stands a location's number, demand and place in its route."""
    digest = digest_of(store, "maps")
    document = json.loads(store.document(digest))
    page.goto(f"{site}/instances/{digest}?comparison=maps&a=savings&b=")
    ready(page)
    page.locator("svg.map").scroll_into_view_if_needed()
    place = page.evaluate(
        "(() => { const map = document.querySelector('svg.map'); const [, x, y] = "
        "map.querySelector('.dots').getAttribute('d').match(/M([0-9.]+) ([0-9.]+)/); "
        "const at = new DOMPoint(x, y).matrixTransform(map.getScreenCTM()); return [at.x, at.y]; })()"
    )
    page.mouse.move(*place)
    assert re.fullmatch(
        rf"Location 1 · demand {document['demand'][1]} · route \d+, stop \d+ of \d+",
        page.locator("#pointed").inner_text(),
    )


def test_a_location_is_told_by_its_number(site: str, store: Store, page: Page) -> None:
    """By keyboard: the number typed is ringed on both maps, and where each solution goes there is told."""
    digest = digest_of(store, "maps")
    results = store.results("maps")
    page.goto(f"{site}/instances/{digest}?comparison=maps&a=nearest&b=pyvrp")
    ready(page)
    page.get_by_label("Location", exact=True).focus()
    page.keyboard.type("7")
    told = page.locator("#pointed")
    parts = [f"Location 7 · demand {json.loads(store.document(digest))['demand'][7]}"]
    for solver in ("nearest", "pyvrp"):
        (run,) = (run for run in results.runs if run.solver == solver)
        routes = [route for route in results.solutions[run.key] if route]
        ((number, route),) = ((number, route) for number, route in enumerate(routes, 1) if 7 in route)
        parts.append(f"{solver}: route {number}, stop {route.index(7) + 1} of {len(route)}")
    assert told.inner_text() == " · ".join(parts)
    visible = "[...document.querySelectorAll('.ring')].map(ring => ring.getAttribute('visibility'))"
    assert page.evaluate(visible) == ["visible", "visible"]
    page.get_by_label("Location", exact=True).fill("0")
    assert told.inner_text().startswith("Depot, location 0")
    page.get_by_label("Location", exact=True).fill("31")
    assert told.inner_text() == "There is no such location; the last is 30."
    assert page.evaluate(visible) == ["hidden", "hidden"]


def test_charts_name_their_axes(site: str, store: Store, page: Page) -> None:
    """Time with its scale, and what is counted: the cost, or of a number the bits that are left."""
    for name, unit in (("maps", "Cost"), ("numbers", "Bits still composite")):
        page.goto(f"{site}/instances/{digest_of(store, name)}?comparison={name}")
        ready(page)
        words = page.locator("#trace svg text").all_text_contents()
        assert "seconds (log scale)" in words and unit in words
        assert page.locator("#trace svg").get_attribute("aria-label").startswith(f"{unit} against time: ")


def test_factors_are_listed_over_time(site: str, store: Store, page: Page) -> None:
    """Of a number there is no map but a table of what was known when, with the number itself."""
    digest = digest_of(store, "numbers")
    results = store.results("numbers")
    page.goto(f"{site}/instances/{digest}")
    assert page.locator("svg.map").count() == 0
    assert json.loads(store.document(digest))["n"] in page.locator("#about + dl").inner_text()
    (run,) = (run for run in results.runs if run.solver == "rho")
    rows = page.get_by_role("region", name="Factors found by rho").locator("tbody tr")
    assert rows.count() == len(run.trace)
    last = rows.last.locator("td").all_inner_texts()
    assert last[1] == str(run.cost)
    for factor in set(results.solutions[run.key]):
        assert factor in last[2]


def test_a_matrix_is_shown_as_a_table_of_routes_and_user_text_is_text(
    site: str, store: Store, open_context: Callable[..., BrowserContext]
) -> None:
    """Without coordinates the routes are listed; a hostile name and comment are shown as they are, and run nothing."""
    digest = digest_of(store, "matrix")
    page = open_context().new_page()
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(f"{site}/instances/{digest}")
    assert page.get_by_text("there is no map to draw").is_visible()
    results = store.results("matrix")
    (run,) = results.runs
    rows = page.get_by_role("region", name="Routes of savings").locator("tbody tr").all()
    listed = [[int(stop) for stop in row.locator("td").last.inner_text().split()] for row in rows]
    assert listed == [route for route in results.solutions[run.key] if route]
    assert page.get_by_role("heading", level=1).inner_text() == HOSTILE
    assert HOSTILE in page.title()
    for path in ("/instances", "/runs", f"/runs/{run.key}"):
        page.goto(site + path)
        assert page.get_by_text(HOSTILE).first.is_visible()
    assert page.locator("main img").count() == 0
    assert dialogs == []


def test_drawings_and_instances_are_saved(site: str, store: Store, page: Page, tmp_path) -> None:
    """The map as PNG and as SVG that needs nothing else, the instance in a format of the field."""
    digest = digest_of(store, "maps")
    page.goto(f"{site}/instances/{digest}?comparison=maps&a=savings&b=")
    ready(page)
    saved = {}
    for form in ("PNG", "SVG"):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Save the map as {form}").click()
        saved[form] = Path(download.value.path()).read_bytes()
    assert saved["PNG"].startswith(b"\x89PNG") and len(saved["PNG"]) > 5000
    drawing = saved["SVG"].decode()
    assert drawing.startswith("<svg") and "class=" not in drawing and "var(" not in drawing
    assert drawing.count("stroke=") > 5
    link = page.get_by_role("link", name="Download .vrp")
    file = httpx.get(site + link.get_attribute("href"))
    assert file.text.startswith("NAME") and file.headers["content-disposition"].startswith("attachment")


def test_unknown_instances_have_a_page(site: str, open_context: Callable[..., BrowserContext]) -> None:
    """A digest that is not there, or is none, gets a page that says so."""
    page = open_context(expected="404").new_page()
    for path in (f"/instances/{'0' * 64}", "/instances/x"):
        answer = page.goto(site + path)
        assert answer is not None and answer.status == 404
        assert "there is no such instance" in page.locator("main").inner_text()


def test_tables_need_no_script(site: str, store: Store, open_context: Callable[..., BrowserContext]) -> None:
    """Without JavaScript results and routes can be read, and the choice of solvers works."""
    page = open_context(java_script_enabled=False).new_page()
    page.goto(f"{site}/instances/{digest_of(store, 'maps')}?comparison=maps")
    assert page.get_by_role("region", name="Table of results").locator("tbody tr").count() == 4
    page.get_by_label("and", exact=True).select_option("pyvrp")
    page.get_by_role("button", name="Show").click()
    page.get_by_text("Routes of pyvrp as a table").click()
    assert page.get_by_role("region", name="Routes of pyvrp").locator("tbody tr").count() > 1


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_pages_are_accessible(
    site: str, store: Store, open_context: Callable[..., BrowserContext], axe: Any, look: str
) -> None:
    """No serious violation on any page of instances, and no page wider than the window."""
    page = open_context(look).new_page()
    own = [f"/instances/{digest_of(store, name)}" for name in ("maps", "numbers", "matrix")]
    for path in ("/instances", *own, f"{own[0]}?view=overlay"):
        page.goto(site + path)
        if "numbers" not in path:
            page.wait_for_load_state("networkidle")
        assert axe(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_a_thousand_customers_are_drawn_at_once(site: str, store: Store, page: Page) -> None:
    """A step of the replay of two solvers on 1,000 customers takes less than a tenth of a second."""
    (instance,) = routing.generate("x", size=1000, count=1, seed=1)
    problem = problem_of(instance)
    known = problem.describe(instance)
    comparison = Comparison("large", {"a": "a", "b": "b"}, 1.0, 1, problems={"a": "routing", "b": "routing"})
    if "large" not in {one.name for one in store.comparisons()}:
        store.add_comparison(comparison, [(known, problem.dump(instance))], {})
        for label in comparison.solvers:
            key = comparison.run_key(known.digest, label, 0)
            trace = [
                Incumbent(0.01 * place + (label == "b") * 0.005, 10**6 - place, solution(place + (label == "b")))
                for place in range(1, 60)
            ]
            store.save_runs("large", Run(
                key=key, instance=known.digest, solver=label, spec=label, repetition=0, seed=1,
                status=Status.FINISHED, trace=tuple(trace), finished_at="2026-11-20T10:00:00+00:00",
            ))  # fmt: skip
    page.goto(f"{site}/instances/{known.digest}?comparison=large")
    ready(page)
    took = page.evaluate(
        "[...Array(20).keys()].map(step => { const start = performance.now(); const slider = "
        "document.getElementById('time'); slider.value = 3 * step; slider.dispatchEvent(new Event('input')); "
        "document.querySelector('svg.map').getBBox(); return performance.now() - start; })"
    )
    assert statistics.median(took) < 100


def solution(turn: int) -> bytes:
    """Routes of ten customers each, others for each turn."""
    order = [(7 * turn + place * 37) % 1000 + 1 for place in range(1000)]
    return json.dumps([order[start : start + 10] for start in range(0, 1000, 10)]).encode()
