"""The pointer solvers: conforming, feasible, anytime, and honest about what they decline."""

import dataclasses
import logging
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from instances.errors import InvalidInput
from instances.routing.generators.catalogue import generate
from instances.routing.generators.kool import make_set
from instances.routing.instance import RoutingInstance
from instances.routing.referee import verify
from instances.routing.rounding import Rounding
from instances.routing.solution import Routes
from solvers.conformance import RecordingSearch, check
from solvers.neural.checkpoint import weights_of, write_checkpoint
from solvers.neural.hybrids import PointerBeam, PointerOrTools, PointerPyVrp
from solvers.neural.pointer import Pointer, PointerConfig
from solvers.neural.pointer_lstm import PointerLSTM, PointerLSTMConfig
from solvers.neural.pointer_solver import PointerLstmSolver, PointerSolver
from solvers.routing.examples import examples
from solvers.routing.iterated_local_search import PyVrp
from solvers.routing.or_tools import OrTools
from solvers.spec import build, canonical

ALL: dict[str, Callable[..., Any]] = {
    "pointer": PointerSolver,
    "pointer+pyvrp": PointerPyVrp,
    "pointer+ortools": PointerOrTools,
    "pointer+beam": PointerBeam,
}


def write_small(path: Path, problem: str) -> str:
    """A checkpoint of a small network with fresh weights; its path."""
    torch.manual_seed(5)
    config = PointerConfig(width=16, heads=2, layers=1, hidden=32)
    arguments = {"problem": problem, "smallest": 20, "largest": 20, "kinds": "uniform"}
    header = {"network": "pointer", "config": dataclasses.asdict(config), "arguments": arguments}
    write_checkpoint(path, weights_of(Pointer(config)), header)
    return str(path)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Paths of small checkpoints, by problem."""
    folder = tmp_path_factory.mktemp("small")
    return {problem: write_small(folder / f"{problem}.safetensors", problem) for problem in ("tsp", "cvrp")}


@pytest.fixture(scope="module")
def ready(small: dict[str, str]) -> Callable[..., Any]:
    """A prepared solver by class name, problem and parameters, each prepared once."""

    @cache
    def prepared(problem: str, name: str = "pointer", **parameters: Any) -> Any:
        return ALL[name](checkpoint=small[problem], **parameters).prepare()

    return prepared


class CountingSearch(RecordingSearch):
    """A search that is over when it has been asked so many times."""

    def __init__(self, calls: int) -> None:
        super().__init__(1e6)
        self.calls = calls

    def running(self) -> bool:
        self.calls -= 1
        return self.calls >= 0


def solved(solver: Any, instance: RoutingInstance, budget: float = 20.0, seed: int = 1) -> list[tuple[float, int]]:
    """Seconds and costs of all reports, every one of them feasible."""
    search = RecordingSearch(budget, seed)
    (solver.prepare() if hasattr(solver, "prepare") else solver).solve(instance, search)
    found = []
    for seconds, solution in search.reports:
        verdict = verify(instance, solution)
        assert verdict.violations == ()
        assert verdict.cost is not None
        found.append((seconds, verdict.cost))
    return found


@pytest.mark.parametrize("name", ALL)
def test_conform_with_the_shipped_checkpoints(name: str) -> None:
    """The check, with the referee, has nothing to say against them."""
    assert check(name, seconds=0.1, verify=verify) == []


@pytest.mark.parametrize("decode", ["greedy", "x8", "sample"])
@pytest.mark.parametrize("problem", ["tsp", "cvrp"])
def test_conform_with_a_checkpoint_of_ones_own(small: dict[str, str], problem: str, decode: Any) -> None:
    """Whatever the weights are, and wherever the decoding stops."""
    assert check(PointerSolver(checkpoint=small[problem], decode=decode), seconds=0.1, verify=verify) == []


@settings(max_examples=15, deadline=None)
@given(size=st.integers(2, 45), seed=st.integers(0, 2**32 - 1), tour=st.booleans(), offset=st.integers(-(10**9), 10**9))
def test_every_report_is_feasible_and_better_than_before(
    ready: Callable[..., Any], size: int, seed: int, tour: bool, offset: int
) -> None:
    """Any depot, capacity, demand and coordinates, also coincident ones; the referee and the order confirm it."""
    rng = np.random.default_rng(seed)
    depot = int(rng.integers(size))
    demand = rng.integers(0, 30, size)
    demand[depot] = 0
    constraints: dict[str, Any] = {"num_vehicles": 1}
    if not tour:
        constraints = {"demand": demand, "capacity": int(demand.max() + rng.integers(0, 60))}
    points = offset + rng.integers(0, int(rng.integers(1, 2_000)), (size, 2))
    instance = RoutingInstance(rounding=Rounding.NEAREST, coordinates=points, depot=depot, **constraints)
    problem = "tsp" if tour else "cvrp"
    costs = [cost for _, cost in solved(ready(problem, iterations=1), instance)]
    assert costs and all(later < earlier for earlier, later in pairwise(costs))
    if size <= 15:
        assert solved(ready(problem, "pointer+beam", width=2, most=2), instance)


@pytest.mark.parametrize("problem", ["tsp", "cvrp"])
def test_solution_is_invariant_under_translation_and_scaling(ready: Callable[..., Any], problem: str) -> None:
    """The very same routes wherever the instance lies and in whatever unit."""
    (instance,) = make_set(20, 1, 1234, problem)
    assert instance.coordinates is not None
    moved = dataclasses.replace(instance, coordinates=instance.coordinates * 64 - np.array([10**8, 3 * 10**7]))
    solver = ready(problem, decode="x8")
    last = []
    for one in (instance, moved):
        search = RecordingSearch(20.0)
        solver.solve(one, search)
        last.append(search.reports[-1][1])
    assert last[0] == last[1]


def test_x8_is_never_worse_than_starts_and_starts_than_greedy(ready: Callable[..., Any]) -> None:
    """Each stage goes on from the one before, and on a set of instances each pays."""
    for problem in ("tsp", "cvrp"):
        instances = make_set(20, 6, 1234, problem)
        means = []
        for decode in ("greedy", "starts", "x8"):
            solver = ready(problem, decode=decode)
            means.append([solved(solver, instance)[-1][1] for instance in instances])
        greedy, starts, views = np.array(means)
        assert (views <= starts).all() and (starts <= greedy).all()
        assert views.mean() < starts.mean() < greedy.mean()


def test_drawing_improves_on_the_views_and_repeats_by_its_seed(ready: Callable[..., Any]) -> None:
    """Active search finds better routes than x8; equal seeds report the same, in sampling too."""
    (instance,) = make_set(20, 1, 1234, "cvrp")
    views = solved(ready("cvrp", decode="x8"), instance)[-1][1]
    for decode in ("sample", "active"):
        solver = ready("cvrp", decode=decode, iterations=10)
        traces = [[cost for _, cost in solved(solver, instance, seed=seed)] for seed in (1, 1, 2)]
        assert traces[0] == traces[1]
        if decode == "active":
            assert traces[0] != traces[2] and traces[0][-1] < views


def test_trained_network_is_near_the_optimum_of_small_tours() -> None:
    """Within half a second tours of 20 cities are within 1 % of PyVRP's: the weights are the trained ones."""
    instances = make_set(20, 5, 1234, "tsp")
    ours = [solved(PointerSolver(decode="x8"), instance)[-1][1] for instance in instances]
    theirs = [solved(PyVrp(iterations=300), instance)[-1][1] for instance in instances]
    assert np.mean(ours) <= 1.01 * np.mean(theirs)


