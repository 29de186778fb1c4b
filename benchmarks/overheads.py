"""What versus itself costs: start of the command, start of a run, the referee, a reader, a report.

    .venv/bin/python benchmarks/overheads.py

Each figure has its limit; the exit code is 1 if one is above it. Run it on a quiet machine.
"""

import argparse
import dataclasses
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from instances.files import read_path
from instances.problem import Description
from instances.problems import problem_of
from instances.routing.generators import generate
from instances.routing.referee import verify
from instances.routing.solution import Routes
from services.records import Comparison, Incumbent, Results, Run, Status
from services.report import render_report
from services.runner.machine import core_slots, describe_machine
from services.runner.process import SolverProcess
from services.runner.slot import Slot, Task, encode

PUBLISHED = Path(__file__).resolve().parents[2] / "shared" / "data" / "cvrp" / "X" / "X-n1001-k43.vrp"


def main() -> int:
    """Print a table of measured figures and limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    help_text = "factor on every limit, for machines that are not quiet"
    parser.add_argument("--slack", type=float, default=1.0, help=help_text)
    slack = parser.parse_args().slack
    measurements: list[tuple[str, Callable[[], float | None], float]] = [
        ("versus --help, median of 20 [s]", help_seconds, 0.3),
        (
            "go to first verified incumbent, nearest neighbour, 20 customers, warm, median of 100 [ms]",
            first_incumbent_ms,
            5.0,
        ),
        ("verifying 1,000 customers, median of 200 [ms]", verify_ms, 2.0),
        ("reading X-n1001-k43, median of 20 [ms]", read_ms, 50.0),
        ("report of 10,000 runs [s]", report_seconds, 10.0),
    ]
    print("; ".join(f"{name} {value}" for name, value in describe_machine().items()))
    print("| what | measured | limit |\n| --- | --- | --- |")
    failed = False
    for name, measure, limit in measurements:
        value = measure()
        failed |= value is not None and value > slack * limit
        shown = "not measured: the published instances are absent" if value is None else f"{value:.3g}"
        print(f"| {name} | {shown} | {limit:g} |", flush=True)
    return int(failed)


def _median(function: Callable[[], object], repetitions: int) -> float:
    times = []
    for _ in range(repetitions):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def help_seconds() -> float:
    """Wall time of ``versus --help``, which must import neither torch nor ortools."""
    command = [str(Path(sys.executable).with_name("versus")), "--help"]
    return _median(lambda: subprocess.run(command, check=True, capture_output=True), 20)


def first_incumbent_ms() -> float:
    """From the go to the referee's word on the first incumbent of the nearest-neighbour solver."""
    (instance,) = generate("uniform", size=20, count=1, seed=1)
    problem = problem_of(instance)
    task = Task("", encode(problem, instance), instance.digest, "nearest", "nearest", 0, 1, 5.0)
    begun: list[float] = []
    verified: list[float] = []
    run = SolverProcess.run

    def noted(process: SolverProcess, *arguments: Any) -> Any:
        begun.append(time.perf_counter())
        return run(process, *arguments)

    with Slot(core_slots(1, 1)[0], 1, 1024**3) as slot, mock.patch.object(SolverProcess, "run", noted):
        for _ in range(101):
            slot.run(task, on_incumbent=lambda _: verified.append(time.perf_counter()))
    return statistics.median(1000 * (end - start) for start, end in zip(begun[1:], verified[1:], strict=True))


def verify_ms() -> float:
    """The referee on a feasible solution of an X instance with 1,000 customers."""
    (instance,) = generate("x", size=1000, count=1, seed=1)
    routes: list[list[int]] = [[]]
    load = 0
    for customer in instance.customers.tolist():
        if load + instance.demand[customer] > instance.capacity:
            routes.append([])
            load = 0
        routes[-1].append(customer)
        load += int(instance.demand[customer])
    solution = Routes(tuple(map(tuple, routes)))
    if not verify(instance, solution).feasible:
        raise RuntimeError("the benchmark's own solution is infeasible")
    return 1000 * _median(lambda: verify(instance, solution), 200)


def read_ms() -> float | None:
    """Reading the largest X instance at hand, with the look-up of its best-known cost's convention."""
    if not PUBLISHED.exists():
        return None
    read_path(PUBLISHED)
    return 1000 * _median(lambda: read_path(PUBLISHED), 20)


def report_seconds() -> float:
    """The HTML report of 200 instances x 5 solvers x 10 seeds with 20 incumbents each."""
    rng = np.random.default_rng(1)
    made = generate("uniform", size=20, count=200, seed=1)
    labels = [f"solver-{letter}" for letter in "abcde"]
    comparison = Comparison("overheads", {label: label for label in labels}, 2.0, 10)
    documents = {instance.digest: problem_of(instance).dump(instance) for instance in made}
    descriptions: dict[str, Description] = {
        instance.digest: problem_of(instance).describe(instance) for instance in made
    }
    singles = [[customer] for customer in range(1, 21)]
    runs = []
    for instance in made:
        for label in labels:
            for repetition in range(10):
                costs = 1_000_000 + np.sort(rng.integers(1, 100_000, 20))[::-1]
                seconds = np.sort(rng.uniform(0, 2, 20))
                runs.append(
                    Run(
                        key=f"{instance.digest}{label}{repetition}",
                        instance=instance.digest,
                        solver=label,
                        spec=label,
                        repetition=repetition,
                        seed=repetition,
                        status=Status.FINISHED,
                        trace=tuple(Incumbent(float(s), int(c)) for s, c in zip(seconds, costs, strict=True)),
                    )
                )
    solutions = {run.key: singles for run in runs}
    results = Results(comparison, descriptions, tuple(runs), describe_machine(), documents, solutions)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        render_report(dataclasses.replace(results), Path(folder) / "report.html")
        return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
