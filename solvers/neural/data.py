"""What a training run draws its batches from, and what it is validated on: generators, or a user's instances.

Generated training, validation and test instances come from disjoint streams; of a user's instances some are held out.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from instances.errors import InvalidInput
from instances.routing.document import load
from instances.routing.generators.kool import VALIDATION_SEED
from instances.routing.generators.sample import Sample
from instances.routing.generators.streams import stream_seed
from instances.routing.generators.uniform import sample_uniform
from instances.routing.generators.x import sample_x
from instances.routing.instance import RoutingInstance
from instances.routing.rounding import IntArray, Rounding
from instances.text import read_text
from solvers.neural.batch import Batch, from_sample, make_batch
from solvers.neural.evaluation import kool_batch
from solvers.training import TrainingArguments

HELD_OUT = 10  # one of so many of a user's instances validates


def sample_routes(rng: np.random.Generator, batch: int, size: int, problem: str = "cvrp") -> Sample:
    """Uniform instances with capacity for Triangular(3, 6, 25) customers a route, as in the X generator."""
    sample = sample_uniform(rng, batch, size, problem)
    assert sample.demand is not None
    mean_demand = sample.demand.sum(axis=1) / size
    capacity = np.ceil(rng.triangular(3, 6, 25, size=batch) * mean_demand).astype(np.int64)
    return dataclasses.replace(sample, capacity=np.maximum(capacity, sample.demand.max(axis=1)))


SAMPLERS: dict[str, Callable[[np.random.Generator, int, int, str], Sample]] = {
    "uniform": sample_uniform,
    "routes": sample_routes,
    "x": lambda rng, batch, size, problem: sample_x(rng, batch, size),
}


def training_batch(
    arguments: TrainingArguments, rng: np.random.Generator, own: np.random.Generator | None = None
) -> Batch:
    """Generated instances of one step: one size and one kind; fewer of them the larger they are (FACTS: n^-1.6).

    Parameters
    ----------
    arguments
        The run.
    rng
        Draws the size and the kind.
    own
        Draws the instances, where the ranks of a run share ``rng``; by default ``rng`` does.
    """
    size = int(rng.integers(arguments.smallest, arguments.largest, endpoint=True))
    kind = rng.choice(arguments.kinds.split(","))
    count = batch_size(arguments, size, arguments.smallest)
    return from_sample(SAMPLERS[kind](rng if own is None else own, count, size, arguments.problem))


def batch_size(arguments: TrainingArguments, size: int, smallest: int) -> int:
    """Instances of a step at a size: the rollouts' work grows with about the power 1.6."""
    count: int = round(arguments.batch * (smallest / size) ** 1.6)
    return max(1, count)


@dataclass(frozen=True, eq=False)
class Data:
    """The instances of a run.

    Parameters
    ----------
    groups
        A user's training instances, a batch for each size; none where they are generated.
    validation
        Batches, of one size each.
    digest
        Of the user's instances; empty where they are generated.
    """

    groups: tuple[Batch, ...]
    validation: tuple[Batch, ...]
    digest: str = ""

    def batch(
        self, arguments: TrainingArguments, rng: np.random.Generator, own: np.random.Generator | None = None
    ) -> Batch:
        """The instances of one step, as :func:`training_batch`; a user's are drawn with replacement and turned."""
        if not self.groups:
            return training_batch(arguments, rng, own)
        sizes = np.array([len(group) for group in self.groups])
        group = self.groups[rng.choice(len(sizes), p=sizes / sizes.sum())]
        own = rng if own is None else own
        count = batch_size(arguments, group.num_locations, self.groups[0].num_locations)
        return _turned(group, own.integers(len(group), size=count), own.integers(8, size=count))


def _turned(group: Batch, index: IntArray, turn: IntArray) -> Batch:
    """Members of a batch, each in one of its eight reflections and rotations."""
    row = torch.from_numpy(index)
    picked = Batch(
        group.coordinates[row], group.demand[row], group.capacity[row], group.scale[row], group.has_depot
    )  # fmt: skip
    views = picked.augmented().coordinates.view(8, len(index), -1, 2)
    return dataclasses.replace(picked, coordinates=views[torch.from_numpy(turn), torch.arange(len(index))])


def make_data(arguments: TrainingArguments) -> Data:
    """The data of a run: the field's validation set, or a tenth of the user's instances.

    Of fewer than ten instances none is held out: all of them train and validate.

    Raises
    ------
    InvalidInput
        If the user's instances cannot be read, or one of them cannot be trained on; it names the line.
    """
    if not arguments.instances_from:
        validation = (kool_batch(arguments.problem, arguments.largest, arguments.validate, VALIDATION_SEED),)
        return Data((), validation if arguments.validate else ())
    instances = read_instances(Path(arguments.instances_from), arguments.problem)
    order = np.random.default_rng(stream_seed("validation", arguments.seed)).permutation(len(instances))
    held_out = min(arguments.validate, len(instances) // HELD_OUT)
    training = [instances[index] for index in order[held_out:]]
    validating = [instances[index] for index in order[: held_out or arguments.validate]]
    digest = hashlib.sha256("".join(instance.digest for instance in instances).encode()).hexdigest()
    return Data(batches_of(training), batches_of(validating), digest)


def read_instances(path: Path, problem: str) -> list[RoutingInstance]:
    """Instances of a file of documents, one a line; ``versus train`` makes it of files in any format."""
    found = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            instance = load(json.loads(line))
            if (reason := untrainable(instance, problem)) is not None:
                raise InvalidInput(f"{reason}; accepted are {problem} instances with planar coordinates", instance.name)
        except InvalidInput as error:
            raise error.within(f"{path}: line {number}") from error
        except ValueError as error:
            raise InvalidInput(f"is no instance document ({error})", f"{path}: line {number}") from error
        found.append(instance)
    if not found:
        raise InvalidInput("holds no instance", str(path))
    return found


def untrainable(instance: RoutingInstance, problem: str) -> str | None:
    """Why an instance cannot be trained on, or None."""
    wanted = {"tsp": "tsp", "cvrp": "capacity"}[problem]
    if instance.coordinates is None or "matrix" in instance.features or instance.rounding is Rounding.GEO:
        return "has no planar coordinates"
    if instance.features != {wanted}:
        return f"has the features {', '.join(sorted(instance.features)) or 'of no kind'}"
    if instance.num_locations < 3:
        return f"has {instance.num_locations} locations; two customers are needed"
    if instance.demand is not None and instance.demand.max() > (instance.capacity or 0):
        return "has a demand above the capacity"
    return None


def batches_of(instances: Sequence[RoutingInstance]) -> tuple[Batch, ...]:
    """A batch for each size, the smallest first, with the depot first; lengths in the instances' unit."""
    by_size: dict[int, list[RoutingInstance]] = {}
    for instance in instances:
        by_size.setdefault(instance.num_locations, []).append(instance)
    return tuple(_batch(by_size[size]) for size in sorted(by_size))


def _batch(instances: Sequence[RoutingInstance]) -> Batch:
    orders = [np.concatenate(([instance.depot], instance.customers)) for instance in instances]
    points, demands, capacities = [], [], []
    for instance, order in zip(instances, orders, strict=True):
        assert instance.coordinates is not None
        points.append(instance.coordinates[order] * 10.0**-instance.coordinate_decimals)
        if instance.capacity is not None and instance.demand is not None:
            demands.append(instance.demand[order])
            capacities.append(instance.capacity)
    if not demands:
        return make_batch(np.stack(points))
    return make_batch(np.stack(points), np.stack(demands), np.array(capacities))
