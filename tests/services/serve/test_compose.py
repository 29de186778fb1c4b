"""docker-compose.yml: no container engine is at hand, so each service's own command, environment and health check run
as processes of this machine, with real PostgreSQL and Valkey."""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.embedded import find_server
from services.runner import proc

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docker-compose.yml").read_text()
BIN = Path(sys.executable).parent
SECRETS = ("POSTGRES_PASSWORD", "REDIS_PASSWORD")
CHOSEN = {**dict.fromkeys(SECRETS, "x"), "SERVICE_CPUS": "0", "WORKER_CPUS": "0"}
SERVICES = yaml.safe_load(TEXT)["services"]
RUNNING = sorted(set(SERVICES) - {"migrate"})

# What valkey-cli does in the health check; the image has it, the package index has not.
VALKEY_CLI = f"""#!{sys.executable}
import os, sys, redis
_, flag, port, *command = sys.argv
assert flag == "-p"
print("PONG" if redis.Redis(port=int(port), password=os.environ["REDISCLI_AUTH"]).execute_command(*command) else "")
"""


def interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    """A value of the file with its variables put in, as Compose does; KeyError for one that must be set."""

    def put(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        value = variables.get(found["name"], "")
        if not value and found["how"] == ":?":
            raise KeyError(found["name"])
        return value or (found["rest"] if found["how"] == ":-" else "")

    if isinstance(value, dict):
        return {key: interpolated(entry, variables) for key, entry in value.items()}
    if isinstance(value, list):
        return [interpolated(entry, variables) for entry in value]
    if not isinstance(value, str):
        return value
    return re.sub(r"\$\$|\$\{(?P<name>\w+)(?P<how>:[-?])?(?P<rest>[^}]*)\}", put, value)


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_confined(name):
    """Not root, nothing that root can, a root file system that stays as it is, limits, and a graceful stop."""
    service = SERVICES[name]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", service["user"])
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"]
    assert service["init"]
    assert {"mem_limit", "pids_limit", "cpuset"} <= set(service)
    assert "cpus" not in service, "a quota stops solvers in the middle of a measurement"
    assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")
    if name != "migrate":
        assert service["healthcheck"]["test"]
        assert service["stop_grace_period"]


def test_services_wait_for_what_they_need():
    """The schema is there before anyone uses it, the broker and database answer."""
    for name in ("api", "worker-cpu", "worker-gpu"):
        assert SERVICES[name]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"},
            "redis": {"condition": "service_healthy"},
        }
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert SERVICES["worker-gpu"]["profiles"] == ["gpu"]
    (device,) = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"


def test_only_loopback_sees_a_port():
    """One port is published, on loopback; the database's and the broker's are not."""
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"api"}
    (port,) = interpolated(SERVICES["api"]["ports"], {})
    assert port == "127.0.0.1:8000:8000"


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_has_a_default(secret):
    """Without it the file is refused, and the example names it without a value; no command line holds it."""
    with pytest.raises(KeyError, match=secret):
        interpolated(SERVICES, {name: value for name, value in CHOSEN.items() if name != secret})
    assert f"\n{secret}=\n" in (ROOT / ".env.example").read_text()
    marked = interpolated(SERVICES, {**CHOSEN, secret: "SECRET"})
    for service in marked.values():
        assert "SECRET" not in json.dumps([service["command"], service.get("healthcheck")])


def test_example_names_every_variable():
    """What can be set in the file stands in .env.example, and nothing else."""
    named = set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert named == set(re.findall(r"\$\{(\w+)", TEXT))


