"""What a network thought of routes: at each step, how likely it held each location that might come next."""

from typing import Any

import torch

from instances.routing.instance import RoutingInstance
from instances.routing.solution import Routes
from solvers.neural.cards import HASH_DIGITS, Card
from solvers.neural.checkpoint import Network
from solvers.neural.decode import group_of
from solvers.neural.pointer_lstm import Memory, PointerLSTM
from solvers.neural.state import State

MOST = 10
"""Locations told of a step."""


@torch.no_grad()
def explain(card: Card, policy: Network, instance: RoutingInstance, routes: Routes) -> dict[str, Any]:
    """Follow the routes as if the network constructed them, in the view of the instance as it stands.

    Which route comes next, and which end of it first, does not matter to a solution: what the network holds likeliest.

    Returns
    -------
    dict
        ``checkpoint``, ``decode`` (which is "followed") and ``steps``: each ``at`` a location, the one ``chosen``,
        and the ``probabilities`` of the ten likeliest next ones as (location, probability), the chosen one among them.
    """
    group = group_of([instance], next(policy.parameters()).device)
    nodes, batch = group.nodes[0], group.batch
    place = {int(location): node for node, location in enumerate(nodes)}
    left = [[place[location] for location in route] for route in routes.routes if route]
    keys: Any = policy.encode(batch)
    state = State.begin(batch, torch.tensor([[0]], device=batch.coordinates.device))
    path = None if batch.has_depot else state.first
    memory: Memory | None = None
    steps: list[dict[str, Any]] = []
    ahead: list[int] = []
    at = 0
    while left or ahead:
        mask = state.mask
        if isinstance(policy, PointerLSTM):
            hidden, memory = policy.remember(keys, state.last[:, None], memory)
            path = hidden[:, 0]
        scores = policy.scores(keys, state.last, state.load, mask, path)  # type: ignore[arg-type]
        likely = scores[0, 0].softmax(dim=-1)
        if not ahead:
            ways = [way for route in left for way in (route, route[::-1])]
            way = max(ways, key=lambda way: float(likely[way[0]]))
            left.remove(way if way in left else way[::-1])
            ahead = [*way, 0] if batch.has_depot else list(way)
        chosen = ahead.pop(0)
        best = likely.topk(min(MOST, int(mask.sum()))).indices.tolist()
        told = best if chosen in best else [*best[: MOST - 1], chosen]
        steps.append(
            {
                "at": int(nodes[at]),
                "chosen": int(nodes[chosen]),
                "probabilities": [[int(nodes[node]), round(float(likely[node]), 4)] for node in told],
            }
        )
        at = chosen
        state = state.step(torch.tensor([[chosen]], device=batch.coordinates.device))
    return {"checkpoint": f"{card.name}@{card.sha256[:HASH_DIGITS]}", "decode": "followed", "steps": steps}
