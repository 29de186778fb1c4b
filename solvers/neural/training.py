"""Training of the pointer networks by reinforcement learning; reads from top to bottom.

A step draws a batch of fresh instances, lets the policy sample several trajectories of each without
gradients, compares the trajectories of an instance with each other, and makes the better ones more likely.
Everything random in step t derives from (seed, t): weights, optimiser state and t are all a resume needs.
Under torchrun each process draws instances of its own by (seed, t, rank), and gradients are averaged.

References
----------
Y.-D. Kwon et al., POMO, NeurIPS 2020: the mean of an instance's trajectories is the baseline.
M. Pan et al., Preference optimization for combinatorial optimization problems, ICML 2025: preferences.
"""

import dataclasses
import fcntl
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from instances.errors import InvalidInput
from instances.routing.generators.streams import stream_seed
from solvers.neural.batch import Batch
from solvers.neural.checkpoint import (
    Network,
    load_moments,
    load_weights,
    moments_of,
    read_checkpoint,
    weights_of,
    write_checkpoint,
)
from solvers.neural.data import Data, make_data
from solvers.neural.evaluation import best_costs
from solvers.neural.pointer import Pointer, PointerConfig
from solvers.neural.pointer_lstm import PointerLSTM, PointerLSTMConfig
from solvers.neural.ranks import Backward, Ranks, joined
from solvers.neural.reference import reference_costs
from solvers.neural.rollout import Rollout, log_likelihood, path_of, rollout
from solvers.neural.ship import commit, machine
from solvers.neural.state import all_starts
from solvers.training import TrainingArguments

CHECKPOINT = "checkpoint.safetensors"
METRICS = "metrics.jsonl"
TENSORBOARD = "tensorboard"
# Of the attention scores of one decoding block: what the cache holds, or little of the memory.
BLOCK_BYTES = {"cpu": 4 << 20, "cuda": 1 << 30}
DECAY = 0.1  # of the learning rate, in the tail
WATCH_SECONDS = 1.0


