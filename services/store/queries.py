"""What the API and the dashboard ask of a store, mostly documents of plain values, each by a few indexed queries."""

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from instances.problem import Description
from services.records import Comparison, Results
from services.store import tables
from services.store.jobs import QUEUED, RUNNING
from services.store.store import RUNS, description_of, parts, run_of

STATES = ("queued", "running", "finished", "cancelled", "incomplete")
"""Of comparisons: incomplete are those without work left that miss runs, as an interrupted `versus compare` leaves."""
ENDED = "ended"
RUN_STATES = (QUEUED, RUNNING, ENDED)
RECENT_RUNS = 200
"""Runs whose ends say how fast the service is now."""
EXPORTED_INSTANCES = 100
"""Instances whose runs are read at a time."""

_comparisons = tables.comparisons.c
_runs = tables.runs.c
_jobs = tables.jobs.c
_members = tables.comparison_instances.c
_LISTED = (
    "key", "comparison", "instance", "solver", "repetition", "status", "reason", "cost", "partial", "attempt",
    "num_rejected", "setup_seconds", "wall_seconds", "cpu_seconds", "disturbed", "finished_at",
)  # fmt: skip


@dataclass(frozen=True)
class Progress:
    """How many runs of a comparison are queued, running, and ended by status."""

    queued: int = 0
    running: int = 0
    ended: dict[str, int] = field(default_factory=dict)
    attempts: int = 0
    """Attempts at those that ended, together: grows with every rerun."""

    @property
    def open(self) -> int:
        """Runs that are still to end."""
        return self.queued + self.running

    @property
    def num_ended(self) -> int:
        return sum(self.ended.values())

    @property
    def revision(self) -> str:
        """Another one whenever other runs have ended."""
        text = json.dumps([sorted(self.ended.items()), self.attempts])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def num_queued(engine: sa.Engine) -> int:
    """Queued runs of all comparisons."""
    query = sa.select(sa.func.count()).where(_jobs.state == QUEUED)
    with engine.connect() as connection:
        return int(connection.scalar(query) or 0)


def num_open_comparisons(engine: sa.Engine, owner: str | None) -> int:
    """Comparisons of a key with runs still to end; single runs do not count."""
    query = sa.select(sa.func.count()).where(
        sa.not_(_comparisons.single), _comparisons.owner.is_not_distinct_from(owner), _left()
    )
    with engine.connect() as connection:
        return int(connection.scalar(query) or 0)


def descriptions(engine: sa.Engine, digests: Sequence[str]) -> dict[str, Description]:
    """Descriptions of those of the instances that are stored, by digest."""
    columns = tables.instances.c
    found: dict[str, Description] = {}
    with engine.connect() as connection:
        for part in parts(digests):
            query = sa.select(columns.digest, columns.description).where(columns.digest.in_(part))
            found |= {digest: description_of(entry) for digest, entry in connection.execute(query)}
    return found


def progress(engine: sa.Engine, names: Sequence[str]) -> dict[str, Progress]:
    """The progress of comparisons, by name."""
    queued: dict[str, dict[str, int]] = {name: {} for name in names}
    ended: dict[str, dict[str, int]] = {name: {} for name in names}
    attempts = dict.fromkeys(names, 0)
    left = sa.select(_jobs.comparison, _jobs.state, sa.func.count()).where(_jobs.comparison.in_(names))
    done = sa.select(_runs.comparison, _runs.status, sa.func.count(), sa.func.sum(_runs.attempt))
    done = done.where(_runs.comparison.in_(names)).group_by(_runs.comparison, _runs.status)
    with engine.connect() as connection:
        for name, state, number in connection.execute(left.group_by(_jobs.comparison, _jobs.state)):
            queued[name][state] = number
        for name, status, number, tried in connection.execute(done):
            ended[name][status] = number
            attempts[name] += int(tried)
    return {
        name: Progress(queued[name].get(QUEUED, 0), queued[name].get(RUNNING, 0), ended[name], attempts[name])
        for name in names
    }


def comparison(engine: sa.Engine, name: str) -> dict[str, Any] | None:
    """The document of a comparison's state, None if there is none of that name."""
    with engine.connect() as connection:
        head = connection.execute(_heads().where(_comparisons.name == name)).one_or_none()
    return None if head is None else _documents(engine, [head])[0]


def comparisons(
    engine: sa.Engine, limit: int, before: sa.ColumnElement[bool], *, single: bool, state: str | None, title: str | None
) -> list[dict[str, Any]]:
    """Documents of at most ``limit`` comparisons, newest first; ``before`` is a condition on the columns of ORDER."""
    query = _heads().where(_comparisons.single == single, before)
    if state is not None:
        query = query.where(_in_state(state))
    if title is not None:
        words = _comparisons.title.icontains(title, autoescape=True)
        query = query.where(words | _comparisons.name.icontains(title, autoescape=True))
    query = query.order_by(*(column.desc() for column in COMPARISON_ORDER)).limit(limit)
    with engine.connect() as connection:
        heads = connection.execute(query).all()
    return _documents(engine, heads)


