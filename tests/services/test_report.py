"""The HTML report: complete, self-contained, safe against hostile names, and quick for many runs."""

import math
import random
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from instances.problem import BestKnown, Description
from services.metrics import GAP_CAP
from services.records import Comparison, Incumbent, Results, Run, Status
from services.report import content, render_report
from services.statistics import rank

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
            "routing", f"{family}{i}", digest, size, "customers", ("capacity",), 0, {"rounding": "nearest"}, known
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
                runs.append(
                    Run(
                        key, digest, label, solvers[label], repetition, comparison.run_seed(digest, repetition),
                        Status.FINISHED, trace=trace, num_reported=9, setup_seconds=0.2, wall_seconds=10.0,
                        cpu_seconds=9.9, peak_bytes=90_000_000, versions={label: "1.2.3"}, machine="box",
                    )  # fmt: skip
                )
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
