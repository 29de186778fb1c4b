"""Training: the losses, the blocked gradient, exact resume after a kill, and that it learns."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from instances.errors import InvalidInput
from instances.files import write_jsonl
from instances.routing.instance import RoutingInstance
from instances.routing.rounding import Rounding
from solvers.neural import training
from solvers.neural.data import make_data, sample_routes, training_batch
from solvers.neural.evaluation import best_costs, kool_batch
from solvers.neural.pointer import Pointer, PointerConfig
from solvers.neural.rollout import log_likelihood, rollout
from solvers.neural.training import (
    CHECKPOINT,
    METRICS,
    accumulate_gradients,
    make_policy,
    preference_loss,
    reinforce_loss,
    train,
)
from solvers.training import TrainingArguments


def small(out: Path, **changes: object) -> TrainingArguments:
    """A run of a second or two; every step is a line of the metrics."""
    arguments = TrainingArguments(
        out=str(out),
        smallest=6,
        largest=6,
        batch=8,
        instances=64,
        report_every=1,
        validate=4,
        width=16,
        heads=2,
    )
    return replace(arguments, layers=1, hidden=32, **changes)


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / METRICS).read_text().splitlines()]


def test_reinforce_loss_of_a_hand_computed_case() -> None:
    """Advantages 1, 0, -1 times 2 become 1, 0, -1 by the largest one."""
    cost, likelihood = torch.tensor([[1.0, 3.0, 5.0]]), torch.tensor([[-1.0, -2.0, -4.0]])
    assert reinforce_loss(cost, likelihood).tolist() == pytest.approx([-(-1.0 + 4.0) / 3])


def test_preference_loss_of_a_hand_computed_case() -> None:
    """Equal costs make no pair; the others count -log sigmoid(alpha * difference) each."""
    cost, likelihood = torch.tensor([[1.0, 3.0, 3.0]]), torch.tensor([[-1.0, -2.0, -4.0]])
    expected = (np.log1p(np.exp(-0.5 * 1.0)) + np.log1p(np.exp(-0.5 * 3.0))) / 2
    assert preference_loss(cost, likelihood, 0.5).tolist() == pytest.approx([expected])


def test_losses_of_equal_costs_are_zero() -> None:
    """Where all trajectories cost the same there is nothing to learn, and nothing is divided by zero."""
    cost, likelihood = torch.full((2, 4), 3.0), -torch.rand(2, 4)
    assert reinforce_loss(cost, likelihood).tolist() == [0, 0]
    assert preference_loss(cost, likelihood, 0.1).tolist() == [0, 0]


@pytest.mark.parametrize("network", ["pointer", "pointer-lstm"])
@pytest.mark.parametrize("loss", ["reinforce", "preference"])
@pytest.mark.parametrize("problem", ["cvrp", "tsp"])
def test_blocked_gradients_equal_one_plain_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: str, loss: str, network: str
) -> None:
    """Leaves and blocks give the gradient of the mean loss of one pass through the whole network."""
    arguments = small(tmp_path, problem=problem, loss=loss, network=network)
    torch.manual_seed(0)
    policy = make_policy(arguments)
    batch = training_batch(arguments, np.random.default_rng(1))
    starts = training.starts_of(arguments, batch, np.random.default_rng(2))
    monkeypatch.setitem(training.BLOCK_BYTES, "cpu", 1)
    value, _ = accumulate_gradients(policy, arguments, batch, starts, 3)
    blocked = [parameter.grad for parameter in policy.parameters()]
    policy.zero_grad()
    keys = policy.encode(batch)
    rollouts = rollout(policy, keys, batch, starts, torch.Generator().manual_seed(3))
    plain = training.loss_of(arguments, rollouts.cost, log_likelihood(policy, keys, rollouts, batch.has_depot)).mean()
    plain.backward()
    assert value == pytest.approx(plain.item(), rel=1e-5)
    for ours, parameter in zip(blocked, policy.parameters(), strict=True):
        torch.testing.assert_close(ours, parameter.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("network", ["pointer", "pointer-lstm"])
def test_killed_run_goes_on_with_identical_losses(tmp_path: Path, network: str) -> None:
    """SIGKILL in the middle, then again: losses, validation and weights equal an uninterrupted run's."""
    whole, killed = (small(tmp_path / name, instances=400, network=network) for name in ("whole", "killed"))
    train(whole)
    code = (
        "import json, sys; from solvers.neural.training import TrainingArguments, train\n"
        "train(TrainingArguments(**json.loads(sys.argv[1])))"
    )
    child = subprocess.Popen([sys.executable, "-c", code, json.dumps(asdict(killed))])
    metrics = tmp_path / "killed" / METRICS
    deadline = time.monotonic() + 60
    while not metrics.exists() or metrics.read_text().count("\n") < 5:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert len(losses(tmp_path / "killed")) < 50
    train(killed)
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    ours, theirs = (training.read_checkpoint(tmp_path / name / CHECKPOINT)[0] for name in ("killed", "whole"))
    assert ours.keys() == theirs.keys()
    assert all(ours[name].equal(theirs[name]) for name in ours)


