"""The form of a new comparison: from an uploaded file to a live verdict, and what is wrong told at the field."""

import csv
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from instances.routing.document import dump, load
from services.dashboard.new_comparison import control
from services.store import queries, workers
from services.store.store import Store

VRP = """NAME : {name}
TYPE : CVRP
DIMENSION : 6
EDGE_WEIGHT_TYPE : EUC_2D
CAPACITY : 10
NODE_COORD_SECTION
1 0 0
2 0 10
3 10 10
4 10 0
5 20 {y}
6 25 5
DEMAND_SECTION
1 0
2 3
3 4
4 5
5 2
6 6
DEPOT_SECTION
1
-1
EOF
"""
WORKER = """
from services.queue.worker import run_worker
from services.settings import Settings
run_worker(Settings(), ["cpu"], jobs=1)
"""


def file(name: str, y: int = 0) -> dict:
    return {
        "name": f"{name}.vrp",
        "mimeType": "application/octet-stream",
        "buffer": VRP.format(name=name, y=y).encode(),
    }


def errors(page) -> dict[str, str]:
    """What is wrong, by the field that says so."""
    return {
        wrong.get_attribute("id").removeprefix("wrong-"): wrong.inner_text() for wrong in page.locator(".wrong").all()
    }


def made(site: str) -> dict:
    (item,) = httpx.get(f"{site}/v1/comparisons").json()["items"]
    return item


@pytest.fixture
def page(open_context):
    """A page on which a form may be refused."""
    return open_context(expected="status of 422").new_page()


@pytest.fixture
def worker(store: Store, redis_url: str, tmp_path: Path) -> Iterator[subprocess.Popen]:
    """A worker on the store."""
    variables = {"VERSUS_DATABASE_URL": f"sqlite:///{tmp_path / 'versus.sqlite'}", "VERSUS_REDIS_URL": redis_url}
    process = subprocess.Popen([sys.executable, "-c", WORKER], env={**os.environ, **variables})
    yield process
    process.terminate()
    assert process.wait(60) == 0


def test_from_an_uploaded_file_to_the_verdict_and_another_cancelled(site, store, worker, page):
    """Two files are compared by a real worker while the page is open, a replay is looked at and the CSV taken.

    Another comparison is cancelled.
    """
    page.goto(f"{site}/comparisons/new")
    page.get_by_label("Upload files").check()
    page.locator("#files").set_input_files([file("first"), file("second", 9)])
    page.locator("input[name=solver][value=nearest]").check()
    page.locator("input[name=solver][value=pyvrp]").check()
    page.get_by_label("Budget of a run").fill("500ms")
    page.get_by_label("Seeds").fill("2")
    page.get_by_label("Title").fill("from files")
    assert page.locator("#estimate").inner_text().startswith("At least 8 runs, 4 s of machine time")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url(re.compile(r"/comparisons/2\d{7}-"))
    assert page.get_by_role("heading", level=1).inner_text() == "from files"
    page.evaluate("window.same = true")
    page.wait_for_selector("#verdict h2:text-is('Verdict')")
    assert page.evaluate("window.same") is True, "the page was loaded again"
    assert page.locator("#head .badge").inner_text() == "finished"
    assert "pyvrp" in page.locator("#verdict li").first.inner_text()
    assert page.locator("#instances tbody a").all_inner_texts() == ["first", "second"]
    compared = page.url
    page.locator("#instances").get_by_role("link", name="first", exact=True).click()
    page.locator("#replay[data-ready=yes]").wait_for()
    slider, said = page.locator("#time"), page.locator("#said")
    at_the_end = said.inner_text()
    assert "pyvrp: " in at_the_end and page.locator("svg.map").count() > 0
    slider.press("Home")
    assert slider.input_value() == "0" and said.inner_text() != at_the_end
    slider.press("End")
    assert said.inner_text() == at_the_end
    page.goto(compared)
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV", exact=True).click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    assert len(rows) == 8 and {row["instance"] for row in rows} == {"first", "second"}
    assert all(row["answered"] == "True" for row in rows)

    page.goto(f"{site}/comparisons/new")
    page.get_by_label("Let some be made").check()
    page.get_by_label("How many").fill("3")
    page.get_by_label("size", exact=True).first.fill("20")
    page.locator("input[name=solver][value=pyvrp]").check()
    page.get_by_label("Budget of a run").fill("5m")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_selector("#head .badge:text-is('running')")
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector("#head .badge:text-is('cancelled')")
    newest = httpx.get(f"{site}/v1/comparisons").json()["items"][0]
    assert newest["counts"]["by_status"] == {"cancelled": 3}


