"""The sweep of Gillett and Miller (1974), as a solver for versus."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from instances.routing.instance import RoutingInstance
from instances.routing.solution import Routes
from solvers.search import Search, unhonoured


@dataclass(frozen=True)
class Sweep:
    """Sweep: customers by their angle at the depot, with a new route whenever the next does not fit."""

    starts: int = field(default=8, metadata={"help": "angles to begin at; each gives a solution"})

    problem: ClassVar[str] = "routing"
    honours: ClassVar[frozenset[str]] = frozenset({"capacity"})
    packages: ClassVar[tuple[str, ...]] = ("numpy",)

    def __post_init__(self) -> None:
        if self.starts < 1:
            raise ValueError(f"starts is {self.starts}; accepted are 1 and more")

    def declines(self, instance: RoutingInstance) -> str | None:
        return unhonoured(self.honours, instance.features)

    def prepare(self) -> "Sweep":
        return self

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        assert instance.coordinates is not None  # "matrix" is a feature, and not honoured
        away = instance.coordinates[instance.customers] - instance.coordinates[instance.depot]
        swept = instance.customers[np.argsort(np.arctan2(away[:, 1], away[:, 0]), kind="stable")]
        for start in range(min(self.starts, max(1, len(swept)))):
            if not search.running():
                return
            order = np.roll(swept, -(start * len(swept) // self.starts))
            search.report(Routes(split(instance, order.tolist())))


def split(instance: RoutingInstance, order: list[int]) -> tuple[tuple[int, ...], ...]:
    """Routes that visit the customers in ``order``, each as long as the load allows."""
    if instance.capacity is None or instance.demand is None:
        return (tuple(order),)
    routes: list[list[int]] = []
    room = -1
    for customer in order:
        demand = int(instance.demand[customer])
        if demand > room:
            routes.append([])
            room = instance.capacity
        routes[-1].append(customer)
        room -= demand
    return tuple(tuple(route) for route in routes)
