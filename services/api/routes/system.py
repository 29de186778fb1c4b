"""How the service is: alive, ready, and what it is doing."""

import functools
import importlib.metadata
from pathlib import Path
from typing import Literal

import redis
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field
from redis.backoff import NoBackoff
from redis.retry import Retry

from services.api.context import Context
from services.api.errors import Refusal
from services.api.metrics import Metrics, job_counts
from services.api.security import Reader
from services.settings import Settings
from services.store import store, workers
from services.store.jobs import QUEUED, RUNNING

BROKER_SECONDS = 0.5
"""How long the broker may take to answer."""

router = APIRouter(tags=["system"])


class Health(BaseModel):
    """That the process lives."""

    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    """That requests can be served. Without broker or worker, jobs are taken and wait."""

    status: Literal["ready"] = "ready"
    broker: bool | None = Field(description="Whether the broker answers; null where none is set")
    worker: bool = Field(description="Whether a worker was seen lately")


class Worker(BaseModel):
    """A worker: which jobs it takes and how many at a time, on which machine."""

    id: str = Field(examples=["node7-4711-9f86d0"])
    host: str = Field(examples=["node7"])
    needs: list[str] = Field(examples=[["cpu"]])
    slots: int = Field(description="Runs at a time", examples=[7])
    threads: int = Field(description="Most threads of a run", examples=[1])
    machine: dict[str, str]
    up_seconds: float
    seen_seconds: float = Field(description="How long ago it was seen")
    alive: bool = Field(description="Whether that is less than a lease's time")


class Limits(BaseModel):
    """What is taken, and how long things are waited for."""

    max_body_bytes: int
    max_instance_size: int
    max_runs: int
    max_queued_runs: int
    max_open_comparisons: int
    max_budget_seconds: float
    max_memory_bytes: int
    max_threads: int
    lease_seconds: float
    attempts: int


class System(BaseModel):
    """What the service is doing, and within which limits."""

    version: str = Field(examples=["0.1.0"])
    auth: Literal["keys", "off"]
    queued: dict[str, int] = Field(description="Queued runs by what they need", examples=[{"cpu": 120, "gpu": 0}])
    running: dict[str, int] = Field(description="Running runs by what they need", examples=[{"cpu": 7, "gpu": 0}])
    workers: list[Worker]
    limits: Limits


@router.get("/v1/health", summary="Is it alive")
async def health() -> Health:
    """Whether the process lives: always, if it answers."""
    return Health()


@router.get("/v1/ready", summary="Is it ready")
def ready(service: Context) -> Readiness:
    """Whether requests can be served: the store is there and its schema that of this version."""
    with service.store.engine.connect() as connection:
        revision = MigrationContext.configure(connection).get_current_revision()
    if revision != _head():
        raise Refusal(
            503, f"its schema is {revision}, this version needs {_head()}; run `versus migrate`", "store",
            {"Retry-After": "5"},
        )  # fmt: skip
    lease = service.settings.lease_seconds
    alive = any(worker.seen_seconds < lease for worker in workers.known(service.store.engine))
    return Readiness(broker=_broker_answers(service.settings), worker=alive)


@router.get("/v1/system", summary="Show what it is doing")
def system(service: Context, _caller: Reader) -> System:
    """What is queued and running, who works on it, and within which limits."""
    settings = service.settings
    counts = job_counts(service.store.engine)
    kinds = sorted({"cpu", "gpu"} | {needs for _, needs in counts})
    return System(
        version=importlib.metadata.version("versus"),
        auth="off" if settings.auth == "off" else "keys",
        queued={needs: counts.get((QUEUED, needs), 0) for needs in kinds},
        running={needs: counts.get((RUNNING, needs), 0) for needs in kinds},
        workers=[
            Worker.model_validate({**vars(worker), "alive": worker.seen_seconds < settings.lease_seconds})
            for worker in workers.known(service.store.engine)
        ],
        limits=Limits.model_validate(settings, from_attributes=True),
    )


@router.get(
    "/metrics",
    summary="Metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Metrics in Prometheus' text format"}},
)
def metrics(request: Request, _caller: Reader) -> Response:
    """What Prometheus reads of requests, jobs, runs and workers."""
    found: Metrics = request.app.state.metrics
    return Response(found.text(), media_type=CONTENT_TYPE_LATEST)


@functools.cache
def _head() -> str | None:
    """The schema of this version."""
    config = Config()
    config.set_main_option("script_location", str(Path(store.__file__).parent / "migrations"))
    return ScriptDirectory.from_config(config).get_current_head()


def _broker_answers(settings: Settings) -> bool | None:
    if settings.redis_url is None:
        return None
    client = redis.Redis.from_url(
        settings.redis_url,
        socket_timeout=BROKER_SECONDS,
        socket_connect_timeout=BROKER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()