def test_line_written_without_its_checkpoint_is_made_again(tmp_path: Path) -> None:
    """A kill between metrics and checkpoint, or within a line, leaves no step doubled."""
    arguments = small(tmp_path)
    train(arguments)
    expected = (tmp_path / METRICS).read_text()
    with (tmp_path / METRICS).open("a") as file:
        file.write(json.dumps({"step": 99, "loss": 1.0}) + '\n{"step": 1')
    train(arguments)
    assert (tmp_path / METRICS).read_text() == expected


def test_other_run_in_the_folder_is_refused(tmp_path: Path) -> None:
    """A resume with another seed names the argument, both values and what is accepted."""
    train(small(tmp_path, instances=8))
    with pytest.raises(InvalidInput, match=r"seed: is 2, but the run in .* has 1; accepted"):
        train(small(tmp_path, instances=8, seed=2))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_damaged_or_foreign_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    """What is no checkpoint of this program is a clear error that names the file."""
    (tmp_path / CHECKPOINT).write_bytes(content)
    with pytest.raises(InvalidInput, match=CHECKPOINT):
        train(small(tmp_path))


def test_truncated_and_misshapen_checkpoints_are_refused(tmp_path: Path) -> None:
    """Neither a cut file nor weights of another width are loaded, not even in part."""
    path = train(small(tmp_path / "first", instances=8))
    with pytest.raises(InvalidInput, match="do not fit the network"):
        train(replace(small(tmp_path / "second", init=str(path)), width=32))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InvalidInput, match="damaged"):
        train(small(tmp_path / "third", init=str(path)))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"smallest": 30, "largest": 20}, "smallest"),
        ({"kinds": "uniform,moon"}, "kinds"),
        ({"problem": "tsp", "kinds": "x"}, "kinds"),
        ({"batch": 0}, "batch"),
        ({"validate": -1}, "validate"),
        ({"device": "abacus"}, "device"),
    ],
)
def test_impossible_arguments_are_refused(changes: dict[str, object], field: str) -> None:
    """The error names the argument."""
    with pytest.raises(InvalidInput, match=f"^{field}: "):
        TrainingArguments(**changes)


def test_mixture_draws_sizes_and_kinds_and_shrinks_large_batches(tmp_path: Path) -> None:
    """Every batch has one size within the limits; the batch at twice the size is 2^1.6 times smaller."""
    arguments = small(tmp_path, kinds="uniform,routes,x")
    arguments = replace(arguments, smallest=10, largest=20, batch=60)
    batches = [training_batch(arguments, np.random.default_rng(seed)) for seed in range(60)]
    sizes = {batch.num_locations - 1: len(batch) for batch in batches}
    assert set(sizes) <= set(range(10, 21)) and len(sizes) > 6
    assert all(count == round(60 * (10 / size) ** 1.6) for size, count in sizes.items())
    assert len({int(batch.demand.max()) > 9 for batch in batches}) == 2


