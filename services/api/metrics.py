"""What Prometheus is told: the requests this process answered, the jobs and workers of the store."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.store import tables, workers
from services.store.jobs import QUEUED, RUNNING
from services.store.outage import OUTAGES

KEPT_SECONDS = 5.0
"""How long what was read of the store is told again, however often somebody asks."""
LAG = timedelta(seconds=15)
"""How long after its end a run is counted: until then every worker has surely stored it."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self, engine: sa.Engine, lease_seconds: float) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "versus_http_requests", "Requests answered by this process", ("method", "route", "status"),
            registry=self._registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "versus_http_request_seconds", "Seconds from a request to the beginning of its answer", ("method", "route"),
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=self._registry,
        )  # fmt: skip
        ProcessCollector(registry=self._registry)
        self._registry.register(_StoreCollector(engine, lease_seconds))

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; ``route`` is the template of its path, so that there are few."""
        method = method if method in _METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)


def job_counts(engine: sa.Engine) -> dict[tuple[str, str], int]:
    """Jobs by (state, needs), from their index alone."""
    jobs = tables.jobs.c
    query = sa.select(jobs.state, jobs.needs, sa.func.count()).group_by(jobs.state, jobs.needs)
    with engine.connect() as connection:
        return {(state, needs): number for state, needs, number in connection.execute(query)}


def ended_between(since: str, until: str) -> sa.Select[str, int]:
    """How many runs ended after ``since`` and up to ``until``, by status; reads those runs only."""
    runs = tables.runs.c
    between = runs.finished_at > since, runs.finished_at <= until
    return sa.select(runs.status, sa.func.count()).where(*between).group_by(runs.status)


class _StoreCollector(Collector):
    """Reads the store when somebody asks, at most every few seconds.

    The runs are never counted as a whole, for there may be millions: only those that ended since they were looked at.
    """

    def __init__(self, engine: sa.Engine, lease_seconds: float) -> None:
        self._engine = engine
        self._lease_seconds = lease_seconds
        self._lock = threading.Lock()
        self._read_at = -float("inf")
        self._read: list[Metric] = []
        self._counted_until = _stamp(datetime.now(UTC))
        self._ended: dict[str, int] = {}

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            if time.monotonic() - self._read_at > KEPT_SECONDS:
                reachable = GaugeMetricFamily("versus_store_up", "Whether the store could be read")
                try:
                    self._read = [*self._families(), reachable]
                    reachable.add_metric((), 1)
                except OUTAGES:
                    self._read = [reachable]
                    reachable.add_metric((), 0)
                self._read_at = time.monotonic()
            yield from self._read

    def _families(self) -> Iterator[Metric]:
        counts = job_counts(self._engine)
        for state in (QUEUED, RUNNING):
            family = GaugeMetricFamily(f"versus_jobs_{state}", f"Runs that are {state}", labels=("needs",))
            for needs in sorted({"cpu", "gpu"} | {needs for _, needs in counts}):
                family.add_metric((needs,), counts.get((state, needs), 0))
            yield family
        alive = [worker for worker in workers.known(self._engine) if worker.seen_seconds < self._lease_seconds]
        number = GaugeMetricFamily("versus_workers", "Workers seen within a lease's time", labels=("needs",))
        slots = GaugeMetricFamily("versus_slots", "Runs that those workers make at a time", labels=("needs",))
        for needs in sorted({"cpu", "gpu"} | {needs for worker in alive for needs in worker.needs}):
            taking = [worker for worker in alive if needs in worker.needs]
            number.add_metric((needs,), len(taking))
            slots.add_metric((needs,), sum(worker.slots for worker in taking))
        yield from (number, slots, self._runs_ended())

    def _runs_ended(self) -> Metric:
        # A clock set back must not count anything twice.
        until = max(_stamp(datetime.now(UTC) - LAG), self._counted_until)
        with self._engine.connect() as connection:
            for status, number in connection.execute(ended_between(self._counted_until, until)):
                self._ended[status] = self._ended.get(status, 0) + number
        self._counted_until = until
        family = CounterMetricFamily(
            "versus_runs_ended",
            f"Runs of the store that ended since this process started, told {LAG.seconds} s late. Every process of the "
            "API counts them all: take one, or the largest",
            labels=("status",),
        )
        for status, number in sorted(self._ended.items()):
            family.add_metric((status,), number)
        return family


def _stamp(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")
