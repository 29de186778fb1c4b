"""Shipped checkpoints: made from training's, strict and hash-checked, with a card that says what they are."""

import dataclasses
import json
import pickle
from pathlib import Path

import pytest
import torch

from instances.errors import InvalidInput
from solvers.neural import cards, ship
from solvers.neural.cards import Card, card_path, choose, read_card, render, shipped_cards
from solvers.neural.checkpoint import load_network, read_checkpoint, weights_of, write_checkpoint
from solvers.neural.evaluation import Decode, evaluate, main, record
from solvers.neural.pointer import Pointer, PointerConfig

CONFIG = PointerConfig(width=16, heads=2, layers=1, hidden=32)


def trained(path: Path, config: PointerConfig = CONFIG, **arguments: object) -> Path:
    """A checkpoint as training leaves it, with fresh weights."""
    torch.manual_seed(3)
    given = {"problem": "cvrp", "smallest": 20, "largest": 20, "kinds": "uniform", "init": "", "device": "cpu"}
    header = {
        "network": "pointer",
        "config": dataclasses.asdict(config),
        "arguments": given | {"threads": 1, "seed": 7, "out": str(path.parent)} | arguments,
        "progress": {"step": 10, "instances": 640, "seconds": 12.5},
    }
    moments = {"adam.0.step": torch.tensor(10.0)}
    write_checkpoint(path, weights_of(Pointer(config)) | moments, header)
    return path


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Card:
    """A checkpoint named ``small``, alone among the shipped ones."""
    folder = tmp_path / "shipped"
    monkeypatch.setattr(cards, "FOLDER", folder)
    return ship.ship(trained(tmp_path / "checkpoint.safetensors"), "small", "It is untrained.", folder)


def chosen(text: str) -> cards.Choice:
    return choose(text, lambda path: read_checkpoint(path)[1])


def test_shipped_weights_are_the_trained_ones_alone(shipped: Card, tmp_path: Path) -> None:
    """Half precision, no moments, the same network to three digits."""
    path = chosen("small").weights(shipped)
    tensors, _ = read_checkpoint(path)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert all(name.startswith("weights.") for name in tensors)
    network = load_network(path, shipped.network, shipped.config)
    original = read_checkpoint(tmp_path / "checkpoint.safetensors")[0]
    for name, tensor in weights_of(network).items():
        torch.testing.assert_close(tensor, original[name], rtol=1e-3, atol=1e-4)
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_card_says_where_the_weights_come_from(shipped: Card) -> None:
    """Command, seed, instances, time, device, commit and distribution; it reads back equal."""
    (stage,) = shipped.training["stages"]
    assert "versus train" in stage["command"] and "--seed 7" in stage["command"]
    assert (stage["instances"], stage["steps"], stage["seconds"]) == (640, 10, 12)
    assert shipped.training["device"] == "CPU, 1 thread"
    assert len(shipped.training["commit"].rstrip("+")) == 40 or shipped.training["commit"] == "unknown"
    assert shipped.distribution == "CVRP, 20 customers, uniform"
    assert read_card(card_path(chosen("small").weights(shipped))) == shipped


def test_stages_of_a_fine_tuned_checkpoint_include_its_beginning(shipped: Card, tmp_path: Path) -> None:
    """Whether it began with a training checkpoint or a shipped one."""
    first = tmp_path / "checkpoint.safetensors"
    for init in (first, chosen("small").weights(shipped)):
        path = trained(tmp_path / "second.safetensors", init=str(init), largest=50)
        stages = ship.ship(path, "tuned", folder=tmp_path / "other").training["stages"]
        assert [stage["arguments"]["largest"] for stage in stages] == [20, 50]
    path = trained(tmp_path / "third.safetensors", init=str(tmp_path / "gone.safetensors"))
    with pytest.raises(InvalidInput, match="which is gone"):
        ship.ship(path, "orphan", folder=tmp_path / "other")


def test_every_shipped_checkpoint_loads_and_the_table_is_what_the_cards_give() -> None:
    """The files in the project agree with their hashes, their cards and the README."""
    assert {card.name for card in shipped_cards()} >= {"tsp20", "cvrp20"}
    choice = chosen("auto")
    for card in choice.cards:
        load_network(choice.weights(card), card.network, card.config)
    assert (cards.FOLDER / "README.md").read_text() == render(choice.cards)


def test_spec_names_the_weights_and_refuses_others(shipped: Card, tmp_path: Path) -> None:
    """The canonical text carries the hash and chooses the same again; another hash is refused."""
    for text in ("small", "auto", str(tmp_path / "checkpoint.safetensors")):
        choice = chosen(text)
        assert choice.text.startswith(f"{text}@")
        assert chosen(choice.text) == choice
        with pytest.raises(InvalidInput, match="not 0123456789ab"):
            chosen(f"{text}@0123456789ab")
    assert chosen("small").text == f"small@{shipped.sha256[:12]}"


