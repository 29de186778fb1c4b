"""Training of the pointer network by reinforcement learning; reads from top to bottom.

A step draws a batch of fresh instances, lets the policy sample several trajectories of each without
gradients, compares the trajectories of an instance with each other, and makes the better ones more likely.
Everything random in step t derives from (seed, t): weights, optimiser state and t are all a resume needs.

References
----------
Y.-D. Kwon et al., POMO, NeurIPS 2020: the mean of an instance's trajectories is the baseline.
M. Pan et al., Preference optimization for combinatorial optimization problems, ICML 2025: preferences.
"""

import dataclasses
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from instances.errors import InvalidInput
from instances.routing.generators.kool import VALIDATION_SEED
from instances.routing.generators.sample import Sample
from instances.routing.generators.streams import stream_seed
from instances.routing.generators.uniform import sample_uniform
from instances.routing.generators.x import sample_x
from solvers.neural.batch import Batch, from_sample
from solvers.neural.checkpoint import (
    load_moments,
    load_weights,
    moments_of,
    read_checkpoint,
    weights_of,
    write_checkpoint,
)
from solvers.neural.evaluation import best_costs, kool_batch
from solvers.neural.pointer import Pointer, PointerConfig
from solvers.neural.rollout import Rollout, log_likelihood, rollout
from solvers.neural.state import all_starts

CHECKPOINT = "checkpoint.safetensors"
METRICS = "metrics.jsonl"
# Of the attention scores of one decoding block: what the cache holds, or little of the memory.
BLOCK_BYTES = {"cpu": 4 << 20, "cuda": 1 << 30}
DECAY = 0.1  # of the learning rate, in the tail