COMPARISON_ORDER = (_comparisons.created_at, _comparisons.name)
RUN_ORDER = (_runs.finished_at, _runs.key)


def state_of(head: Any, done: Progress) -> str:
    """The state of a comparison, one of STATES."""
    if done.open:
        return "running" if done.running or done.num_ended else "queued"
    if head.cancelled:
        return "cancelled"
    return "finished" if done.num_ended >= head.num_runs else "incomplete"


def find_run(engine: sa.Engine, key: str) -> tuple[sa.Row[Any] | None, sa.Row[Any] | None]:
    """The row of a job, or else that of the run it has become; neither if there is no such run."""
    job = sa.select(tables.jobs).where(_jobs.run == key)
    run = sa.select(tables.runs).where(_runs.key == key)
    with engine.connect() as connection:
        # Once more, for a rerun makes a job of a run.
        for query in (job, run, job):
            row = connection.execute(query).one_or_none()
            if row is not None:
                return (row, None) if query is job else (None, row)
    return None, None


def run(engine: sa.Engine, key: str) -> dict[str, Any] | None:
    """The document of a run, whether queued, running or ended; None if there is no such run."""
    job, ended = find_run(engine, key)
    row = job or ended
    if row is None:
        return None
    with engine.connect() as connection:
        head = connection.execute(_heads().where(_comparisons.name == row.comparison)).one_or_none()
        columns = tables.instances.c
        query = sa.select(columns.description, columns.added_at).where(columns.digest == row.instance)
        known = connection.execute(query).one_or_none()
    if head is None or known is None:
        return None
    instance = {**known.description, "added_at": known.added_at}
    definition = Comparison(**head.definition)
    document = {
        "id": key,
        "comparison": head.name,
        "title": head.title,
        "single": head.single,
        "instance": instance,
        "solver": row.solver,
        "spec": definition.solvers[row.solver],
        "repetition": row.repetition,
        "seed": definition.run_seed(row.instance, row.repetition),
        "budget": definition.budget,
        "threads": definition.threads,
        "memory": definition.memory,
        "priority": head.priority,
        "state": ENDED if job is None else job.state,
        "attempt": row.attempt,
        "trace": row.trace or [],
        "decimals": instance["decimals"],
    }
    if job is not None:
        cost = job.trace[-1][1] if job.trace else None
        times = {name: _iso(getattr(job, name)) for name in ("queued_at", "started_at")}
        return {**document, "cost": cost, "cancelling": job.cancel, **times}
    measured = (
        "status", "reason", "cost", "partial", "num_reported", "num_rejected", "num_late", "setup_seconds",
        "wall_seconds", "cpu_seconds", "peak_bytes", "involuntary_switches", "disturbed", "versions", "machine",
        "finished_at", "log",
    )  # fmt: skip
    return {**document, "cancelling": False, **{name: getattr(ended, name) for name in measured}}


def best_solution(engine: sa.Engine, key: str) -> Any:
    """The document of the last, best solution of an ended run; None without one."""
    columns = tables.run_solutions.c
    with engine.connect() as connection:
        packed = connection.scalar(sa.select(columns.solutions).where(columns.run == key))
    return None if packed is None else json.loads(zlib.decompress(packed))[-1]


def runs_of(
    engine: sa.Engine,
    name: str,
    limit: int,
    after: str | None,
    *,
    solver: str | None = None,
    status: str | None = None,
    instance: str | None = None,
) -> list[dict[str, Any]]:
    """At most ``limit`` runs of a comparison after a key, by key; ``status`` is that of a run, or a job's state."""
    found: dict[str, dict[str, Any]] = {}
    with engine.connect() as connection:
        # Jobs first: one that ends in between is then seen twice, not missed.
        if status in (None, QUEUED, RUNNING):
            chosen = _chosen(tables.jobs, comparison=name, solver=solver, instance=instance, state=status)
            query = sa.select(tables.jobs).where(*chosen, *([_jobs.run > after] if after else []))
            rows = connection.execute(query.order_by(_jobs.run).limit(limit))
            found |= {row.run: _job_item(row) for row in rows}
        if status not in (QUEUED, RUNNING):
            chosen = _chosen(tables.runs, comparison=name, solver=solver, instance=instance, status=status)
            query = _listed().where(*chosen, *([_runs.key > after] if after else []))
            found |= {row.key: _run_item(row) for row in connection.execute(query.order_by(_runs.key).limit(limit))}
    return _with_instances(engine, [found[key] for key in sorted(found)[:limit]])


