"""Solvers are described by children, and asked again only when something changed."""

from pathlib import Path

import pytest

from services.runner import catalogue
from services.runner.catalogue import describe_all
from solvers import registry

SOLVER = """
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

with Path(__file__).with_name("imports").open("a") as file:
    file.write("x")

@dataclass(frozen=True)
class Quiet:
    \"\"\"{summary}\"\"\"
    problem: ClassVar[str] = "routing"
    honours: ClassVar[frozenset[str]] = frozenset()
    packages: ClassVar[tuple[str, ...]] = ()
"""


class Plugin:
    """An installed distribution with one solver, whose module counts its imports."""

    def __init__(self, site: Path) -> None:
        self.site = site
        self.information = site / "quiet-1.0.dist-info"
        self.information.mkdir(parents=True)
        (self.information / "entry_points.txt").write_text("[versus.solvers]\nquiet = quiet_package.solver:Quiet\n")
        (site / "quiet_package").mkdir()
        (site / "quiet_package" / "__init__.py").write_text("")
        self.change("First")
        self.release("1.0")

    def change(self, summary: str) -> None:
        (self.site / "quiet_package" / "solver.py").write_text(SOLVER.format(summary=summary))

    def release(self, version: str) -> None:
        (self.information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: quiet\nVersion: {version}\n")

    @property
    def num_imports(self) -> int:
        file = self.site / "quiet_package" / "imports"
        return len(file.read_text()) if file.exists() else 0


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugin:
    """The only registered solver, and an empty cache folder."""
    plugin = Plugin(tmp_path / "site")
    monkeypatch.syspath_prepend(plugin.site)
    monkeypatch.setenv("PYTHONPATH", str(plugin.site))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    everything = registry.solver_entry_points
    monkeypatch.setattr(catalogue.registry, "solver_entry_points", lambda: {"quiet": everything()["quiet"]})
    return plugin


def summaries() -> list[str]:
    """What the solvers say of themselves."""
    return [solver.get("summary", solver.get("error")) for solver in describe_all()]


def test_a_second_call_starts_no_child(plugin: Plugin) -> None:
    """The description comes from the cache, the same, and this process never imports the module."""
    first = describe_all()
    assert (first[0]["summary"], first[0]["versions"]) == ("First", {"quiet": "1.0"})
    assert plugin.num_imports == 1
    assert describe_all() == first
    assert plugin.num_imports == 1


def test_a_changed_module_is_asked_again(plugin: Plugin) -> None:
    """As while a solver is being written, in an editable install."""
    assert summaries() == ["First"]
    plugin.change("Second, changed")
    assert summaries() == ["Second, changed"]
    assert summaries() == ["Second, changed"]
    assert plugin.num_imports == 2


def test_a_new_version_is_asked_again(plugin: Plugin) -> None:
    """A version is told from the metadata."""
    describe_all()
    plugin.release("1.1")
    assert describe_all()[0]["versions"] == {"quiet": "1.1"}
    assert plugin.num_imports == 2


def test_a_new_version_of_a_named_package_is_asked_again(plugin: Plugin) -> None:
    """What the solver names in ``packages`` is part of its description."""
    library = plugin.site / "loud-1.0.dist-info"
    library.mkdir()
    (library / "METADATA").write_text("Metadata-Version: 2.1\nName: loud\nVersion: 1.0\n")
    module = plugin.site / "quiet_package" / "solver.py"
    module.write_text(module.read_text().replace("= ()", '= ("loud",)'))
    assert describe_all()[0]["versions"]["loud"] == "1.0"
    (library / "METADATA").write_text("Metadata-Version: 2.1\nName: loud\nVersion: 2.0\n")
    assert describe_all()[0]["versions"]["loud"] == "2.0"
    assert plugin.num_imports == 2


def test_an_error_is_not_kept(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was unavailable is asked again, for its cause may be elsewhere."""
    module = plugin.site / "quiet_package" / "solver.py"
    module.write_text(module.read_text() + "import os\nos.environ['QUIET_MAY_LOAD']\n")
    assert summaries() == ["KeyError: 'QUIET_MAY_LOAD'"]
    monkeypatch.setenv("QUIET_MAY_LOAD", "yes")
    assert summaries() == ["First"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"quiet": 1}', '{"quiet": {"key": 1}}', '{"quiet": {"key": "", "description": []}}']
)
def test_a_damaged_cache_is_passed_over(plugin: Plugin, tmp_path: Path, content: str) -> None:
    """Whatever the file holds, the solvers are asked, and the file is whole again."""
    file = tmp_path / "cache" / "versus" / catalogue.CACHE_NAME
    file.parent.mkdir(parents=True)
    file.write_text(content)
    assert summaries() == summaries() == ["First"]
    assert plugin.num_imports == 1
    assert list(file.parent.iterdir()) == [file]


def test_no_cache_folder_is_no_error(plugin: Plugin, tmp_path: Path) -> None:
    """Where nothing can be kept, the solvers are asked every time."""
    (tmp_path / "cache").write_text("a file, so no folder can be made below it")
    assert summaries() == summaries() == ["First"]
    assert plugin.num_imports == 2
