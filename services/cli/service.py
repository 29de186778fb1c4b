"""``versus api``, ``worker``, ``migrate`` and ``doctor``: the parts of a service that is more than one machine."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.options import Json

if TYPE_CHECKING:
    from services.settings import Settings
    from services.store.store import Store

GRACE_SECONDS = 5
"""How long requests under way, and streams of events, go on when the API is stopped."""


class Queue(StrEnum):
    """What a run needs."""

    CPU = "cpu"
    GPU = "gpu"


Host = Annotated[str, typer.Option(help="Address to listen on; beyond loopback an API key is asked for.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")]
Jobs = Annotated[
    int | None, typer.Option(help="Runs at a time; by default one physical core stays free.", show_default=False)
]
Threads = Annotated[int, typer.Option(min=1, help="Most threads of a run; so many cores are kept for each.")]


def register(app: typer.Typer) -> None:
    app.command()(api)
    app.command()(worker)
    app.command()(migrate)
    app.command()(doctor)


def api(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    descriptor: Annotated[int | None, typer.Option(hidden=True, help="A socket that listens already.")] = None,
) -> None:
    """Answer HTTP requests, on the store and broker that VERSUS_DATABASE_URL and VERSUS_REDIS_URL name.

    SIGTERM and Ctrl-C end it, with exit code 0, when the requests under way are answered.
    """
    import contextlib
    import socket

    import uvicorn

    from services.api.app import create_app
    from services.api.http import Protocol
    from services.api.security import auth_needed
    from services.dashboard.app import install
    from services.logs import configure_logs
    from services.queue.hints import Hints
    from services.queue.keeper import Keeper
    from services.startup import listen
    from services.store.jobs import Jobs

    settings = _service_settings()
    # Before anything else, so that a port in use is the first thing to be heard of.
    listener = listen(host, port) if descriptor is None else socket.socket(fileno=descriptor)
    configure_logs(settings.log_level)
    _forget_passwords()
    store = open_or_fail(settings)
    # The socket's own address: who hands one over need not name it.
    needs_key = auth_needed(settings, listener.getsockname()[0])
    settings = settings.model_copy(update={"auth": "keys" if needs_key else "off"})
    hints = Hints(str(settings.redis_url))
    app = create_app(store, hints.send, settings)
    install(app)
    app.state.service.catalogue.begin()
    config = uvicorn.Config(
        app, http=Protocol, log_config=None, access_log=False, server_header=False,
        proxy_headers=bool(settings.trusted_proxies), forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=GRACE_SECONDS,
    )  # fmt: skip
    # A keeper here, too: there may be no worker left that could look after what the last one lost. Uvicorn repeats the
    # signal that ended it.
    with Keeper(Jobs(store.engine), hints, settings.attempts), contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run([listener])
    store.close()


def worker(
    queues: Annotated[list[Queue], typer.Option(help="What the runs taken may need; give the option once for each.")],
    jobs: Jobs = None,
    threads: Threads = 1,
    check: Annotated[bool, typer.Option("--check", help="Say whether this machine's worker was seen of late.")] = False,
) -> None:
    """Make the runs that wait, on the store and broker that VERSUS_DATABASE_URL and VERSUS_REDIS_URL name.

    SIGTERM and Ctrl-C end it, with exit code 0; the runs under way are given back. Exit code 1 of --check says that
    no worker of these queues has been seen on this machine for as long as a lease.
    """
    if check:
        _check_worker({queue.value for queue in queues})
        return
    from services.logs import configure_logs
    from services.queue.worker import run_worker

    settings = _service_settings()
    open_or_fail(settings).close()
    configure_logs(settings.log_level)
    _forget_passwords()
    run_worker(settings, tuple(queue.value for queue in queues), jobs, threads)


def migrate() -> None:
    """Bring the store's schema up to date; say from what to what."""
    import logging

    from services.cli.terminal import stdout
    from services.startup import located, read_settings

    steps: list[str] = []

    class Steps(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.msg == "Running %s":
                steps.append(record.getMessage().removeprefix("Running "))

    alembic = logging.getLogger("alembic.runtime.migration")
    alembic.setLevel(logging.INFO)
    alembic.addHandler(Steps())
    settings = located(read_settings())
    open_or_fail(settings, migrate=True).close()
    for step in steps:
        stdout.print(step, markup=False, highlight=False)
    stdout.print("the store is up to date" + ("" if steps else " already"))


def doctor(as_json: Json = False) -> None:
    """Check every part of the service: what is well, what is not, and what to do.

    Exit code 1 says that something has failed; a warning leaves it 0.
    """
    from dataclasses import asdict

    from services import doctor as checks
    from services.cli.terminal import stdout
    from services.export import json_text
    from services.startup import located, read_settings

    findings = checks.examine(located(read_settings()))
    if as_json:
        typer.echo(json_text([asdict(finding) for finding in findings]))
    else:
        colours = {"ok": "green", "warn": "yellow", "fail": "red"}
        for finding in findings:
            stdout.print(f"[{colours[finding.state]}]{finding.state:<4}[/]", end=" ")
            stdout.print(f"{finding.part:<8} {finding.text}", markup=False, highlight=False)
            if finding.remedy:
                stdout.print(f"{'':<13} {finding.remedy}", markup=False, highlight=False)
    if any(finding.state == "fail" for finding in findings):
        raise typer.Exit(1)


def _forget_passwords() -> None:
    """What a solver starts inherits the environment, and has no business with the passwords in these."""
    import os

    for name in ("VERSUS_DATABASE_URL", "VERSUS_REDIS_URL"):
        os.environ.pop(name, None)


def _service_settings() -> "Settings":
    """The settings of a part of the service, which needs a broker."""
    from instances.errors import InvalidInput
    from services.startup import located, read_settings

    settings = located(read_settings())
    if settings.redis_url is None:
        message = "is not set; e.g. redis://:password@host:6379/0. (`versus serve` brings a broker of its own)"
        raise InvalidInput(message, "VERSUS_REDIS_URL")
    return settings


def open_or_fail(settings: "Settings", *, migrate: bool | None = None) -> "Store":
    """The store, or exit code 1: a database that is not there now may be there later, unlike what bad input names."""
    from services.cli.terminal import fail
    from services.startup import Unreachable, open_store

    try:
        return open_store(settings, migrate=migrate)
    except Unreachable as error:
        fail(str(error), 1)


def _check_worker(queues: set[str]) -> None:
    """Exit code 1 unless a worker of these queues was seen here of late; asked from a core that no solver uses."""
    import os
    import socket

    from services.cli.terminal import fail
    from services.runner.machine import apart_from, core_slots

    others = apart_from(frozenset().union(*core_slots(None, 1)))
    if others:
        os.sched_setaffinity(0, others)
    from services.store import workers

    settings = _service_settings()
    store = open_or_fail(settings)
    known = workers.known(store.engine)
    here = [worker for worker in known if worker.host == socket.gethostname() and queues <= set(worker.needs)]
    store.close()
    if not any(worker.seen_seconds < settings.lease_seconds for worker in here):
        what = f"no worker of {socket.gethostname()} for {' and '.join(sorted(queues))}"
        fail(f"{what} was seen in the last {settings.lease_seconds:g} s", 1)