def ended_runs(
    engine: sa.Engine,
    limit: int,
    before: sa.ColumnElement[bool],
    *,
    status: str | None = None,
    solver: str | None = None,
    instance: str | None = None,
) -> list[dict[str, Any]]:
    """At most ``limit`` ended runs of all comparisons, newest first; ``before`` is a condition on RUN_ORDER."""
    query = _listed().where(before, *_chosen(tables.runs, status=status, solver=solver), *_on(tables.runs, instance))
    with engine.connect() as connection:
        rows = connection.execute(query.order_by(*(column.desc() for column in RUN_ORDER)).limit(limit))
        items = [_run_item(row) for row in rows]
    return _with_instances(engine, items)


def open_runs(
    engine: sa.Engine,
    state: str,
    limit: int,
    after: str | None,
    *,
    solver: str | None = None,
    instance: str | None = None,
) -> list[dict[str, Any]]:
    """At most ``limit`` queued or running runs of all comparisons after a key, by key."""
    query = sa.select(tables.jobs).where(*_chosen(tables.jobs, state=state, solver=solver), *_on(tables.jobs, instance))
    query = query.where(*([_jobs.run > after] if after else []))
    with engine.connect() as connection:
        items = [_job_item(row) for row in connection.execute(query.order_by(_jobs.run).limit(limit))]
    return _with_instances(engine, items)


def records(engine: sa.Engine, name: str, limit: int, after: str | None) -> list[dict[str, Any]]:
    """At most ``limit`` ended runs of a comparison after a key, by key: all of each, and its last solution."""
    packed = tables.run_solutions.c
    query = sa.select(tables.runs, packed.solutions).outerjoin(tables.run_solutions, packed.run == _runs.key)
    query = query.where(_runs.comparison == name, *([_runs.key > after] if after else []))
    found = []
    with engine.connect() as connection:
        for row in connection.execute(query.order_by(_runs.key).limit(limit)):
            values = row._asdict()
            solutions = values.pop("solutions")
            best = None if solutions is None else json.loads(zlib.decompress(solutions))[-1]
            found.append({**values, "id": values.pop("key"), "solution": best})
    return found


def results_in_parts(engine: sa.Engine, name: str) -> Iterator[Results]:
    """The results of a comparison, some instances at a time, in its order."""
    start = 0
    while (part := results_of(engine, name, start, EXPORTED_INSTANCES)).instances:
        yield part
        start += EXPORTED_INSTANCES


def results_of(engine: sa.Engine, name: str, start: int, number: int) -> Results:
    """The results of at most ``number`` instances of a comparison, from the place ``start`` in its order."""
    with engine.connect() as connection:
        head = connection.execute(_heads().where(_comparisons.name == name)).one()
        members = sa.select(_members.instance, _members.description).where(
            _members.comparison == name, _members.position >= start
        )
        described = connection.execute(members.order_by(_members.position).limit(number)).all()
        known = {digest: description_of(entry) for digest, entry in described}
        query = RUNS.where(_runs.comparison == name, _runs.instance.in_(list(known)))
        found = [run_of(row._asdict()) for row in connection.execute(query)]
    definition = Comparison(**head.definition)
    column = {label: place for place, label in enumerate(definition.solvers)}
    place = {digest: number for number, digest in enumerate(known)}
    found.sort(key=lambda run: (place[run.instance], column[run.solver], run.repetition))
    return Results(definition, known, tuple(found), head.environment)


def delete_comparison(engine: sa.Engine, name: str) -> bool:
    """Delete a comparison with all that belongs to it, runs and jobs too; whether there was one."""
    with engine.begin() as connection:
        return bool(connection.execute(tables.comparisons.delete().where(_comparisons.name == name)).rowcount)


def _chosen(table: sa.Table, **wanted: str | None) -> list[sa.ColumnElement[bool]]:
    """The conditions that columns have the values wanted of them, if any."""
    return [table.c[name] == value for name, value in wanted.items() if value is not None]


def _on(table: sa.Table, instance: str | None) -> list[sa.ColumnElement[bool]]:
    """The condition that runs, or jobs, are on an instance: through the comparisons it is in, which is indexed."""
    if instance is None:
        return []
    within = sa.select(_members.comparison).where(_members.instance == instance)
    return [table.c.comparison.in_(within), table.c.instance == instance]


def _heads() -> sa.Select[Any]:
    return sa.select(tables.comparisons)


def _listed() -> sa.Select[Any]:
    return sa.select(*(_runs[name] for name in _LISTED))