def test_routes_kind_varies_capacity() -> None:
    """Capacity over mean demand is triangular between 3 and 25 with mode 6, and no demand exceeds it."""
    sample = sample_routes(np.random.default_rng(3), 4000, 20)
    assert sample.demand is not None and sample.capacity is not None
    size = sample.capacity / (sample.demand.sum(axis=1) / 20)
    assert 3 <= size.min() < 4 and 23 < size.max() < 26
    assert size.mean() == pytest.approx((3 + 6 + 25) / 3, abs=0.3)
    assert (sample.demand.max(axis=1) <= sample.capacity).all()


def test_learning_shortens_routes(tmp_path: Path) -> None:
    """Some seconds of training beat the fresh network on instances that it never saw."""
    arguments = small(tmp_path, instances=4096, batch=64, report_every=4096, learning_rate=2e-3)
    torch.manual_seed(arguments.seed)
    policy, batch = Pointer(PointerConfig(16, 2, 1, 32)), kool_batch("cvrp", 10, 200, seed=99)
    before = best_costs(policy, batch, augment=False).mean()
    training.load_weights(policy, training.read_checkpoint(train(arguments))[0], "trained")
    assert best_costs(policy, batch, augment=False).mean() < 0.985 * before


def test_validation_set_is_the_fields_own() -> None:
    """The first depot, customer and demands of the test set are the published ones."""
    batch = kool_batch("cvrp", 20, 3)
    assert batch.demand[0, :9].tolist() == [0, 5, 3, 5, 8, 5, 1, 8, 4]
    assert batch.capacity.tolist() == [30, 30, 30]
    distance = float(batch.distances[0, 0, 1] * batch.scale[0])
    first, depot = (0.5542693865183056, 0.1809782379192011), (0.1915194503788923, 0.6221087710398319)
    assert distance == pytest.approx(np.hypot(first[0] - depot[0], first[1] - depot[1]), rel=1e-6)


def test_checkpoint_without_younger_arguments_is_resumed(tmp_path: Path) -> None:
    """A run from before an argument existed had its default; with any other value it is another run."""
    path = train(small(tmp_path, instances=8))
    tensors, header = training.read_checkpoint(path)
    del header["arguments"]["network"], header["arguments"]["precision"], header["data"]
    training.write_checkpoint(path, tensors, header)
    train(small(tmp_path, instances=16))
    assert len(losses(tmp_path)) == 2
    training.write_checkpoint(path, tensors, header)
    with pytest.raises(InvalidInput, match=r"network: is 'pointer-lstm', but the run in .* has 'pointer'"):
        train(small(tmp_path, instances=16, network="pointer-lstm"))


def test_gap_is_the_mean_over_the_validation_set(tmp_path: Path) -> None:
    """The gap of the metrics is that of each instance's cost to PyVRP's, kept for the next time."""
    arguments = small(tmp_path, instances=8, reference=50)
    path = train(arguments)
    (line,) = (json.loads(text) for text in (tmp_path / METRICS).read_text().splitlines())
    policy = make_policy(arguments)
    training.load_weights(policy, training.read_checkpoint(path)[0], "trained")
    costs = best_costs(policy, make_data(arguments).validation[0]).numpy()
    kept = json.loads((tmp_path / "reference.json").read_text())["costs"]
    assert line["validation_gap"] == pytest.approx(100 * (costs / kept - 1).mean(), rel=1e-4)
    assert line["validation_cost"] == pytest.approx(costs.mean(), rel=1e-6)
    assert all(ours / theirs > 0.999 for ours, theirs in zip(costs, kept, strict=True))


def test_other_process_in_the_folder_is_refused(tmp_path: Path) -> None:
    """Two runs never write into one folder at the same time."""
    with training._alone(tmp_path), pytest.raises(InvalidInput, match="another process trains here"):
        train(small(tmp_path))


def test_tensorboard_log_holds_the_metrics(tmp_path: Path) -> None:
    """The events carry the loss of every line, under its step."""
    from tensorboardX.proto.event_pb2 import Event

    train(small(tmp_path, instances=24, validate=0))
    (path,) = (tmp_path / "tensorboard").iterdir()
    data, found = path.read_bytes(), {}
    while data:
        length = int.from_bytes(data[:8], "little")
        event = Event.FromString(data[12 : 12 + length])
        found |= {(event.step, value.tag): value.simple_value for value in event.summary.value}
        data = data[16 + length :]
    assert [found[step, "loss"] for step in (1, 2, 3)] == pytest.approx(losses(tmp_path))


