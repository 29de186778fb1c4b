"""Evaluation on the field's own sets: one greedy trajectory, all starts, eight augmentations, or ten samples.

    python -m solvers.neural.evaluation CHECKPOINT [--problem P] [--size N] [--count K] [--decode x8]

evaluates by the instances' own integer distances, prints the mean with its interval, and writes it on the card.

References
----------
Y.-D. Kwon et al., POMO: Policy optimization with multiple optima for reinforcement learning, NeurIPS 2020.
"""

import argparse
import dataclasses
import math
import shlex
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from instances.errors import InvalidInput
from instances.routing.generators.kool import SET_SIZE, TEST_SEED, make_set, raw_cvrp, raw_tsp
from instances.routing.generators.uniform import usual_capacity
from instances.routing.instance import RoutingInstance
from solvers.neural.batch import Batch, make_batch
from solvers.neural.cards import SUFFIX, Card, Choice, Evaluation, card_path, choose, write_card
from solvers.neural.checkpoint import Network, load_network, read_checkpoint
from solvers.neural.decode import PAIRS, Decoder, Incumbents, group_of, run_stages
from solvers.neural.rollout import rollout
from solvers.neural.ship import commit, write_readme
from solvers.neural.state import all_starts

Decode = Literal["greedy", "starts", "x8", "sample10"]
SAMPLES = 10
SAMPLE_SEED = 1
CHUNK = 30_000  # locations x starts decoded at once: what the cache holds


def kool_batch(problem: str, size: int, count: int, seed: int = TEST_SEED) -> Batch:
    """The first ``count`` instances of the field's test set (or, by its seed, of the validation set), raw."""
    if problem == "tsp":
        return make_batch(raw_tsp(size, seed, count))
    depots, customers, demand = raw_cvrp(size, seed)
    coordinates = np.concatenate((depots[:count, None], customers[:count]), axis=1)
    return make_batch(
        coordinates, np.pad(demand[:count], ((0, 0), (1, 0))), np.full(count, usual_capacity(size), np.int64)
    )


@torch.no_grad()
def best_costs(policy: Network, batch: Batch, augment: bool = True) -> Tensor:
    """Best greedy cost of each instance over all starts and eight augmentations, float32, shape (B,).

    The costs are the network's own sums; a published figure comes from the referee.
    """
    nodes = batch.num_locations
    size = max(1, CHUNK // (nodes * nodes * (8 if augment else 1)))
    best = []
    for begin in range(0, len(batch), size):
        part = batch[begin : begin + size]
        views = part.augmented() if augment else part
        costs = rollout(policy, policy.encode(views), views, all_starts(views)).cost
        best.append(costs.amin(dim=1).view(-1, len(part)).amin(dim=0))
    return torch.cat(best)


def exact_costs(
    policy: Network,
    instances: list[RoutingInstance],
    decode: Decode,
    device: torch.device,
    progress: Callable[[int], None] = lambda done: None,
) -> npt.NDArray[np.int64]:
    """Best cost of each instance in its own integer units, shape (B,); all instances of one form and size.

    Parameters
    ----------
    policy
        The network, on ``device``.
    instances
        B of them.
    decode
        The last greedy stage, or ten samples alone.
    device
        Where to compute.
    progress
        Called with the number of instances done.
    """
    costs: list[float] = []
    generator = torch.Generator(device).manual_seed(SAMPLE_SEED)
    number = max(1, PAIRS // instances[0].num_locations ** 2)
    for begin in range(0, len(instances), number):
        group = group_of(instances[begin : begin + number], device)
        incumbents = Incumbents(group, [lambda routes: None] * len(group.instances))
        decoder = Decoder(policy, group, incumbents, lambda: True)
        if decode == "sample10":
            decoder.drawn(generator, SAMPLES)
        else:
            run_stages([decoder], decode)
        costs += incumbents.costs
        progress(len(costs))
    return np.array(costs, np.int64)


def evaluate(
    choice: Choice, card: Card, problem: str, size: int, count: int, decode: Decode, device: str, command: str
) -> Evaluation:  # fmt: skip
    """Measure a checkpoint on the first ``count`` instances of the field's test set.

    The interval is the normal one, 1.96 standard errors to each side. The wall time is of decoding and pricing.
    """
    policy = load_network(choice.weights(card), card.network, card.config).to(device)
    instances = make_set(size, count, TEST_SEED, problem)
    begun = time.perf_counter()

    def progress(done: int) -> None:
        left = (time.perf_counter() - begun) * (count - done) / done
        sys.stderr.write(f"\r{done:,} of {count:,}, {left:,.0f} s left   ")

    costs = exact_costs(policy, instances, decode, torch.device(device), progress) / 10.0 ** instances[0].decimals
    seconds = time.perf_counter() - begun
    sys.stderr.write("\n")
    half = 1.96 * costs.std(ddof=1) / math.sqrt(count) if count > 1 else math.inf
    return Evaluation(
        instances=f"test set of Kool et al., {problem.upper()} {size}",
        count=count,
        decode=decode,
        mean=round(float(costs.mean()), 5),
        low=round(float(costs.mean() - half), 5),
        high=round(float(costs.mean() + half), 5),
        seconds=round(seconds, 1),
        device=device if device == "cuda" else f"cpu, {torch.get_num_threads()} thread",
        commit=commit(),
        date=datetime.now(UTC).date().isoformat(),
        command=command,
    )


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m solvers.neural.evaluation", description="Evaluate a checkpoint.")
    parser.add_argument("checkpoint", help=f"name of a shipped one, or path of a {SUFFIX} file")
    parser.add_argument("--problem", choices=("tsp", "cvrp"), help="default: what it was trained on")
    parser.add_argument("--size", type=int, help="default: the largest size it was trained on")
    parser.add_argument("--count", type=int, default=SET_SIZE, help="instances, from the first on")
    parser.add_argument("--decode", choices=get_args(Decode), default="x8")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    command = shlex.join(["python", "-m", "solvers.neural.evaluation", *arguments])
    try:
        choice = choose(given.checkpoint, lambda path: read_checkpoint(path)[1])
        if len(choice.cards) != 1:
            raise InvalidInput("is auto; accepted is one checkpoint", "checkpoint")
        (card,) = choice.cards
        size, problem = given.size or card.largest, given.problem or card.problem
        found = evaluate(choice, card, problem, size, given.count, given.decode, given.device, command)
    except InvalidInput as error:
        sys.exit(f"error: {error}")
    sys.stdout.write(f"{found.instances}, first {found.count:,}, {found.decode}: {found.mean:.4f} ")
    sys.stdout.write(f"({found.low:.4f} to {found.high:.4f}), {found.seconds:.1f} s\n")
    path = card_path(choice.weights(card))
    if path.exists():
        record(card, found, path)


def record(card: Card, found: Evaluation, path: Path) -> None:
    """Put a measurement on a card, in place of an earlier one of the same, and renew the table of all cards."""
    same = (found.instances, found.decode)
    others = tuple(entry for entry in card.evaluation if (entry.instances, entry.decode) != same)
    write_card(dataclasses.replace(card, evaluation=(*others, found)), path)
    write_readme(path.parent)


if __name__ == "__main__":
    main(sys.argv[1:])
