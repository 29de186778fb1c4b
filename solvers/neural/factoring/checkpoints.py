"""Checkpoints of the factoring networks: which there are, found by name and hash, loaded strictly."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from instances.errors import InvalidInput
from solvers.neural import cards
from solvers.neural.cards import HASH_DIGITS, SUFFIX, Card, choose, read_card, render
from solvers.neural.checkpoint import load_weights, read_checkpoint
from solvers.neural.factoring.digit_pointer import DigitPointer
from solvers.neural.factoring.prime_pointer import PointerConfig, PrimePointer

FOLDER = cards.FOLDER / "factoring"
NETWORKS: dict[str, type[nn.Module]] = {"prime-pointer": PrimePointer, "digit-pointer": DigitPointer}


@dataclass(frozen=True)
class Named:
    """A checkpoint as a solver's spec names it, whose weights are those of its card.

    Parameters
    ----------
    text
        What the spec says, with the first digits of the weights' hash.
    path
        The weights.
    card
        Their card.
    """

    text: str
    path: Path
    card: Card


def named(text: str, network: str) -> Named:
    """The checkpoint that ``text`` names: ``auto`` for the shipped one of the network, else a path; perhaps @ hash.

    Raises
    ------
    InvalidInput
        If there is none, if it is of another network, or if a file is not the one of its card or of the hash.
    """
    name, at, digest = text.rpartition("@") if re.search(r"@[0-9a-f]{12}$", text) else (text, "", "")
    path = FOLDER / f"{network}{SUFFIX}" if name == "auto" else Path(name)
    if path.suffix != SUFFIX:
        raise InvalidInput(f"is {name!r}; accepted are auto and the path of a {SUFFIX} file", "checkpoint")
    choice = choose(f"{path}{at}{digest}", lambda file: read_checkpoint(file)[1])
    (card,) = choice.cards
    if card.network != network:
        raise InvalidInput(f"is a checkpoint of {card.network}; accepted are those of {network}", str(path))
    return Named(f"{name}@{card.sha256[:HASH_DIGITS]}", path, card)


def build_network(name: str, config: dict[str, Any], where: str) -> Any:
    """A network with fresh weights; InvalidInput if there is no such."""
    if name not in NETWORKS:
        raise InvalidInput(f"is a checkpoint of the network {name!r}; accepted are {', '.join(NETWORKS)}", where)
    try:
        return NETWORKS[name](PointerConfig(**config))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInput(f"its network cannot be built ({error})", where) from error


def load_network(path: Path) -> Any:
    """The network of a file of weights, to be used without gradients; InvalidInput if it is damaged or foreign."""
    tensors, header = read_checkpoint(path)
    if "network" not in header or not isinstance(header.get("config"), dict):
        raise InvalidInput("its header is without network or config", str(path))
    network = build_network(header["network"], header["config"], str(path))
    load_weights(network, tensors, str(path))
    return network.requires_grad_(False).eval()


def write_readme(folder: Path) -> None:
    """Render the cards of a folder."""
    found = [read_card(path) for path in sorted(folder.glob("*.json"))]
    (folder / "README.md").write_text(render(found, "python -m solvers.neural.factoring.ship"))