def _documents(engine: sa.Engine, heads: Sequence[sa.Row[Any]]) -> list[dict[str, Any]]:
    done = progress(engine, [head.name for head in heads])
    left = _seconds_left(engine, {head.name: done[head.name].open for head in heads if done[head.name].open}, heads)
    return [_document(head, done[head.name], left.get(head.name, 0.0)) for head in heads]


def _seconds_left(
    engine: sa.Engine, num_open: Mapping[str, int], heads: Sequence[sa.Row[Any]]
) -> dict[str, float | None]:
    """Estimates from how fast runs ended lately; before that from budget and workers; None without any."""
    if not num_open:
        return {}
    recent = sa.select(_runs.comparison, _runs.finished_at).order_by(*(column.desc() for column in RUN_ORDER))
    left: dict[str, float | None] = {}
    with engine.connect() as connection:
        ends = [(row[0], _posix(row[1])) for row in connection.execute(recent.limit(RECENT_RUNS))]
        slots = int(connection.scalar(sa.select(sa.func.sum(tables.workers.c.slots))) or 0)
        for head in heads:
            if head.name not in num_open:
                continue
            # That of any job will do: they were queued together.
            query = sa.select(_jobs.queued_at).where(_jobs.comparison == head.name).limit(1)
            since = connection.scalar(query) or 0.0
            # Whole seconds: some ends are stamped no finer.
            own = [(of, end) for of, end in ends if end >= int(since)]
            number = sum(1 for of, _ in own if of == head.name)
            if number:
                span = max(1.0, datetime.now(UTC).timestamp() - min(end for _, end in own))
                left[head.name] = round(num_open[head.name] * span / number, 1)
            else:
                budget = float(head.definition["budget"])
                left[head.name] = round(num_open[head.name] * budget / slots, 1) if slots else None
    return left


def _document(head: sa.Row[Any], done: Progress, left: float | None) -> dict[str, Any]:
    definition = Comparison(**head.definition)
    per_instance = len(definition.solvers) * definition.num_seeds
    return {
        "id": head.name,
        "title": head.title or head.name,
        "single": head.single,
        "state": state_of(head, done),
        "num_runs": head.num_runs,
        "num_instances": head.num_runs // per_instance,
        "counts": {"queued": done.queued, "running": done.running, "ended": done.num_ended, "by_status": done.ended},
        "seconds_left": left,
        "created_at": head.created_at,
        "priority": head.priority,
        "problems": list(dict.fromkeys(definition.problems.values())),
        "definition": asdict(definition),
        "environment": head.environment,
        "revision": done.revision,
    }


def _left(state: str | None = None) -> sa.ColumnElement[bool]:
    """Whether runs of a comparison are still to end, or are in this state."""
    conditions = [_jobs.comparison == _comparisons.name, *([_jobs.state == state] if state else [])]
    return sa.exists().where(*conditions).correlate(tables.comparisons)


def _in_state(state: str) -> sa.ColumnElement[bool]:
    """The condition under which :func:`state_of` says ``state``."""
    number = sa.select(sa.func.count()).where(_runs.comparison == _comparisons.name).correlate(tables.comparisons)
    begun = _left(RUNNING) | sa.exists().where(_runs.comparison == _comparisons.name).correlate(tables.comparisons)
    whole = number.scalar_subquery() >= _comparisons.num_runs
    conditions: Mapping[str, sa.ColumnElement[bool]] = {
        "queued": sa.and_(_left(), sa.not_(begun)),
        "running": sa.and_(_left(), begun),
        "cancelled": sa.and_(sa.not_(_left()), _comparisons.cancelled),
        "finished": sa.and_(sa.not_(_left()), sa.not_(_comparisons.cancelled), whole),
        "incomplete": sa.and_(sa.not_(_left()), sa.not_(_comparisons.cancelled), sa.not_(whole)),
    }
    return conditions[state]


def _job_item(row: sa.Row[Any]) -> dict[str, Any]:
    nothing = dict.fromkeys(_LISTED)
    same = ("comparison", "instance", "solver", "repetition", "attempt")
    cost = row.trace[-1][1] if row.trace else None
    return {**nothing, "key": row.run, "state": row.state, **{name: getattr(row, name) for name in same}, "cost": cost}


def _run_item(row: sa.Row[Any]) -> dict[str, Any]:
    return {**row._asdict(), "state": ENDED}


def _with_instances(engine: sa.Engine, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items, each with its id, and its instance's name and decimals."""
    known = descriptions(engine, list({item["instance"] for item in items}))
    for item in items:
        instance = known[item["instance"]]
        item["id"] = item.pop("key")
        item |= {"instance_name": instance.name, "problem": instance.problem, "decimals": instance.decimals}
    return items


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _posix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
