"""Processes that run together: started in order, kept running, given up, stopped in reverse order."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.runner import proc

# Two parts that say what happens to them; the first one's program is given.
PROGRAM = """
import pathlib, sys
from services import supervisor
from services.supervisor import GaveUp, Part, Stopped, Supervisor

supervisor.FAILED_STARTS, supervisor.FIRST_DELAY_SECONDS, supervisor.READY_SECONDS = 3, 0.01, 5.0
folder, program, seconds = pathlib.Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
steady = (
    "import signal, sys, time; print('second starts', file=sys.stderr)\\n"
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('second stops', file=sys.stderr)))\\n"
    "open('ready', 'w'); time.sleep(600)"
)
with Supervisor(lambda text: print(text, file=sys.stderr)) as parts:
    try:
        parts.start(Part("first", [sys.executable, "-c", program], lambda: True, stdin=b"a line", stop_seconds=seconds))
        parts.start(Part("second", [sys.executable, "-c", steady], (folder / "ready").exists))
        print("ready", flush=True)
        parts.watch()
    except (GaveUp, Stopped) as error:
        print(type(error).__name__, error, file=sys.stderr)
"""
STAYS = (
    "import signal, sys, time\n"
    "def stop(*_): print('first stops', file=sys.stderr); sys.exit()\n"
    "signal.signal(signal.SIGTERM, stop)\n"
    "print('first reads', sys.stdin.read(), file=sys.stderr); time.sleep(600)"
)


@pytest.fixture
def supervised(tmp_path):
    """Start the two parts, the first one with a program."""
    started = []

    def start(program: str, stop_seconds: float = 10.0) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROGRAM, str(tmp_path), program, str(stop_seconds)]
        with (tmp_path / "log").open("w") as log:
            started.append(subprocess.Popen(command, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=log))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[str], folder: Path, number: int | None = None) -> list[str]:
    """What is said until the end, after a signal."""
    if number is not None:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
    process.wait(timeout=30)
    return (folder / "log").read_text().splitlines()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_parts_stop_in_reverse_order(supervised, tmp_path, number):
    """The second is asked and has ended before the first is asked; stdin is handed on."""
    lines = end(supervised(STAYS), tmp_path, number)
    assert lines == ["first reads a line", "second starts", "Stopped ", "second stops", "first stops"]


def test_a_part_that_does_not_stop_is_killed(supervised, tmp_path):
    """After its time, and that is said."""
    stubborn = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); sys.stdin.read(); time.sleep(600)"
    )
    process = supervised(stubborn, 0.5)
    assert process.stdout.readline() == "ready\n"
    family = proc.descendants(process.pid)
    assert len(family) == 2
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=30)
    assert "first does not stop and is killed" in (tmp_path / "log").read_text()
    assert proc._living(family) == []


def test_a_second_signal_waits_no_more(supervised, tmp_path):
    """Whoever presses Ctrl-C twice does not want to wait for the slow."""
    slow = STAYS.replace("sys.exit()", "time.sleep(600)")
    process = supervised(slow, 600)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + 20
    while "first stops" not in (tmp_path / "log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=5)
    assert "first does not stop and is killed" in (tmp_path / "log").read_text()


def test_what_dies_quickly_again_and_again_is_given_up(supervised, tmp_path):
    """It is started again with growing delays, and after so many deaths all is stopped, with the reason."""
    lines = end(supervised("import sys; sys.exit(3)"), tmp_path)
    text = "\n".join(lines)
    assert text.count("first ended (exit code 3); it is started again") == 2
    assert "GaveUp first ended 3 times before it was ready (exit code 3)" in text


def test_bad_input_is_given_up_at_once(supervised, tmp_path):
    """Exit code 2 says that trying again is of no use."""
    lines = end(supervised("import sys; sys.exit(2)"), tmp_path)
    assert [line for line in lines if "first" in line] == ["GaveUp first refused to start; its message above says why"]
