"""Joined segments say of a route what the referee says."""

import numpy as np
import pytest

from instances.routing.instance import RoutingInstance
from instances.routing.referee import verify
from instances.routing.rounding import Rounding
from instances.routing.solution import Routes
from solvers.routing.segments import Feasibility, Segment

ROUTE_LIMITS = {"capacity", "time-window", "route-distance", "route-duration"}


def random_instance(rng: np.random.Generator, size: int = 7) -> RoutingInstance:
    """An asymmetric instance with a random choice of constraints, each of which binds now and then."""
    matrix = rng.integers(1, 60, (size, size))
    np.fill_diagonal(matrix, 0)
    opening = rng.integers(0, 150, size)
    windows = np.stack([opening, opening + rng.integers(0, 250, size)], axis=1)
    windows[0] = rng.integers(0, 30), rng.integers(150, 400)
    demand, service = rng.integers(0, 9, size), rng.integers(0, 20, size)
    demand[0] = service[0] = 0

    def maybe(value: object) -> object:
        return value if rng.random() < 0.6 else None

    return RoutingInstance(
        rounding=Rounding.EXPLICIT,
        matrix=matrix,
        demand=demand,
        capacity=maybe(int(rng.integers(9, 30))),
        time_windows=maybe(windows),
        service_times=maybe(service),
        max_route_distance=maybe(int(rng.integers(60, 250))),
        max_route_duration=maybe(int(rng.integers(60, 350))),
        open_routes=bool(rng.random() < 0.3),
    )


def referee_allows(instance: RoutingInstance, route: list[int]) -> bool:
    """Whether the referee finds no limit of a route broken, whoever else is not visited."""
    found = {violation.kind for violation in verify(instance, Routes((tuple(route),))).violations}
    return not found & ROUTE_LIMITS


def joined(rules: Feasibility, instance: RoutingInstance, route: list[int]) -> Segment:
    """The segment of a route's customers, joined in the order of a random tree would give: here, halves."""
    if len(route) == 1:
        return rules.stops.take(route[0])
    middle = len(route) // 2
    first, second = route[:middle], route[middle:]
    length = instance.distances[first[-1], second[0]]
    return rules.join(joined(rules, instance, first), joined(rules, instance, second), length)


@pytest.mark.parametrize("seed", range(8))
def test_a_route_is_allowed_where_the_referee_allows_it(seed: int) -> None:
    """Feasibility of random routes, joined by halves, agrees with the referee, which goes stop by stop."""
    rng = np.random.default_rng(seed)
    answers = []
    for _ in range(60):
        instance = random_instance(rng)
        rules = Feasibility(instance)
        route = rng.permutation(np.arange(1, instance.num_locations))[: rng.integers(1, 7)].tolist()
        whole = rules.route(joined(rules, instance, route), route[0], route[-1])
        answers.append(bool(rules.allows(whole)))
        assert answers[-1] == referee_allows(instance, route), (instance, route)
    assert set(answers) == {True, False}


def test_many_at_once_is_one_by_one() -> None:
    """Arrays of segments give what single segments give."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        instance = random_instance(rng)
        rules = Feasibility(instance)
        customers = instance.customers
        together = np.broadcast_to(
            rules.allows(rules.route(rules.stops.take(customers), customers, customers)), customers.shape
        )
        apart = [bool(rules.allows(rules.route(rules.stops.take(c), c, c))) for c in customers.tolist()]
        assert together.tolist() == apart
