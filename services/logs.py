"""Logs as one JSON object a line, with the request and the run that they are about, and no secret in them."""

import logging
import logging.config
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.json import JsonFormatter

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The request that is being answered."""
run_id: ContextVar[str | None] = ContextVar("run_id", default=None)
"""The run that is being worked on."""

_KEY = re.compile(r"vs_([0-9A-Za-z]{1,64})_[0-9A-Za-z_-]+")
_PASSWORD = re.compile(r"(\w://[^\s:/@]*:)[^\s/@]+(?=@)")


def configure_logs(level: str = "INFO") -> None:
    """Let everything this process logs go to standard error in this form, uvicorn's and Celery's messages included.

    Call it where the process starts, and let nobody undo it: ``uvicorn.Config(..., log_config=None,
    access_log=False)``, for the API logs its requests itself; in Celery, connect it to ``signals.setup_logging``,
    which keeps Celery from its own.
    """
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"json": {"()": Formatter}},
            "handlers": {
                "stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}
            },
            "root": {"level": level, "handlers": ["stderr"]},
            "loggers": {
                "uvicorn": {"level": level, "handlers": [], "propagate": True},
                "uvicorn.error": {"level": level, "handlers": [], "propagate": True},
                "alembic": {"level": "WARNING"},
                "celery": {"level": "WARNING"},
                "uvicorn.access": {"level": "WARNING", "handlers": [], "propagate": False},
            },
        }
    )


@contextmanager
def about(variable: ContextVar[str | None], id: str) -> Iterator[None]:
    """Within this, whatever is logged names the request or the run: ``about(run_id, claim.run)``."""
    token = variable.set(id)
    try:
        yield
    finally:
        variable.reset(token)


def redacted(text: str) -> str:
    """The text without the secrets of API keys and the passwords of URLs."""
    return _PASSWORD.sub(r"\1[redacted]", _KEY.sub(r"vs_\1_[redacted]", text))


class Formatter(JsonFormatter):
    """A record as one line of JSON: time, level, logger and message, what it is about, and the extra fields.

    Secrets are taken out of the finished line, so that neither an argument nor a traceback carries one past it.
    """

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        log_data |= {"time": time, "level": record.levelname, "logger": record.name, "message": record.message}
        log_data |= {variable.name: id for variable in (request_id, run_id) if (id := variable.get()) is not None}
        super().add_fields(log_data, record, message_dict)

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))
