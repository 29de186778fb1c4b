"""A comparison is written down in a file that reads back as the same comparison."""

from dataclasses import replace
from pathlib import Path

import pytest

from instances.errors import InvalidInput
from services import definition as definitions
from services.definition import Definition


def test_definition_round_trips_and_keeps_paths_relative_to_the_file(tmp_path, monkeypatch):
    """What is read back names the same files from any folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    written = Definition(
        paths=(Path("a.vrp"), Path("/data/b.vrp")),
        solvers=("ortools", 'exec:command=run "quoted" {instance}'),
        budget=0.25,
        seeds=3,
        seed=9,
        reference="ortools",
        name="out",
    )
    definitions.write(written, Path("out/comparison.toml"))
    read = definitions.read(Path("out/comparison.toml"))
    assert [path.resolve() for path in read.paths] == [tmp_path / "a.vrp", Path("/data/b.vrp")]
    for field in (
        "solvers",
        "budget",
        "seeds",
        "seed",
        "threads",
        "memory",
        "batch",
        "reference",
        "rounding",
        "name",
    ):
        assert getattr(read, field) == getattr(written, field)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("instances = [", "is not TOML"),
        ('instances = ["a"]\nsolvers = ["b"]', "budget: is missing"),
        ('instances = "a"\nsolvers = ["b"]\nbudget = "1s"', "instances: is 'a'; expected a list of strings"),
        (
            'instances = ["a"]\nsolvers = ["b"]\nbudget = "1s"\nspeed = 1',
            "speed: unknown key; accepted are instances",
        ),
        ('instances = ["a"]\nsolvers = ["b"]\nbudget = 1', "budget: is 1; expected a string"),
        (
            'instances = ["a"]\nsolvers = ["b"]\nbudget = "1s"\nseeds = true',
            "seeds: is True; expected an integer",
        ),
        ('instances = ["a"]\nsolvers = ["b"]\nbudget = "soon"', "budget: 'soon' is no duration; write 500ms"),
        ('instances = ["a"]\nsolvers = ["b"]\nbudget = "1s"\nmemory = "1K"', "memory: '1K' is no memory size"),
        ('instances = ["a"]\nsolvers = ["b"]\nbudget = "1s"\nbatch = 0', "batch: is 0"),
        ('instances = ["a"]\nsolvers = ["b", "b"]\nbudget = "1s"', "solvers: 'b' is given twice"),
        ('instances = ["a"]\nsolvers = []\nbudget = "1s"', "solvers: at least one is needed"),
        ('instances = []\nsolvers = ["b"]\nbudget = "1s"', "instances: at least one file or folder"),
        ('instances = ["a"]\nsolvers = ["b"]\nbudget = "1s"\nseeds = 0', "seeds: is 0; accepted are 1 to"),
        (
            'instances = ["a"]\nsolvers = ["b"]\nbudget = "1s"\nreference = "c"',
            "reference: 'c' is none of the solvers b",
        ),
    ],
)
def test_wrong_definition_is_refused_with_file_and_key(tmp_path, text, message):
    """The message names the file, the key, and what is accepted."""
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(InvalidInput, match=r"wrong\.toml") as caught:
        definitions.read(file)
    assert message in str(caught.value)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="no such file"):
        definitions.read(tmp_path / "none.toml")


def test_own_words_of_a_definition_are_kept(tmp_path):
    """A file that says the same already stays as its author wrote it; another definition replaces it whole."""
    file = tmp_path / "comparison.toml"
    file.write_text('# mine\ninstances = ["a.vrp"]\nsolvers = ["nearest"]\nbudget = "1s"\n')
    before = file.read_text()
    definition = definitions.read(file)
    definitions.write(definition, file)
    assert file.read_text() == before
    definitions.write(replace(definition, seeds=2), file)
    assert definitions.read(file).seeds == 2
    assert list(tmp_path.iterdir()) == [file]
