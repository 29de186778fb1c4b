"""Training of the factoring networks by REINFORCE; reads from top to bottom.

    python -m solvers.neural.factoring.train --network prime-pointer --out FOLDER [--steps N] ...

A step draws fresh semiprimes of mixed sizes, lets the policy sample several answers to each without gradients,
compares the answers to one number with their mean, and makes the better ones more likely. On the CPU, with equal
threads, equal arguments give equal weights.

References
----------
R. J. Williams, Simple statistical gradient-following algorithms (REINFORCE), 1992.
W. Kool et al., Buy 4 REINFORCE samples, get a baseline for free!, 2019: the mean of the samples as baseline.
"""

import argparse
import dataclasses
import json
import re
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from instances.errors import InvalidInput
from instances.routing.generators.streams import stream_seed
from solvers.neural.cards import SUFFIX
from solvers.neural.checkpoint import weights_of, write_checkpoint
from solvers.neural.factoring import digit_pointer, prime_pointer
from solvers.neural.factoring.checkpoints import NETWORKS
from solvers.neural.factoring.digit_pointer import DigitPointer
from solvers.neural.factoring.prime_pointer import PointerConfig, PrimePointer
from solvers.neural.factoring.task import MAX_BITS, MIN_BITS, NUM_FOLDS, Batch, Division, batch_of, sizes_of

CHECKPOINT = f"checkpoint{SUFFIX}"
METRICS = "metrics.jsonl"
KINDS = "balanced semiprimes"
TAIL, DECAY = 0.2, 0.1  # the last part of the steps, and its share of the learning rate
REPORT_EVERY = 250


