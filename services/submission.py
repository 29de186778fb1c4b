"""From a request to a comparison that can be queued: solvers resolved, limits kept, no command of the client's run."""

import functools
import math
import os
import re
import secrets
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

from instances.errors import InvalidInput
from instances.factoring import generators as factoring
from instances.problem import Description, Instance
from instances.problems import problem_named, problem_of
from instances.routing import generators as routing
from services.analysis.comparable import check_comparable
from services.quantities import bytes_text, seconds_text
from services.records import Comparison, Results
from services.runner.catalogue import DESCRIBE_MEMORY, describe_all
from services.runner.machine import apart_from, core_slots
from services.runner.pool import Resolved, resolve
from services.runner.process import Unavailable
from services.settings import Settings
from services.store import queries
from services.store.store import Store
from solvers import spec

MAX_GENERATED = 20_000
"""Instances that one request may have made."""
MAX_GENERATED_SIZE = 2_000_000
"""Customers or bits of them together."""
MAX_GENERATED_CUBES = 5e11
"""The cubes of the bits of integers, together: what their primes take to be found."""
MAX_OPTION = 1_000_000
ASK_SECONDS = 60.0
RETRY_SECONDS = 10
_CACHED = 1_000
_CHECKPOINT = re.compile(r"[A-Za-z0-9_-]+(@[0-9a-f]+)?")
_GENERATORS: dict[str, tuple[ModuleType, str, str]] = {
    "routing": (routing, "size", "problem"),
    "factoring": (factoring, "bits", "split"),
}
_asking = threading.Lock()


