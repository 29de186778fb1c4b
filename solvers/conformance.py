"""What every solver must keep to, as a check that plug-in authors can run.

The check looks at behaviour: types, times, determinism, mutation. The judgement of solutions it leaves to the
``verify`` it is given, because solvers never see the referee.
"""

import copy
import dataclasses
import importlib.metadata
import time
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from instances.errors import InvalidInput
from instances.factoring.solution import Factors
from instances.routing.solution import Routes
from instances.verdict import Verdict
from solvers import registry, spec
from solvers.factoring.examples import examples as factoring_examples
from solvers.routing.examples import examples as routing_examples
from solvers.search import ReadySolver, Solver, unhonoured

LATE_SECONDS = 0.5


@dataclasses.dataclass(frozen=True)
class _Domain:
    """What the check has to know of a problem."""

    examples: Callable[[], Mapping[str, Any]]
    well_typed: Callable[[Any], bool]
    """Whether a reported solution is what ``accepted`` says, to the last number."""
    accepted: str


def _are_routes(solution: Any) -> bool:
    return type(solution) is Routes and _is_tuple(solution.routes) and all(map(_holds_integers, solution.routes))


def _are_factors(solution: Any) -> bool:
    return type(solution) is Factors and _holds_integers(solution.factors)


def _is_tuple(value: Any) -> bool:
    return isinstance(value, tuple)


def _holds_integers(value: Any) -> bool:
    return _is_tuple(value) and all(type(item) is int for item in value)


_DOMAINS = {
    "routing": _Domain(routing_examples, _are_routes, "Routes of tuples of int"),
    "factoring": _Domain(factoring_examples, _are_factors, "Factors of a tuple of int"),
}


class RecordingSearch:
    """A search in this process that keeps everything reported, each with its seconds since the start.

    Parameters
    ----------
    budget
        Seconds from the construction of this object.
    seed, threads
        What the solver is told.
    """

    def __init__(self, budget: float, seed: int = 0, threads: int = 1) -> None:
        self.budget = budget
        self.seed = seed
        self.threads = threads
        self.reports: list[tuple[float, Any]] = []
        self._start = time.perf_counter()

    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._start

    def running(self) -> bool:
        return self.remaining() > 0

    def remaining(self) -> float:
        return max(0.0, self.budget - self.elapsed())

    def report(self, solution: Any) -> None:
        self.reports.append((self.elapsed(), solution))


def check(
    solver: str | Solver,
    *,
    seconds: float = 1.0,
    verify: Callable[[Any, Any], Verdict] | None = None,
    instances: Mapping[str, Any] | None = None,
) -> list[str]:
    """Everything in which a solver breaks the contract, a sentence each; empty if it conforms.

    Parameters
    ----------
    solver
        A spec, like ``"nearest"`` or ``"mine:depth=3"``, which must be registered, or a solver object.
    seconds
        Budget of each run. There is one for each example that is not declined, and two more.
    verify
        The referee of the solver's problem. Without one, feasibility goes unchecked. A solution that is feasible
        but not complete, like a factorisation with a composite part, is none the worse for it.
    instances
        Examples by name, in place of the built-in ones of the solver's problem.
    """
    try:
        built = _build(solver) if isinstance(solver, str) else solver
    except Exception as error:
        return [f"cannot be built: {type(error).__name__}: {error}"]
    findings = list(_declaration(built)) or list(_parameters(built))
    if findings:
        return findings
    if built.problem not in _DOMAINS:
        return [f"problem is {built.problem!r}; there are examples of {', '.join(_DOMAINS)}"]
    domain = _DOMAINS[built.problem]
    if instances is None:
        instances = domain.examples()
    try:
        ready = built.prepare()
    except Exception as error:
        return [f"prepare() raises {type(error).__name__}: {error}"]
    if not isinstance(ready, ReadySolver):
        return ["prepare() does not return an object with solve(instance, search)"]
    taken = {}
    for label, instance in instances.items():
        declined, problems = _declines(built, instance)
        if not declined:
            taken[label] = instance
            problems = list(_run(ready, instance, seconds, domain, verify))
        findings += [f"{label}: {problem}" for problem in problems]
    if not taken:
        return [*findings, "declines every example"]
    label, instance = next(iter(taken.items()))
    findings += [f"{label}, with no time left: {problem}" for problem in _solve(ready, instance, 0.0)[1]]
    findings += [f"{label}, by iterations: {problem}" for problem in _repeats(built, instance, seconds)]
    return findings


def _build(text: str) -> Any:
    name, parameters = spec.parse(text)
    return spec.build(registry.find(name).load(), parameters, f"solver {text!r}")