def test_large_instances_have_an_incumbent_early_and_end_in_time() -> None:
    """1,000 customers: a first solution after one trajectory, and within any stage the end is heeded at once."""
    (instance,) = generate("x", size=1000, count=1, seed=1)
    solver = PointerSolver().prepare()
    begun = RecordingSearch(60.0)
    counted = CountingSearch(2_300)
    solver.solve(instance, counted)
    assert begun.elapsed() < 20.0  # 2 s on a free core
    assert counted.reports[0][0] < 5.0  # 0.6 s on a free core
    assert -20 < counted.calls < 0
    assert verify(instance, counted.reports[-1][1]).feasible


@pytest.mark.parametrize("name", ALL)
def test_declines_with_a_reason(name: str, small: dict[str, str]) -> None:
    """Everything but planar tours and capacities, and problems that the checkpoint is not for."""
    solver, reasons = ALL[name](), {}
    for label, instance in examples().items():
        reasons[label] = solver.declines(instance)
    taken = {label for label, reason in reasons.items() if reason is None}
    assert taken == {
        "no constraint", "a tour", "capacity", "capacity, depot in the corner", "unrounded distances",
        "a single customer", "no customer", "a tour of one city", "a tour of two cities", "a tour of three cities",
    }  # fmt: skip
    assert "fleet" in reasons["capacity and fleet"]
    assert "matrix" in reasons["a tour on a matrix"]
    points = np.array([[10, 10], [20, 20], [30, 5]])
    globe = RoutingInstance(rounding=Rounding.GEO, coordinates=points, num_vehicles=1)
    assert "geographical" in solver.declines(globe)
    line = np.stack((np.arange(5_001), np.zeros(5_001, np.int64)), axis=1)
    assert "5001 locations" in solver.declines(
        RoutingInstance(rounding=Rounding.NEAREST, coordinates=line, num_vehicles=1)
    )
    assert "is not for cvrp" in ALL[name](checkpoint=small["tsp"]).declines(examples()["capacity"])
    assert "is not for tsp" in ALL[name](checkpoint=small["cvrp"]).declines(examples()["a tour"])


