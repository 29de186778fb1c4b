"""What is well with the service here, what is not, and what to do."""

import importlib.metadata
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa
from packaging.requirements import Requirement
from redis import Redis
from redis.exceptions import RedisError

from instances.errors import InvalidInput
from services.embedded import find_server
from services.runner.catalogue import describe_all
from services.runner.machine import core_slots, describe_machine
from services.settings import Settings
from services.startup import Unreachable, open_store, sqlite_file, store_url
from services.store import tables, workers
from services.store.clock import now
from services.store.jobs import Jobs
from services.store.store import Store

LOW_DISK_BYTES = 1024**3
NO_DISK_BYTES = 100 * 1024**2
MOST_SKEW_SECONDS = 2.0
REDIS_SECONDS = 3.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``remedy`` says what to do if it is not well."""

    part: str
    state: Literal["ok", "warn", "fail"]
    text: str
    remedy: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Look at every part that located settings name."""
    findings = [*_packages(), *_machine(), *_disk(settings), *_broker(settings), *_solvers()]
    file = sqlite_file(store_url(settings))
    if file is not None and not file.exists():
        return [*findings, Finding("store", "ok", f"{file} is not there yet; `versus serve` makes it")]
    try:
        store = open_store(settings, migrate=False)
    except InvalidInput as error:
        return [
            *findings,
            Finding("store", "fail", str(error), "if it is older than this versus, run `versus migrate`"),
        ]
    except Unreachable as error:
        return [*findings, Finding("store", "fail", str(error), "see whether it runs, and VERSUS_DATABASE_URL")]
    try:
        return [*findings, *_store(store), *_clock(store), *_workers(store, settings)]
    finally:
        store.close()


def _packages() -> Iterator[Finding]:
    wrong = []
    for text in importlib.metadata.requires("versus") or ():
        needed = Requirement(text)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(needed.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{needed.name} is missing")
            continue
        if not needed.specifier.contains(version, prereleases=True):
            wrong.append(f"{needed.name} is {version} and should be {needed.specifier}")
    python = f"Python {platform.python_version()}"
    if not wrong:
        yield Finding("packages", "ok", f"{python} and every package as pinned")
    else:
        state: Literal["warn", "fail"] = "fail" if any(text.endswith("missing") for text in wrong) else "warn"
        yield Finding("packages", state, f"{python}; {'; '.join(wrong)}", "install versus again, e.g. with `make`")


def _machine() -> Iterator[Finding]:
    machine = describe_machine()
    slots = len(core_slots(None, 1))
    text = f"runs at a time: {slots}; physical cores: {machine['cores']}; memory: {machine['memory']}"
    if int(machine["cores"]) > slots:
        yield Finding("machine", "ok", text)
    else:
        remedy = "give the service a second core: on one, its own work disturbs the runs"
        yield Finding("machine", "warn", text, remedy)


def _disk(settings: Settings) -> Iterator[Finding]:
    file = sqlite_file(store_url(settings))
    folder = (file.parent if file else settings.data_dir).absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    text = f"{free / 1024**3:.1f} GiB free at {folder}"
    if free >= LOW_DISK_BYTES:
        yield Finding("disk", "ok", text)
    else:
        yield Finding("disk", "fail" if free < NO_DISK_BYTES else "warn", text, "free some, or move the data folder")


def _broker(settings: Settings) -> Iterator[Finding]:
    if settings.redis_url is None:
        try:
            server = find_server()
            version = subprocess.run([server, "--version"], capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError) as error:
            yield Finding("broker", "fail", str(error), "install valkey-server, or set VERSUS_REDIS_URL")
        else:
            yield Finding("broker", "ok", f"`versus serve` starts its own: {server}, {' '.join(version.split()[:3])}")
        return
    try:
        with Redis.from_url(
            settings.redis_url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS,
            decode_responses=True,
        ) as client:  # fmt: skip
            info = client.info()
            policy = info.get("maxmemory_policy", "unknown")
    except (RedisError, ValueError) as error:
        yield Finding("broker", "fail", f"{error}", "see whether it runs, and VERSUS_REDIS_URL")
        return
    version = info.get("valkey_version") or info.get("redis_version")
    text = f"{info.get('server_name', 'redis')} {version}, maxmemory-policy {policy}"
    if policy == "noeviction":
        yield Finding("broker", "ok", text)
    else:
        remedy = "set it to noeviction: evicted hints are sent again, but a second late"
        yield Finding("broker", "warn", text, remedy)


def _solvers() -> Iterator[Finding]:
    described = describe_all()
    broken = [solver for solver in described if "error" in solver]
    for solver in broken:
        yield Finding("solvers", "warn", f"{solver['name']} is unavailable: {solver['error']}", "")
    number = len(described) - len(broken)
    yield Finding("solvers", "ok" if number else "fail", f"{number} of {len(described)} are available")


def _store(store: Store) -> Iterator[Finding]:
    shown = store.engine.url.render_as_string()
    row = {
        "id": "doctor", "host": "", "needs": [], "slots": 0, "threads": 0, "machine": {}, "started_at": 0.0,
        "seen_at": 0.0,
    }  # fmt: skip
    try:
        with store.engine.connect() as connection:
            # Never committed.
            connection.execute(tables.workers.insert().values(row))
    except sa.exc.DBAPIError as error:
        remedy = "see to its disk and permissions; if it is locked for long, to who holds it"
        yield Finding("store", "fail", f"{shown} cannot be written to: {error.orig}", remedy)
    else:
        yield Finding("store", "ok", f"{shown}, its schema is up to date, it can be written to")


def _clock(store: Store) -> Iterator[Finding]:
    with store.engine.connect() as connection:
        connection.scalar(sa.select(now()))
        before = time.time()
        there = connection.scalar(sa.select(now())) or 0.0
        skew = there - (before + time.time()) / 2
    text = f"the database's differs from this machine's by {abs(skew):.3f} s"
    if abs(skew) <= MOST_SKEW_SECONDS:
        yield Finding("clock", "ok", text)
    else:
        remedy = "let both keep time (NTP): leases go by the database's, the dates of runs by each worker's"
        yield Finding("clock", "warn", text, remedy)


def _workers(store: Store, settings: Settings) -> Iterator[Finding]:
    seen = [worker for worker in workers.known(store.engine) if worker.seen_seconds < settings.lease_seconds]
    for worker in seen:
        text = f"{worker.id}: {', '.join(worker.needs)}; {worker.slots} at a time, of up to {worker.threads} threads"
        yield Finding("workers", "ok", text)
    jobs = Jobs(store.engine)
    queued = jobs.queued()
    if not seen and not queued:
        remedy = "start `versus worker --queues cpu` where there are cores"
        yield Finding("workers", "warn", "none was seen of late", remedy)
    for needs, number in queued.items():
        most = max((worker.threads for worker in seen if needs in worker.needs), default=0)
        waiting = number - jobs.queued(most).get(needs, 0)
        if waiting:
            text = f"queued runs of queue {needs} that no worker takes: {waiting}"
            threads = f" with --threads above {most}" if most else ""
            yield Finding("workers", "fail", text, f"start `versus worker --queues {needs}`{threads}")
