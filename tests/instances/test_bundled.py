"""The instances that come with the project are what the generators make, and what they claim to be."""

from pathlib import Path

from instances import bundled
from instances.files import read_path
from instances.problem import Instance


def stored(path: Path) -> list[Instance]:
    return [entry.instance for entry in read_path(path)]


def test_bundled_files_are_what_the_generators_make() -> None:
    """The bundled instances can be made again, digest by digest; a change here moves results."""
    made = bundled.make()
    assert [path.stem for path in bundled.paths()] == list(made)
    for path in bundled.paths():
        assert [(i.name, i.digest) for i in stored(path)] == [(i.name, i.digest) for i in made[path.stem]]


def test_bundled_set_is_what_it_claims() -> None:
    """Three families of routing with 20 to 200 customers, and a dozen integers of 32 to 128 bits; below 400 KB."""
    made = bundled.make()
    integers = made.pop("factoring")
    routing = [member for family in made.values() for member in family]
    assert len(made) == 3 and len(routing) == 24
    assert all(20 <= member.num_customers <= 200 for member in routing)
    assert len(integers) == 12
    assert all(32 <= member.bits <= 128 for member in integers)
    assert len({member.name for member in (*routing, *integers)}) == 36
    assert sum(path.stat().st_size for path in bundled.paths()) < 400_000


def test_bundled_files_can_be_written(tmp_path: Path) -> None:
    """`write` reproduces the stored files byte for byte."""
    bundled.write(tmp_path)
    for path in bundled.paths():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