class Full(Exception):
    """There is no room for a request now; it may be sent again after ``retry_seconds``."""

    def __init__(self, message: str, retry_seconds: int = RETRY_SECONDS) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What solvers are compared under; ``budget`` in seconds, ``memory`` in bytes."""

    solvers: Sequence[str]
    budget: float
    seeds: int = 1
    seed: int = 0
    threads: int = 1
    memory: int = 4 * 1024**3
    reference: str | None = None


@dataclass(frozen=True)
class Submission:
    """A comparison of stored instances that can be queued; ``needs`` maps each label to the queue of its runs."""

    comparison: Comparison
    instances: Sequence[Description]
    needs: dict[str, str]


def plan(name: str, terms: Terms, instances: Sequence[Description]) -> Submission:
    """The comparison, of that name, of instances under terms that :func:`check_terms` has passed.

    Raises
    ------
    InvalidInput
        If a solver is unknown, unavailable, not offered here or has wrong parameters, or if the instances cannot be
        averaged together.
    Full
        If too many others ask for solvers just now.
    """
    resolved = {label: resolved_spec(label) for label in terms.solvers}
    comparison = Comparison(
        name=name,
        solvers={label: answer.spec for label, answer in resolved.items()},
        problems={label: answer.problem for label, answer in resolved.items()},
        budget=terms.budget,
        num_seeds=terms.seeds,
        seed=terms.seed,
        threads=terms.threads,
        memory=terms.memory,
        reference=terms.reference,
    )
    check_comparable(Results(comparison, {description.digest: description for description in instances}, ()))
    return Submission(comparison, instances, needs(comparison))


def check_terms(settings: Settings, terms: Terms, num_instances: int) -> None:
    """Refuse with InvalidInput what is beyond the limits of the service, before anything is made or asked."""
    repeated = [label for label in terms.solvers if terms.solvers.count(label) > 1]
    if repeated:
        raise InvalidInput(f"{repeated[0]!r} is given twice", "solvers")
    if terms.reference not in (None, *terms.solvers):
        raise InvalidInput(f"{terms.reference!r} is none of the solvers {', '.join(terms.solvers)}", "reference")
    if not num_instances:
        raise InvalidInput("at least one is needed", "instances")
    num_runs = num_instances * len(terms.solvers) * terms.seeds
    if num_runs > settings.max_runs:
        raise InvalidInput(
            f"{num_instances} instances x {len(terms.solvers)} solvers x {terms.seeds} seeds are {num_runs} runs; "
            f"accepted are up to {settings.max_runs}"
        )
    if terms.budget > settings.max_budget_seconds:
        accepted = seconds_text(settings.max_budget_seconds)
        raise InvalidInput(f"is {seconds_text(terms.budget)}; accepted is up to {accepted}", "budget")
    if terms.threads > settings.max_threads:
        raise InvalidInput(f"is {terms.threads}; accepted are 1 to {settings.max_threads}", "threads")
    if terms.memory > settings.max_memory_bytes:
        accepted = bytes_text(settings.max_memory_bytes)
        raise InvalidInput(f"is {bytes_text(terms.memory)}; accepted is up to {accepted}", "memory")


def check_room(store: Store, settings: Settings, num_runs: int, owner: str | None, *, single: bool) -> None:
    """Refuse with Full what the queue, or the key that sends it, has no room for now."""
    queued = queries.num_queued(store.engine)
    if queued + num_runs > settings.max_queued_runs:
        raise Full(f"{queued} runs are queued; with these {num_runs} there were more than {settings.max_queued_runs}")
    if single:
        return
    num_open = queries.num_open_comparisons(store.engine, owner)
    if num_open >= settings.max_open_comparisons:
        raise Full(f"{num_open} comparisons of this key are unfinished; accepted are {settings.max_open_comparisons}")


def stored_instances(store: Store, digests: Sequence[str]) -> list[Description]:
    """Descriptions of stored instances in the order given; InvalidInput if one is unknown or given twice."""
    known = queries.descriptions(store.engine, digests)
    for place, digest in enumerate(digests):
        if digest not in known:
            raise InvalidInput(f"{digest} is unknown; send it to /v1/instances first", f"instances.{place}")
    if len(known) < len(digests):
        twice = Counter(digests).most_common(1)[0][0]
        raise InvalidInput(f"{twice} is given twice", "instances")
    return [known[digest] for digest in digests]


def store_document(store: Store, settings: Settings, document: Mapping[str, Any]) -> Description:
    """Store the instance of a document, unless it is there; InvalidInput if it is none, or too large."""
    name = document.get("problem")
    try:
        instance = problem_named(name if isinstance(name, str) else repr(name)).load(dict(document))
        return _store(store, settings, [instance])[0]
    except InvalidInput as error:
        raise error.within("document") from None


def store_generated(
    store: Store,
    settings: Settings,
    problem: str,
    kind: str,
    parameters: Mapping[str, Any],
    count: int,
    seed: int | None,
) -> list[Description]:
    """Make instances and store those that are new; ``parameters`` hold the size and the options of the kind.

    Raises
    ------
    InvalidInput
        If there is no such generator, a parameter is unknown or wrong, or the instances are too many or too large.
    """
    try:
        return _store(store, settings, _made(settings, problem, kind, parameters, count, seed))
    except InvalidInput as error:
        raise error.within("generator") from None


def needs(comparison: Comparison) -> dict[str, str]:
    """The queue that the runs of each solver of a comparison belong to, by label."""
    return {
        label: "gpu" if spec.parse(canonical)[1].get("device", "cpu") != "cpu" else "cpu"
        for label, canonical in comparison.solvers.items()
    }


def check_offered(solvers: Iterable[str]) -> None:
    """Refuse with InvalidInput solvers that would run what a client names: a command, or a file of this machine."""
    for solver in solvers:
        where = f"solver {solver!r}"
        name, parameters = spec.parse(solver)
        if not solver.isprintable():
            raise InvalidInput("holds control characters; accepted is plain text", where)
        if name == "exec":
            raise InvalidInput("runs a command, which is not offered over HTTP; use `versus compare` itself", where)
        for parameter, value in parameters.items():
            if any(sign in value for sign in ("/", "\\", "..")):
                raise InvalidInput(f"{parameter} looks like a path; no file is opened by a client's word", where)
        checkpoint = parameters.get("checkpoint", "auto")
        if name.startswith("pointer") and not _CHECKPOINT.fullmatch(checkpoint):
            raise InvalidInput("checkpoint must be auto or the name of a shipped one", where)


@functools.lru_cache(_CACHED)
def resolved_spec(solver: str) -> Resolved:
    """What a solver answers to its spec; one child at a time is asked, and once for each spec.

    Raises
    ------
    InvalidInput
        If it is unknown, unavailable, not offered here, or a parameter is wrong.
    Full
        If others are asking for longer than a minute.
    """
    check_offered([solver])
    if not _asking.acquire(timeout=ASK_SECONDS):
        raise Full("solvers of other requests are being prepared")
    try:
        return _answer(solver)
    finally:
        _asking.release()


@functools.lru_cache(_CACHED)
def _answer(solver: str) -> Resolved:
    where = f"solver {solver!r}"
    name, parameters = spec.parse(solver)
    known = {description["name"]: description for description in describe_all()}
    if name not in known:
        raise InvalidInput(f"unknown; there are: {', '.join(known)}", where)
    if "error" in known[name]:
        raise InvalidInput(f"is unavailable: {known[name]['error']}", where)
    offered = {entry["name"]: entry for entry in known[name]["parameters"]}
    for parameter in parameters:
        if parameter not in offered:
            accepted = ", ".join(offered) or "none"
            raise InvalidInput(f"unknown parameter {parameter!r}; accepted are: {accepted}", where)
        if "Path" in offered[parameter]["type"]:
            raise InvalidInput(f"{parameter} is a path; no file is opened by a client's word", where)
    try:
        return resolve([solver], _spare_cores(), 1, DESCRIBE_MEMORY)[solver]
    except Unavailable as error:
        raise InvalidInput(str(error), where) from None


def _spare_cores() -> frozenset[int]:
    """The cores that no solver is timed on, if this machine has any."""
    return apart_from(frozenset().union(*core_slots(None, 1))) or frozenset(os.sched_getaffinity(0))


def _made(
    settings: Settings, problem: str, kind: str, parameters: Mapping[str, Any], count: int, seed: int | None
) -> Sequence[Instance]:
    if problem not in _GENERATORS:
        raise InvalidInput(f"is {problem!r}; accepted are {', '.join(_GENERATORS)}", "problem")
    generators, size_name, variant = _GENERATORS[problem]
    if kind not in generators.KINDS:
        raise InvalidInput(f"is {kind!r}; accepted are {', '.join(generators.KINDS)}", "kind")
    size = parameters.get(size_name)
    if not isinstance(size, int) or not 1 <= size <= settings.max_instance_size:
        raise InvalidInput(f"is {size!r}; accepted are 1 to {settings.max_instance_size}", f"parameters.{size_name}")
    if not 1 <= count <= MAX_GENERATED:
        raise InvalidInput(f"is {count}; accepted are 1 to {MAX_GENERATED}", "count")
    if count * size > MAX_GENERATED_SIZE:
        raise InvalidInput(
            f"{count} instances of {size_name} {size} are too many at once; accepted are {MAX_GENERATED_SIZE // size}",
            "count",
        )
    if problem == "factoring" and count * size**3 > MAX_GENERATED_CUBES:
        accepted = int(MAX_GENERATED_CUBES // size**3)
        raise InvalidInput(f"{count} integers of {size} bits take too long to find; accepted are {accepted}", "count")
    given = {name: _option_text(name, value) for name, value in parameters.items() if name not in (size_name, variant)}
    options = spec.build(generators.KINDS[kind].options, given, "parameters")
    arguments = {size_name: size, "count": count} | {name: getattr(options, name) for name in given}
    arguments |= {
        name: value for name, value in ((variant, parameters.get(variant)), ("seed", seed)) if value is not None
    }
    try:
        made: Sequence[Instance] = generators.generate(kind, **arguments)
    except InvalidInput:
        raise
    except (ValueError, TypeError, ArithmeticError, LookupError) as error:
        raise InvalidInput(f"cannot be made: {error}", "parameters") from error
    return made


def _option_text(name: str, value: Any) -> str:
    """An option as text; numbers that no generator has a use for are refused."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    text = str(value)
    try:
        number = float(text)
    except ValueError:
        return text
    if not math.isfinite(number) or abs(number) > MAX_OPTION:
        raise InvalidInput(f"is {text}; accepted are numbers of at most {MAX_OPTION}", f"parameters.{name}")
    return text


def _store(store: Store, settings: Settings, instances: Sequence[Instance]) -> list[Description]:
    problem = problem_of(instances[0])
    described: dict[str, tuple[Description, dict[str, Any]]] = {}
    for instance in instances:
        description = problem.describe(instance)
        if description.size > settings.max_instance_size:
            accepted = f"accepted are up to {settings.max_instance_size}"
            raise InvalidInput(f"{description.name} has {description.size} {description.size_unit}; {accepted}")
        described.setdefault(description.digest, (description, problem.dump(instance)))
    store.add_instances(described.values())
    return [description for description, _ in described.values()]


def new_name() -> str:
    """A name that no other has, and that sorts by time."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(5)}"
