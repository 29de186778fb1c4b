"""The HTML report: complete, self-contained, safe against hostile names, and quick for many runs."""

import base64
import hashlib
import html
import json
import random
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs

from instances.problem import BestKnown, Description
from services.analysis.metrics import GAP_CAP
from services.analysis.statistics import rank
from services.records import Comparison, Incumbent, Results, Run, Status
from services.report import content, render_report

SOLVERS = {"ortools": "ortools:metaheuristic=guided", "pyvrp": "pyvrp:iterations=none", "savings": "savings"}
QUALITY = {"ortools": 1.03, "pyvrp": 1.005, "savings": 1.07}


def make_results(
    num_instances: int = 12, num_seeds: int = 3, solvers: dict[str, str] = SOLVERS, trace_length: int = 6
) -> Results:
    """Runs on random instances of three families: traces fall towards a quality of each solver's own."""
    rng = random.Random(7)
    comparison = Comparison("spring", solvers, budget=10.0, num_seeds=num_seeds)
    instances, documents, solutions, runs = {}, {}, {}, []
    for i in range(num_instances):
        family, size = ("X-n", "kool", "road")[i % 3], 20 + 15 * (i % 9)
        digest, cost = f"{i:064x}", 10_000 + 700 * size
        known = BestKnown(cost, i % 2 == 0, "CVRPLIB", "2026-11") if i % 3 else None
        instances[digest] = Description(
            "routing",
            f"{family}{i}",
            digest,
            size,
            "customers",
            ("capacity",),
            0,
            {"rounding": "nearest"},
            known,
        )
        documents[digest] = {
            "problem": "routing",
            "version": 1,
            "rounding": "nearest",
            "coordinates": [[rng.randrange(1000), rng.randrange(1000)] for _ in range(size + 1)],
        }
        routes = [list(range(start, min(start + 7, size + 1))) for start in range(1, size + 1, 7)]
        for label in solvers:
            level = QUALITY.get(label, 1.1) * rng.gauss(1.005, 0.004)
            for repetition in range(num_seeds):
                key = comparison.run_key(digest, label, repetition)
                costs = [round(cost * level * (1 + 0.4 / 3**step)) for step in range(trace_length)]
                trace = tuple(Incumbent(0.01 * 2**step, value) for step, value in enumerate(costs))
                solutions[key] = routes
                run = Run(
                    key, digest, label, solvers[label], repetition, comparison.run_seed(digest, repetition),
                    Status.FINISHED, trace=trace, setup_seconds=0.2, wall_seconds=10.0, cpu_seconds=9.9,
                    peak_bytes=90_000_000, versions={label: "1.2.3"}, machine="box",
                )  # fmt: skip
                runs.append(run)
    environment = {"processor": "a CPU", "command": "versus compare data --solver ortools"}
    return Results(comparison, instances, tuple(runs), environment, documents, solutions)


def with_runs(results: Results, change: dict[int, dict[str, object]]) -> Results:
    """The results with fields of some runs, by place, replaced."""
    runs = tuple(replace(run, **change.get(i, {})) for i, run in enumerate(results.runs))  # type: ignore[arg-type]
    return replace(results, runs=runs)


class Page(HTMLParser):
    """What a browser would see: elements with attributes, and the text outside scripts and styles."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script":
            self.scripts.append(data)
        elif self.lasttag != "style":
            self.text += data


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The report of the plain comparison."""
    path = tmp_path_factory.mktemp("plain") / "report.html"
    render_report(make_results(), path)
    return Page(path)


def test_report_says_all_it_must(page: Page) -> None:
    """Solvers with specs and versions, the budget, the instances and the environment are there."""
    for words in (
        *SOLVERS.values(),
        "ortools 1.2.3",
        "10 s",
        "4 GiB",
        "a CPU",
        "versus compare data",
        "X-n0",
        "road11",
    ):
        assert words in page.text
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert {"summary", "ranking", "time", "pairs", "where", "instances", "routes", "failures"} <= ids


def test_report_says_what_gaps_are_to(page: Page) -> None:
    """The table of instances says for each which reference it has, the summary by how many and from when."""
    assert page.text.count("best of comparison") == 4
    assert "CVRPLIB, 2026-11 (proven optimal)" in page.text


