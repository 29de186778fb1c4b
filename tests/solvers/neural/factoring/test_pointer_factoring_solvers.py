"""The factoring networks as solvers: conforming, complete, counting divisions, and strict about their weights."""

import logging
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from instances.errors import InvalidInput
from instances.factoring.instance import FactoringInstance
from instances.factoring.referee import verify
from solvers.conformance import RecordingSearch, check
from solvers.factoring.trial_division import TrialDivision
from solvers.neural.cards import card_path, read_card
from solvers.neural.factoring.checkpoints import FOLDER, NETWORKS, load_network, named
from solvers.neural.factoring.evaluation import order_places
from solvers.neural.factoring.ship import ship
from solvers.neural.factoring.solver import PointerDigits, PointerPrime
from solvers.neural.factoring.task import Semiprimes, primes_of
from solvers.neural.factoring.train import Arguments, train

SOLVERS: list[Any] = [PointerPrime, PointerDigits]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Paths of shipped checkpoints of hardly trained networks, by network."""
    folder = tmp_path_factory.mktemp("small")
    paths = {}
    for name in NETWORKS:
        arguments = Arguments(
            out=str(folder / f"training-{name}"),
            network=name,
            largest=24,
            steps=2,
            batch=4,
            samples=2,
            width=8,
            layers=1,
        )
        ship(train(arguments), "It is untrained.", folder)
        paths[name] = str(folder / f"{name}.safetensors")
    return paths


@pytest.mark.parametrize("solver", SOLVERS)
def test_conforms_with_the_shipped_weights(solver: Any) -> None:
    """The check, with the referee, has nothing to say against it."""
    assert check(solver(), seconds=2.0, verify=verify) == []


@pytest.mark.parametrize("digits", ["read", "shuffled"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_every_number_is_factored_whatever_the_weights_are(solver: Any, digits: str, small: dict[str, str]) -> None:
    """Balanced or not, of odd or even length: no candidate is left out."""
    ready = solver(checkpoint=small[solver.network], digits=digits).prepare()
    for n in [*range(2, 300), 2**23, 3 * 5 * 7 * 11 * 13 * 17, 1_019 * 1_733, 2 * 1_000_003, 2_039**2, 4_091 * 4_093]:
        search = RecordingSearch(60.0, seed=3)
        ready.solve(FactoringInstance(n), search)
        verdict = verify(FactoringInstance(n), search.reports[-1][1])
        assert verdict.complete, n


@pytest.mark.parametrize("solver", SOLVERS)
def test_larger_numbers_than_trained_on_are_declined(solver: Any, small: dict[str, str]) -> None:
    built = solver(checkpoint=small[solver.network])
    assert built.declines(FactoringInstance(2**24 - 3)) is None
    assert "at most 24" in built.declines(FactoringInstance(2**24 + 1))


def divisions(solver: Any, n: int, caplog: pytest.LogCaptureFixture) -> int:
    """The number of divisions that a run writes to its log."""
    caplog.clear()
    with caplog.at_level(logging.INFO):
        solver.prepare().solve(FactoringInstance(n), RecordingSearch(60.0))
    return int(re.findall(r"(\d+) divisions", caplog.text)[-1])


def test_divisions_in_the_log_are_those_of_the_evaluation(
    small: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """On a balanced semiprime; and the descending order's are those of trial division."""
    primes = primes_of(12)
    semiprimes = Semiprimes(primes[[200, 180, 130]], primes[[-1, -20, -60]])
    path = Path(small["prime-pointer"])
    found = order_places(load_network(path), semiprimes)
    descending = TrialDivision(order="descending", candidates="primes")
    for row, n in enumerate(semiprimes.n.tolist()):
        assert divisions(PointerPrime(str(path)), n, caplog) == found["network"][row]
        assert divisions(descending, n, caplog) == found["descending"][row]


@pytest.mark.parametrize("solver", SOLVERS)
def test_spec_names_the_weights(solver: Any, small: dict[str, str]) -> None:
    """With the first digits of their hash, and refuses others and those of the other network."""
    path = small[solver.network]
    built = solver(checkpoint=path)
    digest = read_card(card_path(Path(path))).sha256[:12]
    assert built.checkpoint == f"{path}@{digest}"
    assert solver(checkpoint=built.checkpoint) == built
    with pytest.raises(InvalidInput, match="not 0123456789ab"):
        solver(checkpoint=f"{path}@0123456789ab")
    (other,) = set(small) - {solver.network}
    with pytest.raises(InvalidInput, match=f"accepted are those of {solver.network}"):
        solver(checkpoint=small[other])
    with pytest.raises(InvalidInput, match="accepted are auto and the path"):
        solver(checkpoint="unknown")


@pytest.mark.parametrize("damage", ["truncated", "flipped", "pickle", "gone"])
def test_damaged_weights_are_refused(damage: str, small: dict[str, str], tmp_path: Path) -> None:
    """One flipped bit is enough; the error names the file."""
    original = Path(small["prime-pointer"])
    path = tmp_path / original.name
    content = bytearray(original.read_bytes())
    card_path(path).write_bytes(card_path(original).read_bytes())
    if damage == "truncated":
        path.write_bytes(content[:-10])
    elif damage == "flipped":
        content[-1] ^= 1
        path.write_bytes(content)
    elif damage == "pickle":
        path.write_bytes(pickle.dumps({"weights": [1.0]}))
    with pytest.raises(InvalidInput, match=r"prime-pointer\.safetensors"):
        named(str(path), "prime-pointer")


def test_shipped_checkpoints_are_small_and_said_to_lose() -> None:
    """Below 1 MB each, with the command that trained them and a measurement by bit length."""
    for name in NETWORKS:
        card = read_card(FOLDER / f"{name}.json")
        assert (FOLDER / f"{name}.safetensors").stat().st_size < 2**20
        assert "solvers.neural.factoring.train" in card.training["stages"][0]["command"]
        assert [entry.instances.split()[3] for entry in card.evaluation] == ["24", "28", "32"]
        assert card.limits