def test_watch_hears_of_every_line(tmp_path: Path) -> None:
    """The numbers of a line of the metrics are also told while it is written."""
    heard: list[dict[str, object]] = []
    train(small(tmp_path), watch=heard.append)
    assert heard == [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]


def test_mixed_precision_stays_close(tmp_path: Path) -> None:
    """With the encoder in bfloat16 the scores keep float32 and the gradients nearly the direction."""
    arguments = small(tmp_path)
    torch.manual_seed(0)
    policy = make_policy(arguments)
    assert isinstance(policy, Pointer)
    batch = training_batch(arguments, np.random.default_rng(1))
    rollouts = rollout(policy, policy.encode(batch), batch, training.all_starts(batch))
    gradients = []
    for mixed in (False, True):
        policy.mixed = mixed
        policy.zero_grad()
        keys = policy.encode(batch)
        assert all(key.dtype is torch.float32 for key in keys)
        log_likelihood(policy, keys, rollouts, has_depot=True).mean().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in policy.parameters() if p.grad is not None]))
    assert not gradients[0].equal(gradients[1])
    assert torch.cosine_similarity(gradients[0], gradients[1], dim=0) > 0.98


# --- Users' own instances ----------------------------------------------------------------------------------


def routing(points: np.ndarray, demand: list[int] | None = None, **changes: object) -> RoutingInstance:
    """A CVRP instance with capacity 10, or without demand a TSP instance."""
    shape: dict[str, object] = {"num_vehicles": 1}
    if demand is not None:
        shape = {"demand": np.array(demand), "capacity": 10}
    return RoutingInstance(rounding=Rounding.NEAREST, coordinates=points, **(shape | changes))


def own(folder: Path, instances: list[RoutingInstance]) -> str:
    folder.mkdir(exist_ok=True)
    write_jsonl(instances, folder / "own.jsonl")
    return str(folder / "own.jsonl")


def test_own_instances_are_drawn_by_size_and_turned(tmp_path: Path) -> None:
    """Batches hold one size each, with the depot first, and the eight views of the user's instances."""
    rng = np.random.default_rng(1)
    points = [rng.integers(0, 1000, size=(size, 2)) for size in (4, 6, 6)]
    instances = [
        routing(points[0], [5, 0, 7, 9], depot=1),
        routing(points[1], [0, 1, 2, 3, 4, 5]),
        routing(points[2], [0, 5, 4, 3, 2, 1]),
    ]
    arguments = small(tmp_path, instances_from=own(tmp_path, instances), batch=64)
    data = make_data(arguments)
    assert [len(group) for group in data.groups] == [1, 2]
    assert [len(batch) for batch in data.validation] == [1, 2], "too few to hold any out"
    batches = [data.batch(arguments, np.random.default_rng(seed)) for seed in range(20)]
    assert {(batch.num_locations, len(batch)) for batch in batches} == {(4, 64), (6, round(64 * (4 / 6) ** 1.6))}
    for batch in batches:
        group = data.groups[0 if batch.num_locations == 4 else 1]
        assert (batch.demand[:, 0] == 0).all() and batch.capacity.unique().tolist() == [10]
        for row in range(len(batch)):
            demand = batch.demand[row].tolist()
            (origin,) = (k for k in range(len(group)) if group.demand[k].tolist() == demand)
            torch.testing.assert_close(batch.distances[row], group.distances[origin])
    small_ones = torch.cat([batch.coordinates for batch in batches if batch.num_locations == 4])
    assert len(small_ones.unique(dim=0)) == 8


def test_a_tenth_of_own_instances_is_held_out(tmp_path: Path) -> None:
    """No instance both trains and validates, and none is lost."""
    points = np.random.default_rng(2).integers(0, 10_000, size=(40, 5, 2))
    arguments = small(tmp_path, problem="tsp", instances_from=own(tmp_path, [routing(part) for part in points]))
    data = make_data(arguments)
    parts = [{tuple(row.flatten().tolist()) for row in group.coordinates} for group in (*data.groups, *data.validation)]
    assert [len(part) for part in parts] == [36, 4] and not parts[0] & parts[1]


