"""docs/service.md names every setting and every command as they are."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.main import app
from services.settings import Settings

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "service.md").read_text()


def row(name: str) -> str:
    field = Settings.model_fields[name]
    default = "" if field.default is None else f"`{list(field.default) if field.default == () else field.default}`"
    return f"| `VERSUS_{name.upper()}` | {default} | {field.description} |"


def test_settings_table_is_the_settings():
    """A row for each, in their order, with default and description; no row for what is none."""
    rows = [line for line in TEXT.splitlines() if line.startswith("| `VERSUS_")]
    assert rows == [row(name) for name in Settings.model_fields]


@pytest.mark.parametrize("command", ["serve", "api", "worker", "migrate", "doctor"])
def test_commands_and_their_options_are_documented(command):
    """Each has help and stands in the page; so does each option that the page gives it."""
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    lines = [line for line in TEXT.splitlines() if line.startswith(f"| `versus {command}")]
    assert len(lines) == 1
    for word in lines[0].replace("`", " ").replace("]", " ").split():
        if word.startswith(("--", "[--")):
            assert word.lstrip("[") in shown.output