def make_policy(arguments: TrainingArguments) -> Network:
    """A fresh network of the chosen kind."""
    if arguments.network == "pointer-lstm":
        return PointerLSTM(PointerLSTMConfig(arguments.width))
    return Pointer(PointerConfig(arguments.width, arguments.heads, arguments.layers, arguments.hidden))


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
    policy: Network,
    arguments: TrainingArguments,
    batch: Batch,
    starts: Tensor,
    seed: int,
    last_pass: Backward = torch.autograd.backward,
) -> tuple[float, float]:
    """Add the gradient of the batch's mean loss to the policy's; return that loss and the mean cost.

    The batch is encoded once, and a recurrent policy reads all paths at once. The trajectories are scored block by
    block, so that a block's attention scores stay in the cache; the gradients of keys and paths gather in the
    blocks' leaves and then go through encoder and memory in one ``last_pass``.
    """
    keys = policy.encode(batch)
    generator = torch.Generator(starts.device).manual_seed(seed)
    rollouts = rollout(policy, keys, batch, starts, generator)
    path = path_of(policy, keys, rollouts, batch.has_depot)
    recurrent = path is not None and path.requires_grad
    gradients: list[list[Tensor | None]] = []
    total = 0.0
    for part in _blocks(policy, rollouts):
        part_of_keys, part_of_rollouts = keys.part(part).detached(), rollouts.part(part)
        part_of_path = None if path is None else path[part].detach().requires_grad_(recurrent)
        likelihood = log_likelihood(policy, part_of_keys, part_of_rollouts, batch.has_depot, part_of_path)
        loss = loss_of(arguments, part_of_rollouts.cost, likelihood).sum() / len(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
        leaves = [*part_of_keys] if part_of_path is None else [*part_of_keys, part_of_path]
        gradients.append([leaf.grad for leaf in leaves])
    outputs = [*keys] if path is None else [*keys, path]
    used = [
        (output, torch.cat([part for part in parts if part is not None]))
        for output, parts in zip(outputs, zip(*gradients, strict=True), strict=True)
        if output.requires_grad and parts[0] is not None
    ]
    last_pass([output for output, _ in used], [gradient for _, gradient in used])
    return total, rollouts.cost.mean().item()


def _blocks(policy: Network, rollouts: Rollout) -> list[slice]:
    """Slices of the batch whose attention scores take at most BLOCK_BYTES each, or hold one instance."""
    size, steps, num_starts, nodes = rollouts.mask.shape
    numbers = policy.config.heads if isinstance(policy, Pointer) else policy.config.attention
    bytes_each = 4 * numbers * steps * num_starts * nodes
    count = max(1, BLOCK_BYTES[rollouts.mask.device.type] // bytes_each)
    return [slice(begin, begin + count) for begin in range(0, size, count)]


def generators_of(
    arguments: TrainingArguments, step: int, rank: int
) -> tuple[np.random.Generator, np.random.Generator]:
    """The randomness of a step: what all ranks share, and a rank's own; rank 0 has one stream for both."""
    shared = np.random.default_rng(stream_seed("training", arguments.seed, step))
    own = shared if rank == 0 else np.random.default_rng(stream_seed("training", arguments.seed, step, rank))
    return shared, own


# --- The run -----------------------------------------------------------------------------------------------


@dataclass
class Progress:
    """How far a run is; kept in its checkpoint."""

    step: int = 0
    instances: int = 0
    seconds: float = 0.0

    def done(self, arguments: TrainingArguments) -> bool:
        """Whether the instances or the seconds are used up."""
        return self.instances >= arguments.instances or self.seconds >= arguments.seconds


def train(
    arguments: TrainingArguments,
    report: Callable[[str], None] = lambda line: None,
    watch: Callable[[dict[str, Any]], None] = lambda state: None,
) -> Path:
    """Train until the instances or the seconds are used up; return the checkpoint's path.

    Parameters
    ----------
    arguments
        The run. If its folder holds a checkpoint, the run goes on from there: on the CPU, with equal threads and
        processes, with the very losses of a run that was never interrupted.
    report
        Called with a line of progress for each line of the metrics.
    watch
        Called about once a second, and for each line of the metrics, with the latter's numbers.

    Raises
    ------
    InvalidInput
        If the folder holds a run with other arguments or is being trained in, or a checkpoint is damaged or of
        another network, or a user's instances cannot be trained on.
    """
    torch.set_num_threads(arguments.threads)
    folder = Path(arguments.out)
    folder.mkdir(parents=True, exist_ok=True)
    with joined(_device(arguments)) as (ranks, device):
        if not ranks.first:
            return _train(arguments, folder, ranks, device, report, watch)
        with _alone(folder):
            return _train(arguments, folder, ranks, device, report, watch)


def _train(
    arguments: TrainingArguments,
    folder: Path,
    ranks: Ranks,
    device: torch.device,
    report: Callable[[str], None],
    watch: Callable[[dict[str, Any]], None],
) -> Path:
    torch.manual_seed(arguments.seed)
    policy = make_policy(arguments).to(device)
    if isinstance(policy, Pointer):
        policy.mixed = arguments.precision == "mixed" and device.type == "cuda" and torch.cuda.is_bf16_supported()
    optimizer = torch.optim.Adam(policy.parameters(), lr=arguments.learning_rate, fused=True)
    data, progress = make_data(arguments), Progress()
    checkpoint, metrics = folder / CHECKPOINT, folder / METRICS
    if checkpoint.exists():
        tensors, header = read_checkpoint(checkpoint)
        _check_same_run(arguments, header, data)
        load_weights(policy, tensors, str(checkpoint))
        load_moments(optimizer, tensors)
        progress = Progress(**header["progress"])
        if ranks.first:
            _forget_after(metrics, progress.step)
    elif arguments.init:
        load_weights(policy, read_checkpoint(Path(arguments.init))[0], arguments.init)
    if progress.done(arguments):
        return checkpoint
    validate = _validation(arguments, folder, data if ranks.first else Data((), ()), device)
    board = _board(folder, progress.step) if ranks.first else None

    last_pass = ranks.backward(policy)
    made_by = {"commit": commit(), "machine": machine(device.type)}
    losses: list[float] = []
    costs: list[float] = []
    since, watched, measured = dataclasses.replace(progress), 0.0, dict[str, float | None]()
    while not progress.done(arguments):
        begun = time.perf_counter()
        shared, own = generators_of(arguments, progress.step, ranks.rank)
        batch = data.batch(arguments, shared, own).to(device)
        starts = starts_of(arguments, batch, own)
        optimizer.zero_grad()
        loss, cost = accumulate_gradients(policy, arguments, batch, starts, int(own.integers(2**62)), last_pass)
        torch.nn.utils.clip_grad_norm_(policy.parameters(), arguments.clip_norm)
        in_tail = progress.instances >= (1 - arguments.tail) * arguments.instances
        optimizer.param_groups[0]["lr"] = arguments.learning_rate * (DECAY if in_tail else 1.0)
        optimizer.step()
        # Averaged, so that all ranks stop after the same step.
        numbers = torch.tensor([loss, cost, time.perf_counter() - begun], dtype=torch.float64, device=device)
        ranks.average(numbers)
        loss, cost, seconds = numbers.tolist()
        losses.append(loss)
        costs.append(cost)
        progress.step += 1
        progress.instances += len(batch) * ranks.size
        progress.seconds += seconds

        if not ranks.first:
            continue
        due = progress.done(arguments) or progress.instances - since.instances >= arguments.report_every
        if not due and time.monotonic() - watched < WATCH_SECONDS:
            continue
        if due:
            measured = validate(policy)
        line = {
            **dataclasses.asdict(progress),
            "loss": float(np.mean(losses)),
            "cost": float(np.mean(costs)),
            "validation_cost": measured.get("cost"),
            "validation_gap": measured.get("gap"),
            "learning_rate": optimizer.param_groups[0]["lr"],
            "instances_per_second": (progress.instances - since.instances) / (progress.seconds - since.seconds),
        }
        watch(line)
        watched = time.monotonic()
        if not due:
            continue
        with metrics.open("a") as file:
            file.write(json.dumps(line) + "\n")
        if board is not None:
            for name in sorted(line.keys() - {"step"}):
                if line[name] is not None:
                    board.add_scalar(name, line[name], progress.step)
            board.flush()
        write_checkpoint(
            checkpoint,
            weights_of(policy) | moments_of(optimizer),
            {
                "network": arguments.network,
                "config": dataclasses.asdict(policy.config),
                "arguments": dataclasses.asdict(arguments),
                "data": data.digest,
                "progress": dataclasses.asdict(progress),
                **made_by,
            },
        )
        report(_progress_line(arguments, line))
        losses, costs, since = [], [], dataclasses.replace(progress)
    if board is not None:
        board.close()
    ranks.wait()
    return checkpoint


def _device(arguments: TrainingArguments) -> torch.device:
    if arguments.device != "cpu" and not torch.cuda.is_available():
        raise InvalidInput(f"is {arguments.device!r}, but torch finds no GPU here; accepted is cpu", "device")
    return torch.device(arguments.device)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder; the lock ends with the process, however that ends."""
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InvalidInput("another process trains here; accepted is another folder", str(folder)) from None
        yield


def _validation(
    arguments: TrainingArguments, folder: Path, data: Data, device: torch.device
) -> Callable[[Network], dict[str, float | None]]:
    """What measures a policy on the validation set: its mean cost, and the mean gap to PyVRP in percent."""
    batches = [batch.to(device) for batch in data.validation]
    if not batches:
        return lambda policy: {}
    found = reference_costs(data.validation, arguments.reference, folder) if arguments.reference else None

    def measure(policy: Network) -> dict[str, float | None]:
        costs = torch.cat([best_costs(policy, batch) for batch in batches])
        gap = None if found is None else 100 * (costs.cpu().double() / found - 1).mean().item()
        return {"cost": costs.mean().item(), "gap": gap}

    return measure


def _board(folder: Path, step: int) -> Any:
    """A TensorBoard log that forgets what came after ``step``."""
    from tensorboardX import SummaryWriter  # type: ignore[import-untyped]

    return SummaryWriter(str(folder / TENSORBOARD), purge_step=step + 1)


MAY_CHANGE = {
    "out", "init", "instances", "instances_from", "seconds", "device", "precision", "threads", "reference",
    "report_every",
}  # fmt: skip


def _check_same_run(arguments: TrainingArguments, header: dict[str, Any], data: Data) -> None:
    """Raise InvalidInput at the first argument that would make the resumed run another one."""
    # An argument that is younger than the checkpoint had what is now its default.
    earlier = dataclasses.asdict(TrainingArguments()) | header["arguments"]
    for name, value in dataclasses.asdict(arguments).items():
        if name not in MAY_CHANGE and earlier[name] != value:
            raise InvalidInput(
                f"is {value!r}, but the run in {arguments.out} has {earlier[name]!r}; "
                "accepted are the same value or another folder",
                name,
            )
    if header.get("data", "") != data.digest:
        raise InvalidInput(
            f"are not those of the run in {arguments.out}; accepted are the same or another folder", "instances_from"
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
    if line["validation_gap"] is not None:
        validation += f" ({line['validation_gap']:+.2f} % to PyVRP)"
    return (
        f"{line['instances']:>12,} instances  {rate:6.0f}/s  loss {loss:.4f}  cost {cost:.4f}  "
        f"validation x8 {validation}  {minutes // 60}:{minutes % 60:02d} h left"
    )
