"""``versus serve``: the whole service on one machine, in one command."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.service import GRACE_SECONDS, Host, Jobs, Port, Threads

if TYPE_CHECKING:
    from services.store.store import Store
    from services.supervisor import Supervisor


def register(app: typer.Typer) -> None:
    app.command()(serve)


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the store; one that `versus compare --out` wrote, too.",
            show_default="versus-data, or VERSUS_DATA_DIR",
        ),
    ] = None,
    jobs: Jobs = None,
    threads: Threads = 1,
) -> None:
    """Run the whole service on this machine: store, broker, worker and API. Nothing needs to be configured.

    Ctrl-C and SIGTERM end it, with exit code 0: runs under way are given back, and made when it is started again. Exit
    code 1 says that a part of it does not keep running.
    """
    from services.cli.terminal import fail, notice
    from services.supervisor import GaveUp, Stopped, Supervisor

    with Supervisor(notice) as supervisor:
        try:
            _serve(supervisor, host, port, data_dir, jobs, threads)
        except Stopped:
            notice("stopping")
        except GaveUp as error:
            fail(str(error), 1)


def _serve(
    supervisor: "Supervisor", host: str, port: int, data_dir: Path | None, jobs: int | None, threads: int
) -> None:
    import contextlib
    import time

    from services.api.security import auth_needed
    from services.cli.service import open_or_fail
    from services.cli.terminal import stdout
    from services.embedded import Embedded
    from services.runner.machine import apart_from, core_slots
    from services.startup import listen, located, read_settings
    from services.store.store import Store
    from services.supervisor import Part

    settings = read_settings()
    if data_dir is not None:
        settings = settings.model_copy(update={"data_dir": data_dir})
    with contextlib.ExitStack() as stack:
        # It listens itself: a port in use is heard of at once, and an API that is started again misses no request.
        listener = stack.enter_context(listen(host, port))
        # The parts that are not measured keep off the cores of those that are.
        cores = apart_from(frozenset().union(*core_slots(jobs, threads)))
        if settings.database_url is None:
            store = Store.in_folder(settings.data_dir, write=True)
            # There is no other worker, and so nobody for a run of more threads.
            settings = settings.model_copy(update={"max_threads": min(settings.max_threads, threads)})
        else:
            store = open_or_fail(settings, migrate=True)
        stack.callback(store.close)
        settings = located(settings)
        if settings.redis_url is None:
            server = Embedded()
            settings = settings.model_copy(update={"redis_url": server.url})
            supervisor.start(
                Part("Valkey", server.command, server.answers, cores=cores, stdin=server.configuration, stop_seconds=3)
            )
        environment = {
            "VERSUS_DATABASE_URL": str(settings.database_url),
            "VERSUS_REDIS_URL": str(settings.redis_url),
            "VERSUS_DATA_DIR": str(settings.data_dir.absolute()),
            "VERSUS_MAX_THREADS": str(settings.max_threads),
            "VERSUS_LOG_LEVEL": settings.log_level if "log_level" in settings.model_fields_set else "WARNING",
        }
        work = ["worker", "--queues", "cpu", "--queues", "gpu", "--threads", str(threads)]
        if jobs is not None:
            work += ["--jobs", str(jobs)]
        started = time.monotonic()
        address = listener.getsockname()[:2]
        supervisor.start(
            Part(
                "worker",
                _versus(*work),
                lambda: _has_worker(store, time.monotonic() - started),
                environment,
                stop_seconds=20,
            ),
            Part(
                "API",
                _versus("api", "--host", host, "--descriptor", str(listener.fileno())),
                lambda: _answers(*address),
                environment,
                cores=cores,
                descriptors=(listener.fileno(),),
                stop_seconds=GRACE_SECONDS + 5,
            ),
        )
        store.engine.dispose()
        needs_key = auth_needed(settings, host)
        hint = "asks for an API key, which `versus keys add` makes" if needs_key else "no API key is needed"
        shown = f"[{address[0]}]" if ":" in address[0] else address[0]
        stdout.print(f"versus serves http://{shown}:{address[1]} ({hint}); Ctrl-C stops it", highlight=False)
        supervisor.watch()


def _versus(*arguments: str) -> tuple[str, ...]:
    """This command, whatever folder it runs in."""
    return (sys.executable, "-P", "-c", "from services.cli.main import main; main()", *arguments)


def _answers(host: str, port: int) -> bool:
    """Whether the API does."""
    import http.client

    # Listening on every address is listening on loopback, too.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    connection = http.client.HTTPConnection(host, port, timeout=1)
    try:
        connection.request("GET", "/v1/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _has_worker(store: "Store", seconds: float) -> bool:
    """Whether a worker of this machine has registered in these seconds."""
    import socket

    from services.store.workers import known

    return any(worker.host == socket.gethostname() and worker.up_seconds < seconds for worker in known(store.engine))