def test_training_on_own_instances_learns_them(tmp_path: Path) -> None:
    """The run's validation is on them, its gap to PyVRP in their unit, and a changed file is another run."""
    points = np.random.default_rng(3).integers(0, 10_000, size=(3, 8, 2))
    instances = [routing(part, [0, 3, 4, 5, 2, 6, 7, 1]) for part in points]
    arguments = small(tmp_path, instances_from=own(tmp_path / "own", instances), reference=20)
    train(arguments)
    line = json.loads((tmp_path / METRICS).read_text().splitlines()[-1])
    assert line["validation_cost"] > 5000 and -0.01 < line["validation_gap"] < 50
    own(tmp_path / "own", instances[:2])
    with pytest.raises(InvalidInput, match="instances_from: are not those of the run"):
        train(replace(arguments, instances=200))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"num_vehicles": 3}, "line 2: has the features capacity, fleet; accepted are cvrp"),
        ({"max_route_distance": 9999}, "line 2: has the features capacity, route-distance"),
        ({"capacity": None, "demand": None, "num_vehicles": 1}, "line 2: has the features tsp"),
        (
            {"rounding": Rounding.EXPLICIT, "coordinates": None, "matrix": 1 - np.eye(4, dtype=int)},
            "line 2: has no planar",
        ),
        ({"rounding": Rounding.GEO, "coordinates": np.ones((4, 2), int)}, "line 2: has no planar"),
    ],
)
def test_own_instances_that_cannot_be_trained_on_are_refused(
    tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    """The error names file, line, what is wrong and what is accepted."""
    points = np.random.default_rng(4).integers(0, 100, size=(4, 2))
    good = routing(points, [0, 1, 2, 3])
    path = own(tmp_path, [good, replace(good, **changes)])
    with pytest.raises(InvalidInput, match=reason):
        train(small(tmp_path / "run", instances_from=path))


# --- Several processes -------------------------------------------------------------------------------------

TWO_RANKS = """
import json, sys
import torch
from solvers.neural import training
from solvers.training import TrainingArguments
from torch import distributed, nn

clip = nn.utils.clip_grad_norm_
def recorded(weights, most):
    weights = list(weights)
    if not hasattr(nn, "seen"):
        nn.seen = True
        torch.save([weight.grad for weight in weights], f"{sys.argv[2]}-{distributed.get_rank()}")
    clip(weights, most)
nn.utils.clip_grad_norm_ = recorded
training.train(TrainingArguments(**json.loads(sys.argv[1])))
"""


@pytest.mark.parametrize("network", ["pointer", "pointer-lstm"])
def test_two_ranks_average_the_gradients_of_both_batches(tmp_path: Path, network: str) -> None:
    """Two gloo processes step with the mean of the gradients that one process finds on each of both batches."""
    arguments = small(tmp_path / "run", instances=32, reference=0, network=network)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "LOCAL_RANK": "0"}
    command = [sys.executable, "-c", TWO_RANKS, json.dumps(asdict(arguments)), str(tmp_path / "gradients")]
    children = [subprocess.Popen(command, env=os.environ | shared | {"RANK": rank}) for rank in ("0", "1")]
    assert [child.wait(120) for child in children] == [0, 0]
    torch.manual_seed(arguments.seed)
    policy, data = make_policy(arguments), make_data(arguments)
    demands = []
    for rank in (0, 1):
        common, private = training.generators_of(arguments, 0, rank)
        batch = data.batch(arguments, common, private)
        starts = training.starts_of(arguments, batch, private)
        accumulate_gradients(policy, arguments, batch, starts, int(private.integers(2**62)))
        demands.append(batch.demand)
    assert not demands[0].equal(demands[1]), "each rank has instances of its own"
    expected = [torch.zeros_like(weight) if weight.grad is None else weight.grad / 2 for weight in policy.parameters()]
    for rank in (0, 1):
        found = torch.load(tmp_path / f"gradients-{rank}", weights_only=True)
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    lines = [json.loads(line) for line in (tmp_path / "run" / METRICS).read_text().splitlines()]
    assert [line["instances"] for line in lines] == [16, 32], "one rank writes; both count"
