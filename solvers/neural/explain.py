"""What a network thought of routes: at each step, how likely it held each location that might come next."""

import itertools
from typing import Any

import torch

from instances.routing.instance import RoutingInstance
from instances.routing.solution import Routes
from solvers.neural.cards import HASH_DIGITS, Card
from solvers.neural.checkpoint import Network
from solvers.neural.decode import form, group_of
from solvers.neural.pointer_lstm import Memory, PointerLSTM
from solvers.neural.state import State

MOST = 10
"""Locations told of a step."""


@torch.no_grad()
def explain(card: Card, policy: Network, instance: RoutingInstance, routes: Routes) -> dict[str, Any]:
    """Follow the routes as if the network constructed them, in the view of the instance as it stands.

    Returns
    -------
    dict
        ``checkpoint``, ``decode`` (which is "followed") and ``steps``: each ``at`` a location, the one ``chosen``,
        and the ``probabilities`` of the ten likeliest next ones as (location, probability), the chosen one among them.
    """
    group = group_of([instance], next(policy.parameters()).device)
    nodes, batch = group.nodes[0], group.batch
    place = {int(location): node for node, location in enumerate(nodes)}
    walk = [place[location] for location in _walk(instance, routes)]
    keys: Any = policy.encode(batch)
    state = State.begin(batch, torch.tensor([[walk[0]]], device=batch.coordinates.device))
    path = None if batch.has_depot else state.first
    memory: Memory | None = None
    steps = []
    for at, chosen in itertools.pairwise(walk):
        mask = state.mask
        if isinstance(policy, PointerLSTM):
            hidden, memory = policy.remember(keys, state.last[:, None], memory)
            path = hidden[:, 0]
        scores = policy.scores(keys, state.last, state.load, mask, path)  # type: ignore[arg-type]
        likely = scores[0, 0].softmax(dim=-1)
        best = likely.topk(min(MOST, int(mask.sum()))).indices.tolist()
        told = best if chosen in best else [*best[: MOST - 1], chosen]
        steps.append(
            {
                "at": int(nodes[at]),
                "chosen": int(nodes[chosen]),
                "probabilities": [[int(nodes[node]), round(float(likely[node]), 4)] for node in told],
            }
        )
        state = state.step(torch.tensor([[chosen]], device=batch.coordinates.device))
    return {"checkpoint": f"{card.name}@{card.sha256[:HASH_DIGITS]}", "decode": "followed", "steps": steps}


def _walk(instance: RoutingInstance, routes: Routes) -> list[int]:
    """The locations in the order in which a network would visit them: from the depot on, and back between routes."""
    depot = instance.depot
    if form(instance) == "tsp":
        return [depot, *(customer for route in routes.routes for customer in route)]
    return [depot, *(location for route in routes.routes if route for location in (*route, depot))]
