"""API keys: shown once, kept as a hash, and opening nothing once they are revoked."""

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from instances.errors import InvalidInput
from services.store.keys import Keys, parse
from services.store.store import FILE_NAME, Store

VERSUS = str(Path(sys.executable).with_name("versus"))


@pytest.fixture
def store(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path / FILE_NAME}")
    yield store
    store.close()


@pytest.fixture
def keys(store):
    return Keys(store.engine)


def test_a_key_is_opened_by_its_own_secret_alone(keys):
    """The id finds the key, its secret opens it, another key's does not."""
    first, second = (parse(keys.add(name, ["read"])) for name in ("first", "second"))
    assert first is not None and second is not None
    key = keys.find(first[0])
    assert key is not None and key.name == "first" and key.scopes == {"read"}
    assert key.opened_by(first[1])
    assert not key.opened_by(second[1])
    assert not key.opened_by("")
    assert not key.opened_by(key.hash)


def test_secrets_have_256_bits_and_never_repeat(keys):
    """A secret is 64 hexadecimal digits, and no two keys share one or an id."""
    parsed = [parse(keys.add("x", ["read"])) for _ in range(50)]
    assert all(len(bytes.fromhex(secret)) == 32 for _, secret in parsed)
    assert len({id for id, _ in parsed}) == len({secret for _, secret in parsed}) == 50


def test_no_table_holds_a_secret(store, keys, tmp_path):
    """Neither a table nor the files of the store contain the text that was shown."""
    token = keys.add("Ann", ["read", "submit", "admin"])
    _, secret = parse(token)
    with store.engine.connect() as connection:
        for table in sa.inspect(store.engine).get_table_names():
            for row in connection.execute(sa.text(f'SELECT * FROM "{table}"')):
                assert secret not in repr(row)
    files = [file for file in tmp_path.iterdir() if file.is_file()]
    assert any(b"Ann" in file.read_bytes() for file in files)
    assert not any(secret.encode() in file.read_bytes() for file in files)


def test_a_revoked_key_stays_and_opens_nothing(keys):
    """Revoking keeps the row, for comparisons name their owner, and the time of the first revocation."""
    id, secret = parse(keys.add("Ann", ["read"]))
    keys.revoke(id)
    revoked = keys.find(id)
    assert not revoked.opened_by(secret)
    keys.revoke(id)
    assert keys.find(id) == revoked
    assert [key.id for key in keys.list()] == [id]


@pytest.mark.parametrize(
    ("name", "scopes", "where"), [("", ["read"], "name"), ("Ann", [], "scope"), ("Ann", ["read", "root"], "scope")]
)
def test_a_key_needs_a_name_and_known_scopes(keys, name, scopes, where):
    """What is wrong is refused by its place, and nothing is stored."""
    with pytest.raises(InvalidInput) as error:
        keys.add(name, scopes)
    assert error.value.where == where
    assert keys.list() == []


def test_a_key_that_is_not_there_cannot_be_revoked(keys):
    """The error names the id."""
    with pytest.raises(InvalidInput, match="abc: there is no key"):
        keys.revoke("abc")


@pytest.mark.parametrize("text", ["", "vs_", "vs_0123_45", "vs_" + "a" * 12 + "_" + "g" * 64, "Bearer x", "vs_é_é"])
def test_other_texts_are_no_keys(text):
    """Only an id and a secret of the right lengths and digits are looked up at all."""
    assert parse(text) is None


def versus(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([VERSUS, "keys", *map(str, arguments)], capture_output=True, text=True, check=False)


def test_the_command_makes_lists_and_revokes_keys(tmp_path):
    """``add`` prints the key alone on standard output; ``list`` never shows it; ``revoke`` works while it is listed."""
    folder = "--data-dir", tmp_path / "data"
    made = versus("add", "Ann", "--scope", "read", "--scope", "submit", *folder)
    assert made.returncode == 0, made.stderr
    id, secret = parse(made.stdout.removesuffix("\n"))
    assert secret not in made.stderr
    listed = versus("list", *folder)
    assert id in listed.stdout and "Ann" in listed.stdout and "read, submit" in listed.stdout
    assert secret not in listed.stdout + listed.stderr
    assert versus("revoke", id, *folder).returncode == 0
    store = Store.open(f"sqlite:///{tmp_path / 'data' / FILE_NAME}")
    assert Keys(store.engine).find(id).revoked_at is not None
    store.close()


def test_the_command_says_what_is_wrong(tmp_path):
    """Unknown scopes and ids end with exit code 2 and one line."""
    folder = "--data-dir", tmp_path
    for arguments in (("add", "Ann", "--scope", "root"), ("revoke", "abc")):
        refused = versus(*arguments, *folder)
        assert refused.returncode == 2
        assert refused.stderr.startswith("versus: ") and refused.stderr.count("\n") == 1