def test_files_can_be_dropped_anywhere(site, page):
    """Files dropped on the page choose uploading and are listed with their sizes; those before stay."""
    page.goto(f"{site}/comparisons/new")
    for name in ("one", "two"):
        page.evaluate(
            "([name, text]) => { const data = new DataTransfer(); data.items.add(new File([text], name));"
            " const drop = new DragEvent('drop', {dataTransfer: data, bubbles: true});"
            " document.querySelector('h1').dispatchEvent(drop); }",
            [f"{name}.vrp", VRP.format(name=name, y=0)],
        )
    assert page.get_by_label("Upload files").is_checked()
    assert page.locator("#dropped li").all_inner_texts() == ["one.vrp, 1 KB", "two.vrp, 1 KB"]
    assert page.evaluate("document.getElementById('files').files.length") == 2


def test_what_is_wrong_is_said_at_the_field(site, store, page):
    """Each bad field is marked and says what would be accepted; what else was filled in stays."""
    page.goto(f"{site}/comparisons/new")
    page.get_by_label("Let some be made").check()
    page.get_by_label("How many").fill("none")
    page.get_by_label("Budget of a run").fill("soon")
    page.get_by_label("Seeds").fill("0")
    page.get_by_label("Title").fill("kept")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_selector("#problem")
    assert page.title() == "Something to correct in the new comparison · versus"
    said = errors(page)
    assert said.keys() == {"budget", "seeds", "count", "solvers"}
    assert "500ms, 2s, 5m or 1h" in said["budget"] and "from 1 to 10000" in said["seeds"]
    field = page.get_by_label("Budget of a run")
    assert field.get_attribute("aria-invalid") == "true"
    assert field.get_attribute("aria-describedby") == "help-budget wrong-budget"
    assert field.input_value() == "soon" and page.get_by_label("Title").input_value() == "kept"
    assert page.evaluate("document.activeElement.id") == "problem"
    page.get_by_role("link", name=said["seeds"]).click()
    assert page.evaluate("document.activeElement.id || location.hash") in ("seeds", "#seeds")
    assert httpx.get(f"{site}/v1/comparisons").json()["items"] == []


def test_what_the_service_refuses_is_said_at_the_field(site, store, page):
    """What only service and solver know, limits and values, stands at its field, too."""
    page.goto(f"{site}/comparisons/new?source=generator&solver=savings&solver=nearest&g:routing/uniform:size=20")
    page.get_by_text("More terms").click()
    page.get_by_label("Reference").fill("pyvrp")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_selector("#problem")
    assert errors(page).keys() == {"reference"}
    page.get_by_label("Reference").fill("")
    page.get_by_label("Budget of a run").fill("2h")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_selector("#wrong-budget")
    assert "accepted is up to 3600s" in errors(page)["budget"]
    page.get_by_label("Budget of a run").fill("1s")
    page.locator("[data-solver=savings] summary").click()
    page.locator("[id='s:savings:shape']").fill("much")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_selector("[id='wrong-s:savings:shape']:visible")
    assert "accepted: float" in errors(page)["s:savings:shape"]
    assert page.locator("[id='s:savings:shape']").is_visible()
    page.locator("[id='s:savings:shape']").fill("200")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_selector("text=accepted are values above 0 up to 10")
    assert errors(page).keys() == {"s:savings:shape"}


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("savings:shape=much", "savings:shape=much: 'much' is not accepted; accepted: float"),
        ("savings:shape=3\nsavings:shape=200", "savings:shape=200: shape"),
        ("savings:depth=1", "savings:depth=1: unknown parameter 'depth'"),
        ("no such solver", "no such solver: expected NAME"),
        ("nonsense", "nonsense: unknown; there are: "),
        ("exec:command=true", "exec:command=true: runs a command, which is not offered over HTTP"),
    ],
)
def test_what_is_wrong_with_a_further_spec_is_said_there(site, store, page, written, words):
    """The line at fault is named at the field of further specs, also where the same solver is ticked."""
    page.goto(f"{site}/comparisons/new?source=generator&solver=savings&g:routing/uniform:size=20")
    page.get_by_text("The same solver with other parameters").click()
    page.get_by_label("Further specs").fill(written)
    page.get_by_role("button", name="Compare").click()
    page.wait_for_selector("#problem")
    said = errors(page)
    assert said.keys() == {"more"} and said["more"].startswith(words)
    field = page.get_by_label("Further specs")
    assert field.is_visible() and field.input_value() == written
    assert field.get_attribute("aria-invalid") == "true" and field.get_attribute("aria-describedby") == "wrong-more"
    assert httpx.get(f"{site}/v1/comparisons").json()["items"] == []


