"""``prime-pointer``: reads the digits of n and of the candidate primes and points at the next prime to try.

The encoder reads n and each candidate; the pointer scores every candidate by additive attention (Vinyals et al.
2015, Bello et al. 2016), and the softmax of the scores over the candidates not tried yet chooses the next one.
One scoring serves all steps. After a division that fails, the only news is which candidate it was; if the softmax
holds the candidates' probabilities, the news turns them into the softmax over the candidates that are left. So a
decoder that remembers what was tried has nothing to add to the mask. An order drawn in this way is one of Plackett
and Luce: the order of the scores with Gumbel noise, and, greedily, the order of the scores.

Shapes: B semiprimes, C candidates of each, S sampled orders of each, D width.

References
----------
O. Vinyals et al., Pointer networks, NeurIPS 2015.
R. L. Plackett, The analysis of permutations, 1975.
W. Kool et al., Stochastic beams and where to find them, ICML 2019: orders by Gumbel noise.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from solvers.neural.factoring.task import HALF_BITS, MAX_BITS, digits

FORBIDDEN = -1e9
"""The score of a candidate that may not be tried; finite, so that gradients of sums over candidates are."""


@dataclass(frozen=True)
class PointerConfig:
    """What rebuilds a network."""

    width: int = field(default=64, metadata={"help": "width of the embeddings, D"})
    layers: int = field(default=2, metadata={"help": "residual layers of each reader"})


class Reader(nn.Module):
    """Digits to an embedding: (..., number of digits) to (..., D)."""

    def __init__(self, num_digits: int, config: PointerConfig) -> None:
        super().__init__()
        width = config.width
        self.embed = nn.Linear(num_digits, width)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
            for _ in range(config.layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        for layer in self.layers:
            x = x + layer(x)
        return x


class PrimePointer(nn.Module):
    """Scores every candidate as the next one to try."""

    def __init__(self, config: PointerConfig) -> None:
        super().__init__()
        self.config = config
        self.read_n = Reader(2 * MAX_BITS, config)
        self.read_candidate = Reader(2 * HALF_BITS, config)
        self.query = nn.Linear(config.width, config.width)
        self.key = nn.Linear(config.width, config.width, bias=False)
        self.pointer = nn.Linear(config.width, 1, bias=False)

    def scores(self, n: Tensor, bits: Tensor, candidates: Tensor, mask: Tensor) -> Tensor:
        """Unnormalised log-probabilities of being tried first.

        Parameters
        ----------
        n, bits
            The numbers and their lengths, int64, shape (B,).
        candidates
            Of as many bits as the smaller factor of a balanced semiprime, int64, shape (B, C), or (C,) for all alike.
        mask
            bool, shape (B, C): True = may be tried.

        Returns
        -------
        Tensor
            float32, shape (B, C).
        """
        query = self.query(self.read_n(digits(n, bits, MAX_BITS)))  # shape: (B, D)
        half = (bits // 2)[:, None] if candidates.ndim == 2 else bits[0] // 2
        key = self.key(self.read_candidate(digits(candidates, half.expand(candidates.shape), HALF_BITS)))
        score = self.pointer(torch.tanh(query[:, None] + key)).squeeze(-1)
        return score.masked_fill(~mask, FORBIDDEN)  # type: ignore[no-any-return]


# --- Orders ------------------------------------------------------------------------------------------------


def sample_orders(scores: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Orders in which the candidates are tried, each pointed at without repetition.

    Parameters
    ----------
    scores
        float32, shape (B, C).
    count
        S.
    generator
        Of the noise.

    Returns
    -------
    Tensor
        Candidates by place, those that may not be tried last, int64, shape (B, S, C).
    """
    noise = torch.empty(scores.shape[0], count, scores.shape[1]).exponential_(generator=generator).log()
    return (scores[:, None] - noise).argsort(dim=-1, descending=True)


def places(order: Tensor) -> Tensor:
    """How many candidates are tried until the first one of the list is, shape (B, S)."""
    return (order == 0).int().argmax(dim=-1) + 1


def log_likelihood(scores: Tensor, order: Tensor, tried: Tensor) -> Tensor:
    """Log-probability of the first candidates of an order, all steps at once.

    Parameters
    ----------
    scores
        float32, shape (B, C).
    order
        int64, shape (B, S, C).
    tried
        How many candidates were pointed at, int64, shape (B, S).

    Returns
    -------
    Tensor
        float32, shape (B, S).
    """
    ordered = scores[:, None].expand(order.shape).gather(-1, order)
    left = ordered.flip(-1).logcumsumexp(dim=-1).flip(-1)  # of the candidates from each place on
    within = torch.arange(order.shape[-1]) < tried[..., None]
    return ((ordered - left) * within).sum(dim=-1)


def expected_place(scores: Tensor, mask: Tensor) -> Tensor:
    """The mean of ``places`` over all orders, exactly, shape (B,).

    A candidate comes before the first one of the list with the probability that of these two it is drawn.
    """
    before = torch.sigmoid(scores[:, 1:] - scores[:, :1]) * mask[:, 1:]
    return 1 + before.sum(dim=-1)
