"""``exec`` starts any program, fills in its command, reads what it prints, and ends it."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from instances.errors import InvalidInput
from instances.routing.formats import solomon, tsplib
from instances.routing.instance import RoutingInstance
from instances.routing.solution import Routes
from solvers import spec
from solvers.conformance import RecordingSearch
from solvers.external import Exec
from solvers.routing.examples import examples

CVRP = examples()["capacity"]


def run(
    tmp_path: Path, program: str, instance: RoutingInstance = CVRP, seconds: float = 10, **parameters: Any
) -> RecordingSearch:
    """Run Python text as a program on an instance; its arguments follow the command's."""
    path = tmp_path / "a program.py"
    path.write_text("import os, sys, time\n" + program)
    command = f"{sys.executable} -S '{path}' {{instance}} {{seconds}} {{seed}} {{threads}}"
    search = RecordingSearch(seconds, seed=17, threads=3)
    Exec(command=command, **parameters).prepare().solve(instance, search)
    return search


def solutions(search: RecordingSearch) -> list[Routes]:
    """What was reported."""
    return [solution for _, solution in search.reports]


def test_every_block_is_a_solution(tmp_path: Path) -> None:
    """A block ends with its cost; chatter between the lines is passed over, and so is a block without."""
    search = run(
        tmp_path,
        "print('reading ...\\nRoute #1: 1 2\\nstill\\nroute 2 :\\t3\\nCost 12.5\\n\\nroutes: 3')\n"
        "print('Route #1: 9 8\\nRoute #1: 3 2 1 \\nCOST: 11\\r')\n"
        "print('Cost 7\\nRoute #1: 1 2 3')\n",
    )
    assert solutions(search) == [Routes(((1, 2), (3,))), Routes(((3, 2, 1),))]


def test_solutions_are_reported_when_they_come(tmp_path: Path) -> None:
    """A solution arrives while the program goes on."""
    search = run(
        tmp_path,
        "for k in 1, 2:\n    print(f'Route #1: {k}\\nCost {k}', flush=True)\n    time.sleep(1)\n",
    )
    (first, _), (second, _) = search.reports
    assert second - first > 0.5
    assert search.elapsed() - second > 0.5


def test_the_command_is_filled_in(tmp_path: Path) -> None:
    """The program gets the file, the seconds that are left less the margin, the seed and the threads."""
    heard = tmp_path / "heard"
    run(
        tmp_path,
        f"open({str(heard)!r}, 'w').write('\\n'.join([*sys.argv[1:], open(sys.argv[1]).read()]))",
        margin=3,
    )
    path, seconds, seed, threads, *text = heard.read_text().split("\n")
    assert path.endswith("instance.vrp")
    assert not Path(path).exists()
    assert 5 < float(seconds) <= 7
    assert (seed, threads) == ("17", "3")
    assert tsplib.read("\n".join(text)) == CVRP


@pytest.mark.parametrize(
    ("label", "form", "suffix"),
    [
        ("a tour", "auto", ".tsp"),
        ("a tour on an asymmetric matrix", "auto", ".atsp"),
        ("capacity on an asymmetric matrix", "auto", ".vrp"),
        ("time windows", "auto", ".vrp"),
        ("solomon", "auto", ".txt"),
        ("solomon", "tsplib", None),
        ("solomon", "solomon", ".txt"),
        ("capacity", "solomon", None),
        ("unrounded distances", "auto", None),
        ("no constraint", "auto", None),
    ],
)
def test_the_file_follows_the_instance(label: str, form: Any, suffix: str | None, tmp_path: Path) -> None:
    """Each kind of instance is written in a format that holds it, and declined where none does."""
    source = examples()
    source["solomon"] = solomon.read(
        "S1\n\nVEHICLE\nNUMBER CAPACITY\n2 9\n\nCUSTOMER\n"
        "CUST NO. XCOORD. YCOORD. DEMAND READY TIME DUE DATE SERVICE TIME\n\n0 0 0 0 0 99 0\n1 3 4 5 0 50 2\n"
    )
    solver = Exec(command=f"{sys.executable} {{instance}}", form=form)
    reason = solver.declines(source[label])
    if suffix is None:
        assert "cannot hold" in (reason or "")
    else:
        assert reason is None
        heard = tmp_path / "heard"
        run(tmp_path, f"open({str(heard)!r}, 'w').write(sys.argv[1])", source[label], form=form)
        assert Path(heard.read_text()).suffix == suffix