def test_help_belongs_to_its_field(site, store, page):
    """Every text of help describes one field, for those who do not see that it stands beside it."""
    page.goto(f"{site}/comparisons/new")
    helps = page.locator("form .help").evaluate_all("helps => helps.map(help => help.id)")
    described = page.locator("form [aria-describedby]").evaluate_all(
        "fields => fields.flatMap(field => field.getAttribute('aria-describedby').split(' '))"
    )
    assert len(helps) > 20 and "" not in helps
    assert sorted(described) == sorted(helps) == sorted(set(helps))
    assert page.get_by_label("Budget of a run").get_attribute("aria-describedby") == "help-budget"


def test_a_bad_file_is_named(site, store, page):
    """A file that is no instance is refused by its name and line, and nothing is stored."""
    page.goto(f"{site}/comparisons/new?source=upload&solver=nearest")
    bad = {"name": "bad.vrp", "mimeType": "text/plain", "buffer": b"NAME : bad\nTYPE : CVRP\nDIMENSION : x\nEOF\n"}
    page.locator("#files").set_input_files([file("good"), bad])
    page.get_by_role("button", name="Compare").click()
    page.wait_for_selector("#wrong-files")
    assert errors(page)["files"].startswith("bad.vrp")
    assert httpx.get(f"{site}/v1/instances").json()["items"] == []


def test_parameters_become_specs(site, store, page):
    """What differs from a default is written into the solver's spec; a second variant can be written out."""
    page.goto(f"{site}/comparisons/new?source=generator&g:routing/uniform:size=20&count=2")
    page.locator("input[name=solver][value=savings]").check()
    page.locator("[data-solver=savings] summary").click()
    page.locator("[id='s:savings:shape']").fill("1.5")
    page.locator("input[name=solver][value=insertion]").check()
    page.get_by_text("The same solver with other parameters").click()
    page.get_by_label("Further specs").fill("savings:shape=2\n")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url(re.compile(r"/comparisons/2\d{7}-"))
    assert made(site)["definition"]["solvers"] == {
        "insertion": "insertion:kind=regret",
        "savings:shape=1.5": "savings:shape=1.5",
        "savings:shape=2": "savings:shape=2.0",
    }


def test_stored_instances_are_filtered_and_taken(site, store, fill, page):
    """The filter shows those that fit; one is ticked, or all that fit are taken, those ticked before too."""
    fill(store, "old", num_instances=12, solvers=["steady"])
    page.goto(f"{site}/comparisons/new")
    assert page.locator("#stored tbody tr").count() == 12
    page.locator("#stored tbody tr", has_text="uniform").first.locator("input").check()
    page.get_by_label("Name has").fill("clustered")
    page.get_by_role("button", name="Choose").click()
    page.wait_for_selector("text=All that fit the filter (4)")
    assert page.locator("#stored tbody tr").count() == 5 and page.locator("#stored input:checked").count() == 1
    page.get_by_label("All that fit the filter").check()
    page.locator("input[name=solver][value=nearest]").check()
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url(re.compile(r"/comparisons/2\d{7}-"))
    newest = httpx.get(f"{site}/v1/comparisons").json()["items"][0]
    assert newest["num_instances"] == 5


def test_estimate_is_the_same_with_and_without_javascript(site, store, open_context):
    """Runs and machine time are counted by the server as by the script, over the slots of the workers seen."""
    workers.register(store.engine, "w", host="here", needs=["cpu"], slots=4, threads=1, machine={})
    said = []
    for script in (True, False):
        page = open_context(java_script_enabled=script).new_page()
        page.goto(f"{site}/comparisons/new?source=generator&count=25&solver=nearest&solver=pyvrp&seeds=2&budget=90s")
        if not script:
            page.get_by_role("button", name="Estimate").last.click()
        said.append(page.locator("#estimate").inner_text())
    assert (
        said[0]
        == said[1]
        == "100 runs, 2 h 30 min of machine time; about 37 min 30 s with 4 runs at a time, if nothing else waits."
    )