def _option(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class TrainingArguments:
    """What a training run is; kept in its checkpoint."""

    out: str = _option("training", "folder of checkpoint and metrics; a run that is there is resumed")
    init: str = _option("", "checkpoint whose weights to begin with")
    problem: Literal["cvrp", "tsp"] = _option("cvrp", "problem to train for")
    smallest: int = _option(20, "smallest number of customers; every batch draws one size")
    largest: int = _option(20, "largest number of customers")
    kinds: str = _option("uniform", "kinds of instances, by commas, one drawn for each batch: uniform, routes, x")
    instances: int = _option(1_000_000, "training instances")
    batch: int = _option(64, "instances of a step at the smallest size; fewer at larger sizes")
    trajectories: int = _option(0, "trajectories of each instance, each from a start of its own; 0 = all starts")
    loss: Literal["preference", "reinforce"] = _option("preference", "what compares the trajectories")
    learning_rate: float = _option(3e-4, "Adam's rate")
    tail: float = _option(0.2, "last part of the training, at a tenth of the rate")
    clip_norm: float = _option(1.0, "largest norm of the gradient")
    seed: int = _option(1, "seed of weights, instances and sampling")
    device: str = _option("cpu", "cpu or cuda")
    threads: int = _option(1, "threads on the CPU")
    seconds: float = _option(math.inf, "stop after so many seconds of training steps")
    validate: int = _option(256, "instances of the validation set; 0 = none")
    report_every: int = _option(20_000, "instances between lines of the metrics, each with a checkpoint")
    width: int = _option(128, "width of the network")
    heads: int = _option(8, "attention heads")
    layers: int = _option(3, "encoder layers")
    hidden: int = _option(512, "width of the feed-forward parts")

    def __post_init__(self) -> None:
        if not 2 <= self.smallest <= self.largest:
            raise InvalidInput(f"is {self.smallest}; accepted are 2 to the largest size {self.largest}", "smallest")
        known = KINDS if self.problem == "cvrp" else {"uniform": KINDS["uniform"]}
        for kind in self.kinds.split(","):
            if kind not in known:
                raise InvalidInput(f"{kind!r} is unknown for {self.problem}; known are {', '.join(known)}", "kinds")
        for name in ("instances", "batch", "report_every", "threads"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"is {getattr(self, name)}; must be positive", name)


# --- Instances ---------------------------------------------------------------------------------------------


def sample_routes(rng: np.random.Generator, batch: int, size: int, problem: str = "cvrp") -> Sample:
    """Uniform instances with capacity for Triangular(3, 6, 25) customers a route, as in the X generator."""
    sample = sample_uniform(rng, batch, size, problem)
    assert sample.demand is not None
    mean_demand = sample.demand.sum(axis=1) / size
    capacity = np.ceil(rng.triangular(3, 6, 25, size=batch) * mean_demand).astype(np.int64)
    return dataclasses.replace(sample, capacity=np.maximum(capacity, sample.demand.max(axis=1)))


KINDS: dict[str, Callable[[np.random.Generator, int, int, str], Sample]] = {
    "uniform": sample_uniform,
    "routes": sample_routes,
    "x": lambda rng, batch, size, problem: sample_x(rng, batch, size),
}


def training_batch(arguments: TrainingArguments, rng: np.random.Generator) -> Batch:
    """The instances of one step: one size and one kind; fewer of them the larger they are (FACTS: n^-1.6)."""
    size = int(rng.integers(arguments.smallest, arguments.largest, endpoint=True))
    kind = rng.choice(arguments.kinds.split(","))
    count = max(1, round(arguments.batch * (arguments.smallest / size) ** 1.6))
    return from_sample(KINDS[kind](rng, count, size, arguments.problem))


# --- Loss --------------------------------------------------------------------------------------------------


def reinforce_loss(cost: Tensor, likelihood: Tensor) -> Tensor:
    """REINFORCE with the mean of an instance's trajectories as its baseline, shape (B,).

    Each instance is divided by its largest advantage, so that sizes and units weigh alike.

    Parameters
    ----------
    cost
        float32, shape (B, S).
    likelihood
        Log-likelihoods, float32, shape (B, S).
    """
    advantage = cost.mean(dim=1, keepdim=True) - cost
    advantage = advantage / advantage.abs().amax(dim=1, keepdim=True).clamp(min=1e-8)
    return -(advantage * likelihood).mean(dim=1)


def preference_loss(cost: Tensor, likelihood: Tensor, sharpness: float) -> Tensor:
    """Of every two trajectories of an instance the shorter one shall be the likelier; shape (B,).

    -log sigmoid(sharpness * difference of log-likelihoods), the mean over the pairs; it has no unit.

    Parameters
    ----------
    cost, likelihood
        As in :func:`reinforce_loss`.
    sharpness
        The paper's alpha.
    """
    better = (cost[:, :, None] < cost[:, None, :]).float()
    difference = likelihood[:, :, None] - likelihood[:, None, :]
    pairs = better.sum(dim=(1, 2)).clamp(min=1)
    return -(functional.logsigmoid(sharpness * difference) * better).sum(dim=(1, 2)) / pairs


SHARPNESS = {"cvrp": 0.03, "tsp": 0.05}


def loss_of(arguments: TrainingArguments, cost: Tensor, likelihood: Tensor) -> Tensor:
    """The chosen loss of each instance, shape (B,)."""
    if arguments.loss == "preference":
        return preference_loss(cost, likelihood, SHARPNESS[arguments.problem])
    return reinforce_loss(cost, likelihood)


# --- One step ----------------------------------------------------------------------------------------------


def starts_of(arguments: TrainingArguments, batch: Batch, rng: np.random.Generator) -> Tensor:
    """The starts of the trajectories of a step, drawn anew without repetition, int64, shape (B, S)."""
    starts = all_starts(batch)
    number = arguments.trajectories or batch.num_locations
    return starts[:, torch.from_numpy(rng.permutation(batch.num_locations)[:number])]


def accumulate_gradients(
    policy: Pointer, arguments: TrainingArguments, batch: Batch, starts: Tensor, seed: int
) -> tuple[float, float]:
    """Add the gradient of the batch's mean loss to the policy's; return that loss and the mean cost.

    The batch is encoded once. Its trajectories are scored block by block, so that a block's attention scores
    stay in the cache; the keys' gradients gather in leaves and then go through the encoder in one pass.
    """
    keys = policy.encode(batch)
    generator = torch.Generator(starts.device).manual_seed(seed)
    rollouts = rollout(policy, keys, batch, starts, generator)
    leaves, total = keys.detached(), 0.0
    for part in _blocks(policy, rollouts):
        part_of_rollouts = rollouts.part(part)
        likelihood = log_likelihood(policy, leaves.part(part), part_of_rollouts, batch.has_depot)
        loss = loss_of(arguments, part_of_rollouts.cost, likelihood).sum() / len(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    used = [(key, leaf.grad) for key, leaf in zip(keys, leaves, strict=True) if leaf.grad is not None]
    torch.autograd.backward([key for key, _ in used], [gradient for _, gradient in used])
    return total, rollouts.cost.mean().item()


def _blocks(policy: Pointer, rollouts: Rollout) -> list[slice]:
    """Slices of the batch whose attention scores take at most BLOCK_BYTES each, or hold one instance."""
    size, steps, num_starts, nodes = rollouts.mask.shape
    bytes_each = 4 * policy.config.heads * steps * num_starts * nodes
    count = max(1, BLOCK_BYTES[rollouts.mask.device.type] // bytes_each)
    return [slice(begin, begin + count) for begin in range(0, size, count)]


# --- The run -----------------------------------------------------------------------------------------------


@dataclass
class Progress:
    """How far a run is; kept in its checkpoint."""

    step: int = 0
    instances: int = 0
    seconds: float = 0.0


def train(arguments: TrainingArguments, report: Callable[[str], None] = lambda line: None) -> Path:
    """Train until the instances or the seconds are used up; return the checkpoint's path.

    Parameters
    ----------
    arguments
        The run. If its folder holds a checkpoint, the run goes on from there: on the CPU, with equal threads,
        with the very losses of a run that was never interrupted.
    report
        Called with a line of progress.

    Raises
    ------
    InvalidInput
        If the folder holds a run with other arguments, or a checkpoint is damaged or of another network.
    """
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    device = torch.device(arguments.device)
    config = PointerConfig(arguments.width, arguments.heads, arguments.layers, arguments.hidden)
    policy = Pointer(config).to(device)
    optimizer = torch.optim.Adam(policy.parameters(), lr=arguments.learning_rate, fused=True)
    folder, progress = Path(arguments.out), Progress()
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint, metrics = folder / CHECKPOINT, folder / METRICS
    if checkpoint.exists():
        tensors, header = read_checkpoint(checkpoint)
        _check_same_run(arguments, header["arguments"])
        load_weights(policy, tensors, str(checkpoint))
        load_moments(optimizer, tensors)
        progress = Progress(**header["progress"])
        _forget_after(metrics, progress.step)
    elif arguments.init:
        load_weights(policy, read_checkpoint(Path(arguments.init))[0], arguments.init)
    validation = kool_batch(arguments.problem, arguments.largest, arguments.validate, VALIDATION_SEED).to(device)

    losses: list[float] = []
    costs: list[float] = []
    since = dataclasses.replace(progress)
    while progress.instances < arguments.instances and progress.seconds < arguments.seconds:
        begun = time.perf_counter()
        rng = np.random.default_rng(stream_seed("training", arguments.seed, progress.step))
        batch = training_batch(arguments, rng).to(device)
        starts = starts_of(arguments, batch, rng)
        optimizer.zero_grad()
        loss, cost = accumulate_gradients(policy, arguments, batch, starts, int(rng.integers(2**62)))
        torch.nn.utils.clip_grad_norm_(policy.parameters(), arguments.clip_norm)
        in_tail = progress.instances >= (1 - arguments.tail) * arguments.instances
        optimizer.param_groups[0]["lr"] = arguments.learning_rate * (DECAY if in_tail else 1.0)
        optimizer.step()
        losses.append(loss)
        costs.append(cost)
        progress.step += 1
        progress.instances += len(batch)
        progress.seconds += time.perf_counter() - begun

        done = progress.instances >= arguments.instances or progress.seconds >= arguments.seconds
        if not done and progress.instances - since.instances < arguments.report_every:
            continue
        rate = (progress.instances - since.instances) / (progress.seconds - since.seconds)
        line = {
            **dataclasses.asdict(progress),
            "loss": float(np.mean(losses)),
            "cost": float(np.mean(costs)),
            "validation_cost": best_costs(policy, validation).mean().item() if len(validation) else None,
            "learning_rate": optimizer.param_groups[0]["lr"],
            "instances_per_second": rate,
        }
        with metrics.open("a") as file:
            file.write(json.dumps(line) + "\n")
        write_checkpoint(
            checkpoint,
            weights_of(policy) | moments_of(optimizer),
            {
                "network": "pointer",
                "config": dataclasses.asdict(config),
                "arguments": dataclasses.asdict(arguments),
                "progress": dataclasses.asdict(progress),
            },
        )
        report(_progress_line(arguments, line))
        losses, costs, since = [], [], dataclasses.replace(progress)
    return checkpoint


MAY_CHANGE = {"out", "init", "instances", "seconds", "device", "threads", "report_every"}


def _check_same_run(arguments: TrainingArguments, earlier: dict[str, Any]) -> None:
    """Raise InvalidInput at the first argument that would make the resumed run another one."""
    for name, value in dataclasses.asdict(arguments).items():
        if name not in MAY_CHANGE and earlier.get(name) != value:
            raise InvalidInput(
                f"is {value!r}, but the run in {arguments.out} has {earlier.get(name)!r}; "
                "accepted are the same value or another folder",
                name,
            )


def _forget_after(metrics: Path, step: int) -> None:
    """Drop the lines of steps that will be made again."""
    lines = metrics.read_text().splitlines(keepends=True) if metrics.exists() else []
    kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
    draft = metrics.with_name(metrics.name + ".part")
    draft.write_text("".join(kept))
    draft.replace(metrics)


def _progress_line(arguments: TrainingArguments, line: dict[str, Any]) -> str:
    rate, loss, cost = line["instances_per_second"], line["loss"], line["cost"]
    left = min((arguments.instances - line["instances"]) / rate, arguments.seconds - line["seconds"])
    minutes = max(0, round(left / 60))
    validation = "-" if line["validation_cost"] is None else f"{line['validation_cost']:.4f}"
    return (
        f"{line['instances']:>12,} instances  {rate:6.0f}/s  loss {loss:.4f}  cost {cost:.4f}  "
        f"validation x8 {validation}  {minutes // 60}:{minutes % 60:02d} h left"
    )
