"""Make a shipped checkpoint, weights and card, from what training left.

python -m solvers.neural.ship CHECKPOINT NAME [--limits TEXT]
"""

import argparse
import dataclasses
import json
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from instances.errors import InvalidInput
from solvers.neural.cards import FOLDER, SUFFIX, Card, card_path, read_card, render, sha256_of, write_card
from solvers.neural.checkpoint import build_network, load_weights, read_checkpoint, write_checkpoint
from solvers.training import TrainingArguments

HEADER_PARTS = ("network", "config", "arguments", "progress")


def ship(checkpoint: Path, name: str, limits: str = "", folder: Path = FOLDER) -> Card:
    """Write ``NAME.safetensors`` with the weights alone, in half precision, and their card beside it.

    Parameters
    ----------
    checkpoint
        As training wrote it.
    name
        Of the shipped checkpoint.
    limits
        For the card: what is known not to work.
    folder
        Where both go. The table of all cards there, README.md, is renewed.

    Raises
    ------
    InvalidInput
        If the checkpoint is not a whole one of training.
    """
    if not name.replace("-", "").isalnum() or name != name.lower() or name == "auto":
        raise InvalidInput(f"is {name!r}; accepted are lower-case letters, digits and hyphens, but not auto", "name")
    tensors, header = read_checkpoint(checkpoint)
    missing = [part for part in HEADER_PARTS if part not in header]
    if missing:
        raise InvalidInput(f"its header is without {', '.join(missing)}", str(checkpoint))
    load_weights(build_network(header["network"], header["config"], str(checkpoint)), tensors, str(checkpoint))
    arguments = header["arguments"]
    halves = {key: tensor.to(torch.float16) for key, tensor in tensors.items() if key.startswith("weights.")}
    if not all(bool(tensor.isfinite().all()) for tensor in halves.values()):
        raise InvalidInput("a weight is no number of half precision", str(checkpoint))
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / f"{name}{SUFFIX}"
    write_checkpoint(weights, halves, {part: header[part] for part in HEADER_PARTS})
    weights.chmod(0o644)
    card = Card(
        name=name,
        sha256=sha256_of(weights),
        network=header["network"],
        config=header["config"],
        problem=arguments["problem"],
        smallest=arguments["smallest"],
        largest=arguments["largest"],
        kinds="instances of its user" if arguments.get("instances_from") else arguments["kinds"],
        training={
            "stages": _stages(checkpoint),
            "device": "GPU" if arguments["device"].startswith("cuda") else f"CPU, {arguments['threads']} thread",
            "machine": machine(arguments["device"]),
            "commit": commit(),
            "date": _date(checkpoint.stat().st_mtime),
        },
        limits=limits,
    )
    write_card(card, card_path(weights))
    write_readme(folder)
    return card


def write_readme(folder: Path) -> None:
    """Render the cards of a folder."""
    cards = [read_card(path) for path in sorted(folder.glob("*.json"))]
    (folder / "README.md").write_text(render(cards))


def commit() -> str:
    """The commit of this checkout, with ``+`` where files differ from it; ``unknown`` outside of one."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD"], check=False).returncode
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+" if changed else "")


def _stages(checkpoint: Path) -> list[dict[str, Any]]:
    """The runs that led to a checkpoint, the first one first."""
    header = read_checkpoint(checkpoint)[1]
    arguments, progress = header["arguments"], header["progress"]
    own: dict[str, Any] = {
        "command": _command(arguments),
        "arguments": arguments,
        "instances": progress["instances"],
        "steps": progress["step"],
        "seconds": round(progress["seconds"]),
        **{part: header[part] for part in ("commit", "machine") if part in header},
    }
    if not arguments["init"]:
        return [own]
    earlier = Path(arguments["init"])
    if not earlier.exists():
        raise InvalidInput(f"began with {earlier}, which is gone; its history belongs on the card", str(checkpoint))
    card = card_path(earlier)
    return [*(read_card(card).training["stages"] if card.exists() else _stages(earlier)), own]


def _command(arguments: dict[str, Any]) -> str:
    """The command that repeats a run: every argument that is not the default."""
    defaults = {field.name: field.default for field in dataclasses.fields(TrainingArguments)}
    options = [
        f"--{name.replace('_', '-')} {shlex.quote(str(value))}"
        for name, value in arguments.items()
        if name not in defaults or value != defaults[name]
    ]
    return " ".join(["versus train", *options])


def machine(device: str) -> str:
    """The GPU, or the processor, by its name."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name() if torch.cuda.is_available() else "a GPU"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown CPU"


def _date(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).date().isoformat()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m solvers.neural.ship", description=ship.__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("name")
    parser.add_argument("--limits", default="", help="for the card: what is known not to work")
    given = parser.parse_args()
    try:
        card = ship(given.checkpoint, given.name, given.limits)
    except InvalidInput as error:
        sys.exit(f"error: {error}")
    sys.stdout.write(json.dumps({"name": card.name, "sha256": card.sha256}) + "\n")


if __name__ == "__main__":
    main()
