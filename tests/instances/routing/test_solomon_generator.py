"""VRPTW in Solomon's manner: feasible by construction, with the stated windows."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from instances.routing.generators import generate
from instances.routing.instance import RoutingInstance
from instances.routing.referee import verify
from instances.routing.rounding import Rounding
from instances.routing.solution import Routes

CLASSES = [
    ("random", "short", 200, 10),
    ("random", "long", 1000, 10),
    ("clustered", "short", 200, 90),
    ("clustered", "long", 700, 90),
    ("random-clustered", "short", 200, 10),
    ("random-clustered", "long", 1000, 10),
]


def solomon(size: int = 60, **options: Any) -> RoutingInstance:
    return generate("solomon", size=size, count=1, seed=3, **options)[0]


def greedy(instance: RoutingInstance) -> Routes:
    """Routes that always go on to the customer whose service can start first, in plain Python."""
    assert instance.time_windows is not None and instance.demand is not None
    assert instance.service_times is not None and instance.capacity is not None
    distance, windows = instance.distances.tolist(), instance.time_windows.tolist()
    demand, services = instance.demand.tolist(), instance.service_times.tolist()
    waiting, routes = list(range(1, instance.num_locations)), []
    while waiting:
        route: list[int] = []
        here = time = load = 0
        while True:
            arrivals = ((time + services[here] + distance[here][c], c) for c in waiting)
            options = [
                (max(arrival, windows[c][0]), c)
                for arrival, c in arrivals
                if arrival <= windows[c][1] and load + demand[c] <= instance.capacity
            ]
            if not options:
                break
            time, here = min(options)
            load += demand[here]
            route.append(here)
            waiting.remove(here)
        assert route, "a customer cannot be reached from the depot"
        routes.append(tuple(route))
    return Routes(tuple(routes))


@pytest.mark.parametrize(("customers", "horizon", "capacity", "service"), CLASSES)
@pytest.mark.parametrize("size", [1, 20, 100, 250])
def test_feasible_with_the_stated_fleet(customers: Any, horizon: Any, capacity: int, service: int, size: int) -> None:
    """Greedy routes serve everybody within the fleet; each customer can have a route of its own."""
    instance = solomon(size, customers=customers, horizon=horizon)
    assert (instance.capacity, instance.rounding) == (capacity, Rounding.TRUNCATED)
    assert instance.service_times is not None and (instance.service_times[1:] == 10 * service).all()
    assert verify(instance, greedy(instance)).feasible
    alone = Routes(tuple((customer,) for customer in instance.customers.tolist()))
    assert verify(replace(instance, num_vehicles=None), alone).feasible
    assert instance.num_vehicles is not None and instance.num_vehicles >= -(-size // 4)


@pytest.mark.parametrize("density", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("customers", ["random", "clustered"])
def test_density_is_the_share_of_windows(density: float, customers: Any) -> None:
    """The stated share of customers has a window narrower than what the depot's day allows."""
    instance = solomon(80, customers=customers, density=density, half_width=0.01)
    windows, services = instance.time_windows, instance.service_times
    assert windows is not None and services is not None
    day = windows[0, 1]
    latest = day - instance.distances[:, 0] - services
    narrowed = (windows[1:, 0] > 0) | (windows[1:, 1] < latest[1:])
    assert narrowed.sum() == round(density * 80)
    assert (windows[1:, 1] <= latest[1:]).all() and (windows[0] == [0, day]).all()


@pytest.mark.parametrize("half_width", [0.0, 0.05, 0.15])
def test_half_width_is_a_share_of_the_day(half_width: float) -> None:
    """Windows are on average as wide as stated, but for those cut off by the ends of the day."""
    instance = solomon(200, customers="random", horizon="long", density=1.0, half_width=half_width)
    windows = instance.time_windows
    assert windows is not None
    uncut = (windows[:, 0] > 0) & (windows[:, 1] < 0.75 * windows[0, 1])
    width = (windows[uncut, 1] - windows[uncut, 0]) / (2 * windows[0, 1])
    assert abs(width.mean() - half_width) < 0.005
    assert (width.std() > 0) == (half_width > 0)


def test_clustered_windows_sit_on_constructed_routes() -> None:
    """In a C instance with closed windows, the greedy routes never wait: the centres are their arrivals."""
    instance = solomon(60, customers="clustered", horizon="short", density=1.0, half_width=0.0)
    assert instance.time_windows is not None
    assert (instance.time_windows[1:, 0] == instance.time_windows[1:, 1]).all()
    for route in greedy(instance).routes:
        stops = np.array([0, *route])
        gaps = np.diff(instance.time_windows[stops, 0])
        services = np.array([0, *[900] * (len(route) - 1)])
        np.testing.assert_array_equal(gaps, services + instance.lengths(stops[:-1], stops[1:]))


def test_placement() -> None:
    """Clustered customers have the nearest neighbours, random ones the farthest; the depot is central."""

    def spacing(customers: Any) -> float:
        instance = solomon(100, customers=customers)
        assert instance.coordinates is not None and instance.coordinates[0].tolist() == [50, 50]
        assert instance.coordinates.min() >= 0 and instance.coordinates.max() <= 100
        distances = instance.distances[1:, 1:] + 10**6 * np.eye(100, dtype=np.int64)
        return float(distances.min(axis=1).mean())

    assert spacing("clustered") < spacing("random-clustered") < spacing("random")


def test_larger_instances_keep_the_density_of_customers() -> None:
    """Above 100 customers the square and the day grow with the square root of the size."""
    small, large = (solomon(size, customers="random", horizon="short") for size in (100, 400))
    assert small.coordinates is not None and large.coordinates is not None
    assert large.coordinates[0].tolist() == [100, 100]
    assert small.time_windows is not None and large.time_windows is not None
    assert (small.time_windows[0, 1], large.time_windows[0, 1]) == (2300, 4600)


@pytest.mark.parametrize(("customers", "mean"), [("clustered", 18), ("random", 15.5)])
def test_demand_is_like_solomons(customers: Any, mean: float) -> None:
    """Demands are multiples of 10 in C, and between 1 and 41 in R."""
    demand = solomon(1500, customers=customers).demand
    assert demand is not None
    assert abs(demand[1:].mean() - mean) < 1
    assert demand[1:].min() >= 1 and demand[1:].max() <= 41
    assert (demand % 10 == 0).all() == (customers == "clustered")