def test_recurrent_network_is_decoded_likewise(tmp_path: Path) -> None:
    """``pointer-lstm`` conforms with a checkpoint of its own; ``auto`` never takes one of another network."""
    config, path = PointerLSTMConfig(width=16), tmp_path / "lstm.safetensors"
    arguments = {"problem": "cvrp", "smallest": 20, "largest": 20, "kinds": "uniform"}
    header = {"network": "pointer-lstm", "config": dataclasses.asdict(config), "arguments": arguments}
    write_checkpoint(path, weights_of(PointerLSTM(config)), header)
    assert check(PointerLstmSolver(checkpoint=str(path)), seconds=0.1, verify=verify) == []
    assert PointerLstmSolver(checkpoint="cvrp20").declines(examples()["capacity"]) is None
    card = PointerSolver()._choice.fitting("cvrp", 21, "pointer")
    assert card is not None and card.network == "pointer"


def test_canonical_spec_carries_the_hash_of_the_weights() -> None:
    """So a run's key changes with the weights, and a spec of other weights is refused."""
    solver = PointerSolver(checkpoint="cvrp20")
    text = canonical("pointer", {field.name: getattr(solver, field.name) for field in dataclasses.fields(solver)})
    assert text.startswith("pointer:checkpoint=cvrp20@") and len(solver.checkpoint) == len("cvrp20@") + 12
    with pytest.raises(InvalidInput, match="has the hash"):
        build(PointerSolver, {"checkpoint": "cvrp20@000000000000"}, "solver")


def test_run_names_the_checkpoint_it_uses(caplog: pytest.LogCaptureFixture) -> None:
    """The log says which weights auto picked and whether the instance is like those they were trained on."""
    for size, expected in ((20, "; as this instance"), (7, "smaller, 7")):
        (instance,) = generate("uniform", size=size, count=1)
        caplog.clear()
        with caplog.at_level(logging.INFO):
            solved(PointerSolver(decode="greedy"), instance)
        output = caplog.text
        assert "checkpoint cvrp20 (" in output and "trained on CVRP, 20 customers" in output and expected in output


