"""What is computed of a comparison: statistics, figures and rows, once if its runs have all ended, else anew."""

import functools
import importlib.metadata
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from services.analysis.metrics import run_rows
from services.analysis.overview import Overview, overviews
from services.analysis.sentences import other_problems, who_leads_when
from services.analysis.solved import solved_by_size, solved_over_time
from services.analysis.statistics import gap_over_time, leader_by_time, performance_profile
from services.export import json_text
from services.records import Results
from services.store import analyses, queries
from services.store.store import Store

KEPT_ROWS = 10_000
FIGURES_SECONDS = 5.0
"""How long the figures of a comparison under way are kept, although runs have ended since."""
DONE = ("finished", "cancelled")
"""States of a comparison whose runs have all ended."""


def revision(document: dict[str, Any]) -> str:
    """What was computed holds as long as this is the same; ``document`` is that of the comparison's state."""
    return f"{document['revision']}-{importlib.metadata.version('versus')}"


def statistics(store: Store, document: dict[str, Any]) -> bytes:
    """What a comparison says of each of its problems, as JSON: conclusion, ranking, pairs, curves."""
    said = _computed(store, document, "statistics", _statistics)
    head = {name: document[name] for name in ("state", "revision")} | {"comparison": document["id"]}
    # Spliced: what is kept need not be decoded to be sent.
    return json.dumps(head)[:-1].encode() + b", " + said.removeprefix(b"{")


def figures(store: Store, document: dict[str, Any]) -> dict[str, list[str]]:
    """Names of the figures of each problem."""
    names: dict[str, list[str]] = json.loads(_computed(store, document, "figures", _figures))
    return names


def figure(store: Store, document: dict[str, Any], name: str) -> bytes | None:
    """A figure as Plotly's JSON; None if there is none of that name."""
    if not any(name in names for names in figures(store, document).values()):
        return None
    return _computed(store, document, f"figure:{name}", _figures)


def rows(store: Store, document: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """The exported rows of the runs that have ended, some at a time."""
    if document["num_runs"] <= KEPT_ROWS:
        yield json.loads(_computed(store, document, "rows", _rows))
    else:
        yield from map(run_rows, queries.results_in_parts(store.engine, document["id"]))


def _computed(store: Store, document: dict[str, Any], kind: str, make: Callable[[Results], dict[str, bytes]]) -> bytes:
    name, done = document["id"], document["state"] in DONE
    kept = analyses.kept(store.engine, name, kind, revision(document)) if done else None
    if kept is not None:
        return kept
    # Figures are asked for one by one, while runs go on ending: those of a while are made together.
    of = f"{time.monotonic() // FIGURES_SECONDS}" if make is _figures and not done else document["revision"]
    made = _made(store, make, name, of)
    if done:
        analyses.keep(store.engine, name, revision(document), made)
    return made[kind]


@functools.lru_cache(maxsize=8)
def _made(store: Store, make: Callable[[Results], dict[str, bytes]], name: str, _of: str) -> dict[str, bytes]:
    """What was made last of comparisons under way: figures are asked for one by one."""
    try:
        return make(store.results(name))
    except KeyError:
        # Runs that are being read were deleted: by a rerun, or with the comparison, which then is found missing.
        return make(store.results(name))


def _rows(results: Results) -> dict[str, bytes]:
    return {"rows": json.dumps(run_rows(results), allow_nan=False).encode()}


def _statistics(results: Results) -> dict[str, bytes]:
    from services.report import content

    said = {
        "problems": {problem: _of_problem(part) for problem, part in overviews(results).items()},
        "notes": other_problems(results),
        "endings": [{**vars(ending), "statuses": dict(ending.statuses)} for ending in content.endings(results)],
        "failures": [asdict(failure) for failure in content.failures(results)],
        "versions": content.versions(results),
        "machines": sorted({run.machine for run in results.runs if run.machine}),
    }
    return {"statistics": json_text(said).encode()}


def _of_problem(part: Overview) -> dict[str, Any]:
    from services.report.content import reference_sources

    results = part.results
    said = {
        "solved_or_not": part.solved_or_not,
        "solvers": list(results.comparison.solvers),
        "num_instances": len(results.instances),
        "sources": reference_sources(results),
        **part.document(),
    }
    if not part.ranking:
        return said
    if part.solved_or_not:
        curves: dict[str, list[Any]] = {
            "solved_over_time": solved_over_time(results), "solved_by_size": solved_by_size(results)
        }  # fmt: skip
    else:
        curves = {"gap_over_time": gap_over_time(results), "performance_profile": performance_profile(results)}
    leads = leader_by_time(results, paired=part.pairs)
    curves["leads"] = leads
    rows = {name: [asdict(row) for row in rows] for name, rows in curves.items()}
    if len(part.ranking) > 1:
        said["over_time"] = who_leads_when(leads, results.comparison.budget)
    return {**said, **rows}


def _figures(results: Results) -> dict[str, bytes]:
    from services.report.builder import figures_of
    from services.report.content import median_costs

    labels = list(results.comparison.solvers)
    parts = overviews(results)
    names: dict[str, list[str]] = {}
    made: dict[str, bytes] = {}
    for problem, part in parts.items():
        prefix = f"{problem}-" if len(parts) > 1 else ""
        drawn = figures_of(part, median_costs(part.results), labels)
        names[problem] = [f"{prefix}{name}" for name in drawn]
        made |= {f"figure:{prefix}{name}": figure.to_json().encode() for name, figure in drawn.items()}
    return {**made, "figures": json.dumps(names).encode()}
