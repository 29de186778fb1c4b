"""The factoring networks: exact likelihoods, orders without repetition, true gradients, and learning."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from instances.errors import InvalidInput
from solvers.neural.factoring import digit_pointer, prime_pointer
from solvers.neural.factoring.checkpoints import load_network
from solvers.neural.factoring.digit_pointer import DigitPointer, Prefix, beam, sample_factors
from solvers.neural.factoring.prime_pointer import (
    PointerConfig,
    PrimePointer,
    expected_place,
    places,
    sample_orders,
)
from solvers.neural.factoring.task import Batch, Division, batch_of, sizes_of
from solvers.neural.factoring.train import Arguments, digit_loss, order_loss, reinforce, train, wrong_share

SMALL = PointerConfig(width=16, layers=1)


@pytest.fixture
def batch() -> Batch:
    """Semiprimes of many lengths, with up to 12 candidates."""
    division = Division()
    return batch_of(np.random.default_rng(3), division, sizes_of(division, 8, 32), 20, 12)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def prime_network() -> PrimePointer:
    torch.manual_seed(1)
    return PrimePointer(SMALL)


def digit_network() -> DigitPointer:
    torch.manual_seed(1)
    return DigitPointer(SMALL)


def test_order_never_repeats_a_candidate_and_tries_the_allowed_ones_first(batch: Batch) -> None:
    """Every sampled order is a permutation in which what is masked comes last."""
    scores = prime_network().scores(batch.n, batch.bits, batch.candidates, batch.mask)
    order = sample_orders(scores, 5, generator())
    assert (order.sort(dim=-1).values == torch.arange(batch.mask.shape[1])).all()
    allowed = batch.mask[:, None].expand(order.shape).gather(-1, order)
    assert (allowed.int().diff(dim=-1) <= 0).all()
    assert (places(order) <= batch.mask.sum(dim=1, keepdim=True)).all()


def test_likelihood_of_an_order_equals_the_slow_reference(batch: Batch) -> None:
    """Pointing step by step with a mask that grows gives the same log-probability."""
    scores = prime_network().scores(batch.n, batch.bits, batch.candidates, batch.mask).detach() * 5
    order = sample_orders(scores, 3, generator())
    tried = places(order)
    fast = prime_pointer.log_likelihood(scores, order, tried)
    for row, sample in itertools.product(range(len(scores)), range(3)):
        mask, slow = batch.mask[row].clone(), 0.0
        for step in range(int(tried[row, sample])):
            chosen = order[row, sample, step]
            slow += float(scores[row].masked_fill(~mask, -torch.inf).log_softmax(dim=0)[chosen])
            mask[chosen] = False
        assert fast[row, sample].item() == pytest.approx(slow, abs=1e-4)


def test_gumbel_orders_follow_the_softmax_and_the_expected_place() -> None:
    """The first choice has the softmax's frequencies, and the factor's mean place is the closed form's."""
    scores = torch.tensor([[0.3, -1.0, 1.5, 0.0, prime_pointer.FORBIDDEN]])
    mask = torch.tensor([[True, True, True, True, False]])
    order = sample_orders(scores, 20_000, generator())
    frequency = order[0, :, 0].bincount(minlength=5) / 20_000
    torch.testing.assert_close(frequency, scores[0].softmax(dim=0), atol=0.01, rtol=0)
    assert places(order).double().mean().item() == pytest.approx(expected_place(scores, mask).item(), abs=0.03)


def test_reinforce_has_the_gradient_of_the_expected_place() -> None:
    """The mean over many samples, corrected for each sample's part in the baseline, is the exact gradient."""
    mask = torch.ones(1, 6, dtype=torch.bool)
    scores = torch.tensor([[0.2, -0.5, 1.0, 0.1, 0.7, -1.2]], requires_grad=True)
    (exact,) = torch.autograd.grad(expected_place(scores, mask).sum(), scores)
    many = scores.expand(4000, -1)
    order = sample_orders(many.detach(), 8, generator())
    tried = places(order)
    loss = reinforce(tried.float(), prime_pointer.log_likelihood(many, order, tried))
    (found,) = torch.autograd.grad(loss * 8 / 7, scores)
    torch.testing.assert_close(found, exact, atol=0.03, rtol=0)


