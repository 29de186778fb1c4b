"""However versus ends, nothing that it started goes on; and where it may run, it keeps out of the solvers' way."""

import errno
import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from instances.files import write_instance
from services.runner import proc
from services.runner.machine import apart_from, core_slots
from services.runner.pool import run_all

VERSUS = str(Path(sys.executable).with_name("versus"))
PROGRAM = """
import os, sys, time
child = os.fork()
if child == 0:
    os.setsid()
    time.sleep(600)
with open(sys.argv[2] + ".new", "w") as file:
    file.write(f"{os.getpid()} {child}")
os.rename(sys.argv[2] + ".new", sys.argv[2])
time.sleep(600)
"""


@pytest.fixture
def running(tmp_path, instance):
    """A comparison whose solver is a program that started another: the command, the program, its child."""
    write_instance(instance, tmp_path / "line.json")
    (tmp_path / "program.py").write_text(PROGRAM)
    record = tmp_path / "pids"
    solver = f"exec:command={sys.executable} -S {tmp_path / 'program.py'} {{instance}} {record}"
    command = subprocess.Popen(
        [VERSUS, "compare", str(tmp_path / "line.json"), "--solver", solver, "--budget", "60s", "--out",
         str(tmp_path / "out")],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not record.exists():
        assert command.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    program, child = map(int, record.read_text().split())
    yield command, program, child
    command.kill()
    command.communicate()
    for process in (program, child):
        proc._signal(process, signal.SIGKILL)


def _descend(pid: int) -> list[int]:
    return [process for process in proc.descendants(pid) if proc._living([process])]


def _end_within_moments(processes: list[int]) -> bool:
    deadline = time.monotonic() + 5
    while proc._living(processes) and time.monotonic() < deadline:
        time.sleep(0.02)
    return proc._living(processes) == []


def test_killed_command_leaves_no_orphans(running, slot):
    """SIGKILL ends children, judge and program at once; what the program started ends when the next slot begins."""
    command, program, child = running
    family = [process for process in _descend(command.pid) if process != child]
    assert program in family
    assert len(family) >= 3
    command.kill()
    command.wait()
    assert _end_within_moments(family)
    with slot:
        assert _end_within_moments([child])


def test_slot_spares_what_a_living_parent_started(running, slot):
    """Another comparison on this machine is left alone when a slot begins."""
    command, *_ = running
    before = _descend(command.pid)
    with slot:
        time.sleep(0.1)
    assert _descend(command.pid) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_terminated_command_ends_as_interrupted(running, number):
    """SIGTERM is Ctrl-C: children and programs are killed, the store is whole, the exit code is 130."""
    command, *_ = running
    family = _descend(command.pid)
    command.send_signal(number)
    _, errors = command.communicate(timeout=20)
    assert command.returncode == 130
    assert "interrupted" in errors
    assert proc._living(family) == []


@pytest.mark.parametrize(
    ("mark", "orphaned"),
    [
        ("{namespace}.{parent}.{started}.abc", False),
        ("{namespace}.{parent}.1.abc", True),
        ("{namespace}.4194305.{started}.abc", True),
        ("1.{parent}.1.abc", False),
        ("abc", False),
        ("", False),
        ("{namespace}.x.1.abc", False),
    ],
)
def test_orphans_are_told_by_their_parents_start(mark, orphaned):
    """A reused process id is another process; a mark from another namespace, or of another form, says nothing."""
    namespace, parent, started, _ = proc.new_mark().split(".")
    assert parent == str(os.getpid())
    assert proc._orphaned(mark.format(namespace=namespace, parent=parent, started=started)) is orphaned


def test_exit_codes_in_words():
    """Signals have names where the system has."""
    assert proc.exit_text(3) == "exit code 3"
    assert proc.exit_text(-9) == "killed by SIGKILL"
    assert proc.exit_text(-40) == "killed by signal 40"


def test_parent_keeps_off_the_childrens_cores(task):
    """While runs are made, no thread of this process may use a solver's core, where there is another."""
    cores = core_slots(1, 1)
    before = os.sched_getaffinity(0)
    others = apart_from(cores[0])
    seen = []
    for (run,) in run_all([[task("trivial", seed=1)], [task("trivial", seed=2)]], cores, 1, 512 * 1024**2):
        assert run.answered
        seen += [os.sched_getaffinity(int(thread.name)) for thread in Path("/proc/self/task").iterdir()]
    assert seen
    assert all(cpus == (others or before) for cpus in seen)
    assert {frozenset(os.sched_getaffinity(int(thread.name))) for thread in Path("/proc/self/task").iterdir()} == {
        frozenset(before)
    }


def test_no_process_is_taken_for_dead_for_want_of_a_file_descriptor(monkeypatch):
    """Only a process that is not there is dead; what cannot be read says nothing."""
    mark = proc.new_mark()

    def refuse(pid):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(proc, "_stat", refuse)
    assert not proc._orphaned(mark)