def _declaration(solver: Any) -> Iterator[str]:
    """The class: a frozen dataclass, described, with the attributes of the protocol."""
    kind = type(solver)
    if not dataclasses.is_dataclass(kind) or not kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        yield "is not a frozen dataclass"
        return
    documentation = kind.__doc__ or ""
    if not documentation.strip() or documentation.startswith(f"{kind.__name__}("):
        yield "has no docstring; the first line describes the solver in lists"
    if not isinstance(getattr(solver, "problem", None), str):
        yield "has no attribute problem, the name of the problem it solves"
    if not _holds_strings(getattr(solver, "honours", None), frozenset):
        yield "has no attribute honours, a frozenset of features"
    packages: Any = getattr(solver, "packages", None)
    if not _holds_strings(packages, tuple):
        yield "has no attribute packages, a tuple of names of distributions"
    else:
        for package in packages:
            try:
                importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                yield f"packages names {package!r}, which is not installed"
    for verb in ("declines", "prepare"):
        if not callable(getattr(solver, verb, None)):
            yield f"has no method {verb}"


def _holds_strings(value: Any, container: type) -> bool:
    return isinstance(value, container) and all(isinstance(item, str) for item in value)  # type: ignore[attr-defined]


def _parameters(solver: Any) -> Iterator[str]:
    """The fields: of types that a spec can say, explained, and unchanged by a journey through a spec."""
    kind = type(solver)
    hints = typing.get_type_hints(kind)
    fields = [field for field in dataclasses.fields(kind) if field.init]
    for field in fields:
        if not _sayable(hints[field.name]):
            yield f"parameter {field.name} is a {hints[field.name]}, which a spec cannot say"
        if not field.metadata.get("help"):
            yield f"parameter {field.name} has no help in its metadata"
    values = {field.name: getattr(solver, field.name) for field in fields}
    text = spec.canonical("solver", values)
    try:
        again = spec.build(kind, spec.parse(text)[1], f"solver {text!r}")
    except InvalidInput as error:
        yield f"cannot be built from its own spec: {error}"
    else:
        if again != solver:
            yield f"is another solver when built from its own spec, {text!r}"


def _sayable(hint: Any) -> bool:
    """Whether a type is bool, int, float, str, a Literal of strings, or one of these or None."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        parts = typing.get_args(hint)
        return len(parts) == 2 and type(None) in parts and all(map(_sayable, set(parts) - {type(None)}))
    if typing.get_origin(hint) is typing.Literal:
        return all(isinstance(value, str) for value in typing.get_args(hint))
    return hint in (bool, int, float, str)


def _declines(solver: Solver, instance: Any) -> tuple[bool, list[str]]:
    """Whether it declines an example, and what is wrong with how it does."""
    try:
        reason: Any = solver.declines(instance)
    except Exception as error:
        return True, [f"declines() raises {type(error).__name__}: {error}"]
    if reason is not None and not (isinstance(reason, str) and reason.strip()):
        return True, [f"declines() returns {reason!r}; accepted are a reason and None"]
    missing = unhonoured(solver.honours, instance.features)
    if reason is None and missing:
        return True, [f"is not declined, though by its honours the solver {missing}"]
    return reason is not None, []


def _run(
    ready: ReadySolver,
    instance: Any,
    seconds: float,
    domain: _Domain,
    verify: Callable[[Any, Any], Verdict] | None,
) -> Iterator[str]:
    """A run of an example, and what is wrong with its solutions."""
    before = copy.deepcopy(instance)
    search, problems = _solve(ready, instance, seconds)
    yield from problems
    if any(
        not np.array_equal(getattr(instance, field.name), getattr(before, field.name))
        for field in dataclasses.fields(instance)
    ):
        yield "the solver changes the instance"
    if not search.reports and not problems:
        yield "the solver reports no solution"
    for number, (_, solution) in enumerate(search.reports, start=1):
        if not domain.well_typed(solution):
            yield f"solution {number} is {solution!r}; accepted are {domain.accepted}"
            return
        if verify is not None and not (verdict := verify(before, solution)).feasible:
            yield f"solution {number} is infeasible: {verdict.violations[0].message}"
            return


def _solve(ready: ReadySolver, instance: Any, seconds: float) -> tuple[RecordingSearch, list[str]]:
    """One run, and what is wrong with its end."""
    problems = []
    search = RecordingSearch(seconds, seed=1)
    try:
        ready.solve(instance, search)
    except Exception as error:
        problems.append(f"solve() raises {type(error).__name__}: {error}")
    over = search.elapsed() - seconds
    if over > max(1.0, 0.1 * seconds):
        problems.append(f"solve() goes on for {over:.1f} s after its {seconds:g} s")
    num_late = sum(at > seconds + LATE_SECONDS for at, _ in search.reports)
    if num_late:
        problems.append(f"{num_late} solutions are reported more than {LATE_SECONDS} s after the end")
    return search, problems


def _repeats(solver: Any, instance: Any, seconds: float) -> Iterator[str]:
    """Whether a parameter ``iterations`` ends the search and, with it, the seed decides everything."""
    if not any(field.name == "iterations" for field in dataclasses.fields(solver)):
        return
    limited = dataclasses.replace(solver, iterations=10)
    traces = []
    for _ in range(2):
        search, _ = _solve(limited.prepare(), instance, max(10.0, seconds))
        traces.append([solution for _, solution in search.reports])
        if not search.running():
            yield f"iterations=10 does not end the search within {search.budget:g} s"
            return
    if traces[0] != traces[1]:
        yield "two runs with the same seed report different solutions"