def test_docker_compose_accepts_the_file(tmp_path):
    """`docker-compose config` takes it with its variables, the profile gpu too, and refuses it without."""
    command = shutil.which("docker-compose")
    if command is None:
        pytest.skip("docker-compose is not installed")
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)

    def config(variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **variables}
        return subprocess.run(
            [command, "--profile", "gpu", "config"], cwd=tmp_path, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    accepted = config(CHOSEN)
    assert accepted.returncode == 0, accepted.stderr
    assert set(yaml.safe_load(accepted.stdout)["services"]) == set(SERVICES)
    assert config({name: value for name, value in CHOSEN.items() if name != SECRETS[0]}).returncode != 0


def test_image_is_of_this_project():
    """The Dockerfile copies what there is and is sent to the builder, and ends as the user of the compose file."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {source for line in lines if re.match(r"COPY (?!--)", line) for source in line.split()[1:-1]}
    assert copied == sent
    assert all((ROOT / source).exists() for source in copied)
    users = [line.partition(" ")[2] for line in lines if line.startswith("USER ")]
    assert users == [SERVICES["api"]["user"]]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


class Composed:
    """The services of the file as processes; only addresses are others."""

    def __init__(self, folder: Path, user: str | None) -> None:
        self.folder = folder
        self.user = user
        self.ports = {port: free_port() for port in (5432, 6379, 8000)}
        variables = {**CHOSEN, **{name: secrets.token_hex(24) for name in SECRETS}}
        text = TEXT.replace("@postgres:", "@127.0.0.1:").replace("@redis:", "@127.0.0.1:")
        for port, local in self.ports.items():
            text = text.replace(str(port), str(local))
        self.services = interpolated(yaml.safe_load(text)["services"], variables)
        self.bin = folder / "bin"
        self.bin.mkdir()
        (self.bin / "valkey-server").symlink_to(find_server())
        if (real := shutil.which("valkey-cli") or shutil.which("redis-cli")) is not None:
            (self.bin / "valkey-cli").symlink_to(real)
        else:
            (self.bin / "valkey-cli").write_text(VALKEY_CLI)
            (self.bin / "valkey-cli").chmod(0o755)
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def environment(self, name: str) -> dict[str, str]:
        """A service's own, and what its image would bring."""
        import pgserver

        postgres = Path(pgserver.__file__).parent / "pginstall" / "bin"
        path = os.pathsep.join(map(str, (BIN, self.bin, postgres, "/usr/bin", "/bin")))
        own = self.services[name].get("environment", {})
        return {"PATH": path, "PGDATA": str(self.folder / "pgdata"), "HOME": str(self.folder), **own}

    def start(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("w") as log:
            self.running[name] = subprocess.Popen(
                self.services[name]["command"], env=self.environment(name), cwd=self.folder, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, user=self.user if name == "postgres" else None,
            )  # fmt: skip

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def healthy(self, name: str) -> bool:
        """Whether a service's own health check says so."""
        kind, *command = self.services[name]["healthcheck"]["test"]
        if kind == "CMD-SHELL":
            command = ["/bin/sh", "-c", *command]
        done = subprocess.run(command, env=self.environment(name), capture_output=True, check=False, timeout=60)
        return done.returncode == 0

    def wait(self, name: str) -> None:
        deadline = time.monotonic() + 180
        while not self.healthy(name):
            assert self.running[name].poll() is None, self.log(name)
            assert time.monotonic() < deadline, self.log(name)
            time.sleep(0.1)

    def run(self, name: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as `docker-compose run` does; by default the service's own."""
        return subprocess.run(
            command or self.services[name]["command"], env=self.environment(name), cwd=self.folder,
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    def stop(self, name: str) -> int:
        """End a service as Compose does, within its time; its exit code."""
        service = self.services[name]
        process = self.running.pop(name)
        process.send_signal(signal.Signals[service.get("stop_signal", "SIGTERM")])
        return process.wait(timeout=int(service["stop_grace_period"].removesuffix("s")))

    def set_up_database(self) -> None:
        """What the image of PostgreSQL does before its first start."""
        (self.folder / "pgdata").mkdir()
        (self.folder / "password").write_text(self.services["postgres"]["environment"]["POSTGRES_PASSWORD"])
        if self.user is not None:
            shutil.chown(self.folder / "pgdata", self.user)
            (self.folder / "password").chmod(0o644)
        subprocess.run(
            ["initdb", "--username", "versus", "--pwfile", self.folder / "password", "--auth", "scram-sha-256",
             "--encoding", "UTF8"],
            env=self.environment("postgres"), cwd=self.folder, user=self.user, check=True, capture_output=True,
        )  # fmt: skip

    def create_database(self) -> None:
        import psycopg

        password = self.services["postgres"]["environment"]["POSTGRES_PASSWORD"]
        with psycopg.connect(
            host="127.0.0.1", port=self.ports[5432], user="versus", password=password, dbname="postgres",
            autocommit=True,
        ) as connection:  # fmt: skip
            connection.execute("CREATE DATABASE versus")


@pytest.fixture(scope="module")
def composed(postgres, tmp_path_factory):
    """All services, started in the order that they ask for."""
    folder = Path(tempfile.mkdtemp(prefix="versus-compose-"))
    folder.chmod(0o755)
    # PostgreSQL refuses to run as root; pgserver, whose server the other fixture has started, made a user for that.
    composed = Composed(folder, "pgserver" if os.geteuid() == 0 else None)
    composed.set_up_database()
    try:
        composed.start("postgres")
        composed.start("redis")
        composed.wait("redis")
        composed.wait("postgres")
        composed.create_database()
        yield composed
    finally:
        for process in composed.running.values():
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def test_nothing_starts_before_the_schema(composed):
    """The API and a worker on a database without schema end with exit code 2 and say what to run."""
    for name in ("api", "worker-cpu"):
        refused = composed.run(name)
        assert refused.returncode == 2
        assert "run `versus migrate`" in refused.stderr


def test_broker_is_as_the_file_says(composed):
    """It asks for its password, evicts nothing and keeps nothing."""
    import redis

    client = redis.Redis(port=composed.ports[6379])
    with pytest.raises(redis.AuthenticationError):
        client.ping()
    client.close()
    with redis.Redis.from_url(composed.services["api"]["environment"]["VERSUS_REDIS_URL"]) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("save") == {"save": ""}


def test_services_start_work_and_stop(composed):
    """Migrations end with 0 and again; API and worker become healthy, ask for keys, and stop in time with 0."""
    first = composed.run("migrate")
    assert first.returncode == 0, first.stderr
    assert "upgrade  -> 0001" in first.stdout
    again = composed.run("migrate")
    assert (again.returncode, again.stdout) == (0, "the store is up to date already\n")
    assert not composed.healthy("worker-cpu")
    assert not composed.healthy("api")
    composed.start("api")
    composed.start("worker-cpu")
    composed.wait("api")
    composed.wait("worker-cpu")
    # Without a GPU it starts too, and gets no run that could be made here.
    assert not composed.healthy("worker-gpu")
    composed.start("worker-gpu")
    composed.wait("worker-gpu")
    system = f"http://127.0.0.1:{composed.ports[8000]}/v1/system"
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        urllib.request.urlopen(system)
    refused.value.close()
    key = composed.run("api", "versus", "keys", "add", "test", "--scope", "read").stdout.strip()
    asked = urllib.request.Request(system, headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(asked) as answer:
        described = json.load(answer)
    assert sorted(worker["needs"] for worker in described["workers"]) == [["cpu"], ["gpu"]]
    workers = ("worker-cpu", "worker-gpu")
    family = [pid for name in workers for pid in proc.descendants(composed.running[name].pid)]
    assert composed.stop("api") == 0, composed.log("api")
    for name in workers:
        assert composed.stop(name) == 0, composed.log(name)
    assert proc._living(family) == []
    for name in ("postgres", "redis"):
        assert composed.stop(name) == 0, composed.log(name)
