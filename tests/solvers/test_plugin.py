"""A solver from a distribution of its own is found, conforms and runs, as the documentation shows it."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from instances.files import write_instance
from instances.routing.referee import verify
from solvers import registry
from solvers.conformance import check
from solvers.routing.examples import examples

PLUGIN = Path(__file__).parent / "plugin"
PAGE = Path(__file__).parents[2] / "docs" / "add-a-solver.md"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with the plug-in as pip lays it out, the metadata taken from its pyproject."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    site = tmp_path / "site"
    information = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    information.mkdir(parents=True)
    shutil.copy(PLUGIN / "versus_sweep.py", site)
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    groups = project["entry-points"].items()
    (information / "entry_points.txt").write_text(
        "".join(f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in names.items()) for group, names in groups)
    )
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    return site


def test_it_is_found_beside_the_built_in_solvers(installed: Path) -> None:
    """The registry finds it by its entry point and knows its distribution."""
    known = registry.solver_entry_points()
    assert {"sweep", "savings", "nearest"} <= set(known)
    assert known["sweep"].dist is not None
    assert (known["sweep"].dist.name, known["sweep"].dist.version) == ("versus-sweep", "1.0.0")


def test_it_conforms(installed: Path) -> None:
    """The public check has nothing to say against it, under its defaults and with a parameter."""
    assert check("sweep", seconds=0.2, verify=verify) == []
    assert check("sweep:starts=3", seconds=0.2, verify=verify) == []


def test_a_parameter_out_of_range_is_refused(installed: Path) -> None:
    """What the solver's own constructor refuses, the check reports with the reason."""
    assert check("sweep:starts=0") == [
        "cannot be built: InvalidInput: solver 'sweep:starts=0': starts is 0; accepted are 1 and more"
    ]


def test_it_runs_from_the_command_line(installed: Path, tmp_path: Path) -> None:
    """``versus solve`` runs it in a child process and the referee accepts its answer."""
    path = tmp_path / "instance.json"
    write_instance(examples()["capacity"], path)
    command = [
        Path(sys.executable).with_name("versus"),
        "solve",
        path,
        "--solver",
        "sweep",
        "--budget",
        "1s",
        "--json",
    ]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["status"] == "finished"
    assert float(answer["cost"]) > 0


@pytest.mark.parametrize(("language", "file"), [("python", "versus_sweep.py"), ("toml", "pyproject.toml")])
def test_the_documentation_shows_this_plugin(language: str, file: str) -> None:
    """The page for plug-in authors contains the two files of this plug-in, word for word."""
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert (PLUGIN / file).read_text() in blocks
