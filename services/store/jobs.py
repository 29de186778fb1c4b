"""The life of a job: queued, running under a lease, and then, once, a run in its final state.

A job is a row of ``jobs``; completing it deletes the row and stores the run in one transaction, so that every run of a
comparison is in exactly one of the two tables. Every change is a compare-and-set on the run, the attempt and the state,
so that whoever lost an attempt changes nothing any more.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from instances.problem import Description
from services.records import Comparison, Run, Status
from services.store import tables
from services.store.clock import now
from services.store.store import insert_comparison, insert_run

QUEUED, RUNNING = "queued", "running"
NEEDS = ("cpu", "gpu")
"""The queues, each for what a run needs."""
FAILED = frozenset({Status.CRASHED, Status.MEMORY, Status.UNAVAILABLE, Status.CANCELLED})
"""How runs end that a rerun makes again."""

_jobs = tables.jobs.c


@dataclass(frozen=True)
class Claim:
    """An attempt at a run, held under a lease."""

    run: str
    comparison: str
    instance: str
    solver: str
    repetition: int
    attempt: int


class Jobs:
    """The jobs of a store."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def submit(
        self,
        comparison: Comparison,
        instances: Sequence[Description],
        needs: Mapping[str, str],
        environment: dict[str, str],
        *,
        title: str = "",
        single: bool = False,
        owner: str | None = None,
        priority: int = 0,
    ) -> None:
        """Store a comparison of stored instances and queue all its runs, all or nothing.

        ``needs`` maps each label to the queue of its runs. ``single`` marks a comparison that is one run.
        """
        with self.engine.begin() as connection:
            insert_comparison(
                connection, comparison, instances, environment,
                title=title, single=single, owner=owner, priority=priority,
            )  # fmt: skip
            places = comparison.places([description.digest for description in instances])
            _queue(connection, comparison, places, needs, priority)

    def claim(self, needs: Collection[str], threads: int, worker: str, lease: float) -> Claim | None:
        """Take the job whose turn it is, of those that need no more than this, for ``lease`` seconds."""
        # One query for each queue: each reads the first row of its part of the index, however many there are.
        turns = [
            sa.select(_jobs.run, _jobs.attempt, _jobs.priority, _jobs.turn)
            .where(_jobs.state == QUEUED, _jobs.needs == queue, _jobs.threads <= threads)
            .order_by(_jobs.priority.desc(), _jobs.turn)
            .limit(1)
            .with_for_update(skip_locked=True)
            for queue in needs
        ]
        taken = {
            "state": RUNNING, "attempt": _jobs.attempt + 1, "worker": worker, "lease_until": now() + lease,
            "started_at": now(), "trace": None,
        }  # fmt: skip
        columns = (_jobs.run, _jobs.comparison, _jobs.instance, _jobs.solver, _jobs.repetition, _jobs.attempt)
        while True:
            with self.engine.begin() as connection:
                found = [row for turn in turns if (row := connection.execute(turn).one_or_none()) is not None]
                if not found:
                    return None
                next_one = min(found, key=lambda row: (-row.priority, row.turn))
                query = _of(next_one.run, next_one.attempt, QUEUED).values(taken).returning(*columns)
                claimed: Any = connection.execute(query).one_or_none()
            # SQLite has no row locks: another worker may have been faster.
            if claimed is not None:
                return Claim(*claimed)

    def renew(self, claim: Claim, lease: float, trace: Sequence[tuple[float, int]] | None) -> bool | None:
        """Hold a claim for ``lease`` seconds more and show its incumbents: whether to cancel it; None if it is lost."""
        values: dict[str, Any] = {"lease_until": now() + lease}
        if trace is not None:
            values["trace"] = [list(incumbent) for incumbent in trace]
        with self.engine.begin() as connection:
            query = _of(claim.run, claim.attempt, RUNNING).values(values).returning(_jobs.cancel)
            row = connection.execute(query).one_or_none()
        return None if row is None else bool(row.cancel)

    def give_back(self, claim: Claim) -> bool:
        """Queue a claimed job again, by the worker that stops; whether it was still held."""
        with self.engine.begin() as connection:
            return bool(connection.execute(_of(claim.run, claim.attempt, RUNNING).values(_queued())).rowcount)

    def complete(self, claim: Claim, run: Run) -> bool:
        """Store a claimed job's run in its final state; false, and nothing is stored, if the claim was lost."""
        held = tables.jobs.delete().where(
            _jobs.run == claim.run, _jobs.attempt == claim.attempt, _jobs.state == RUNNING
        )
        try:
            with self.engine.begin() as connection:
                if connection.execute(held).rowcount == 0:
                    return False
                insert_run(connection, claim.comparison, run)
        except sa.exc.IntegrityError:
            return self._forget_ended(claim.run)
        return True

    def _forget_ended(self, run: str) -> bool:
        """Delete a job whose run has ended, or whose comparison is gone, so that nobody takes it up again."""
        ended = sa.exists().where(tables.runs.c.key == run)
        with self.engine.begin() as connection:
            connection.execute(tables.jobs.delete().where(_jobs.run == run, ended))
        return False

    def reap(self, cap: int) -> int:
        """Queue again what lost its worker; end what lost it ``cap`` times or is to be cancelled. How many changed."""
        query = sa.select(tables.jobs).where(
            sa.or_(
                sa.and_(_jobs.state == RUNNING, _jobs.lease_until < now()),
                sa.and_(_jobs.state == QUEUED, _jobs.cancel),
            )
        )
        with self.engine.connect() as connection:
            rows = connection.execute(query).all()
        changed = 0
        for row in rows:
            try:
                changed += self._reap(row, cap)
            except sa.exc.IntegrityError:
                self._forget_ended(row.run)
        return changed

    def _reap(self, row: sa.Row[Any], cap: int) -> bool:
        with self.engine.begin() as connection:
            lost = row.state == RUNNING
            fenced = _of(row.run, row.attempt, row.state)
            if lost:
                fenced = fenced.where(_jobs.lease_until < now())
            if lost and not row.cancel and row.losses + 1 < cap:
                return bool(connection.execute(fenced.values(losses=_jobs.losses + 1, **_queued())).rowcount)
            # Marked first, deleted then: only an update can be fenced by the lease.
            if connection.execute(fenced.values(state=RUNNING)).rowcount == 0:
                return False
            connection.execute(tables.jobs.delete().where(_jobs.run == row.run))
            comparison = _comparison(connection, row.comparison)
            if row.cancel:
                ended = _ended(comparison, row, Status.CANCELLED, "cancelled")
            else:
                words = f"its worker was lost {row.losses + 1} times; the last was {row.worker}"
                ended = _ended(comparison, row, Status.CRASHED, words)
            insert_run(connection, row.comparison, ended)
        return True

    def cancel(self, comparison: str, run: str | None = None) -> int:
        """Cancel what is left of a comparison, or one run of it; how many runs that were.

        Queued ones end at once, running ones when their worker hears of it.
        """
        chosen = _jobs.comparison == comparison
        if run is not None:
            chosen &= _jobs.run == run
        with self.engine.begin() as connection:
            if run is None:
                mark = tables.comparisons.update().where(tables.comparisons.c.name == comparison)
                connection.execute(mark.values(cancelled=True))
            # All are told first: one that a worker takes meanwhile then knows.
            told = connection.execute(tables.jobs.update().where(chosen).values(cancel=True)).rowcount
            waiting = tables.jobs.delete().where(chosen, _jobs.state == QUEUED).returning(tables.jobs)
            rows = connection.execute(waiting).all()
            if rows:
                definition = _comparison(connection, comparison)
                for row in rows:
                    insert_run(connection, comparison, _ended(definition, row, Status.CANCELLED, "cancelled"))
        return int(told)

    def rerun(self, comparison: str, needs: Mapping[str, str]) -> int:
        """Queue again what failed or was cancelled, and what is missing; how many runs those are."""
        runs = tables.runs.c
        with self.engine.begin() as connection:
            # First, so that of two reruns at once one waits for the other.
            mark = tables.comparisons.update().where(tables.comparisons.c.name == comparison).values(cancelled=False)
            priority = connection.execute(mark.returning(tables.comparisons.c.priority)).scalar_one()
            definition = _comparison(connection, comparison)
            members = tables.comparison_instances.c
            digests = connection.scalars(
                sa.select(members.instance).where(members.comparison == comparison).order_by(members.position)
            ).all()
            failed = runs.comparison == comparison, runs.status.in_([status.value for status in FAILED])
            attempts = {
                row.key: row.attempt
                for row in connection.execute(tables.runs.delete().where(*failed).returning(runs.key, runs.attempt))
            }
            # Jobs first: one that ends in between is then seen twice, not missed.
            present = set(connection.scalars(sa.select(_jobs.run).where(_jobs.comparison == comparison)))
            present |= set(connection.scalars(sa.select(runs.key).where(runs.comparison == comparison)))
            missing = [place for place in definition.places(digests) if definition.run_key(*place) not in present]
            _queue(connection, definition, missing, needs, priority, attempts)
        return len(missing)

    def queued(self, threads: int | None = None, most: int | None = None) -> dict[str, int]:
        """Queued jobs by what they need: those of at most so many threads, counted up to ``most``."""
        numbers = {}
        with self.engine.connect() as connection:
            for needs in NEEDS:
                query = sa.select(_jobs.run).where(_jobs.state == QUEUED, _jobs.needs == needs).limit(most)
                if threads is not None:
                    query = query.where(_jobs.threads <= threads)
                number = connection.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one()
                if number:
                    numbers[needs] = number
        return numbers


def _of(run: str, attempt: int, state: str) -> sa.Update:
    """An update of a job that is still in this attempt and state."""
    return tables.jobs.update().where(_jobs.run == run, _jobs.attempt == attempt, _jobs.state == state)


def _queued() -> dict[str, Any]:
    return {"state": QUEUED, "worker": None, "lease_until": None, "started_at": None, "trace": None}


def _queue(
    connection: sa.Connection,
    comparison: Comparison,
    places: Iterable[tuple[str, str, int]],
    needs: Mapping[str, str],
    priority: int,
    attempts: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """Queue runs from the turn that is now, so that comparisons take turns whatever their size.

    ``attempts`` are those there were before, by run: their numbers are not given out again.
    """
    first = connection.scalar(sa.select(sa.func.min(_jobs.turn)).where(_jobs.state == QUEUED)) or 0
    queued_at = connection.scalar(sa.select(now()))
    rows = [
        {
            "run": key,
            "comparison": comparison.name,
            "instance": digest,
            "solver": label,
            "repetition": repetition,
            "needs": needs[label],
            "threads": comparison.threads,
            "priority": priority,
            "turn": first + number,
            "state": QUEUED,
            "attempt": attempts.get(key, 0),
            "losses": 0,
            "cancel": False,
            "queued_at": queued_at,
        }
        for number, (digest, label, repetition) in enumerate(places)
        for key in (comparison.run_key(digest, label, repetition),)
    ]
    if rows:
        connection.execute(tables.jobs.insert(), rows)


def _comparison(connection: sa.Connection, name: str) -> Comparison:
    query = sa.select(tables.comparisons.c.definition).where(tables.comparisons.c.name == name)
    return Comparison(**connection.execute(query).scalar_one())


def _ended(comparison: Comparison, job: sa.Row[Any], status: Status, reason: str) -> Run:
    """The record of a run that no worker brought to its end."""
    return Run(
        key=job.run,
        instance=job.instance,
        solver=job.solver,
        spec=comparison.solvers[job.solver],
        repetition=job.repetition,
        seed=comparison.run_seed(job.instance, job.repetition),
        status=status,
        reason=reason,
        finished_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        attempt=job.attempt,
    )
