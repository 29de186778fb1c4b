"""``pointer``: an attention encoder and a distance-aware pointer decoder, for TSP and CVRP.

Shapes: B instances, N locations (the depot first), D width, H heads, Q queries of each instance. A query is
one step of one trajectory; the decoder treats all queries alike, so one call scores one step of many
trajectories (a rollout) or every step of all of them (training).

References
----------
W. Kool et al., Attention, learn to solve routing problems!, ICLR 2019: encoder, glimpse and pointer.
Y.-D. Kwon et al., POMO, NeurIPS 2020: many trajectories share one encoding.
Z. Huang et al., Rethinking light decoder-based solvers for vehicle routing problems (ReLD), ICLR 2025:
distance in the score, and a path from the last location to the score that goes round the glimpse.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from solvers.neural.batch import Batch

SHORTEST = 1e-6  # distances enter as logarithms
USUAL_SIZE = 50  # attention is as sharp as without scaling at this number of locations


@dataclass(frozen=True)
class PointerConfig:
    """What rebuilds the network."""

    width: int = field(default=128, metadata={"help": "width of the embeddings, D"})
    heads: int = field(default=8, metadata={"help": "attention heads; they divide the width"})
    layers: int = field(default=3, metadata={"help": "encoder layers"})
    hidden: int = field(default=512, metadata={"help": "width of the encoder's feed-forward part"})
    clip: float = field(default=50.0, metadata={"help": "scores lie within plus and minus this"})


class Keys(NamedTuple):
    """An encoded batch: all that the decoder needs of it, computed once."""

    query_last: Tensor  # (B, N, D): the query of a trajectory that is at a location
    query_first: Tensor  # (B, N, D): added where tours begin at different locations (TSP)
    glimpse_keys: Tensor  # (B, H, D / H, N)
    glimpse_values: Tensor  # (B, H, N, D / H)
    pointer_keys: Tensor  # (B, D, N)
    affinity: Tensor  # (B, N, N): score of going from a location straight to another

    def detached(self) -> "Keys":
        """The same values as leaves of a new graph."""
        return Keys(*(key.detach().requires_grad_() for key in self))

    def part(self, part: slice) -> "Keys":
        """The keys of some of the instances."""
        return Keys(*(key[part] for key in self))


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward part, each behind a layer norm.

    The norm is of one location alone, so an embedding does not depend on how a batch is put together.
    """

    def __init__(self, config: PointerConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width, bias=False)
        self.combine = nn.Linear(width, width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, config.hidden), nn.ReLU(), nn.Linear(config.hidden, width)
        )

    def forward(self, x: Tensor, sharpness: float) -> Tensor:
        size, nodes, width = x.shape
        # shape: 3 x (B, H, N, D / H)
        query, key, value = (
            self.project(self.norm1(x)).view(size, nodes, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        )
        scale = sharpness / math.sqrt(width // self.heads)
        attended = functional.scaled_dot_product_attention(query, key, value, scale=scale)
        x = x + self.combine(attended.transpose(1, 2).reshape(size, nodes, width))
        return x + self.feed_forward(self.norm2(x))  # type: ignore[no-any-return]


class Pointer(nn.Module):
    """Scores every location as the next one of a trajectory."""

    def __init__(self, config: PointerConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.embed_depot = nn.Linear(2, width)
        self.embed_location = nn.Linear(3, width)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, 6 * width, bias=False)
        self.load = nn.Parameter(torch.zeros(width))

    def encode(self, batch: Batch) -> Keys:
        """Embed the locations, let them attend to each other, and project what the decoder needs."""
        config, sharpness = self.config, _sharpness(batch.num_locations)
        share = batch.demand / batch.capacity.clamp(min=1)[:, None]
        x = self.embed_location(torch.cat((batch.coordinates, share[..., None]), dim=-1))
        if batch.has_depot:
            x = torch.cat((self.embed_depot(batch.coordinates[:, :1]), x[:, 1:]), dim=1)
        for layer in self.layers:
            x = layer(x, sharpness)
        x = self.norm(x)

        last, first, key, value, pointer, source = self.project(x).chunk(6, dim=-1)
        if batch.has_depot:
            last = last + first[:, :1]
        size, nodes, width = x.shape
        heads = (size, nodes, config.heads, -1)
        affinity = torch.baddbmm(
            batch.distances.clamp(min=SHORTEST).log(),
            source,
            x.transpose(1, 2),
            beta=-1,
            alpha=1 / math.sqrt(width),
        )
        return Keys(
            query_last=last.contiguous(),
            query_first=first.contiguous(),
            glimpse_keys=(key * (sharpness / math.sqrt(width // config.heads)))
            .view(heads)
            .permute(0, 2, 3, 1),
            glimpse_values=value.view(heads).transpose(1, 2),
            pointer_keys=(pointer / math.sqrt(width)).transpose(1, 2),
            affinity=affinity,
        )

    def scores(self, keys: Keys, last: Tensor, load: Tensor, mask: Tensor, first: Tensor | None) -> Tensor:
        """Unnormalised log-probabilities of the next location; forbidden ones have minus infinity.

        Parameters
        ----------
        keys
            The encoded instances.
        last
            int64, shape (B, Q): where each trajectory is.
        load
            float32, shape (B, Q): the fraction of the capacity that is left.
        mask
            bool, shape (B, Q, N): True = allowed.
        first
            int64, shape (B, Q): where each tour began; None where that is the depot.

        Returns
        -------
        Tensor
            float32, shape (B, Q, N).
        """
        size, queries = last.shape
        nodes, heads = mask.shape[-1], self.config.heads
        forbidden = torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, -math.inf)
        query = _rows(keys.query_last, last) + load[..., None] * self.load
        if first is not None:
            query = query + _rows(keys.query_first, first)
        query = query.view(size, queries, heads, -1).transpose(1, 2)
        attention = (query @ keys.glimpse_keys + forbidden[:, None]).softmax(dim=-1)  # shape: (B, H, Q, N)
        glimpse = (attention @ keys.glimpse_values).transpose(1, 2).reshape(size, queries, -1)
        score = torch.baddbmm(_rows(keys.affinity, last), glimpse, keys.pointer_keys)
        return score.tanh() * (self.config.clip * _sharpness(nodes)) + forbidden


def _sharpness(nodes: int) -> float:
    """The factor of every score before a softmax, which keeps attention selective among many locations."""
    return math.log(max(nodes, 2)) / math.log(USUAL_SIZE)


def _rows(table: Tensor, index: Tensor) -> Tensor:
    """Rows of (B, N, W) at (B, Q), shape (B, Q, W).

    As an embedding, because on the CPU its gradient is the fastest of the ways to scatter rows.
    """
    size, nodes, width = table.shape
    offset = torch.arange(size, device=index.device)[:, None] * nodes
    return functional.embedding(index + offset, table.reshape(size * nodes, width))