def test_works_without_javascript(site, store, open_context):
    """The form alone makes the comparison."""
    page = open_context(java_script_enabled=False).new_page()
    page.goto(f"{site}/comparisons/new")
    page.get_by_label("Upload files").check()
    page.locator("#files").set_input_files(file("one"))
    page.locator("input[name=solver][value=nearest]").check()
    page.get_by_role("button", name="Compare").click()
    assert page.get_by_role("heading", level=1).inner_text() == made(site)["id"]
    assert made(site)["num_runs"] == 1 and queries.num_queued(store.engine) == 1


@pytest.mark.parametrize("strange", ["²", "9" * 5000, "-1", "1e400", "\x00", "\ud83d", "<b>", "٣"])
def test_strange_values_are_told_and_break_nothing(site, store, strange):
    """Whatever stands in a field, the answer is the form with what is wrong, never an error of the service."""
    fields = ("count", "seeds", "seed", "budget", "memory", "threads", "priority", "kind", "g:routing/uniform:size")
    with httpx.Client(base_url=site) as client:
        page = client.get("/comparisons/new").text
        token = re.search('name="csrf" value="([0-9a-f]+)"', page)[1]
        for field in fields:
            for do in ("estimate", "filter", "submit"):
                body = {
                    "csrf": token,
                    "source": "generator",
                    "solver": "nearest",
                    "do": do,
                    "g:routing/uniform:size": "9",
                }
                sent = {**body, field: strange.encode("utf-8", "replace")}
                answer = client.post("/comparisons/new", data=sent)
                assert answer.status_code in (200, 422) and "<h1>New comparison</h1>" in answer.text, (field, do)
                assert "<b>" not in answer.text
    assert queries.num_queued(store.engine) == 0


def test_form_of_another_site_makes_nothing(site, store):
    """Without the session's token nothing is made."""
    body = {"source": "generator", "solver": "nearest", "g:routing/uniform:size": "20", "do": "submit"}
    assert httpx.post(f"{site}/comparisons/new", data=body).status_code == 403
    assert queries.num_queued(store.engine) == 0


def test_commands_are_not_offered(site, store, page):
    """The solver that runs any command is not on the form, and is refused where it is written out."""
    page.goto(f"{site}/comparisons/new?source=generator&g:routing/uniform:size=20")
    assert page.locator("input[value=exec]").count() == 0
    page.get_by_text("The same solver with other parameters").click()
    page.get_by_label("Further specs").fill("exec:command=true")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_selector("#wrong-more")
    assert "not offered over HTTP" in errors(page)["more"]


HOSTILE = "<img src=x onerror=alert(1)>\"'</script><script>alert(2)</script>{{7*7}}"


def test_names_of_instances_are_no_markup(site, store, fill, routing_instances, page):
    """A name that looks like markup is shown as it is, among those to choose from and as one that was chosen."""
    (made,) = routing_instances(1)
    fill(store, "old", instances=[load({**dump(made), "name": HOSTILE})], solvers=["steady"])
    page.goto(f"{site}/comparisons/new")
    assert page.locator("#stored tbody th").all_inner_texts() == [HOSTILE]
    page.get_by_label(HOSTILE).check()
    page.get_by_label("Name has").fill("another")
    page.get_by_role("button", name="Choose").click()
    page.wait_for_selector("#stored input:checked")
    assert page.locator("#stored tbody th").all_inner_texts() == [HOSTILE]
    assert page.locator("main img, main script").count() == 0


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_accessible(site, store, fill, open_context, axe, look):
    """No serious or critical violation, with everything folded out and with errors shown; not wider than a phone."""
    fill(store, "old", solvers=["steady"])
    page = open_context(look, expected="status of 422").new_page()
    page.goto(f"{site}/comparisons/new")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_selector("#problem")
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert axe(page) == []
    for source in ("Upload files", "Let some be made"):
        page.get_by_label(source).check()
        assert axe(page) == [], source
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("a|b or none", {"kind": "select", "choices": ["a", "b", "none"]}),
        ("bool", {"kind": "select", "choices": ["true", "false"]}),
        ("int or none", {"kind": "number", "step": "1"}),
        ("float", {"kind": "number", "step": "any"}),
        ("str", {"kind": "text"}),
    ],
)
def test_parameters_are_asked_for_by_type(kind, asked):
    """Choices by a list, numbers by a number, the rest by text."""
    assert control({"type": kind}) == asked
