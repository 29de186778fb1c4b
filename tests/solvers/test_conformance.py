"""Every built-in solver conforms, and the check names each way of not conforming."""

import dataclasses
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from instances.factoring import referee as factoring_referee
from instances.factoring.instance import FactoringInstance
from instances.factoring.solution import Factors
from instances.routing.referee import verify
from instances.routing.solution import Routes
from solvers import registry, spec
from solvers.conformance import RecordingSearch, check
from solvers.factoring.examples import examples as factoring_examples
from solvers.routing.examples import examples
from solvers.search import unhonoured

BUILT_IN = [
    "savings",
    "savings:shape=0.6",
    "nearest",
    "insertion",
    "insertion:kind=cheapest",
    "christofides",
    "simulated-annealing",
    "simulated-annealing:move=swap",
    "simulated-annealing:move=insert",
    "ortools",
    "pyvrp",
]
FACTORING = [
    "trial",
    "trial:order=descending",
    "trial:order=random",
    "trial:candidates=primes",
    "trial:order=random,candidates=primes",
    "fermat",
    "rho",
    "pm1",
    "ecm",
    "quadratic-sieve",
    "cpsat",
    "cpsat:model=bits",
]
# Each starts an interpreter; so only those that differ in what the file must hold.
EXEC_EXAMPLES = {
    "no constraint",
    "a tour",
    "capacity, depot in the corner",
    "capacity and fleet",
    "capacity on an asymmetric matrix",
    "time windows, service and fleet",
    "route duration and service",
    "no customer",
}


@pytest.mark.parametrize("solver", BUILT_IN)
def test_built_in_solvers_conform(solver: str) -> None:
    """The check, with the referee, has nothing to say against them."""
    assert check(solver, seconds=0.2, verify=verify) == []


@pytest.mark.parametrize("solver", FACTORING)
def test_factoring_solvers_conform(solver: str) -> None:
    """So it is with the factoring solvers and their referee."""
    assert check(solver, seconds=5, verify=factoring_referee.verify) == []


def test_exec_conforms(tmp_path: Path) -> None:
    """So does a program that reads what ``exec`` writes, and solves it with the built-in insertion."""
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from instances.routing.formats import solomon, tsplib\n"
        "from solvers.conformance import RecordingSearch\n"
        "from solvers.routing.insertion import Insertion\n"
        "path = Path(sys.argv[1])\n"
        "instance = (solomon if path.suffix == '.txt' else tsplib).read(path.read_text())\n"
        "search = RecordingSearch(9)\n"
        "Insertion().solve(instance, search)\n"
        "for _, solution in search.reports:\n"
        "    for number, route in enumerate(solution.routes or [()], start=1):\n"
        "        print(f'Route #{number}:', *route)\n"
        "    print('Cost 0', flush=True)\n"
    )
    command = f"{sys.executable} {program} {{instance}}"
    some = {label: instance for label, instance in examples().items() if label in EXEC_EXAMPLES}
    assert len(some) == len(EXEC_EXAMPLES)
    solver = spec.canonical("exec", {"command": command})
    assert check(solver, seconds=5, verify=verify, instances=some) == []


def test_all_built_in_solvers_are_covered() -> None:
    """A solver that is registered by this distribution, but for the neural ones, is in the lists above."""
    registered = {
        name
        for name, entry in registry.solver_entry_points().items()
        if entry.dist is not None and entry.dist.name == "versus" and not entry.value.startswith("solvers.neural")
    }
    assert registered == {spec.parse(solver)[0] for solver in BUILT_IN + FACTORING} | {"exec"}


def test_every_example_has_a_solution() -> None:
    """Insertion solves each of the instances of the check, so none asks the impossible."""
    for label, instance in examples().items():
        assert all(verify(instance, solution).feasible for solution in _reports("insertion", instance)), label


def test_every_number_is_factored() -> None:
    """Trial division ends each of the factoring examples with nothing but primes."""
    for label, instance in factoring_examples().items():
        assert factoring_referee.verify(instance, _reports("trial", instance)[-1]).complete, label


def _reports(name: str, instance: Any) -> list[Any]:
    search = RecordingSearch(5)
    registry.find(name).load()().solve(instance, search)
    assert search.reports
    return [solution for _, solution in search.reports]


@dataclass(frozen=True)
class Alone:
    """A sound solver, whose faults are added below: a route for each customer."""

    shift: int = field(default=0, metadata={"help": "nothing"})

    problem: ClassVar[str] = "routing"
    honours: ClassVar[frozenset[str]] = frozenset({"capacity"})
    packages: ClassVar[tuple[str, ...]] = ("numpy",)

    def declines(self, instance: Any) -> str | None:
        return unhonoured(self.honours, instance.features)

    def prepare(self) -> Any:
        return self

    def solve(self, instance: Any, search: Any) -> None:
        search.report(Routes(tuple((int(customer),) for customer in instance.customers)))


def test_the_sound_solver_conforms() -> None:
    """The solver that the faults below are added to has none."""
    assert check(Alone(), seconds=0.1, verify=verify) == []


def _solving(solve: Callable[[Any, Any, Any], None]) -> Any:
    return dataclass(frozen=True)(type("Faulty", (Alone,), {"solve": solve, "__doc__": "Faulty."}))()


def _hang(self: Any, instance: Any, search: Any) -> None:
    time.sleep(search.budget + 1.2)
    search.report(Routes(tuple((int(customer),) for customer in instance.customers)))


def _mutate(self: Any, instance: Any, search: Any) -> None:
    object.__setattr__(instance, "capacity", 10**6)
    Alone.solve(self, instance, search)


