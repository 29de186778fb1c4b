"""What a training run of a network is; without torch, so that a command line can offer it at once."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from instances.errors import InvalidInput

KINDS = {"cvrp": ("uniform", "routes", "x"), "tsp": ("uniform",)}


def _option(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class TrainingArguments:
    """What a training run is; kept in its checkpoint."""

    out: str = _option("training", "folder of checkpoint and metrics; a run that is there is resumed")
    init: str = _option("", "checkpoint whose weights to begin with")
    network: Literal["pointer", "pointer-lstm"] = _option("pointer", "network to train")
    problem: Literal["cvrp", "tsp"] = _option("cvrp", "problem to train for")
    smallest: int = _option(20, "smallest number of customers; every batch draws one size")
    largest: int = _option(20, "largest number of customers")
    kinds: str = _option("uniform", "kinds of instances, by commas, one drawn for each batch: uniform, routes, x")
    instances_from: str = _option("", "file or folder of instances to train on instead of generated ones")
    instances: int = _option(1_000_000, "training instances")
    batch: int = _option(64, "instances of a step at the smallest size; fewer at larger sizes")
    trajectories: int = _option(0, "trajectories of each instance, each from a start of its own; 0 = all starts")
    loss: Literal["preference", "reinforce"] = _option("preference", "what compares the trajectories")
    learning_rate: float = _option(3e-4, "Adam's rate")
    tail: float = _option(0.2, "last part of the training, at a tenth of the rate")
    clip_norm: float = _option(1.0, "largest norm of the gradient")
    seed: int = _option(1, "seed of weights, instances and sampling")
    device: str = _option("cpu", "cpu or cuda")
    precision: Literal["mixed", "single"] = _option("mixed", "of the encoder, on CUDA: bfloat16 or float32")
    threads: int = _option(1, "threads on the CPU")
    seconds: float = _option(math.inf, "stop after so many seconds of training steps")
    validate: int = _option(256, "instances of the validation set; 0 = none")
    reference: int = _option(300, "PyVRP's iterations on each of them, once, for the gap; 0 = no gap")
    report_every: int = _option(20_000, "instances between lines of the metrics, each with a checkpoint")
    width: int = _option(128, "width of the network")
    heads: int = _option(8, "attention heads (pointer)")
    layers: int = _option(3, "encoder layers (pointer)")
    hidden: int = _option(512, "width of the feed-forward parts (pointer)")

    def __post_init__(self) -> None:
        if not 2 <= self.smallest <= self.largest:
            raise InvalidInput(f"is {self.smallest}; accepted are 2 to the largest size {self.largest}", "smallest")
        known = KINDS[self.problem]
        for kind in self.kinds.split(","):
            if kind not in known:
                raise InvalidInput(f"{kind!r} is unknown for {self.problem}; known are {', '.join(known)}", "kinds")
        for name in ("instances", "batch", "report_every", "threads", "width"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"is {getattr(self, name)}; must be positive", name)
        for name in ("trajectories", "seed", "validate", "reference"):
            if getattr(self, name) < 0:
                raise InvalidInput(f"is {getattr(self, name)}; must not be negative", name)
        if self.device.partition(":")[0] not in ("cpu", "cuda"):
            raise InvalidInput(f"is {self.device!r}; accepted are cpu and cuda", "device")
