"""Settings of the service, read from the environment (``VERSUS_...``) at the edge and handed in."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What can be set; every field is the variable ``VERSUS_`` with its name in capitals.

    Sizes are in bytes, times in seconds.
    """

    model_config = SettingsConfigDict(env_prefix="VERSUS_", extra="ignore")

    database_url: str | None = Field(None, description="SQLAlchemy URL; by default SQLite in the data folder")
    redis_url: str | None = Field(None, description="URL of Redis or Valkey; by default `versus serve` starts its own")
    data_dir: Path = Field(Path("versus-data"), description="Folder of the SQLite store")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least severe messages that are logged; `versus serve` shows warnings unless told otherwise"
    )
    auth: Literal["keys", "off"] | None = Field(
        None, description="Whether an API key is asked for; by default off on loopback, and on elsewhere"
    )
    allowed_hosts: tuple[str, ...] = Field(
        (), description="Host names under which the service may be called, besides loopback; JSON list"
    )
    trusted_proxies: tuple[str, ...] = Field(
        (), description="Addresses of reverse proxies whose X-Forwarded-Proto and -For are believed; JSON list"
    )
    lease_seconds: float = Field(30.0, gt=0, description="How long a silent worker keeps a run")
    attempts: int = Field(3, ge=1, description="How often a run may lose its worker before it counts as crashed")
    max_body_bytes: int = Field(64 * 1024**2, description="Largest request body")
    max_instance_size: int = Field(10_000, description="Most customers or bits of an instance")
    max_runs: int = Field(200_000, description="Most runs of one comparison")
    max_queued_runs: int = Field(1_000_000, description="Queued runs above which submissions get 429")
    max_open_comparisons: int = Field(100, description="Unfinished comparisons of one key; single runs do not count")
    max_budget_seconds: float = Field(3600.0, description="Longest budget of a run")
    max_memory_bytes: int = Field(16 * 1024**3, description="Largest memory limit of a run")
    max_threads: int = Field(64, description="Most threads of a run")
