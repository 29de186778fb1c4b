"""What the runner costs a solver: the library driven by hand against the same settings through the runner.

    .venv/bin/python benchmarks/adapter_loss.py [--seconds 1] [--seeds 5] [FILE ...]

Both sides get the same instance, seed, core and seconds, counted from the decoded instance by hand and from the go
(decoding included) in the runner, and alternate. Printed is the mean ratio of the costs, runner to by hand, with its
95 % t-interval over the pairs; the exit code is 1 if an upper limit is above --limit. Run it on a quiet machine.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from scipy import stats

from instances.files import read_paths
from instances.problems import problem_of
from instances.routing.document import load
from instances.routing.instance import RoutingInstance
from services.runner.machine import core_slots, describe_machine
from services.runner.slot import Slot, Task, encode

SHARED_X = Path(__file__).resolve().parents[2] / "shared" / "data" / "cvrp" / "X"
SOLVERS = ("ortools", "pyvrp")


def main() -> int:
    """Alternate both sides over all instances and seeds; print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, default=[SHARED_X], help="CVRP instances")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=1.01, help="largest upper limit of the mean ratio")
    options = parser.parse_args()
    instances = [entry.instance for entry in read_paths(options.files)]
    print("; ".join(f"{name} {value}" for name, value in describe_machine().items()))
    print("| solver | pairs | mean cost ratio, runner to by hand | 95 % interval |\n| --- | --- | --- | --- |")
    failed = False
    (cores,) = core_slots(1, 1)
    with Slot(cores, 1, 4 * 1024**3) as slot, ByHand(cores) as by_hand:
        for solver in SOLVERS:
            ratios = []
            for seed in range(1, options.seeds + 1):
                for number, instance in enumerate(instances):
                    sides = [
                        lambda: _through_runner(slot, solver, instance, seed, options.seconds),  # noqa: B023
                        lambda: by_hand.cost(solver, instance, seed, options.seconds),  # noqa: B023
                    ]
                    first = (number + seed) % 2
                    costs = {first: sides[first](), 1 - first: sides[1 - first]()}
                    ratios.append(costs[0] / costs[1])
                print(f"{solver}: seed {seed} of {options.seeds}", file=sys.stderr)
            mean, half = np.mean(ratios), stats.t.ppf(0.975, len(ratios) - 1) * stats.sem(ratios)
            failed |= mean + half > options.limit
            print(f"| {solver} | {len(ratios)} | {mean:.4f} | [{mean - half:.4f}, {mean + half:.4f}] |", flush=True)
    return int(failed)


def _through_runner(slot: Slot, solver: str, instance: RoutingInstance, seed: int, seconds: float) -> int:
    task = Task("", encode(problem_of(instance), instance), instance.digest, solver, solver, 0, seed, seconds)
    cost = slot.run(task).cost
    if cost is None:
        raise RuntimeError(f"{solver} found nothing on {instance.name}")
    return cost


class ByHand:
    """A process that drives the libraries as their own documentation does, pinned like a solver child."""

    def __init__(self, cores: frozenset[int]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "serve-by-hand"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        os.sched_setaffinity(self._process.pid, cores)

    def __enter__(self) -> "ByHand":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def cost(self, solver: str, instance: RoutingInstance, seed: int, seconds: float) -> int:
        """The library's own final cost."""
        document = problem_of(instance).dump(instance)
        request = {"solver": solver, "instance": document, "seed": seed, "seconds": seconds}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def serve_by_hand() -> None:
    """Answer requests on standard input with costs on standard output."""
    solve = {"ortools": ortools_by_hand, "pyvrp": pyvrp_by_hand}
    for line in sys.stdin:
        request = json.loads(line)
        instance = load(request["instance"])
        print(solve[request["solver"]](instance, request["seed"], request["seconds"]), flush=True)


def ortools_by_hand(instance: RoutingInstance, seed: int, seconds: float) -> int:
    """OR-Tools' CVRP example, with the settings that versus has as defaults and the customers in its order."""
    from ortools.constraint_solver import pywrapcp, routing_enums_pb2, routing_ils_pb2

    started = time.perf_counter()
    assert instance.demand is not None
    assert instance.capacity is not None
    nodes = np.concatenate(([instance.depot], np.random.default_rng(seed).permutation(instance.customers)))
    num_vehicles = math.ceil(1.1 * instance.demand.sum() / instance.capacity) + 1
    manager = pywrapcp.RoutingIndexManager(len(nodes), num_vehicles, 0)
    routing = pywrapcp.RoutingModel(manager)
    distances = instance.distances[np.ix_(nodes, nodes)]
    routing.SetArcCostEvaluatorOfAllVehicles(routing.RegisterTransitMatrix(distances.tolist()))
    demand = routing.RegisterUnaryTransitVector(instance.demand[nodes].tolist())
    routing.AddDimension(demand, 0, instance.capacity, True, "load")
    parameters = pywrapcp.DefaultRoutingSearchParameters()
    parameters.first_solution_strategy = routing_enums_pb2.FirstSolutionStrategy.PARALLEL_SAVINGS
    parameters.local_search_metaheuristic = routing_enums_pb2.LocalSearchMetaheuristic.GREEDY_DESCENT
    parameters.use_iterated_local_search = True
    settings = parameters.iterated_local_search_parameters
    settings.improve_perturbed_solution = False
    ruin = settings.ruin_recreate_parameters
    strings = ruin.ruin_strategies.add().sisr
    strings.max_removed_sequence_size, strings.avg_num_removed_visits, strings.bypass_factor = 10, 20, 0.01
    ruin.ruin_strategies.add().random_walk.num_removed_visits = 20
    ruin.ruin_composition_strategy = routing_ils_pb2.RuinCompositionStrategy.RUN_ONE_RANDOMLY
    annealing = settings.reference_solution_acceptance_strategy.simulated_annealing
    annealing.cooling_schedule_strategy = routing_ils_pb2.CoolingScheduleStrategy.EXPONENTIAL
    annealing.automatic_temperatures = True
    parameters.time_limit.FromMilliseconds(int(1000 * (seconds - (time.perf_counter() - started))))
    routing.CloseModelWithParameters(parameters)
    return int(routing.SolveWithIteratedLocalSearch(parameters).ObjectiveValue())


def pyvrp_by_hand(instance: RoutingInstance, seed: int, seconds: float) -> int:
    """PyVRP's own solve function on its own data."""
    import pyvrp
    from pyvrp.stop import MaxRuntime

    started = time.perf_counter()
    assert instance.demand is not None
    assert instance.coordinates is not None
    assert instance.capacity is not None
    distances = instance.distances
    data = pyvrp.ProblemData(
        [pyvrp.Location(x, y) for x, y in instance.coordinates.tolist()],
        [pyvrp.Client(c, delivery=[int(instance.demand[c])]) for c in instance.customers.tolist()],
        [pyvrp.Depot(instance.depot)],
        [pyvrp.VehicleType(instance.num_customers, capacity=[instance.capacity])],
        [distances],
        [np.zeros_like(distances)],
    )
    # PyVRP's clock starts after its initial local search; here it runs from the start.
    end = started + seconds

    class Deadline(MaxRuntime):
        def __call__(self, best_cost: float) -> bool:
            return time.perf_counter() >= end

    result = pyvrp.solve(data, Deadline(seconds), seed=seed, collect_stats=False, display=False)
    return int(result.cost())


if __name__ == "__main__":
    if sys.argv[1:] == ["serve-by-hand"]:
        serve_by_hand()
    else:
        sys.exit(main())