def test_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for kind in ALL.values():
        with pytest.raises(InvalidInput, match=r"^device: .*accepted is cpu"):
            kind(device="cuda").prepare()


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (PointerSolver, {"iterations": 0}),
        (PointerPyVrp, {"iterations": 0}),
        (PointerOrTools, {"removed": 0}),
        (PointerBeam, {"width": 0}),
        (PointerBeam, {"expansion": 1}),
    ],
)
def test_impossible_parameters_are_refused(kind: Callable[..., Any], wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        kind(**wrong)


def test_solve_many_equals_one_by_one(ready: Callable[..., Any]) -> None:
    """Instances of mixed sizes in one batch get the costs that each gets alone, and every report is feasible."""
    instances = [*make_set(20, 3, 1234, "cvrp"), *make_set(50, 2, 1234, "cvrp"), *make_set(20, 2, 4321, "cvrp")]
    instances.append(examples()["no customer"])
    solver = ready("cvrp", decode="starts")
    searches = [RecordingSearch(60.0) for _ in instances]
    solver.solve_many(instances, searches)
    for instance, search in zip(instances, searches, strict=True):
        costs = [verify(instance, solution).cost for _, solution in search.reports]
        assert costs[-1] == pytest.approx(solved(solver, instance)[-1][1], rel=1e-3)
        assert all(later < earlier for earlier, later in pairwise(costs) if earlier and later)


def test_solve_many_takes_tours_and_routes_together_and_stops_in_time() -> None:
    """Each instance has its incumbent from the first stage; the end is heeded within a later one."""
    instances = [*make_set(20, 10, 1234, "tsp"), *make_set(50, 10, 1234, "cvrp")]
    first = CountingSearch(150)
    searches = [first, *(RecordingSearch(60.0) for _ in instances[1:])]
    PointerSolver().prepare().solve_many(instances, searches)
    assert all(search.reports for search in searches)
    assert -10 < first.calls < 0


@dataclasses.dataclass
class _Spy:
    """Stands for the search after the network and keeps what it is given."""

    start: Routes | None = None
    remaining: float = 0.0

    def solve_from(self, instance: RoutingInstance, search: Any, start: Routes | None) -> None:
        self.start, self.remaining = start, search.remaining()


@pytest.mark.parametrize("name", ["pointer+pyvrp", "pointer+ortools"])
def test_search_goes_on_from_the_best_routes_of_the_network(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It receives the network's last report and the time that is left of the budget."""
    (instance,) = make_set(50, 1, 1234, "tsp")
    ready = ALL[name](decode="starts").prepare()
    spy = _Spy()
    monkeypatch.setattr(ready, "_after", spy)
    search = RecordingSearch(5.0, seed=1)
    ready.solve(instance, search)
    assert spy.start == search.reports[-1][1]
    assert 0 < spy.remaining < 5.0
    network = solved(PointerSolver(decode="starts"), instance)[-1][1]
    assert verify(instance, spy.start).cost == network


@pytest.mark.parametrize(
    "solver", [PyVrp(iterations=1), OrTools(iterations=1), OrTools(metaheuristic="greedy_descent")], ids=str
)
def test_search_starts_where_it_is_told(solver: Any) -> None:
    """From a good start it never reports anything worse, which without it it does."""
    (instance,) = generate("x", size=100, count=1)
    search = RecordingSearch(20.0, seed=2)
    PyVrp(iterations=2000).solve(instance, search)
    start = search.reports[-1][1]
    cost = verify(instance, start).cost
    assert cost is not None
    warm, cold = RecordingSearch(20.0, seed=3), RecordingSearch(20.0, seed=3)
    solver.solve_from(instance, warm, start)
    solver.solve_from(instance, cold, None)
    assert warm.reports and all((verify(instance, found).cost or 0) <= cost for _, found in warm.reports)
    assert any((verify(instance, found).cost or 0) > cost for _, found in cold.reports)


def test_start_with_more_routes_than_usual_is_taken() -> None:
    """One customer a route is more vehicles than OR-Tools' model usually has."""
    (instance,) = generate("x", size=40, count=1)
    start = Routes(tuple((customer,) for customer in instance.customers.tolist()))
    for solver in (OrTools(iterations=200), PyVrp(iterations=200)):
        search = RecordingSearch(20.0, seed=1)
        solver.solve_from(instance, search, start)
        costs = [verify(instance, solution).cost for _, solution in search.reports]
        assert costs[0] == verify(instance, start).cost and min(cost for cost in costs if cost) < costs[0]


def test_infeasible_start_is_refused() -> None:
    """OR-Tools says so instead of beginning elsewhere."""
    (instance,) = generate("x", size=20, count=1, seed=3)
    together = Routes((tuple(instance.customers.tolist()),))
    assert not verify(instance, together).feasible
    with pytest.raises(ValueError, match="not feasible"):
        OrTools(iterations=10).solve_from(instance, RecordingSearch(5.0), together)