def test_what_has_no_reference_cost_is_counted(tmp_path: Path) -> None:
    """The list of what gaps are to and the sentence count all instances, those that nobody answered apart."""
    nobody = {i: {"trace": (), "status": Status.NO_SOLUTION} for i in range(9)}
    results = with_runs(make_results(), nobody)
    assert not any(run.answered for run in results.runs if run.instance == f"{0:064x}")
    sources = dict(content.reference_sources(results))
    assert sources["no cost to compare with: nobody answered"] == 1
    assert sources["the best cost found in this comparison (no best-known value)"] == 3
    assert sum(sources.values()) == 12
    render_report(results, tmp_path / "report.html")
    text = " ".join(Page(tmp_path / "report.html").text.split())
    assert "and the best cost of this comparison on 3 instances; nobody answered 1 instance." in text
    assert "1 instance: no cost to compare with: nobody answered." in text


def test_figures_without_a_table_tell_their_numbers(page: Page) -> None:
    """What a figure shows stands in its label, with the main numbers, where no table beside it has them."""
    labels = {a["data-figure"]: str(a["aria-label"]) for _, a in page.elements if a.get("class") == "plot"}
    for name in ("time", "profile", "size-0", "family"):
        assert "pyvrp" in labels[f"figure-{name}"] and re.search(r"\d %", labels[f"figure-{name}"])
    assert labels["figure-ranking"].endswith("the numbers are in the table below")


def test_pairs_with_a_reference_solver_are_not_every_pair(page: Page, tmp_path: Path) -> None:
    """The section says which pairs it holds."""
    assert "Every pair on the instances both answered." in page.text
    results = make_results()
    render_report(replace(results, comparison=replace(results.comparison, reference="pyvrp")), tmp_path / "report.html")
    text = Page(tmp_path / "report.html").text
    assert "Every solver against pyvrp on the instances both answered." in text and "Every pair" not in text


def test_report_needs_nothing_from_outside(page: Page) -> None:
    """No element loads anything, and Plotly is there once."""
    for tag, attributes in page.elements:
        assert tag not in {"link", "img", "iframe", "object", "embed"}
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    assert page.source.count("* plotly.js v") == 1
    assert "default-src 'none'" in page.source