@torch.no_grad()
def test_likelihood_of_digits_equals_the_slow_reference(batch: Batch) -> None:
    """Pointing place by place gives the same log-probability, and the decided digits of both factors fit n."""
    network = digit_network()
    found = sample_factors(network, batch.n, batch.bits, 3, generator())
    fast = digit_pointer.log_likelihood(network, batch.n, batch.bits, found)
    for row, sample in itertools.product(range(0, len(found), 3), range(3)):
        n, bits, number = batch.n[row : row + 1], batch.bits[row : row + 1], int(found[row, sample])
        prefix, slow = Prefix.start(bits, 1), 0.0
        for place in range(1, int(bits) // 2):
            if number >> place & 1:
                assert prefix.mask[0, 0, place]
                slow += float(network.scores(n, bits, prefix).log_softmax(dim=-1)[0, 0, place])
                prefix = prefix.step(torch.tensor([[place]]))
                product = int(prefix.value) * int(prefix.cofactor(n[:, None]))
                assert (product - int(n)) % (2 << place) == 0
        assert prefix.done.all() and int(prefix.value) == number
        assert fast[row, sample].item() == pytest.approx(slow, abs=1e-4)


@torch.no_grad()
def test_wide_beam_holds_every_odd_number_once_in_order_of_likelihood() -> None:
    """Their probabilities add up to 1; a narrow beam begins with likely ones."""
    network, n = digit_network(), 1_019 * 1_013
    found = beam(network, n, 256)
    assert sorted(found.tolist()) == list(range(513, 1024, 2))
    number, bits = torch.tensor([n]), torch.tensor([20])
    likelihood = digit_pointer.log_likelihood(network, number, bits, found[None])[0]
    assert likelihood.exp().sum().item() == pytest.approx(1, abs=1e-4)
    assert (likelihood.diff() <= 1e-5).all()
    assert len(beam(network, n, 7)) == 7
    assert len(beam(network, n, 7, lambda: False)) == 0


def test_wrong_share_counts_digits_from_the_lowest_wrong_one_on() -> None:
    """Of the nearer factor; 0 for a factor alone. The larger one counts only if it is as long."""
    factors = torch.tensor([[0b1011], [0b1011]])
    n = torch.tensor([0b1011 * 0b1101, 0b1011 * 0b11101])
    given = Batch(n, torch.tensor([8, 9]), factors, factors > 1)
    found = torch.tensor([[0b1011, 0b1101, 0b1111, 0b1001]] * 2)
    assert wrong_share(found, given).tolist() == [[0, 0, 0.5, 0.5], [0, 0.75, 0.5, 0.75]]


@pytest.mark.parametrize("name", ["prime-pointer", "digit-pointer"])
def test_gradients_are_finite_and_reach_every_weight(name: str, batch: Batch) -> None:
    """Also with masked candidates and places."""
    network, loss_of = (prime_network(), order_loss) if name == "prime-pointer" else (digit_network(), digit_loss)
    loss, _ = loss_of(network, batch, 6, generator())  # type: ignore[arg-type]
    loss.backward()
    for label, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), label
        assert parameter.grad.abs().sum() > 0, label


def leaking(rng: np.random.Generator) -> Batch:
    """A toy whose n gives the answer away: its leading digits are those of the first candidate."""
    candidates = np.stack([rng.choice(np.arange(129, 256, 2), 16, replace=False) for _ in range(32)])
    given = torch.from_numpy(candidates)
    return Batch(given[:, 0] << 8 | 1, torch.full((32,), 16), given, given > 1)


def test_prime_pointer_learns_to_point_at_what_n_says(tmp_path: Path) -> None:
    """On the toy the factor comes at half the candidates before training, and early after it."""
    arguments = Arguments(out=str(tmp_path), steps=250, width=32, layers=1, samples=8, learning_rate=3e-3)
    network = load_network(train(arguments, draw=leaking))
    toy = leaking(np.random.default_rng(99))

    def mean_place(policy: PrimePointer) -> float:
        scores = policy.scores(toy.n, toy.bits, toy.candidates, toy.mask)
        return ((scores > scores[:, :1]).sum(dim=1) + 1).double().mean().item()

    assert mean_place(prime_network()) > 6
    assert mean_place(network) < 3.5


def test_digit_pointer_learns_to_copy_what_n_says(tmp_path: Path) -> None:
    """On the toy its cost halves."""
    arguments = Arguments(
        out=str(tmp_path), network="digit-pointer", steps=150, width=32, layers=1, samples=8, learning_rate=3e-3
    )
    network = load_network(train(arguments, draw=leaking))
    toy = leaking(np.random.default_rng(99))

    def cost(policy: DigitPointer) -> float:
        return digit_loss(policy, toy, 16, generator())[1].item()

    assert cost(network) < 0.5 * cost(digit_network())


@pytest.mark.parametrize("name", ["prime-pointer", "digit-pointer"])
def test_equal_arguments_give_equal_weights(name: str, tmp_path: Path) -> None:
    """And another seed gives others."""
    arguments = Arguments(network=name, steps=3, batch=8, samples=3, candidates=8, width=16, layers=1)
    states = []
    for label, seed in (("a", 1), ("b", 1), ("c", 2)):
        path = train(dataclasses.replace(arguments, out=str(tmp_path / label), seed=seed))
        states.append(torch.cat([value.flatten() for value in load_network(path).state_dict().values()]))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"network": "pointer"}, "accepted are prime-pointer, digit-pointer"),
        ({"smallest": 6}, "accepted are ranges within 8 to 32"),
        ({"left_out": "0,7"}, "accepted are folds 0 to 4"),
        ({"steps": 0}, "must be positive"),
    ],
)
def test_impossible_arguments_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Arguments(**given)
