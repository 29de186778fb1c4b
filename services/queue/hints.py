"""Hints that jobs wait: Celery messages without content. The store says which, so that losing one loses nothing."""

import logging
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

_log = logging.getLogger(__name__)

TASK = "versus.run"
PREFIX = "versus:"
WINDOW = 256
"""Hints that wait in a queue at most; there is no use in more than workers take before the keeper looks again."""
TIMEOUT_SECONDS = 2.0


def celery(redis_url: str) -> Celery:
    """The Celery application on a broker."""
    app = Celery("versus", broker=redis_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "global_keyprefix": PREFIX,
            "socket_connect_timeout": TIMEOUT_SECONDS,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
        task_ignore_result=True,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,
    )
    return app


class Hints:
    """Tells the workers of a queue that jobs wait; usable from many threads."""

    def __init__(self, redis_url: str) -> None:
        self._celery = celery(redis_url)
        self._redis: Any = Redis.from_url(
            redis_url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS
        )

    def send(self, needs: str, number: int) -> None:
        """Send so many hints, up to the window; a broker that cannot be reached is logged, not raised."""
        try:
            with self._celery.producer_pool.acquire(block=True) as producer:
                for _ in range(min(number, WINDOW)):
                    self._celery.send_task(TASK, queue=needs, producer=producer, retry=False, ignore_result=True)
        except (OperationalError, RedisError, OSError) as error:
            _log.warning("no hint sent, for the broker cannot be reached: %s", error)

    def waiting(self, needs: str) -> int:
        """Hints that wait in a queue; RedisError if the broker cannot be reached."""
        return int(self._redis.llen(PREFIX + needs))

    def ping(self) -> None:
        """Raise RedisError unless the broker answers."""
        self._redis.ping()