def _option(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class Arguments:
    """What a training run is; kept in its checkpoint."""

    out: str = _option("training", "folder of checkpoint and metrics")
    network: str = _option("prime-pointer", f"{' or '.join(NETWORKS)}")
    smallest: int = _option(MIN_BITS, "fewest bits of n")
    largest: int = _option(MAX_BITS, "most bits of n")
    left_out: str = _option(
        "", f"folds of primes that are held out, by commas, 0 to {NUM_FOLDS - 1}; empty: the primes for validation "
        "and test"
    )  # fmt: skip
    steps: int = _option(10_000, "steps of training")
    batch: int = _option(64, "semiprimes of a step, of all sizes alike")
    samples: int = _option(16, "answers to each")
    candidates: int = _option(64, "most candidates of each (prime-pointer)")
    learning_rate: float = _option(1e-3, "Adam's rate")
    clip_norm: float = _option(1.0, "largest norm of the gradient")
    width: int = _option(64, "width of the network")
    layers: int = _option(2, "residual layers of each reader")
    seed: int = _option(1, "seed of weights, semiprimes and sampling")

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise InvalidInput(f"is {self.network!r}; accepted are {', '.join(NETWORKS)}", "network")
        if not MIN_BITS <= self.smallest <= self.largest <= MAX_BITS:
            message = f"are {self.smallest} to {self.largest}; accepted are ranges within {MIN_BITS} to {MAX_BITS}"
            raise InvalidInput(message, "smallest, largest")
        if not re.fullmatch(rf"([0-{NUM_FOLDS - 1}](,[0-{NUM_FOLDS - 1}])*)?", self.left_out):
            raise InvalidInput(f"is {self.left_out!r}; accepted are folds 0 to {NUM_FOLDS - 1} by commas", "left_out")
        for name in ("steps", "batch", "samples", "candidates", "width"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"is {getattr(self, name)}; must be positive", name)

    @property
    def division(self) -> Division:
        """Which primes are held out."""
        return Division(tuple(map(int, self.left_out.split(","))) if self.left_out else None)


# --- Loss --------------------------------------------------------------------------------------------------


def reinforce(cost: Tensor, likelihood: Tensor) -> Tensor:
    """REINFORCE with the mean over the answers to a number as its baseline; a scalar.

    Parameters
    ----------
    cost, likelihood
        Of each answer, float32, shape (B, S).
    """
    return ((cost - cost.mean(dim=1, keepdim=True)) * likelihood).mean()


def order_loss(network: PrimePointer, batch: Batch, samples: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The loss, and the mean cost: the share of the candidates that is tried, the factor being the last of them."""
    scores = network.scores(batch.n, batch.bits, batch.candidates, batch.mask)
    order = prime_pointer.sample_orders(scores.detach(), samples, generator)
    tried = prime_pointer.places(order)
    cost = tried / batch.mask.sum(dim=1, keepdim=True)
    return reinforce(cost, prime_pointer.log_likelihood(scores, order, tried)), cost.mean()


def digit_loss(network: DigitPointer, batch: Batch, samples: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The loss, and the mean cost: the share of the factor's digits from the first wrong one on, 0 if it divides n."""
    found = digit_pointer.sample_factors(network, batch.n, batch.bits, samples, generator)
    cost = wrong_share(found, batch)
    return reinforce(cost, digit_pointer.log_likelihood(network, batch.n, batch.bits, found)), cost.mean()


def wrong_share(found: Tensor, batch: Batch) -> Tensor:
    """The share of the digits from the lowest wrong one on, shape (B, S); 0 if the number divides n.

    Right are the digits of the smaller factor, which is the first candidate, or of the larger if that is as long.
    """
    half = (batch.bits // 2)[:, None]
    smaller = batch.candidates[:, :1]
    share = _wrong_share(found, smaller, half)
    as_long = batch.bits[:, None] % 2 == 0
    return torch.where(as_long, share.minimum(_wrong_share(found, batch.n[:, None] // smaller, half)), share)


def _wrong_share(found: Tensor, factor: Tensor, half: Tensor) -> Tensor:
    difference = found ^ factor
    lowest = torch.where(difference == 0, 1 << half, difference & -difference)
    return 1 - lowest.log2() / half


# --- The run -----------------------------------------------------------------------------------------------


def train(arguments: Arguments, report: Callable[[str], None] = lambda line: None, draw: Any = None) -> Path:
    """Train; return the checkpoint's path.

    Parameters
    ----------
    arguments
        The run.
    report
        Called with a line of progress now and then.
    draw
        Makes a batch from a random generator, in place of ``batch_of``.
    """
    folder = Path(arguments.out)
    folder.mkdir(parents=True, exist_ok=True)
    metrics = folder / METRICS
    metrics.write_text("")
    torch.manual_seed(arguments.seed)
    network: Any = NETWORKS[arguments.network](PointerConfig(arguments.width, arguments.layers))
    loss_of: Any = order_loss if arguments.network == "prime-pointer" else digit_loss
    optimizer = torch.optim.Adam(network.parameters(), lr=arguments.learning_rate)
    division = arguments.division
    sizes = sizes_of(division, arguments.smallest, arguments.largest)
    begun, costs = time.perf_counter(), []
    for step in range(arguments.steps):
        rng = np.random.default_rng(stream_seed("training", arguments.seed, step))
        batch = draw(rng) if draw else batch_of(rng, division, sizes, arguments.batch, arguments.candidates)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        loss, cost = loss_of(network, batch, arguments.samples, generator)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), arguments.clip_norm)
        in_tail = step >= (1 - TAIL) * arguments.steps
        optimizer.param_groups[0]["lr"] = arguments.learning_rate * (DECAY if in_tail else 1.0)
        optimizer.step()
        costs.append(cost.item())
        if (step + 1) % REPORT_EVERY == 0:
            seconds = time.perf_counter() - begun
            line = {"step": step + 1, "cost": float(np.mean(costs)), "seconds": seconds}
            with metrics.open("a") as file:
                file.write(json.dumps(line) + "\n")
            report(f"step {step + 1:,} of {arguments.steps:,}, cost {line['cost']:.4f}, {seconds:,.0f} s")
            costs = []
    checkpoint = folder / CHECKPOINT
    write_checkpoint(
        checkpoint,
        weights_of(network),
        {
            "network": arguments.network,
            "config": dataclasses.asdict(network.config),
            "arguments": dataclasses.asdict(arguments) | {"problem": "factoring", "kinds": KINDS},
            "progress": {
                "step": arguments.steps,
                "instances": arguments.steps * arguments.batch,
                "seconds": time.perf_counter() - begun,
            },
        },
    )
    return checkpoint


def command_of(arguments: dict[str, Any]) -> str:
    """The command that repeats a run: every argument that is not the default."""
    defaults = dataclasses.asdict(Arguments())
    options = [
        f"--{name.replace('_', '-')} {shlex.quote(str(value))}"
        for name, value in arguments.items()
        if name in defaults and value != defaults[name]
    ]
    return " ".join(["python -m solvers.neural.factoring.train", *options])


def main(given: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m solvers.neural.factoring.train", description="Train a network.")
    for each in dataclasses.fields(Arguments):
        kind = type(each.default)
        parser.add_argument(
            f"--{each.name.replace('_', '-')}",
            type=kind,
            default=each.default,
            help=f"{each.metadata['help']} (default {each.default!r})",
        )
    torch.set_num_threads(1)
    try:
        path = train(Arguments(**vars(parser.parse_args(given))), lambda line: print(line, flush=True))  # noqa: T201
    except InvalidInput as error:
        sys.exit(f"error: {error}")
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
