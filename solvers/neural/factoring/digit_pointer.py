"""``digit-pointer``: points out the digits of a factor of n, from the lowest on, one after another.

The elements are the places 0, 1, ... of the factor's binary digits, and the network points at those where a 1
stands, upwards: the factor is odd, so it begins at place 0, and it ends when it points at the highest. Whatever lies
below the last place it pointed at is decided, so a state is the digits up to there. They decide as many digits of
the other factor (n / p mod 2^k), which the network reads too.

Shapes: B semiprimes, Q prefixes of each (states of any number of trajectories and steps), S trajectories, T steps,
H places, D width.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from solvers.neural.factoring.prime_pointer import FORBIDDEN, PointerConfig, Reader
from solvers.neural.factoring.task import HALF_BITS, MAX_BITS, digits

PLACES = torch.arange(HALF_BITS)


@dataclass(frozen=True)
class Prefix:
    """Digits of the factor pointed out so far; immutable.

    Parameters
    ----------
    value
        The number that the digits make, int64, shape (B, Q).
    last
        The place of the last 1, int64, shape (B, Q).
    half
        How many digits the factor has, int64, shape (B, 1).
    """

    value: Tensor
    last: Tensor
    half: Tensor

    @staticmethod
    def start(bits: Tensor, count: int) -> "Prefix":
        """The lowest digit of an odd number, for ``count`` trajectories of each n; ``bits`` are of n, shape (B,)."""
        ones = torch.ones(len(bits), count, dtype=torch.int64)
        return Prefix(ones, ones - 1, (bits // 2)[:, None])

    @property
    def done(self) -> Tensor:
        """Whether the highest digit is pointed out, bool, shape (B, Q)."""
        return self.last == self.half - 1

    @property
    def mask(self) -> Tensor:
        """Where it may point next, bool, shape (B, Q, H): above the last place; at the highest again once done."""
        last = torch.where(self.done, self.last - 1, self.last)
        return (last[..., None] < PLACES) & (self.half[..., None] > PLACES)

    def step(self, place: Tensor) -> "Prefix":
        """The prefix with a 1 at a place of shape (B, Q)."""
        return Prefix(self.value | 1 << place, place, self.half)

    def cofactor(self, n: Tensor) -> Tensor:
        """The lowest digits of the other factor, as many as are decided, int64, shape (B, Q); n of shape (B, 1)."""
        inverse = self.value
        for _ in range(3):  # Newton's iteration: 3, 6, 12, 24 digits
            inverse = inverse * (2 - self.value * inverse)
        return n * inverse & ((2 << self.last) - 1)


class DigitPointer(nn.Module):
    """Scores every place as the next one where a 1 stands."""

    def __init__(self, config: PointerConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.read_n = Reader(2 * MAX_BITS, config)
        self.read_prefix = Reader(4 * HALF_BITS, config)
        self.from_bottom = nn.Embedding(HALF_BITS, width)
        self.from_top = nn.Embedding(HALF_BITS, width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.pointer = nn.Linear(width, 1, bias=False)

    def scores(self, n: Tensor, bits: Tensor, prefix: Prefix) -> Tensor:
        """Unnormalised log-probabilities of the next place, float32, shape (B, Q, H); n and bits of shape (B,)."""
        embedding, key = self.encode(n, bits)
        return self.point(embedding[:, None], key[:, None], n[:, None], prefix)

    def encode(self, n: Tensor, bits: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings of the numbers, shape (B, D), and the keys of the places, shape (B, H, D)."""
        from_top = (bits[:, None] // 2 - 1 - PLACES).clamp(min=0)
        key = self.key(self.from_bottom(PLACES) + self.from_top(from_top))
        return self.read_n(digits(n, bits, MAX_BITS)), key

    def point(self, embedding: Tensor, key: Tensor, n: Tensor, prefix: Prefix) -> Tensor:
        """As ``scores``; embedding, key and n are those of each prefix, or broadcast to them."""
        known = prefix.last + 1
        read = [digits(part, known, HALF_BITS) for part in (prefix.value, prefix.cofactor(n))]
        query = self.query(embedding + self.read_prefix(torch.cat(read, dim=-1)))
        score = self.pointer(torch.tanh(query[..., None, :] + key)).squeeze(-1)
        return score.masked_fill(~prefix.mask, FORBIDDEN)  # type: ignore[no-any-return]


# --- Trajectories ------------------------------------------------------------------------------------------


@torch.no_grad()
def sample_factors(network: DigitPointer, n: Tensor, bits: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Numbers that the network points out at random, int64, shape (B, S)."""
    prefix = Prefix.start(bits, count)
    while not prefix.done.all():
        probability = network.scores(n, bits, prefix).softmax(dim=-1)
        place = probability.flatten(0, 1).multinomial(1, generator=generator).view(prefix.last.shape)
        prefix = prefix.step(place)
    return prefix.value


def log_likelihood(network: DigitPointer, n: Tensor, bits: Tensor, factors: Tensor) -> Tensor:
    """Log-probability of pointing out given numbers of the factor's length, all steps at once.

    Parameters
    ----------
    network
        The policy.
    n, bits
        int64, shape (B,).
    factors
        Odd, of bits // 2 bits each, int64, shape (B, S).

    Returns
    -------
    Tensor
        float32, shape (B, S).
    """
    one = (factors[..., None] >> PLACES & 1).bool()  # shape: (B, S, H)
    next_one = torch.where(one, PLACES, HALF_BITS).flip(-1).cummin(dim=-1).values.flip(-1)
    next_one = functional.pad(next_one[..., 1:], (0, 1), value=HALF_BITS)
    # There is a state wherever a 1 stands but at the highest place; M of them in all.
    semiprime, answer, place = (one & (next_one < HALF_BITS)).nonzero().unbind(-1)
    value = factors[semiprime, answer] & ((2 << place) - 1)
    embedding, key = network.encode(n, bits)
    prefix = Prefix(value, place, bits[semiprime] // 2)
    scores = network.point(embedding[semiprime], key[semiprime], n[semiprime], prefix)  # shape: (M, H)
    chosen = scores.log_softmax(dim=-1).gather(-1, next_one[semiprime, answer, place, None]).squeeze(-1)
    total = torch.zeros(factors.numel()).index_add(0, semiprime * factors.shape[1] + answer, chosen)
    return total.view(factors.shape)


@torch.no_grad()
def beam(network: DigitPointer, n: int, width: int, running: Callable[[], bool] = lambda: True) -> Tensor:
    """The numbers that the network is most likely to point out, as a beam finds them, best first, shape (S,).

    Different ones, as two prefixes never make the same number; all odd numbers of the factor's length if they are
    at most ``width``; none if ``running`` says that the time is over.
    """
    number, bits = torch.tensor([n]), torch.tensor([n.bit_length()])
    prefix = Prefix.start(bits, 1)
    total = torch.zeros(1, 1)
    while not prefix.done.all():
        if not running():
            return torch.empty(0, dtype=torch.int64)
        scores = network.scores(number, bits, prefix).log_softmax(dim=-1)
        following = (total[..., None] + scores).masked_fill(~prefix.mask, FORBIDDEN).flatten(1)
        count = min(width, int(prefix.mask.sum()))
        total, best = following.topk(count, dim=-1)
        parent = best // HALF_BITS
        prefix = Prefix(prefix.value.gather(1, parent), prefix.last.gather(1, parent), prefix.half)
        prefix = prefix.step(best % HALF_BITS)
    return prefix.value[0]
