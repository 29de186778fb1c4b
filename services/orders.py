"""Orders to the service: a comparison is queued, or made again where it failed, and the workers are told."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import sqlalchemy as sa

from instances.errors import InvalidInput
from services import submission
from services.settings import Settings
from services.store.jobs import FAILED, Jobs
from services.store.store import Store
from services.submission import Terms

MAX_HINTS = 64


class Service(Protocol):
    """What takes orders."""

    @property
    def store(self) -> Store: ...

    @property
    def jobs(self) -> Jobs: ...

    @property
    def hint(self) -> Callable[[str, int], None]: ...

    @property
    def settings(self) -> Settings: ...


@dataclass(frozen=True)
class Generator:
    """Instances to be made."""

    problem: str
    kind: str
    count: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None


@dataclass(frozen=True)
class Order:
    """A comparison to be made, ``single`` if it is one run: of stored instances, by digest, or of new ones."""

    terms: Terms
    instances: Sequence[str] | Generator
    title: str = ""
    priority: int = 0
    single: bool = False

    @property
    def num_instances(self) -> int:
        return self.instances.count if isinstance(self.instances, Generator) else len(self.instances)

    @property
    def num_runs(self) -> int:
        return self.num_instances * len(self.terms.solvers) * self.terms.seeds


def place(service: Service, order: Order, owner: str | None, name: str) -> None:
    """Queue a comparison of that name, unless it is there already.

    Raises
    ------
    InvalidInput
        If something is wrong with it, or beyond the limits of the service.
    Full
        If there is no room for it now.
    """
    store, settings, terms = service.store, service.settings, order.terms
    if store.holds(name):
        return
    submission.check_terms(settings, terms, order.num_instances)
    submission.check_offered(terms.solvers)
    submission.check_room(store, settings, order.num_runs, owner, single=order.single)
    if isinstance(order.instances, Generator):
        made = order.instances
        instances = submission.store_generated(
            store, settings, made.problem, made.kind, made.parameters, made.count, made.seed
        )
    else:
        instances = submission.stored_instances(store, order.instances)
    planned = submission.plan(name, terms, instances)
    try:
        service.jobs.submit(
            planned.comparison, instances, planned.needs, environment(),
            title=order.title, single=order.single, owner=owner, priority=order.priority,
        )  # fmt: skip
    except sa.exc.IntegrityError:
        if not store.holds(name):
            raise
        # The same request, sent again, was faster.
        return
    give_hints(service, planned.needs, order.num_runs)


def num_failed(document: Mapping[str, Any]) -> int:
    """How many runs of a comparison a rerun would make again: those that failed, and those that are missing."""
    if document["definition"]["batch"] > 1:
        return 0
    counts = document["counts"]
    failed = sum(number for status, number in counts["by_status"].items() if status in FAILED)
    missing = document["num_runs"] - counts["queued"] - counts["running"] - counts["ended"]
    return int(failed + max(0, missing))


def rerun(service: Service, document: Mapping[str, Any], owner: str | None) -> None:
    """Queue again what failed, was cancelled or is missing of the comparison of this document.

    Raises
    ------
    InvalidInput
        If there is no such comparison, it was made in batches, or one of its solvers is not offered here.
    Full
        If there is no room for it now.
    """
    comparison = service.store.comparison(document["id"])
    if comparison.batch > 1:
        message = f"its runs were made in batches of {comparison.batch}; `versus compare` makes those that are missing"
        raise InvalidInput(message, "id")
    submission.check_offered(comparison.solvers.values())
    submission.check_room(service.store, service.settings, num_failed(document), owner, single=True)
    needs = submission.needs(comparison)
    give_hints(service, needs, service.jobs.rerun(comparison.name, needs))


def give_hints(service: Service, needs: Mapping[str, str], number: int) -> None:
    """Tell the workers of each queue used that so many runs wait."""
    if number:
        for queue in sorted(set(needs.values())):
            service.hint(queue, min(number, MAX_HINTS))


def environment() -> dict[str, str]:
    """What a comparison's report says of how it was made; the machine stands with each run."""
    return {"made by": "the service"}
