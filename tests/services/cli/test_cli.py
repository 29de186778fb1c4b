"""The command line: results on stdout, progress on stderr, and exit codes that a script can rely on."""

import contextlib
import csv
import functools
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from instances.files import write_instance, write_jsonl
from instances.routing.generators import generate

VERSUS = str(Path(sys.executable).with_name("versus"))


def versus(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    return subprocess.run([VERSUS, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, check=False)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """The command's cache is not the user's."""
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three small CVRP instances in one JSON-lines file, the first also as .vrp."""
    folder = tmp_path_factory.mktemp("instances")
    made = generate("x", size=20, count=3, seed=5)
    write_jsonl(made, folder / "set.jsonl")
    write_instance(made[0], folder / "first.vrp")
    return folder


def test_help_lists_every_command_and_imports_no_solver():
    """``--help`` knows all commands; torch and ortools stay unloaded."""
    shown = versus("--help")
    assert shown.returncode == 0
    for command in ("generate", "info", "solvers", "solve", "verify", "compare", "report", "export", "fetch"):
        assert command in shown.stdout
    code = (
        "import sys, services.cli.main\n"
        "heavy = {'torch', 'ortools', 'pyvrp', 'numpy', 'plotly', 'sqlalchemy', 'networkx'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert loaded.returncode == 0, loaded.stderr


def test_info_says_what_an_instance_is(folder):
    """Info names size, features, rounding and the best-known cost, as text and as JSON."""
    shown = versus("info", folder / "first.vrp")
    assert shown.returncode == 0
    for word in ("customers", "20", "capacity", "nearest", "best-known cost", "none in the table"):
        assert word in shown.stdout
    (description,) = json.loads(versus("info", folder / "first.vrp", "--json").stdout)
    assert (description["size"], description["features"]) == (20, ["capacity"])


def test_solvers_are_listed_with_parameters_and_versions():
    """Each built-in solver says what it honours, its parameters with defaults, and its version."""
    listed = {solver["name"]: solver for solver in json.loads(versus("solvers", "--json").stdout)}
    names = {"ortools", "pyvrp", "savings", "nearest", "insertion", "christofides", "simulated-annealing", "exec"}
    assert names <= set(listed)
    assert not any("error" in solver for solver in listed.values())
    assert "time-windows" in listed["pyvrp"]["honours"]
    assert {"versus", "pyvrp"} <= set(listed["pyvrp"]["versions"])
    parameters = {parameter["name"]: parameter for parameter in listed["exec"]["parameters"]}
    assert parameters["command"]["required"]
    assert parameters["command"]["help"]


@pytest.mark.parametrize(("kind", "suffix"), [("x", "vrp"), ("solomon", "txt"), ("uniform", "json"), ("road", "json")])
def test_generated_files_are_read_again(tmp_path, kind, suffix):
    """Each format writes a file per instance, and the same seed the same bytes."""
    options = ("generate", "routing", kind, "--size", 12, "--count", 2, "--seed", 3, "--format", suffix, "--out")
    made = versus(*options, tmp_path / "one")
    assert made.returncode == 0, made.stderr
    files = [Path(line) for line in made.stdout.split()]
    assert [file.suffix for file in files] == [f".{suffix}"] * 2
    shown = json.loads(versus("info", tmp_path / "one", "--json").stdout)
    assert [description["size"] for description in shown] == [12, 12]
    assert versus(*options, tmp_path / "two").returncode == 0
    assert [file.read_bytes() for file in files] == [(tmp_path / "two" / file.name).read_bytes() for file in files]


def test_solve_then_verify_agree(folder, tmp_path):
    """A solution written by solve is feasible at its stated cost; a changed cost or route is not."""
    out = tmp_path / "answer.sol"
    solved = versus("solve", folder / "first.vrp", "--solver", "savings", "--out", out, "--json")
    assert solved.returncode == 0, solved.stderr
    answer = json.loads(solved.stdout)
    assert answer["status"] == "finished"
    verified = versus("verify", folder / "first.vrp", out, "--json")
    assert verified.returncode == 0
    verdict = json.loads(verified.stdout)
    assert verdict["cost"] == verdict["claimed_cost"] == answer["cost"]
    text = out.read_text()
    out.write_text(text.replace(f"Cost {answer['cost']}", "Cost 1"))
    wrong = versus("verify", folder / "first.vrp", out)
    assert wrong.returncode == 1
    assert f"costs {answer['cost']} and claims 1" in wrong.stdout
    out.write_text("\n".join(text.splitlines()[1:]) + "\n")
    infeasible = versus("verify", folder / "first.vrp", out)
    assert infeasible.returncode == 1
    assert "is not visited" in infeasible.stdout


def test_solve_without_answer_exits_1(folder):
    """A decline is an answer of the solver, but none to the instance."""
    declined = versus("solve", folder / "first.vrp", "--solver", "christofides", "--json")
    assert declined.returncode == 1
    answer = json.loads(declined.stdout)
    assert (answer["status"], answer["cost"]) == ("declined", None)
    assert answer["reason"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["solve", "first.vrp", "--solver", "no-such"], "unknown; there are: "),
        (["solve", "first.vrp", "--solver", "pyvrp:speed=1"], "unknown parameter 'speed'; accepted are"),
        (["solve", "first.vrp", "--solver", "savings", "--budget", "soon"], "write 500ms, 2s, 5m or 1h"),
        (["solve", "first.vrp", "--solver", "savings", "--memory", "1K"], "write 512M or 4G"),
        (["solve", "first.vrp", "--solver", "savings", "--seed", "-1"], "accepted are 0 to 2^31 - 1"),
        (["solve", "first.vrp", "--solver", "savings", "--out", "answer.doc"], "answer.doc"),
        (["solve", "set.jsonl", "--solver", "savings"], "holds 3 instances; solve takes one"),
        (["solve", "none.vrp", "--solver", "savings"], "none.vrp"),
        (["info", "none.vrp"], "none.vrp"),
        (["info", "first.vrp", "--rounding", "roughly"], "roughly"),
        (["verify", "first.vrp", "none.sol"], "none.sol"),
        (["compare", "first.vrp", "--solver", "savings"], "--out: is needed"),
        (["compare", "first.vrp", "--out", "x"], "--solver: at least one is needed"),
        (["compare", "first.vrp", "--solver", "savings", "--out", "x", "--seeds", "0"], "--seeds: is 0; accepted are"),
        (["compare", "first.vrp", "--solver", "savings", "--out", "x", "--batch", "0"], "--batch: is 0"),
        (["compare", "first.vrp", "--solver", "savings", "--out", "x", "--budget", "soon"], "--budget: 'soon' is no"),
        (["compare", "first.vrp", "--solver", "no-such", "--out", "x"], "unknown; there are: "),
        (["compare", "first.vrp", "--solver", "savings", "--out", "x", "--jobs", "999"], "--jobs: 999 jobs"),
        (["compare", "first.vrp", "--solver", "savings", "--out", "x", "--threads", "999"], "--threads"),
        (["compare", "first.vrp", "--solver", "savings", "--out", "x", "--reference", "b"], "--reference: 'b' is"),
        (["compare", "none.toml", "--out", "x"], "no such file"),
        (["report", "."], "no results here"),
        (["export", "."], "no results here"),
        (["generate", "routing", "spiral", "--size", "10", "--out", "x"], "unknown kind; accepted are uniform"),
        (["generate", "routing", "x", "--size", "0", "--out", "x"], "size"),
        (["generate", "routing", "x", "--size", "9", "--out", "x", "--option", "colour=red"], "colour"),
        (["fetch", "cvrplib:../etc", "--out", "x"], "cvrplib:../etc"),
        (["fetch", "anylib:A", "--out", "x"], "accepted are cvrplib:NAME"),
        (["solve", "first.vrp", "--solver", "savings", "--out", "nowhere/x.sol"], "the folder does not exist"),
        (["compare", "first.vrp", "--solver", "savings", "--out", "first.vrp"], "first.vrp"),
        (["no-such-command"], "No such command"),
    ],
)  # fmt: skip
def test_bad_input_exits_2_with_one_message_and_writes_nothing(folder, arguments, message):
    """Every wrong argument is named with what is accepted, and leaves no file behind."""
    before = sorted(folder.rglob("*"))
    refused = versus(*arguments, cwd=folder)
    assert refused.returncode == 2, refused.stderr
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr
    assert refused.stdout == ""
    assert sorted(folder.rglob("*")) == before


def test_compare_lists_all_bad_files_and_runs_nothing(folder, tmp_path):
    """All paths are read before the first run."""
    (tmp_path / "one.vrp").write_text("DIMENSION : many\n")
    (tmp_path / "two.vrp").write_text("")
    out = tmp_path / "out"
    refused = versus("compare", folder, tmp_path, "--solver", "savings", "--out", out)
    assert refused.returncode == 2
    assert "one.vrp" in refused.stderr
    assert "two.vrp" in refused.stderr
    assert not out.exists()


@pytest.fixture(scope="module")
def compared(folder, tmp_path_factory):
    """A small finished comparison."""
    out = tmp_path_factory.mktemp("compared")
    done = versus(
        "compare", folder / "set.jsonl", "--solver", "savings", "--solver", "nearest",
        "--solver", "pyvrp:iterations=20", "--budget", "5s", "--seeds", 2, "--out", out,
    )  # fmt: skip
    return out, done


def test_compare_makes_table_report_and_store(compared):
    """One command leaves a table on stdout and the report, the definition and the store in the folder."""
    out, done = compared
    assert done.returncode == 0, done.stderr
    for word in ("savings", "nearest", "pyvrp:iterations=20"):
        assert word in done.stdout
    assert {"report.html", "comparison.toml", "versus.sqlite"} <= {path.name for path in out.iterdir()}
    assert "18/18" in done.stderr


def test_batches_go_to_solvers_that_take_them(folder, tmp_path):
    """Runs of a batch share their time; the others decline; what is there already is not made again."""
    command = [
        "compare", folder / "set.jsonl", "--solver", "pointer", "--solver", "savings",
        "--budget", "2s", "--batch", "2", "--out", tmp_path / "out",
    ]  # fmt: skip
    assert (done := versus(*command)).returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(versus("export", tmp_path / "out", "--format", "csv").stdout)))
    ended = {(row["solver"], row["status"], row["reason"], row["batch"]) for row in rows}
    assert ended == {("pointer", "finished", "", "2"), ("savings", "declined", "solves one instance at a time", "2")}
    seconds = [row["wall_seconds"] for row in rows if row["solver"] == "pointer"]
    assert len(seconds) == 3
    assert len(set(seconds)) == 2
    assert (again := versus(*command)).returncode == 0, again.stderr
    assert list(csv.DictReader(io.StringIO(versus("export", tmp_path / "out", "--format", "csv").stdout))) == rows


def test_compare_again_runs_nothing_and_shows_the_same(compared, folder):
    """A finished comparison is shown again, not run again; its definition file names it as well."""
    out, done = compared
    before = versus("export", out).stdout
    again = versus("compare", out / "comparison.toml")
    assert again.returncode == 0, again.stderr
    assert again.stdout == done.stdout
    assert versus("export", out).stdout == before


def test_compare_as_json_is_by_problem(compared):
    """One shape for one problem and for several: conclusion, ranking and pairs under the problem's name."""
    out, _ = compared
    document = json.loads(versus("compare", out / "comparison.toml", "--json").stdout)
    assert set(document) == {"problems", "notes", "report"}
    (routing,) = document["problems"].values()
    assert document["problems"].keys() == {"routing"}
    assert {row["solver"] for row in routing["ranking"]} == {"savings", "nearest", "pyvrp:iterations=20"}
    assert [pair["measure"] for pair in routing["pairs"]] == ["cost"] * 3
    assert routing["conclusion"] and routing["largest_sizes"] == []


def test_options_beside_a_definition_file_are_refused(compared):
    """A file defines the whole comparison; nothing beside it is silently ignored."""
    out, _ = compared
    refused = versus("compare", out / "comparison.toml", "--seeds", 2)
    assert refused.returncode == 2
    assert "--seeds does not go with it" in refused.stderr


def test_moved_folder_keeps_its_comparison(compared, tmp_path):
    """Results go on under the name they began with, in any folder, even one whose name has a question mark."""
    out, done = compared
    moved = tmp_path / "moved?x=1"
    shutil.copytree(out, moved)
    again = versus(*done.args[1:-1], moved)
    assert again.returncode == 0, again.stderr
    assert again.stdout == done.stdout


def test_damaged_store_is_refused(tmp_path):
    """A file that is no database is named as such."""
    (tmp_path / "versus.sqlite").write_bytes(b"no database" * 1000)
    refused = versus("report", tmp_path)
    assert refused.returncode == 2
    assert "cannot be opened as a store" in refused.stderr


def test_another_comparison_does_not_enter_the_folder(compared, folder):
    """A folder keeps its comparison; other terms are refused."""
    out, _ = compared
    refused = versus("compare", folder / "set.jsonl", "--solver", "savings", "--budget", "5s", "--out", out)
    assert refused.returncode == 2
    assert "holds a comparison of other instances, solvers or terms" in refused.stderr


def test_export_has_a_row_for_each_run(compared, tmp_path):
    """CSV, JSON and Parquet hold the same rows with at least the promised columns."""
    import pyarrow.parquet as pq

    out, _ = compared
    rows = list(csv.DictReader(io.StringIO(versus("export", out).stdout)))
    assert len(rows) == 18
    promised = {"instance", "solver", "seed", "status", "cost", "gap", "seconds_to_best", "primal_integral"}
    assert promised <= set(rows[0])
    as_json = json.loads(versus("export", out, "--format", "json").stdout)
    assert [row["cost"] for row in as_json] == [type(a["cost"])(b["cost"]) for a, b in zip(as_json, rows, strict=True)]
    file = tmp_path / "runs.parquet"
    assert versus("export", out, "--format", "parquet", "--out", file).returncode == 0
    assert pq.read_table(file).to_pylist() == as_json


def test_report_can_be_made_again(compared, tmp_path):
    """The report is a function of the store, and can be written elsewhere."""
    out, _ = compared
    (out / "report.html").unlink()
    elsewhere = tmp_path / "page.html"
    made = versus("report", out, "--out", elsewhere)
    assert (made.returncode, made.stdout) == (0, f"{elsewhere}\n")
    assert not (out / "report.html").exists()
    assert versus("report", out).returncode == 0
    assert (out / "report.html").stat().st_size == elsewhere.stat().st_size > 1_000_000


def test_incomplete_comparison_exits_1(folder, tmp_path):
    """An instance that no solver answered makes the comparison incomplete."""
    done = versus(
        "compare",
        folder / "first.vrp",
        "--solver",
        "christofides",
        "--budget",
        "1s",
        "--out",
        tmp_path / "out",
    )
    assert done.returncode == 1
    assert "christofides" in done.stdout


def test_interrupt_exits_130_and_leaves_no_child(folder, tmp_path):
    """Ctrl-C ends the command at once, and its solver children with it."""
    process = subprocess.Popen(
        [VERSUS, "compare", str(folder / "set.jsonl"), "--solver", "ortools", "--budget", "60s", "--out",
         str(tmp_path / "out")],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        # Whoever runs the tests in the background may have SIGINT ignored, which children inherit.
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    # Before there is a store, children are asked for their parameters only.
    _wait_for(lambda: (tmp_path / "out" / "versus.sqlite").exists(), process)
    _wait_for(lambda: _solver_children(process.pid), process)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert _solver_children(process.pid) == []


def test_two_comparisons_do_not_write_into_one_folder(folder, tmp_path):
    """The second is refused while the first lives, and reading is not; when the first is killed, the way is free."""
    out = tmp_path / "out"
    command = ["compare", str(folder / "set.jsonl"), "--solver", "savings", "--solver", "ortools", "--out", str(out)]
    # Savings are done at once, and OR-Tools takes the whole of its 60 s.
    with subprocess.Popen([VERSUS, *command, "--budget", "60s"], stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(lambda: _finished(out), process)
            refused = versus(*command, "--budget", "60s")
            assert refused.returncode == 2
            assert refused.stderr == f"versus: {out}: another versus (pid {process.pid}) is writing here\n"
            assert len(_rows(out)) >= 1
            assert process.poll() is None
        finally:
            process.kill()
    other = versus(*command, "--budget", "1s")
    assert "holds a comparison of other instances" in other.stderr


def _wait_for(event: Callable[[], object], process: subprocess.Popen) -> None:
    """Wait until it is so, at most a minute and while the process lives."""
    deadline = time.monotonic() + 60
    while not event():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _solver_children(parent: int) -> list[str]:
    """Process ids of living solver children that name ``parent`` as theirs."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except (NotADirectoryError, FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if b"services.runner.child" in arguments and str(parent).encode() in arguments:
            found.append(entry.name)
    return found


@pytest.mark.parametrize("num_kept", [10, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 5, 18, 25))])
def test_killed_comparison_resumes_without_repeating_or_losing_a_run(folder, tmp_path, num_kept):
    """After SIGKILL in the middle, the same command finishes the rest; the data equal an uninterrupted run's."""
    arguments = [
        "compare", folder / "set.jsonl", "--solver", "savings", "--solver", "insertion",
        "--solver", "pyvrp:iterations=200", "--solver", "ortools:iterations=30", "--budget", "20s", "--seeds", 3,
    ]  # fmt: skip
    whole, broken = tmp_path / "whole" / "same", tmp_path / "broken" / "same"
    assert versus(*arguments, "--out", whole).returncode == 0
    process = subprocess.Popen([VERSUS, *map(str, arguments), "--out", str(broken)], stderr=subprocess.DEVNULL)
    _wait_for(lambda: _finished(broken) >= num_kept, process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = _rows(broken)
    assert num_kept <= len(kept) < 36
    assert versus(*arguments, "--out", broken).returncode == 0
    resumed = _rows(broken)
    assert len(resumed) == len({(row["instance_digest"], row["solver"], row["repetition"]) for row in resumed}) == 36
    # Gaps are to the best of the comparison, which later runs may better; the run itself stays as it was.
    relative = ("reference_cost", "gap", "primal_integral")
    own = [{column: row[column] for column in row if column not in relative} for row in kept]
    assert all(any(row.items() <= again.items() for again in resumed) for row in own)
    timeless = ("instance_digest", "solver", "repetition", "seed", "status", "cost", "gap")
    assert [[row[c] for c in timeless] for row in resumed] == [[row[c] for c in timeless] for row in _rows(whole)]


def _finished(folder: Path) -> int:
    """Runs stored so far; read past the command, which is too slow to catch the middle."""
    with contextlib.suppress(sqlite3.OperationalError):
        connection = sqlite3.connect(f"file:{folder / 'versus.sqlite'}?mode=ro", uri=True)
        with contextlib.closing(connection):
            return connection.execute("SELECT count(*) FROM runs").fetchone()[0]
    return 0


def _rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(versus("export", folder).stdout)))