FAULTY_RUNS = {
    "solve() raises ZeroDivisionError: ": lambda self, i, s: 1 // 0,
    "the solver reports no solution": lambda self, i, s: None,
    "accepted are Routes of tuples of int": lambda self, i, s: s.report(Routes(tuple((c,) for c in i.customers))),
    "is [[1]]; accepted are Routes": lambda self, i, s: s.report([[1]]),
    "is infeasible: customer 1 is not visited": lambda self, i, s: s.report(Routes(())),
    "the solver changes the instance": _mutate,
}


@pytest.mark.parametrize("message", FAULTY_RUNS)
def test_a_faulty_run_is_named(message: str) -> None:
    """Crashes, silence, wrong types, infeasible solutions and changed instances are found."""
    findings = check(_solving(FAULTY_RUNS[message]), seconds=0.1, verify=verify)
    assert any(message in finding for finding in findings), findings


FAULTY_FACTORS = {
    "accepted are Factors of a tuple of int": lambda self, i, s: s.report(Factors([i.n])),  # type: ignore[arg-type]
    "is Routes(routes=((7919,),)); accepted are Factors": lambda self, i, s: s.report(Routes(((i.n,),))),
    "solution 1 is infeasible": lambda self, i, s: s.report(Factors((i.n, 2))),
}


@pytest.mark.parametrize("message", FAULTY_FACTORS)
def test_faulty_factors_are_named(message: str) -> None:
    """A factoring solver is told of the wrong type and of the wrong product."""
    solver = _attribute(problem="factoring", honours=frozenset(), solve=FAULTY_FACTORS[message])
    prime = {"a prime": FactoringInstance(7919)}
    findings = check(solver, seconds=0.1, verify=factoring_referee.verify, instances=prime)
    assert any(message in finding for finding in findings), findings


def test_a_partial_factorisation_is_no_fault() -> None:
    """A composite part is feasible, and the check asks for no more."""
    solver = _attribute(problem="factoring", honours=frozenset(), solve=lambda self, i, s: s.report(Factors((i.n,))))
    assert check(solver, seconds=0.1, verify=factoring_referee.verify) == []


def test_an_overrun_is_named() -> None:
    """A solver that goes on, and reports late, is told both."""
    plain = {"no constraint": examples()["no constraint"]}
    findings = check(_solving(_hang), seconds=0.1, instances=plain)
    assert any("goes on for 1.2 s after its 0.1 s" in finding for finding in findings)
    assert any("1 solutions are reported more than 0.5 s after the end" in finding for finding in findings)


def _attribute(**changes: Any) -> Any:
    return dataclass(frozen=True)(type("Faulty", (Alone,), {"__doc__": "Faulty.", **changes}))()


FAULTY_CLASSES: dict[str, Callable[[], Any]] = {
    "is not a frozen dataclass": lambda: type("Plain", (), {})(),
    "has no docstring": lambda: _attribute(__doc__=""),
    "has no attribute problem": lambda: _attribute(problem=None),
    "problem is 'sorting'; there are examples of routing, factoring": lambda: _attribute(problem="sorting"),
    "has no attribute honours": lambda: _attribute(honours={"capacity"}),
    "has no attribute packages": lambda: _attribute(packages="numpy"),
    "packages names 'no-such-thing', which is not installed": lambda: _attribute(packages=("no-such-thing",)),
    "has no method prepare": lambda: _attribute(prepare=None),
    "parameter depth has no help": lambda: _attribute(__annotations__={"depth": int}, depth=1),
    "parameter ways is a list[int], which a spec cannot say": lambda: _attribute(
        __annotations__={"ways": list[int]}, ways=field(default=(), metadata={"help": "ways"})
    ),
    "prepare() does not return an object with solve": lambda: _attribute(prepare=lambda self: None),
    "declines() returns False": lambda: _attribute(declines=lambda self, instance: False),
    "declines() raises": lambda: _attribute(declines=lambda self, instance: 1 // 0),
    "is not declined, though by its honours the solver cannot honour time-windows": lambda: _attribute(
        declines=lambda self, instance: None
    ),
    "declines every example": lambda: _attribute(declines=lambda self, instance: "no"),
}


@pytest.mark.parametrize("message", FAULTY_CLASSES)
def test_a_faulty_class_is_named(message: str) -> None:
    """What a class declares wrongly is found."""
    findings = check(FAULTY_CLASSES[message](), seconds=0.1)
    assert any(message in finding for finding in findings), findings


def test_a_seed_that_does_not_decide_is_named() -> None:
    """With ``iterations``, two runs with one seed must report the same solutions."""
    counter = iter(range(10**6))

    def solve(self: Any, instance: Any, search: Any) -> None:
        customers = instance.customers.tolist()
        turn = next(counter) % max(1, len(customers))
        search.report(Routes(tuple((c,) for c in customers[turn:] + customers[:turn])))

    solver = _attribute(
        solve=solve,
        __annotations__={"iterations": int | None},
        iterations=field(default=None, metadata={"help": "steps"}),
    )
    assert [field.name for field in dataclasses.fields(solver)] == ["shift", "iterations"]
    findings = check(solver, seconds=0.1)
    assert findings == ["no constraint, by iterations: two runs with the same seed report different solutions"]


def test_an_unknown_name_is_named() -> None:
    """A solver that is not registered is a finding, with the names there are."""
    (finding,) = check("no-such-solver")
    assert "unknown; there are: " in finding
    assert "savings" in finding


def test_a_recording_search_keeps_time() -> None:
    """Seconds count from its construction, never below zero, and each report carries its own."""
    search = RecordingSearch(0.05, seed=3, threads=2)
    assert search.running()
    search.report("early")
    time.sleep(0.06)
    search.report("late")
    assert (search.seed, search.threads, search.remaining(), search.running()) == (3, 2, 0.0, False)
    (early, _), (late, _) = search.reports
    assert 0 <= early < 0.05 <= late
