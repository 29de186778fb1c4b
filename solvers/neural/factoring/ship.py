"""Make a shipped checkpoint of a factoring network, weights and card, from what training left.

python -m solvers.neural.factoring.ship CHECKPOINT [--limits TEXT]
"""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

import torch

from instances.errors import InvalidInput
from solvers.neural.cards import SUFFIX, Card, card_path, sha256_of, write_card
from solvers.neural.checkpoint import load_weights, read_checkpoint, write_checkpoint
from solvers.neural.factoring.checkpoints import FOLDER, build_network, write_readme
from solvers.neural.factoring.train import KINDS, command_of
from solvers.neural.ship import HEADER_PARTS, commit, machine


def ship(checkpoint: Path, limits: str = "", folder: Path = FOLDER) -> Card:
    """Write ``NETWORK.safetensors`` with the weights in half precision, and their card beside it.

    Parameters
    ----------
    checkpoint
        As training wrote it.
    limits
        For the card: how it loses.
    folder
        Where both go. The table of all cards there, README.md, is renewed.

    Raises
    ------
    InvalidInput
        If the checkpoint is not a whole one of training.
    """
    tensors, header = read_checkpoint(checkpoint)
    missing = [part for part in HEADER_PARTS if part not in header]
    if missing:
        raise InvalidInput(f"its header is without {', '.join(missing)}", str(checkpoint))
    load_weights(build_network(header["network"], header["config"], str(checkpoint)), tensors, str(checkpoint))
    arguments, progress = header["arguments"], header["progress"]
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / f"{header['network']}{SUFFIX}"
    halves = {key: tensor.to(torch.float16) for key, tensor in tensors.items()}
    write_checkpoint(weights, halves, {part: header[part] for part in HEADER_PARTS})
    weights.chmod(0o644)
    card = Card(
        name=header["network"],
        sha256=sha256_of(weights),
        network=header["network"],
        config=header["config"],
        problem="factoring",
        smallest=arguments["smallest"],
        largest=arguments["largest"],
        kinds=KINDS,
        training={
            "stages": [
                {
                    "command": command_of(arguments),
                    "arguments": arguments,
                    "instances": progress["instances"],
                    "steps": progress["step"],
                    "seconds": round(progress["seconds"]),
                }
            ],
            "device": "CPU, 1 thread",
            "machine": machine("cpu"),
            "commit": commit(),
            "date": datetime.fromtimestamp(checkpoint.stat().st_mtime, UTC).date().isoformat(),
        },
        limits=limits,
    )
    write_card(card, card_path(weights))
    write_readme(folder)
    return card


def main(given: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m solvers.neural.factoring.ship", description=ship.__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--limits", default="", help="for the card: how it loses")
    arguments = parser.parse_args(given)
    try:
        card = ship(arguments.checkpoint, arguments.limits)
    except InvalidInput as error:
        sys.exit(f"error: {error}")
    sys.stdout.write(f"{card.name} {card.sha256}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
