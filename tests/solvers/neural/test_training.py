"""Training: the losses, the blocked gradient, exact resume after a kill, and that it learns."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from instances.errors import InvalidInput
from solvers.neural import training
from solvers.neural.evaluation import best_costs, kool_batch
from solvers.neural.pointer import Pointer, PointerConfig
from solvers.neural.rollout import log_likelihood, rollout
from solvers.neural.training import (
    CHECKPOINT,
    METRICS,
    TrainingArguments,
    accumulate_gradients,
    preference_loss,
    reinforce_loss,
    sample_routes,
    train,
    training_batch,
)


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


@pytest.mark.parametrize("loss", ["reinforce", "preference"])
@pytest.mark.parametrize("problem", ["cvrp", "tsp"])
def test_blocked_gradients_equal_one_plain_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: str, loss: str
) -> None:
    """Leaves and blocks give the gradient of the mean loss of one pass through the whole network."""
    arguments = small(tmp_path, problem=problem, loss=loss)
    torch.manual_seed(0)
    policy = Pointer(PointerConfig(16, 2, 1, 32))
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


def test_killed_run_goes_on_with_identical_losses(tmp_path: Path) -> None:
    """SIGKILL in the middle, then again: losses, validation and weights equal an uninterrupted run's."""
    whole, killed = small(tmp_path / "whole", instances=400), small(tmp_path / "killed", instances=400)
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
