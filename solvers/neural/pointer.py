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
FEW = 32  # up to here tables of all pairs take less work than dot products for each query
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
    """All that the decoder needs of an encoded batch, computed once.

    Every weight of the network acts through these tensors alone. C is the width of a query and of a glimpse: D; or,
    for few locations, H * N, where the dot products of all pairs of locations are tabulated beforehand.
    """

    query_last: Tensor  # (B, N, C): the query of a trajectory that is at a location
    query_first: Tensor  # (B, N, C): added where tours begin at different locations (TSP)
    query_load: Tensor  # (B, 1, C): added in proportion to the capacity left
    glimpse_keys: Tensor  # (B, H, N, D / H); no heads if tabulated
    glimpse_values: Tensor  # (B, H, N, D / H); no heads if tabulated
    pointer: Tensor  # (B, C, N): from the glimpse to the scores
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
        self.feed_forward = nn.Sequential(nn.Linear(width, config.hidden), nn.ReLU(), nn.Linear(config.hidden, width))

    def forward(self, x: Tensor, sharpness: float) -> Tensor:
        size, nodes, width = x.shape
        # shape: 3 x (B, H, N, D / H)
        query, key, value = self.project(self.norm1(x)).view(size, nodes, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scale = sharpness / math.sqrt(width // self.heads)
        attended = functional.scaled_dot_product_attention(query, key, value, scale=scale)
        x = x + self.combine(attended.transpose(1, 2).reshape(size, nodes, width))
        return x + self.feed_forward(self.norm2(x))  # type: ignore[no-any-return]


class Pointer(nn.Module):
    """Scores every location as the next one of a trajectory."""

    def __init__(self, config: PointerConfig) -> None:
        super().__init__()
        self.config = config
        self.mixed = False  # whether the encoder's layers compute in bfloat16; scores need more precision
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
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.mixed):
            for layer in self.layers:
                x = layer(x, sharpness)
        x = self.norm(x)

        last, first, key, value, pointer, source = self.project(x).chunk(6, dim=-1)
        if batch.has_depot:
            last = last + first[:, :1]
        load = self.load.expand(len(batch), 1, -1)
        last, first, load, key, value, pointer = (
            part.unflatten(-1, (config.heads, -1)).transpose(1, 2)  # shape: (B, H, N or 1, D / H)
            for part in (last, first, load, key, value, pointer)
        )
        key = key * (sharpness / math.sqrt(config.width // config.heads))
        pointer = pointer.transpose(-1, -2) / math.sqrt(config.width)
        if batch.num_locations <= FEW:
            last, first, load = (query @ key.transpose(-1, -2) for query in (last, first, load))
            pointer = value @ pointer
            key, value = key[:, :0], value[:, :0]
        affinity = torch.baddbmm(
            batch.distances.clamp(min=SHORTEST).log(),
            source,
            x.transpose(1, 2),
            beta=-1,
            alpha=1 / math.sqrt(config.width),
        )
        last, first, load = (query.transpose(1, 2).flatten(2) for query in (last, first, load))
        return Keys(last, first, load, key, value, pointer.flatten(1, 2), affinity)

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
        size, queries, nodes = mask.shape
        heads = (size, queries, self.config.heads, -1)
        forbidden = torch.where(mask, 0.0, -math.inf)
        query = torch.addcmul(_rows(keys.query_last, last), load[..., None], keys.query_load)
        if first is not None:
            query = query + _rows(keys.query_first, first)
        if keys.glimpse_keys.shape[1] == 0:
            glimpse = (query.view(heads) + forbidden[:, :, None]).softmax(dim=-1)
        else:
            glimpse = functional.scaled_dot_product_attention(
                query.view(heads).transpose(1, 2),
                keys.glimpse_keys,
                keys.glimpse_values,
                attn_mask=forbidden[:, None],
                scale=1.0,
            ).transpose(1, 2)
        score = torch.baddbmm(_rows(keys.affinity, last), glimpse.flatten(2), keys.pointer)
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
