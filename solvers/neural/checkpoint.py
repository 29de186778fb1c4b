"""Checkpoints: tensors and a JSON header in one safetensors file; reading one never runs code."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from instances.errors import InvalidInput
from solvers.neural.pointer import Pointer, PointerConfig
from solvers.neural.pointer_lstm import PointerLSTM, PointerLSTMConfig

HEADER = "versus"
Network = Pointer | PointerLSTM


def write_checkpoint(path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Replace ``path`` at once: after a kill it holds either the old checkpoint or the new one."""
    draft = path.with_name(path.name + ".part")
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(plain, draft, metadata={HEADER: json.dumps(header)})
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.replace(path)


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a checkpoint; InvalidInput if it is missing, damaged or foreign."""
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[HEADER])
            if not isinstance(header, dict):
                raise ValueError("its header is no object")
            return {name: file.get_tensor(name) for name in file.keys()}, header  # noqa: SIM118
    except FileNotFoundError:
        raise InvalidInput("there is no such checkpoint", str(path)) from None
    except (SafetensorError, KeyError, OSError, ValueError) as error:
        raise InvalidInput(f"is not a checkpoint of this program, or is damaged ({error})", str(path)) from error


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """The network's tensors under the names that a checkpoint gives them."""
    return {f"weights.{name}": tensor for name, tensor in network.state_dict().items()}


def load_weights(network: nn.Module, tensors: dict[str, Tensor], where: str) -> None:
    """Copy a checkpoint's weights; InvalidInput if a name or a shape differs from the network's."""
    weights = {name.removeprefix("weights."): tensor for name, tensor in tensors.items() if name.startswith("weights.")}
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise InvalidInput(f"its weights do not fit the network ({error})", where) from error


def build_network(name: str, config: dict[str, Any], where: str) -> Network:
    """A network with fresh weights, as a checkpoint's header describes it; InvalidInput if there is no such."""
    try:
        if name == "pointer":
            return Pointer(PointerConfig(**config))
        if name == "pointer-lstm":
            return PointerLSTM(PointerLSTMConfig(**config))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInput(f"its network cannot be built ({error})", where) from error
    raise InvalidInput(f"is a checkpoint of the network {name!r}; accepted are pointer and pointer-lstm", where)


def load_network(path: Path, name: str, config: dict[str, Any]) -> Network:
    """The network of a file of weights, to be used without gradients.

    Parameters
    ----------
    path
        The weights.
    name, config
        The network that the weights' card describes.

    Raises
    ------
    InvalidInput
        If the file is missing, damaged, foreign, or of another network.
    """
    tensors, header = read_checkpoint(path)
    if (header.get("network"), header.get("config")) != (name, config):
        found = f"{header.get('network')} with {header.get('config')}"
        raise InvalidInput(f"holds {found}, but {name} with {config} is expected", str(path))
    network = build_network(name, config, str(path))
    load_weights(network, tensors, str(path))
    return network.requires_grad_(False).eval()


def moments_of(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Adam's state under the names that a checkpoint gives it."""
    state = optimizer.state_dict()["state"]
    return {f"adam.{index}.{name}": tensor for index, part in state.items() for name, tensor in part.items()}


def load_moments(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put Adam's state back."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith("adam."):
            _, index, name = key.split(".")
            state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