@pytest.mark.parametrize("damage", ["truncated", "flipped", "replaced", "pickle", "gone"])
def test_weights_that_are_not_those_of_the_card_are_refused(shipped: Card, tmp_path: Path, damage: str) -> None:
    """One flipped bit is enough; the error names the file."""
    path = chosen("small").weights(shipped)
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(content[:-10])
    elif damage == "flipped":
        content[-1] ^= 1
        path.write_bytes(content)
    elif damage == "replaced":
        path.write_bytes((tmp_path / "checkpoint.safetensors").read_bytes())
    else:
        path.write_bytes(pickle.dumps({"weights": [1.0]}))
    with pytest.raises(InvalidInput, match=r"small\.safetensors"):
        chosen("small")


class _Bomb:
    """Unpickling it would end this process."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        import os

        return os._exit, (3,)


def test_file_without_a_card_is_read_as_a_checkpoint_and_never_runs_code(tmp_path: Path) -> None:
    """A pickle, a header that is no object, or one without a problem is a clear error."""
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(InvalidInput, match="is not a checkpoint of this program"):
        chosen(str(path))
    torch.save({"weights.x": torch.zeros(2)}, path)
    with pytest.raises(InvalidInput, match="is not a checkpoint of this program"):
        chosen(str(path))
    write_checkpoint(path, {"weights.x": torch.zeros(2)}, [])  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="its header is no object"):
        chosen(str(path))
    write_checkpoint(path, {"weights.x": torch.zeros(2)}, {"network": "pointer"})
    with pytest.raises(InvalidInput, match="without 'arguments' in its header"):
        chosen(str(path))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    """Other shapes, another kind, or a configuration that makes no network."""
    path = trained(tmp_path / "a.safetensors")
    tensors, header = read_checkpoint(path)
    config = dataclasses.asdict(CONFIG)
    with pytest.raises(InvalidInput, match="is expected"):
        load_network(path, "pointer", config | {"width": 32})
    write_checkpoint(path, tensors, header | {"config": config | {"width": 32}})
    with pytest.raises(InvalidInput, match="do not fit the network"):
        load_network(path, "pointer", config | {"width": 32})
    for network, wrong, message in (
        ("perceptron", config, "accepted are pointer and pointer-lstm"),
        ("pointer", {"depth": 3}, "cannot be built"),
    ):
        write_checkpoint(path, tensors, header | {"network": network, "config": wrong})
        with pytest.raises(InvalidInput, match=message):
            load_network(path, network, wrong)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"name": "small"}', '{"evaluation": [{"mean": 1}]}'])
def test_broken_card_is_a_clear_error(shipped: Card, content: str) -> None:
    card_path(chosen("small").weights(shipped)).write_text(content)
    with pytest.raises(InvalidInput, match=r"small\.json: is not the card"):
        chosen("small")


def test_unknown_name_says_which_there_are(shipped: Card) -> None:
    with pytest.raises(InvalidInput, match="accepted are auto, small and the path"):
        chosen("large")
    with pytest.raises(InvalidInput, match="there is no such checkpoint"):
        chosen("/nowhere/large.safetensors")


def test_the_nearest_and_most_specialised_card_fits(shipped: Card) -> None:
    """Inside the sizes trained on, the narrowest; outside, the nearest by ratio; never of the other problem."""
    sizes = {"small": (20, 20), "mixed": (20, 100), "middle": (50, 50)}
    some = [dataclasses.replace(shipped, name=name, smallest=a, largest=b) for name, (a, b) in sizes.items()]
    tour = dataclasses.replace(shipped, name="tour", problem="tsp")
    choice = cards.Choice("auto", (*some, tour), Path())

    def fitting(customers: int) -> str:
        card = choice.fitting("cvrp", customers + 1)
        assert card is not None
        return card.name

    assert [fitting(size) for size in (1, 20, 21, 50, 70, 1000)] == [
        "small", "small", "mixed", "middle", "mixed", "mixed"
    ]  # fmt: skip
    assert choice.fitting("tsp", 100) == tour
    assert choice.fitting("tsp", 100, "pointer-lstm") is None


def test_evaluation_is_written_on_the_card_and_replaced_by_the_next(
    shipped: Card, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command prints a mean with its interval; the card and the README then hold it once."""
    path = card_path(chosen("small").weights(shipped))
    for count in (3, 4):
        main(["small", "--count", str(count), "--decode", "starts"])
        output = capsys.readouterr().out
        (entry,) = read_card(path).evaluation
        assert entry.count == count and entry.low < entry.mean < entry.high
        assert f"{entry.mean:.4f}" in output
        assert f"--count {count} --decode starts" in entry.command
        assert f"{entry.mean:.4f}" in (path.parent / "README.md").read_text()
    assert json.loads(path.read_text())["sha256"] == shipped.sha256
    other = dataclasses.replace(entry, decode="x8")
    record(read_card(path), other, path)
    assert read_card(path).evaluation == (entry, other)


def test_evaluation_is_in_the_units_of_the_field() -> None:
    """The first 20 tours of the test set are about as long as their optima, 3.83 on average over the set."""
    choice = chosen("tsp20")

    def mean(decode: Decode) -> float:
        return evaluate(choice, choice.cards[0], "tsp", 20, 20, decode, "cpu", "here").mean

    assert 3.4 < mean("x8") <= mean("starts") <= mean("greedy") < 4.3
    assert mean("x8") <= mean("sample10") < 4.6
    assert mean("sample10") == mean("sample10")