def test_policy_knows_the_scripts_of_the_page(page: Page) -> None:
    """The hashes in the page's policy are those of its two scripts, byte for byte as a browser sees them."""
    scripts = re.findall(r"<script>(.*?)</script>", page.source, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert len(hashes) == 2
    assert all(f"'sha256-{digest}'" in html.unescape(page.source) for digest in hashes)


def test_figures_are_valid_json(page: Page) -> None:
    """Each plot has its figure, with data and a layout, and a height reserved for it."""
    plots = [attributes for tag, attributes in page.elements if attributes.get("class") == "plot"]
    assert len(plots) >= 6 + 12
    figures = [json.loads(data) for data in page.scripts if data.startswith('{"data"')]
    assert len(figures) == len(plots)
    assert all(figure["data"] and figure["layout"]["height"] for figure in figures)


def with_factoring(results: Results, *solvers: str) -> Results:
    """The results with six numbers beside, which the solvers factor in order; the others decline each other's."""
    known = BestKnown(0, True, "every integer has a complete factorisation", "1801")
    comparison = results.comparison
    problems = {**dict.fromkeys(comparison.solvers, "routing"), **dict.fromkeys(solvers, "factoring")}
    labels = {**comparison.solvers, **{solver: solver for solver in solvers}}
    numbers = {
        f"n{i}": Description(
            "factoring", f"n{i}", f"n{i}", 16 + 8 * i, "bits", (), 0, {"family": ("semiprime", "smooth")[i % 2]}, known
        )
        for i in range(6)
    }
    instances = {**results.instances, **numbers}
    runs, solutions = list(results.runs), dict(results.solutions)
    for digest, instance in instances.items():
        for label in labels:
            run = Run(f"{label}/{digest}", digest, label, labels[label], 0, 1, Status.FINISHED, machine="box")
            if problems[label] != instance.problem:
                reason = f"solves {problems[label]}, not {instance.problem}"
                runs.append(replace(run, status=Status.DECLINED, reason=reason))
            elif label in solvers and digest == "n5":
                runs.append(replace(run, status=Status.KILLED, trace=(Incumbent(0.1, 40),), partial=True))
            elif label in solvers:
                runs.append(replace(run, trace=(Incumbent(0.1 * (1 + list(solvers).index(label)), 0),)))
                solutions[run.key] = ["3", "3", "7"]
    comparison = replace(comparison, solvers=labels, problems=problems)
    return replace(results, comparison=comparison, instances=instances, runs=tuple(runs), solutions=solutions)


@pytest.fixture(scope="module")
def mixed() -> Results:
    """Routing and factoring in one comparison."""
    return with_factoring(make_results(), "sieve", "trial")


def test_problems_have_their_own_sections(mixed: Results, tmp_path: Path) -> None:
    """What averages is there once for each problem, no id twice; endings and environment are there once."""
    render_report(mixed, tmp_path / "report.html")
    page = Page(tmp_path / "report.html")
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for section in ("ranking", "time", "pairs", "instances"):
        assert {f"routing-{section}", f"factoring-{section}"} <= set(ids)
    assert {"routing", "factoring", "routing-routes", "factoring-sizes", "failures", "environment"} <= set(ids)
    assert not {"factoring-routes", "routing-sizes"} & set(ids)
    links = {attributes["href"] for tag, attributes in page.elements if tag == "a"}
    assert links == {"#summary", "#routing", "#factoring", "#failures", "#environment"}
    assert "sieve solved 5 of 6 instances, as many as trial, and took the least of the budget" in page.text
    assert "sieve and trial solve factoring; they declined the 12 routing instances." in page.text
    assert "3^2 * 7" in page.text
    figures = [attributes["data-figure"] for _, attributes in page.elements if attributes.get("class") == "plot"]
    assert set(figures) <= set(ids)
    assert not re.search(r"\bnan\b", page.text)


def test_one_problem_of_numbers_has_plain_ids(mixed: Results, tmp_path: Path) -> None:
    """Alone, factoring has the sections that any comparison has, and a link to each."""
    render_report(mixed.by_problem()["factoring"], tmp_path / "report.html")
    page = Page(tmp_path / "report.html")
    ids = {attributes.get("id") for _, attributes in page.elements}
    links = {attributes["href"] for tag, attributes in page.elements if tag == "a"}
    assert {"ranking", "sizes", "time", "pairs", "instances"} <= ids
    assert {(link or "")[1:] for link in links} <= ids


def test_declines_of_another_problem_are_no_failures(mixed: Results) -> None:
    """What a solver does not solve by nature is neither among the failures nor among its runs."""
    (killed, other) = content.failures(mixed)
    assert {killed.solver, other.solver} == {"sieve", "trial"}
    assert killed.reason == "a part of the answer was left open"
    assert {ending.solver: ending.num_runs for ending in content.endings(mixed)} == {
        "ortools": 36, "pyvrp": 36, "savings": 36, "sieve": 6, "trial": 6
    }  # fmt: skip


def test_solved_instances_show_seconds_and_factors(mixed: Results) -> None:
    """The quickest of a row is marked; what is solved in part says so and has no answer."""
    results = mixed.by_problem()["factoring"]
    rows = content.instance_rows(results, content.median_costs(results))
    assert [cell.words for cell in rows[0].cells] == ["0.1", "0.2"]
    assert [cell.best for cell in rows[0].cells] == [True, False]
    assert rows[0].answer == "3^2 * 7"
    assert [cell.words for cell in rows[5].cells] == ["partial", "partial"]
    assert (rows[5].answer, rows[5].found) == ("", "none")
    assert content.solved_percents(content.median_costs(results))["sieve"] == {
        "n0": 100, "n1": 100, "n2": 100, "n3": 100, "n4": 100, "n5": 0
    }  # fmt: skip


def test_a_problem_without_a_solver_is_said(tmp_path: Path) -> None:
    """Instances that no solver of the comparison takes are named in words, beside the others and alone."""
    results = with_factoring(make_results())
    assert results.comparison.problems.keys() == SOLVERS.keys()
    alone = {digest: known for digest, known in results.instances.items() if known.problem == "factoring"}
    only = replace(results, instances=alone, runs=tuple(run for run in results.runs if run.instance in alone))
    for shown in (results, only):
        render_report(shown, tmp_path / "report.html")
        text = Page(tmp_path / "report.html").text
        assert "No solver of this comparison solves factoring: nothing is said of its 6 instances." in text
        assert "ortools, pyvrp and savings solve routing; they declined the 6 factoring instances." in text


HOSTILE = """</script><script>alert(1)</script><img src=x onerror=alert(1)>"'{{ 7*7 }}"""


def drawn(data: str) -> str:
    """A figure without its text alternative, which is an attribute's value and never drawn."""
    figure = json.loads(data)
    figure["layout"].pop("meta", None)
    return json.dumps(figure)


def test_hostile_names_inject_nothing(tmp_path: Path) -> None:
    """Labels, specs, names, reasons, logs and versions show as text; no element comes of them."""
    results = make_results(num_instances=7, solvers={HOSTILE: HOSTILE, "pyvrp": "pyvrp"})
    hostile = {
        "features": (HOSTILE,),
        "size_unit": HOSTILE,
        "best_known": BestKnown(1, True, HOSTILE, HOSTILE),
    }
    instances = {
        digest: replace(description, name=f"{HOSTILE}{i}", properties={"family": f"{HOSTILE}{i % 2}"}, **hostile)
        for i, (digest, description) in enumerate(results.instances.items())
    }
    comparison = replace(results.comparison, name=HOSTILE, reference="pyvrp")
    broken = {
        "status": Status.CRASHED,
        "reason": HOSTILE,
        "log": HOSTILE + "\x1b[31mred\x00",
        "versions": {"a": HOSTILE},
    }
    results = with_runs(
        replace(results, instances=instances, comparison=comparison, environment={"command": HOSTILE}),
        {i: {**broken, "trace": (), "machine": HOSTILE} for i in range(3)},
    )
    render_report(results, tmp_path / "report.html")
    page = Page(tmp_path / "report.html")
    assert HOSTILE in page.text
    assert "\x1b" not in page.text
    assert [tag for tag, attributes in page.elements if tag == "img" or "onerror" in attributes] == []
    scripts = [attributes for tag, attributes in page.elements if tag == "script"]
    assert len([attributes for attributes in scripts if "type" not in attributes]) == 2
    figures = [data for data in page.scripts if data.startswith('{"data"')]
    assert figures
    assert not any("<" in data or "<img" in drawn(data) for data in figures)


def test_failures_say_why(tmp_path: Path) -> None:
    """What went wrong is grouped, with reason and the end of the log; the cell shows the status."""
    log = "\n".join(f"line {i}" for i in range(100))
    crash = {"status": Status.CRASHED, "reason": "signal 11", "trace": (), "log": log}
    results = with_runs(make_results(), dict.fromkeys(range(3), crash))
    (failure,) = content.failures(results)
    assert (failure.solver, failure.num_runs, failure.reason) == ("ortools", 3, "signal 11")
    assert failure.log.startswith("line 75") and failure.log.endswith("line 99")
    render_report(results, tmp_path / "report.html")
    text = Page(tmp_path / "report.html").text
    assert "signal 11" in text and "line 99" in text
    assert content.instance_rows(results, content.median_costs(results))[0].cells[0].words == "crashed"


def test_killed_run_with_an_answer_is_no_failure() -> None:
    """A run killed at its limit keeps its answer: it counts among the endings, not among what failed."""
    results = with_runs(make_results(), {0: {"status": Status.KILLED}, 1: {"status": Status.KILLED, "trace": ()}})
    assert [failure.num_runs for failure in content.failures(results)] == [1]
    assert content.endings(results)[0].statuses[Status.KILLED] == 2


def test_disturbed_runs_are_counted(tmp_path: Path) -> None:
    """The report and its table of endings count disturbed runs."""
    results = with_runs(make_results(), {0: {"disturbed": True}, 5: {"disturbed": True}})
    assert sum(ending.num_disturbed for ending in content.endings(results)) == 2
    render_report(results, tmp_path / "report.html")
    assert re.search(r"Disturbed runs\s*2\b", Page(tmp_path / "report.html").text)


def test_better_solution_is_flagged_not_adopted() -> None:
    """A cost below the best-known one is flagged; gaps stay those to the best-known, so it is negative."""
    results = make_results()
    digest = list(results.instances)[1]
    known = results.instances[digest].best_known
    assert known is not None and not known.proven_optimal
    place = next(i for i, run in enumerate(results.runs) if run.instance == digest)
    better = {"trace": (Incumbent(1.0, known.cost - 5),)}
    results = with_runs(results, {place + seed: better for seed in range(3)})
    row = content.instance_rows(results, content.median_costs(results))[1]
    assert row.improvement == "better than the best-known" and not row.suspicious
    assert row.cells[0].value == pytest.approx(-500 / known.cost)
    assert row.cells[0].best


def test_cost_below_a_proven_optimum_is_suspicious() -> None:
    """A cost below a proven optimum is no discovery: the report says that something is wrong."""
    results = make_results()
    digest = list(results.instances)[2]
    known = results.instances[digest].best_known
    assert known is not None and known.proven_optimal
    place = next(i for i, run in enumerate(results.runs) if run.instance == digest)
    results = with_runs(results, {place: {"trace": (Incumbent(1.0, known.cost - 5),)}})
    assert content.instance_rows(results, content.median_costs(results))[2].suspicious


def test_gaps_agree_with_the_ranking() -> None:
    """The mean of a solver's gaps by instance, the unanswered at the cap, is the ranking's."""
    results = with_runs(make_results(), {i: {"trace": (), "status": Status.NO_SOLUTION} for i in range(3)})
    gaps = content.percent_gaps(results, content.median_costs(results))
    for row in rank(results):
        values = [min(gaps[row.solver].get(digest, GAP_CAP), GAP_CAP) for digest in results.instances]
        assert row.gap.value == pytest.approx(sum(values) / len(values))


def test_maps_spread_over_families_and_sizes() -> None:
    """Twelve of many instances: every family, and its smallest and largest, in order of size."""
    chosen = content.chosen_for_maps(results := make_results(num_instances=90, num_seeds=1))
    drawn = [results.instances[run.instance] for run in chosen]
    assert len(drawn) == content.MAX_MAPS
    assert [d.size for d in drawn] == sorted(d.size for d in drawn)
    for family in ("X", "kool", "road"):
        of_family = [d.size for d in results.instances.values() if d.name.startswith(family)]
        sizes = [d.size for d in drawn if d.name.startswith(family)]
        assert len(sizes) == 4 and (min(sizes), max(sizes)) == (min(of_family), max(of_family))


def test_maps_draw_the_best_run() -> None:
    """The run that is drawn has the lowest cost of its instance, the earlier one of equals."""
    results = make_results(num_instances=3)
    for run in content.chosen_for_maps(results):
        costs = [(other.cost, other.trace[-1].seconds) for other in results.runs if other.instance == run.instance]
        assert (run.cost, run.trace[-1].seconds) == min(costs)


def test_only_drawn_documents_are_read(tmp_path: Path) -> None:
    """Documents and solutions are looked up for the maps only: a store reads each from disk."""

    class Counted(dict[str, object]):
        num_reads = 0

        def __getitem__(self, key: str) -> object:
            self.num_reads += 1
            return super().__getitem__(key)

        def __contains__(self, key: object) -> bool:
            self.num_reads += 1
            return super().__contains__(key)

    results = make_results(num_instances=40, num_seeds=1)
    documents, solutions = Counted(results.documents), Counted(results.solutions)
    render_report(replace(results, documents=documents, solutions=solutions), tmp_path / "report.html")
    assert documents.num_reads == solutions.num_reads == content.MAX_MAPS


@pytest.mark.parametrize(
    "results",
    [
        make_results(num_instances=1, num_seeds=1, solvers={"pyvrp": "pyvrp"}),
        make_results(num_instances=2, num_seeds=1),
        replace(make_results(), runs=()),
        replace(make_results(), documents={}, solutions={}),
        with_runs(make_results(num_instances=7), {i: {"trace": (), "status": Status.CRASHED} for i in range(999)}),
        with_runs(make_results(num_instances=7), {i: {"status": Status.CANCELLED} for i in range(11)}),
    ],
    ids=["one run", "two instances", "no runs", "no maps", "all crashed", "cancelled"],
)
def test_thin_results_make_a_report(tmp_path: Path, results: Results) -> None:
    """A comparison with hardly anything in it still has a report, which shows no nan."""
    render_report(results, tmp_path / "report.html")
    assert not re.search(r"\bnan\b", Page(tmp_path / "report.html").text)


def test_ten_thousand_runs(tmp_path: Path) -> None:
    """A report of 10,000 runs takes less than 10 s of a core and at most 3 MB beside Plotly's library."""
    results = make_results(num_instances=1000, num_seeds=2, solvers={f"solver{i}": "savings" for i in range(5)})
    assert len(results.runs) == 10_000
    start = time.process_time()
    render_report(results, tmp_path / "report.html")
    assert time.process_time() - start < 10
    assert (tmp_path / "report.html").stat().st_size - len(get_plotlyjs()) < 3_000_000
