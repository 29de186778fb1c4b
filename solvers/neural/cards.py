"""Cards: what a shipped checkpoint is, where it comes from, how good it is; a JSON file beside its weights."""

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from instances.errors import InvalidInput

FOLDER = Path(__file__).parent / "checkpoints"
SUFFIX = ".safetensors"
UNITS = {"tsp": "cities", "cvrp": "customers", "factoring": "bits"}
HASH_DIGITS = 12  # of the SHA-256, where a spec names the weights


@dataclass(frozen=True)
class Evaluation:
    """A measurement of a checkpoint, as ``python -m solvers.neural.evaluation`` writes it."""

    instances: str
    count: int
    decode: str
    mean: float
    low: float
    high: float
    seconds: float
    device: str
    commit: str
    date: str
    command: str


@dataclass(frozen=True)
class Card:
    """What rebuilds a network, what it was trained on and how well it does.

    Parameters
    ----------
    name
        The checkpoint's file without its suffix.
    sha256
        Of the file of weights, 64 hex digits.
    network, config
        What rebuilds the network.
    problem
        ``tsp``, ``cvrp`` or ``factoring``.
    smallest, largest
        Sizes trained on: customers, cities of a tour, or bits of n.
    kinds
        Kinds of instances trained on, by commas.
    training
        The stages of the training, each with command, arguments, instances, steps and seconds; and device,
        machine, and the commit and date at which the weights were shipped.
    limits
        What is known not to work, in sentences.
    evaluation
        Measurements, in the order in which they were made.
    """

    name: str
    sha256: str
    network: str
    config: dict[str, Any]
    problem: str
    smallest: int
    largest: int
    kinds: str
    training: dict[str, Any]
    limits: str = ""
    evaluation: tuple[Evaluation, ...] = field(default=())

    @property
    def distribution(self) -> str:
        """What it was trained on, in words."""
        sizes = f"{self.smallest}" if self.smallest == self.largest else f"{self.smallest} to {self.largest}"
        return f"{self.problem.upper()}, {sizes} {UNITS[self.problem]}, {self.kinds.replace(',', ', ')}"

    def distance(self, size: int) -> float:
        """How far a size lies from those trained on, as the logarithm of a ratio; 0 inside."""
        return max(math.log(self.smallest / size), math.log(size / self.largest), 0.0)


def card_path(weights: Path) -> Path:
    """Where the card of a file of weights lies."""
    return weights.with_suffix(".json")


def read_card(path: Path) -> Card:
    """The card in a file; InvalidInput if it is missing or not a card."""
    try:
        document = json.loads(path.read_text())
        evaluation = tuple(Evaluation(**entry) for entry in document.pop("evaluation"))
        return Card(**document, evaluation=evaluation)
    except FileNotFoundError:
        raise InvalidInput("there is no such card", str(path)) from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidInput(f"is not the card of a checkpoint ({error})", str(path)) from error


def write_card(card: Card, path: Path) -> None:
    """Write the card so that it reads back equal."""
    draft = path.with_name(path.name + ".part")
    draft.write_text(json.dumps(dataclasses.asdict(card), indent=2) + "\n")
    draft.replace(path)


def sha256_of(weights: Path) -> str:
    """SHA-256 of a file, 64 hex digits; InvalidInput if it cannot be read."""
    try:
        return hashlib.sha256(weights.read_bytes()).hexdigest()
    except OSError as error:
        raise InvalidInput(f"cannot be read ({error.strerror})", str(weights)) from error


def shipped_cards() -> tuple[Card, ...]:
    """The cards of all shipped checkpoints, by name."""
    return tuple(read_card(path) for path in sorted(FOLDER.glob("*.json")))


@dataclass(frozen=True)
class Choice:
    """The checkpoints a solver may use: one that was named, or all that are shipped.

    Parameters
    ----------
    text
        As in a solver's spec, with the first digits of the weights' hash: ``cvrp20@0123456789ab``.
    cards
        A card each.
    """

    text: str
    cards: tuple[Card, ...]
    folder: Path

    def fitting(self, problem: str, num_locations: int, network: str | None = None) -> Card | None:
        """The card of a problem trained nearest to a size, the most specialised first; None if there is none."""
        known = [card for card in self.cards if card.problem == problem and network in (None, card.network)]
        size = max(1, num_locations - (problem == "cvrp"))
        return min(known, key=lambda card: (card.distance(size), card.largest / card.smallest), default=None)

    def weights(self, card: Card) -> Path:
        """The file of a card's weights."""
        return self.folder / f"{card.name}{SUFFIX}"