def test_a_failing_program_is_an_error_with_its_last_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An exit status other than 0 raises, quoting standard error, which also goes to the log."""
    with pytest.raises(RuntimeError, match=r"ended with status 3: no licence$"):
        run(tmp_path, "print('Route #1: 1\\nCost 1')\nsys.stderr.write('no licence\\n')\nsys.exit(3)")
    assert capsys.readouterr().err == "no licence\n"


def test_a_program_killed_by_a_signal_is_an_error(tmp_path: Path) -> None:
    """So does a death by a signal that it was not sent from here."""
    with pytest.raises(RuntimeError, match="ended with status -9"):
        run(tmp_path, "os.kill(os.getpid(), 9)")


def test_a_program_that_goes_on_is_killed_with_its_children(tmp_path: Path) -> None:
    """At the end of the time the whole process group goes, and what was reported before counts."""
    pids = tmp_path / "pids"
    search = run(
        tmp_path,
        "child = os.fork()\n"
        "if child:\n"
        f"    open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child}}')\n"
        "    print('Route #1: 1\\nCost 1', flush=True)\n"
        "time.sleep(60)\n",
        seconds=1.5,
    )
    assert 1.5 <= search.elapsed() < 3
    assert solutions(search) == [Routes(((1,),))]
    for pid in map(int, pids.read_text().split()):
        assert _gone(pid)


def test_a_program_dies_with_the_solver(tmp_path: Path) -> None:
    """A solver process that is killed in the middle leaves no program behind."""
    record = tmp_path / "pid"
    program = f"import os, time; open({str(record)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    code = (
        "import sys\n"
        "from solvers.external import Exec\n"
        "from solvers.conformance import RecordingSearch\n"
        "from solvers.routing.examples import examples\n"
        "Exec(command=sys.argv[1]).solve(examples()['capacity'], RecordingSearch(60, seed=1))\n"
    )
    command = f'{sys.executable} -S -c "{program}" {{instance}}'
    with subprocess.Popen([sys.executable, "-c", code, command]) as solver:
        while not record.exists() or not record.read_text():
            assert solver.poll() is None
            time.sleep(0.02)
        solver.kill()
    assert _gone(int(record.read_text()))


def _gone(pid: int) -> bool:
    """Whether a process has ended within a moment; an orphan may wait as a zombie for its new parent."""
    for _ in range(50):
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


def test_a_program_that_closes_its_output_and_stays_is_killed(tmp_path: Path) -> None:
    """Waiting for a silent program ends with the time, too."""
    search = run(tmp_path, "os.close(1); os.close(2); time.sleep(60)", seconds=1)
    assert 1 <= search.elapsed() < 2.5


def test_no_shell_touches_the_command(tmp_path: Path) -> None:
    """Semicolons and dollar signs reach the program as they are."""
    heard = tmp_path / "heard"
    script = f"import sys; open({str(heard)!r}, 'w').write(sys.argv[1])"
    command = f'{sys.executable} -c "{script}" "$HOME;{{{{seed}}}}{{seed}}" {{instance}}'
    Exec(command=command).solve(CVRP, RecordingSearch(10, seed=5))
    assert heard.read_text() == "$HOME;{5}5"


def test_a_spec_holds_a_command_with_commas() -> None:
    """A comma is written %2C in a spec, and comes back."""
    solver = Exec(command="solver --moves a,b=c {instance}")
    text = spec.canonical("exec", {"command": solver.command})
    assert text == "exec:command=solver --moves a%2Cb=c {instance}"
    assert spec.build(Exec, spec.parse(text)[1], "here") == solver


@pytest.mark.parametrize("command", ["", "program", "program 'unbalanced {instance}", "{instance}"])
def test_a_command_without_an_instance_is_refused(command: str) -> None:
    """As bad input, when it is built from a spec."""
    with pytest.raises(InvalidInput):
        spec.build(Exec, {"command": command}, "here")


def test_a_missing_command_is_refused() -> None:
    """There is no default command."""
    with pytest.raises(InvalidInput, match="parameter 'command' is required"):
        spec.build(Exec, {}, "here")


def test_a_missing_program_is_known_before_any_run() -> None:
    """prepare() names the program that is not there."""
    with pytest.raises(FileNotFoundError, match="no program 'no-such-program'"):
        Exec(command="no-such-program {instance}").prepare()


def test_the_margin_must_be_a_time() -> None:
    """Seconds from 0."""
    with pytest.raises(ValueError, match="accepted are seconds from 0"):
        Exec(command=f"{os.devnull} {{instance}}", margin=-1)
