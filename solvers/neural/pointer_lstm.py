"""``pointer-lstm``: the recurrent pointer network, whose memory of the path is an LSTM, for TSP and CVRP.

Nothing is encoded beyond one linear map of each location (a 1-D convolution over the locations): as Nazari et al.
found, an encoder that reads the customers in some order helps nothing where their order means nothing. The decoder
is fed with the location visited last, looks at all allowed locations by attention (the glimpse), and points at one
of them by attention again. Beyond the papers, the score knows the distance, as in ``pointer``.

Shapes: B instances, N locations (the depot first), D width, C width of the attentions, S trajectories of each
instance, T steps, Q queries of each instance: one step of all trajectories (a rollout) or every step of all of them
(training).

References
----------
I. Bello et al., Neural combinatorial optimization with reinforcement learning, 2016: recurrent decoder, glimpse.
M. Nazari et al., Reinforcement learning for solving the vehicle routing problem, NeurIPS 2018: static and dynamic
elements, no encoder.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from solvers.neural.batch import Batch

SHORTEST = 1e-6  # distances enter as logarithms
USUAL_SIZE = 50  # scores are as sharp as without scaling at this number of locations

Memory = tuple[Tensor, Tensor]  # hidden and cell state of the LSTM, shapes (1, B * S, D)


@dataclass(frozen=True)
class PointerLSTMConfig:
    """What rebuilds the network."""

    width: int = field(default=128, metadata={"help": "width of the embeddings and of the LSTM, D"})
    attention: int = field(default=32, metadata={"help": "width of the two attentions, C"})
    clip: float = field(default=50.0, metadata={"help": "scores lie within plus and minus this"})


class LSTMKeys(NamedTuple):
    """All that the decoder needs of the locations, computed once."""

    static: Tensor  # (B, N, D): what the LSTM reads of a location, its coordinates
    elements: Tensor  # (B, N, D): what a glimpse sees of a location, coordinates and demand
    glimpse_keys: Tensor  # (B, N, C)
    pointer_keys: Tensor  # (B, N, C)
    affinity: Tensor  # (B, N, N): minus the logarithm of the distance

    def detached(self) -> "LSTMKeys":
        """The same values as leaves of a new graph."""
        return LSTMKeys(*(key.detach().requires_grad_() for key in self))

    def part(self, part: slice) -> "LSTMKeys":
        """The keys of some of the instances."""
        return LSTMKeys(*(key[part] for key in self))


class PointerLSTM(nn.Module):
    """Scores every location as the next one of a trajectory whose path an LSTM has read."""

    def __init__(self, config: PointerLSTMConfig) -> None:
        super().__init__()
        self.config = config
        width, attention = config.width, config.attention
        self.embed_depot = nn.Linear(2, width)
        self.embed_static = nn.Linear(2, width)
        self.embed_demand = nn.Linear(1, width, bias=False)
        self.embed_load = nn.Linear(1, width, bias=False)
        self.memory = nn.LSTM(width, width)
        self.glimpse_key = nn.Linear(width, attention, bias=False)
        self.glimpse_query = nn.Linear(width, attention)
        self.glimpse_score = nn.Linear(attention, 1, bias=False)
        self.pointer_key = nn.Linear(width, attention, bias=False)
        self.pointer_query = nn.Linear(2 * width, attention)
        self.pointer_score = nn.Linear(attention, 1, bias=False)

    def encode(self, batch: Batch) -> LSTMKeys:
        """Embed the static element of each location, its coordinates, and the dynamic one, its demand."""
        share = batch.demand / batch.capacity.clamp(min=1)[:, None]
        static = self.embed_static(batch.coordinates)
        if batch.has_depot:
            static = torch.cat((self.embed_depot(batch.coordinates[:, :1]), static[:, 1:]), dim=1)
        elements = static + self.embed_demand(share[..., None])
        affinity = -batch.distances.clamp(min=SHORTEST).log()
        return LSTMKeys(static, elements, self.glimpse_key(elements), self.pointer_key(elements), affinity)

    def remember(self, keys: LSTMKeys, last: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """Read T more locations of each path in one pass.

        Parameters
        ----------
        keys
            The embedded instances.
        last
            int64, shape (B, T, S): where each trajectory was, step by step.
        memory
            What this returned for the steps before; None at the beginning.

        Returns
        -------
        Tensor
            The hidden state after each step, float32, shape (B, T, S, D).
        Memory
            The state after the last one.
        """
        size, steps, num_starts = last.shape
        nodes, width = keys.static.shape[1:]
        rows = last.transpose(0, 1) + torch.arange(size, device=last.device)[:, None] * nodes
        inputs = functional.embedding(rows, keys.static.reshape(size * nodes, width))  # shape: (T, B, S, D)
        hidden, memory = self.memory(inputs.view(steps, size * num_starts, width), memory)
        return hidden.view(steps, size, num_starts, width).transpose(0, 1), memory

    def scores(self, keys: LSTMKeys, last: Tensor, load: Tensor, mask: Tensor, hidden: Tensor) -> Tensor:
        """Unnormalised log-probabilities of the next location; forbidden ones have minus infinity.

        Parameters
        ----------
        keys
            The embedded instances.
        last
            int64, shape (B, Q): where each trajectory is.
        load
            float32, shape (B, Q): the fraction of the capacity that is left.
        mask
            bool, shape (B, Q, N): True = allowed.
        hidden
            What the LSTM remembers of each path, float32, shape (B, Q, D).

        Returns
        -------
        Tensor
            float32, shape (B, Q, N).
        """
        nodes = mask.shape[-1]
        forbidden = torch.where(mask, 0.0, -math.inf)
        state = hidden + self.embed_load(load[..., None])
        attention = additive(keys.glimpse_keys, self.glimpse_query(state), self.glimpse_score) + forbidden
        seen = attention.softmax(dim=-1) @ keys.elements  # shape: (B, Q, D)
        query = self.pointer_query(torch.cat((state, seen), dim=-1))
        score = additive(keys.pointer_keys, query, self.pointer_score)
        score = score + keys.affinity.gather(1, last[..., None].expand(-1, -1, nodes))
        sharpness = math.log(max(nodes, 2)) / math.log(USUAL_SIZE)
        return score.tanh() * (self.config.clip * sharpness) + forbidden


def additive(keys: Tensor, query: Tensor, score: nn.Linear) -> Tensor:
    """v * tanh(key + query) of every location and query: keys (B, N, C) and queries (B, Q, C) make (B, Q, N)."""
    logits: Tensor = score((keys[:, None] + query[:, :, None]).tanh_())[..., 0]
    return logits