def choose(text: str, header: Any) -> Choice:
    """The checkpoints that ``text`` names; every file is compared with its hash.

    Parameters
    ----------
    text
        ``auto`` for all shipped ones, the name of one, or a path; after ``@`` the first digits of the hash that
        is expected, if any.
    header
        Reads the header of a checkpoint without a card, as training leaves it: a function from path to dict.

    Raises
    ------
    InvalidInput
        If there is no such checkpoint, or a file is not the one of its card or of the expected hash.
    """
    name, _, expected = text.rpartition("@") if re.search(r"@[0-9a-f]{12}$", text) else (text, "", "")
    if name == "auto":
        choice = Choice(name, shipped_cards(), FOLDER)
    elif "/" in name or name.endswith(SUFFIX):
        path = Path(name)
        card = read_card(card_path(path)) if card_path(path).exists() else _card_of_training(path, header(path))
        choice = Choice(name, (card,), path.parent)
    else:
        cards = {card.name: card for card in shipped_cards()}
        if name not in cards:
            accepted = ", ".join(["auto", *cards])
            raise InvalidInput(f"is {name!r}; accepted are {accepted} and the path of a {SUFFIX} file", "checkpoint")
        choice = Choice(name, (cards[name],), FOLDER)
    for card in choice.cards:
        if (found := sha256_of(choice.weights(card))) != card.sha256:
            raise InvalidInput(
                f"has SHA-256 {found}, but its card says {card.sha256}: not the weights that the card describes",
                str(choice.weights(card)),
            )
    together = "".join(card.sha256 for card in choice.cards)
    digest = together if len(choice.cards) == 1 else hashlib.sha256(together.encode()).hexdigest()
    if expected and digest[:HASH_DIGITS] != expected:
        raise InvalidInput(f"has the hash {digest[:HASH_DIGITS]}, not {expected}", f"checkpoint {name!r}")
    return dataclasses.replace(choice, text=f"{name}@{digest[:HASH_DIGITS]}")


def _card_of_training(path: Path, header: dict[str, Any]) -> Card:
    """A card for a checkpoint that training wrote, in memory alone."""
    try:
        arguments = header["arguments"]
        return Card(
            name=path.stem,
            sha256=sha256_of(path),
            network=header["network"],
            config=header["config"],
            problem=arguments["problem"],
            smallest=arguments["smallest"],
            largest=arguments["largest"],
            kinds=arguments["kinds"],
            training={},
        )
    except (KeyError, TypeError) as error:
        raise InvalidInput(f"is a checkpoint without {error} in its header", str(path)) from error


def render(cards: Iterable[Card], maker: str = "python -m solvers.neural.ship") -> str:
    """The cards for people, in Markdown, as the command ``maker`` renders them."""
    lines = [
        "# Shipped checkpoints",
        "",
        f"Made by `{maker}` from the JSON cards beside the weights; do not edit.",
        "",
        "| name | trained on | weights | training instances | hours | device |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    cards = tuple(cards)
    for card in cards:
        stages = card.training["stages"]
        instances, seconds = (sum(stage[key] for stage in stages) for key in ("instances", "seconds"))
        lines.append(
            f"| {card.name} | {card.distribution} | `{card.sha256[:HASH_DIGITS]}` | {instances:,} | "
            f"{seconds / 3600:.1f} | {card.training['device']} |"
        )
    for card in cards:
        training = card.training
        lines += [
            "",
            f"## {card.name}",
            "",
            f"{card.distribution}. Network `{card.network}`, {_pairs(card.config)}. SHA-256 `{card.sha256}`.",
            "",
            f"Trained on {training['machine']}, {training['device']}; shipped at {_short(training['commit'])}, "
            f"{training['date']}:",
            "",
        ]
        lines += [
            f"- `{stage['command']}`: {stage['instances']:,} instances, {stage['steps']:,} steps, "
            f"{stage['seconds']:,.0f} s"
            for stage in training["stages"]
        ]
        if card.evaluation:
            lines += [
                "",
                "| instances | decode | mean | 95 % interval | wall time | measured |",
                "| --- | --- | --- | --- | --- | --- |",
            ]
            lines += [
                f"| {entry.instances}, first {entry.count:,} | {entry.decode} | {entry.mean:.4f} | {entry.low:.4f} to "
                f"{entry.high:.4f} | {entry.seconds:,.0f} s, {entry.device} | `{entry.command}`, "
                f"{_short(entry.commit)}, {entry.date} |"
                for entry in card.evaluation
            ]
        if card.limits:
            lines += ["", card.limits]
    return "\n".join(lines) + "\n"


def _short(commit: str) -> str:
    return f"commit `{commit[:10]}`" + (" with changes" if commit.endswith("+") else "")


def _pairs(config: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value:g}" for key, value in config.items())
