"""The registry finds solvers by entry points and imports none."""

import subprocess
import sys
from pathlib import Path

import pytest

from instances.errors import InvalidInput
from solvers import registry


def _distribution(folder: Path, name: str, entry_points: str) -> None:
    information = folder / f"{name}-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{entry_points}\n")


def test_names_come_sorted_and_without_imports() -> None:
    """A process that lists the solvers has imported no solver module."""
    code = (
        "import sys; from solvers import registry; names = list(registry.solver_entry_points());"
        "print(names == sorted(names), len(names) > 5, [m for m in sys.modules if m.startswith('solvers.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True True ['solvers.registry']"


def test_a_name_registered_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two distributions that claim one name for different objects are both named."""
    _distribution(tmp_path, "thief", "savings = thief:Savings")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InvalidInput, match=r"registered twice, as .*thief:Savings"):
        registry.solver_entry_points()


def test_one_object_registered_twice_is_one_solver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution that is on the path twice does no harm."""
    for folder in ("one", "two"):
        _distribution(tmp_path / folder, "twin", "twin = twin:Twin")
        monkeypatch.syspath_prepend(tmp_path / folder)
    assert registry.find("twin").value == "twin:Twin"


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    """The message lists what could have been meant."""
    with pytest.raises(InvalidInput, match=r"solver 'saving': unknown; there are: .*savings"):
        registry.find("saving")
