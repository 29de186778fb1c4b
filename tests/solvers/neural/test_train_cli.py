"""``versus train``: options from the dataclass, a process of its own, the same run after any interruption."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from instances.files import write_instance
from instances.routing.instance import RoutingInstance
from instances.routing.rounding import Rounding

VERSUS = [sys.executable, "-c", "from services.cli.main import main; main()", "train"]
NUMBERS = {
    "smallest": 6, "largest": 6, "batch": 8, "report-every": 1, "validate": 4, "reference": 20,
    "width": 16, "heads": 2, "layers": 1, "hidden": 32,
}  # fmt: skip
SMALL = [f"--{name}={value}" for name, value in NUMBERS.items()]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*VERSUS, *SMALL, *options], capture_output=True, text=True, timeout=120)


def lines(folder: Path) -> list[dict[str, float]]:
    path = folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def interrupted(folder: Path, number: signal.Signals, *options: str) -> int:
    """Start a training, send a signal to the command when it is under way, and return its exit code."""
    command = subprocess.Popen(
        [*VERSUS, *SMALL, "--out", str(folder), *options], stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while len(lines(folder)) < 3:
        assert time.monotonic() < deadline and command.poll() is None
        time.sleep(0.01)
    os.kill(command.pid, number)
    return command.wait(60)


def test_help_has_the_dataclass_options() -> None:
    """Every field is an option with its line of help; choices and defaults are shown."""
    text = " ".join(run("--help").stdout.split())
    assert "--network <pointer|pointer-lstm> network to train [default: pointer]" in text
    assert "--instances-from" in text and "--seconds <float> stop after so many seconds" in text


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_command_goes_on_with_identical_losses(tmp_path: Path, number: signal.Signals) -> None:
    """Killed or interrupted, then given again, the command writes the losses of an undisturbed run."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    first = run("--out", str(whole), "--instances", "400", "--json")
    assert first.returncode == 0, first.stderr
    assert interrupted(broken, number, "--instances", "400") == (130 if number is signal.SIGINT else -number)
    assert len(lines(broken)) < 50
    for _ in range(100):  # the training process ends by itself; until then the folder is its own
        again = run("--out", str(broken), "--instances", "400", "--json")
        if "another process trains here" not in again.stderr:
            break
    assert again.returncode == 0, again.stderr
    assert [line["loss"] for line in lines(broken)] == [line["loss"] for line in lines(whole)]
    last = json.loads(first.stdout)
    assert last["instances"] == 400 and Path(last["checkpoint"]).exists()
    assert last["validation_gap"] == lines(whole)[-1]["validation_gap"]


def test_stops_on_seconds_and_says_what_was_reached(tmp_path: Path) -> None:
    """Without --json the last line is a sentence with the checkpoint; the live display is on stderr."""
    done = run("--out", str(tmp_path), "--seconds", "0.01")
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "checkpoint.safetensors") in done.stdout.replace("\n", "")
    assert "PyVRP" in done.stdout and len(lines(tmp_path)) >= 1
    assert lines(tmp_path)[-1]["seconds"] < 5


def test_own_instance_files_of_any_format_are_taken(tmp_path: Path) -> None:
    """A folder of TSPLIB files is gathered as documents in the run's folder and trained on."""
    points = np.random.default_rng(1).integers(0, 100, size=(2, 6, 2))
    source = tmp_path / "mine"
    source.mkdir()
    for index, part in enumerate(points):
        demand = np.array([0, 1, 2, 3, 4, 5])
        instance = RoutingInstance(
            name=f"mine{index}", rounding=Rounding.NEAREST, coordinates=part, demand=demand, capacity=9
        )
        write_instance(instance, source / f"mine{index}.vrp")
    done = run("--out", str(tmp_path / "out"), "--instances-from", str(source), "--instances", "16", "--json")
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "out" / "instances.jsonl").read_text().splitlines()) == 2
    assert json.loads(done.stdout)["validation_cost"] > 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--kinds", "moon"], "kinds: 'moon' is unknown for cvrp"),
        (["--instances-from", "/nowhere.vrp"], "/nowhere.vrp"),
        (["--init", "/nowhere.safetensors"], "there is no such checkpoint"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path, options: list[str], message: str) -> None:
    """Whether found here or in the training process, an error names its place; nothing is traced back."""
    done = run("--out", str(tmp_path), *options)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr
