"""The referee prices good solutions exactly and refuses each spoilt one for its reason, place and amount."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vrplib

from instances.routing.instance import RoutingInstance
from instances.routing.referee import verify
from instances.routing.rounding import Rounding
from instances.routing.solution import Routes
from instances.verdict import Verdict, Violation

Found = tuple[str, int | None, int | None, int | None]


def line(**fields: Any) -> RoutingInstance:
    """Five locations at 0, 10, 20, 30, 40 on a line; unless ``fields`` say otherwise, the depot is at 0."""
    coordinates = np.array([[10 * place, 0] for place in range(5)])
    return RoutingInstance(**{"rounding": Rounding.NEAREST, "coordinates": coordinates} | fields)


def windows(**by_location: list[int]) -> np.ndarray:
    """Windows of the five locations of :func:`line`, as ``_2=[opening, closing]``; else [0, 1000]."""
    return np.array([by_location.get(f"_{place}", [0, 1000]) for place in range(5)])


def refused(instance: RoutingInstance, *routes: tuple[int, ...]) -> list[Found]:
    """(kind, route, customer, amount) of all violations; fails if the solution is accepted."""
    verdict = verify(instance, Routes(routes))
    assert verdict.cost is None
    assert not verdict.feasible
    return [(found.kind, found.route, found.customer, found.amount) for found in verdict.violations]


def message(instance: RoutingInstance, *routes: tuple[int, ...]) -> str:
    """The message of the only violation."""
    (violation,) = verify(instance, Routes(routes)).violations
    return violation.message


def cost(instance: RoutingInstance, *routes: tuple[int, ...]) -> int:
    """The cost; fails if the solution is refused."""
    verdict = verify(instance, Routes(routes))
    assert verdict.violations == ()
    assert verdict.feasible
    # Feasible routes leave nothing to do, and nothing to remark.
    assert verdict.complete is True
    assert verdict.notes == ()
    assert type(verdict.cost) is int
    return verdict.cost


# What a verdict is


def test_a_verdict_is_a_cost_or_violations_never_both_never_neither():
    with pytest.raises(ValueError, match=r"^a verdict holds either a cost or violations$"):
        Verdict()
    with pytest.raises(ValueError, match=r"^a verdict holds either a cost or violations$"):
        Verdict(cost=0, violations=(Violation("fleet", "too many"),))
    assert Verdict(cost=0).feasible
    assert not Verdict(violations=(Violation("fleet", "too many"),)).feasible


@pytest.mark.parametrize("value", [Verdict(cost=3), Violation("fleet", "too many")])
def test_nobody_changes_a_verdict_afterwards(value):
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.cost = value.kind = 5


# Good solutions


def test_cost_is_the_distance_of_all_routes_from_depot_to_depot():
    assert cost(line(), (1, 2), (3,), (4,)) == 20 + 20 + 60 + 80
    assert cost(line(), (2, 1), (4, 3)) == 20 + 10 + 10 + 40 + 10 + 30


def test_open_routes_do_not_pay_the_way_back():
    assert cost(line(open_routes=True), (1, 2), (4, 3)) == 20 + 40 + 10


def test_empty_routes_cost_nothing_and_need_no_vehicle():
    for instance in (line(num_vehicles=1), line(num_vehicles=1, open_routes=True)):
        assert cost(instance, (), (1, 2, 3, 4), ()) == cost(instance, (1, 2, 3, 4))
    waiting = line(max_route_duration=80, max_route_distance=80, time_windows=windows(_0=[50, 1000]))
    assert cost(waiting, (), (4, 3, 2, 1), ()) == 80


@pytest.mark.parametrize("routes", [(), ((),), ((), ())])
def test_nobody_to_visit_costs_nothing(routes):
    alone = RoutingInstance(rounding=Rounding.NEAREST, coordinates=np.array([[5, 5]]))
    assert cost(alone, *routes) == 0


def test_a_tour_is_one_route_of_one_vehicle():
    tour = line(num_vehicles=1)
    assert tour.features == {"tsp"}
    assert cost(tour, (1, 3, 4, 2)) == 80
    assert refused(tour, (1, 3), (4, 2)) == [("fleet", None, None, 1)]


def test_the_depot_may_be_any_location():
    middle = line(depot=2, demand=np.array([1, 1, 0, 1, 1]), capacity=2)
    assert cost(middle, (1, 0), (3, 4)) == 40 + 40
    assert refused(middle, (1, 0, 2), (3, 4)) == [("unknown-customer", 1, 2, None)]
    assert refused(middle, (1,), (3, 4)) == [("missing-customer", None, 0, None)]


def test_an_asymmetric_matrix_is_read_from_origin_to_destination():
    one_way = RoutingInstance(rounding=Rounding.EXPLICIT, matrix=np.array([[0, 1, 100], [1000, 0, 10], [5, 10_000, 0]]))
    assert cost(one_way, (1, 2)) == 1 + 10 + 5
    assert cost(one_way, (2, 1)) == 100 + 10_000 + 1000
    assert cost(dataclasses.replace(one_way, open_routes=True), (2, 1)) == 100 + 10_000


def test_limits_that_are_just_reached_are_kept():
    """Capacity, fleet, distance, duration and windows all bind, and the solution is accepted."""
    tight = line(
        demand=np.array([0, 1, 2, 3, 4]),
        capacity=5,
        num_vehicles=2,
        max_route_distance=80,
        max_route_duration=82,
        time_windows=windows(_0=[7, 90], _4=[48, 48], _2=[27, 27], _1=[7, 79]),
        service_times=np.array([0, 1, 1, 1, 1]),
    )
    assert cost(tight, (4, 1), (2, 3)) == 80 + 60


def test_an_exact_half_falls_where_tsplib_s_doubles_put_it():
    """0 to 3.5 is 4; 0.6 to 4.1 is 3, because 4.1 - 0.6 is 3.4999999999999996 there."""
    for first, second, length in ((0, 35, 4), (6, 41, 3)):
        coordinates = np.array([[first, 0], [second, 0]])
        assert cost(line(coordinates=coordinates, coordinate_decimals=1), (1,)) == 2 * length


# Visits


@pytest.mark.parametrize(
    ("routes", "found"),
    [
        (((1, 2), (4,)), [("missing-customer", None, 3, None)]),
        ((), [("missing-customer", None, place, None) for place in (1, 2, 3, 4)]),
        (((1, 2, 1), (3, 4)), [("duplicate-customer", 1, 1, None)]),
        (((1, 2), (3, 4), (2,)), [("duplicate-customer", 3, 2, None)]),
        (((1, 2), (3, 3)), [("duplicate-customer", 2, 3, None), ("missing-customer", None, 4, None)]),
        (((1, 0, 2), (3, 4)), [("unknown-customer", 1, 0, None)]),
        (((1, 2), (3, 4), (0,)), [("unknown-customer", 3, 0, None)]),
        (((1, 2), (3, 4, 5)), [("unknown-customer", 2, 5, None)]),
        (((-1, 1, 2), (3, 4)), [("unknown-customer", 1, -1, None)]),
        (((1, 2), (3, 10**30)), [("unknown-customer", 2, 10**30, None), ("missing-customer", None, 4, None)]),
    ],
)
def test_every_customer_is_visited_exactly_once_and_nothing_else(routes, found):
    assert refused(line(), *routes) == found


def test_a_route_of_unknown_places_is_not_priced_or_followed():
    limited = line(num_vehicles=1, max_route_distance=1)
    assert refused(limited, (1, 2), (3, 4, 99)) == [("unknown-customer", 2, 99, None)]


def test_visit_messages_name_route_and_customer():
    assert message(line(), (1, 2), (4,)) == "customer 3 is not visited"
    assert message(line(), (1, 2), (3, 4, 1)) == "route 2 visits customer 1 again, after route 1"
    assert message(line(), (1, 2), (3, 0, 4)) == "route 2 visits 0, the depot"
    assert message(line(), (1, 2, 7), (3, 4)) == "route 1 visits 7, not a location of the instance"


# Loads and fleet


def test_overload_names_route_and_excess():
    instance = line(demand=np.array([0, 1, 2, 3, 4]), capacity=5)
    assert refused(instance, (1, 2), (3, 4)) == [("capacity", 2, None, 2)]
    assert message(instance, (1, 2), (3, 4)) == "route 2 carries 7, 2 above the capacity 5"
    assert refused(instance, (1, 2, 3), (), (4, 1)) == [
        ("duplicate-customer", 3, 1, None),
        ("capacity", 1, None, 1),
    ]


def test_demand_without_capacity_and_capacity_without_demand_limit_nothing():
    assert cost(line(demand=np.array([0, 9, 9, 9, 9])), (1, 2, 3, 4)) == 80
    assert cost(line(capacity=0), (1, 2, 3, 4)) == 80


def test_too_many_routes_are_counted_without_the_empty_ones():
    assert refused(line(num_vehicles=2), (1,), (2,), (), (3,), (4,)) == [("fleet", None, None, 2)]
    assert message(line(num_vehicles=3), (1,), (2,), (3,), (4,)) == "4 routes for a fleet of 3 vehicles"


# Distance and duration limits


def test_a_long_route_names_the_excess():
    assert refused(line(max_route_distance=59), (1, 2), (3,), (4,)) == [
        ("route-distance", 2, None, 1),
        ("route-distance", 3, None, 21),
    ]
    assert message(line(max_route_distance=79), (1, 2, 3, 4)) == ("the distance of route 1 is 80, 1 above the limit 79")


def test_the_way_back_of_an_open_route_counts_for_no_limit():
    for limit in ("max_route_distance", "max_route_duration"):
        assert cost(line(open_routes=True, **{limit: 40}), (1, 2, 3, 4)) == 40
        kind = limit.removeprefix("max_").replace("_", "-")
        assert refused(line(open_routes=True, **{limit: 39}), (1, 2, 3, 4)) == [(kind, 1, None, 1)]


def test_duration_is_travel_and_service():
    instance = line(max_route_duration=85, service_times=np.array([0, 1, 2, 3, 4]))
    assert refused(instance, (1, 2, 3, 4)) == [("route-duration", 1, None, 5)]
    assert message(instance, (1, 2, 3, 4)) == "the duration of route 1 is 90, 5 above the limit 85"
    assert cost(instance, (1, 2), (3,), (4,)) == 180


def test_duration_does_not_count_waiting_that_a_later_departure_saves():
    """Customer 1 opens at 500: leave at 490, be back 80 later."""
    instance = line(max_route_duration=80, time_windows=windows(_1=[500, 600]))
    assert cost(instance, (1, 2, 3, 4)) == 80


def test_duration_counts_waiting_that_an_early_closing_forces():
    """Customer 1 closes at 100, customer 2 opens at 500: leave at 90 at the latest, wait 390."""
    instance = line(max_route_duration=100, time_windows=windows(_1=[0, 100], _2=[500, 600]))
    assert refused(instance, (1, 2, 3, 4)) == [("route-duration", 1, None, 80 + 390 - 100)]


def test_duration_counts_waiting_that_the_last_departure_forces():
    """The depot lets nobody out after 20; an open route need not come back in time."""
    times = windows(_0=[0, 20], _4=[500, 600])
    instance = line(max_route_duration=40, time_windows=times, open_routes=True)
    assert refused(instance, (1, 2, 3, 4)) == [("route-duration", 1, None, 500 - 20 - 40)]


# Time windows


def test_late_arrival_names_customer_and_lateness():
    instance = line(time_windows=windows(_3=[0, 25]))
    assert refused(instance, (1, 2, 3), (4,)) == [("time-window", 1, 3, 5)]
    assert message(instance, (1, 2, 3), (4,)) == "route 1 reaches 3 at 30, 5 after its window closes at 25"


def test_every_late_stop_is_named_at_its_true_arrival():
    instance = line(time_windows=windows(_1=[0, 9], _2=[0, 19], _3=[0, 30]))
    assert refused(instance, (1, 2, 3, 4)) == [("time-window", 1, 1, 1), ("time-window", 1, 2, 1)]


def test_a_late_return_to_the_depot_names_the_depot():
    instance = line(time_windows=windows(_0=[0, 70]))
    assert refused(instance, (1, 2), (3, 4)) == [("time-window", 2, 0, 10)]
    assert cost(line(time_windows=windows(_0=[0, 70]), open_routes=True), (1, 2), (3, 4)) == 20 + 40


def test_departure_opening_and_service_delay_the_stops_after_them():
    late = [("time-window", 1, 2, 1)]
    closing = windows(_2=[0, 50])
    assert refused(line(time_windows=windows(_0=[31, 1000], _2=[0, 50])), (1, 2, 3, 4)) == late
    assert refused(line(time_windows=windows(_1=[41, 50], _2=[0, 50])), (1, 2, 3, 4)) == late
    serving = line(time_windows=closing, service_times=np.array([0, 31, 100, 0, 0]))
    assert refused(serving, (1, 2, 3, 4)) == late
    assert message(serving, (1, 2, 3, 4)) == "route 1 reaches 2 at 51, 1 after its window closes at 50"


def test_a_late_route_lasts_as_long_as_if_it_left_with_no_stop_later_than_need_be():
    """Customer 2 is late by 10 however early one leaves, so nobody may leave later to save waiting at 3."""
    instance = line(time_windows=windows(_2=[0, 10], _3=[100, 200]), max_route_duration=100)
    assert refused(instance, (1, 2, 3), (4,)) == [("time-window", 1, 2, 10), ("route-duration", 1, None, 30)]


def test_messages_write_distances_and_times_in_the_instance_s_decimals():
    truncated = line(rounding=Rounding.TRUNCATED, time_windows=windows(_0=[0, 9999], _1=[0, 95]))
    assert message(truncated, (1,), (2,), (3,), (4,)).endswith("reaches 1 at 10.0, 0.5 after its window closes at 9.5")
    millionths = line(rounding=Rounding.UNROUNDED, max_route_distance=79_999_999)
    assert message(millionths, (1, 2, 3, 4)).endswith("is 80.000000, 0.000001 above the limit 79.999999")


# Values at the edge


def test_loads_beyond_64_bits_do_not_wrap_around():
    """2048 customers of 2^53 sum to 2^64, which is 0 in 64 bits."""
    demand = np.full(2049, 2**53)
    demand[0] = 0
    heavy = RoutingInstance(
        rounding=Rounding.NEAREST, coordinates=np.zeros((2049, 2), dtype=int), demand=demand, capacity=2**53
    )
    assert refused(heavy, tuple(range(1, 2049))) == [("capacity", 1, None, 2**64 - 2**53)]


def test_distances_of_a_route_beyond_64_bits_do_not_wrap_around():
    """A spoilt route may be as long as it likes: 2^12 arcs of 2^52 each sum to 2^64."""
    far = RoutingInstance(
        rounding=Rounding.EXPLICIT,
        matrix=np.array([[0, 2**52, 0], [0, 0, 2**52], [0, 2**52, 0]]),
        max_route_distance=2**53,
        max_route_duration=2**53,
    )
    found = refused(far, (1, 2) * 2**11)
    assert found[-2:] == [
        ("route-distance", 1, None, 2**64 - 2**53),
        ("route-duration", 1, None, 2**64 - 2**53),
    ]
    assert found[:2] == [("duplicate-customer", 1, 1, None), ("duplicate-customer", 1, 2, None)]
    assert len(found) == 2**12 - 2 + 2


def test_the_longest_legal_distances_are_priced_exactly():
    corners = np.array([[-(2**53), 0], [2**53, 0]])
    assert cost(RoutingInstance(rounding=Rounding.NEAREST, coordinates=corners), (1,)) == 2**55


@pytest.mark.parametrize("decimals", [8, 9, 10, 14])
@pytest.mark.parametrize(("rule", "far"), [(Rounding.ATT, 10), (Rounding.CEILING, 32)])
def test_coordinates_of_many_decimals_keep_their_distance(rule, far, decimals):
    """(30, 10) is 31.6 away, 10 in ATT; the nearest point rounds up to 1. Ten times the square of 10^9 is 2^63.1."""
    coordinates = np.array([[0, 0], [30 * 10**decimals, 10 * 10**decimals], [3, 1]])
    close = coordinates[[0, 2]]
    assert cost(line(rounding=rule, coordinates=coordinates, coordinate_decimals=decimals), (1,), (2,)) == 2 * far + 2
    assert cost(line(rounding=rule, coordinates=close, coordinate_decimals=decimals), (1,)) == 2


@pytest.mark.parametrize("rule", [rule for rule in Rounding if rule is not Rounding.EXPLICIT])
@pytest.mark.parametrize("scale", [1, 2**33])
def test_solvers_see_the_distances_that_the_referee_prices(rule, scale):
    """The matrix holds, in int64, what a route to each customer and on to each other one costs."""
    coordinates = np.array([[3824, 2042], [3957, 2615], [4056, 2532]]) * (1 if rule is Rounding.GEO else scale)
    instance = line(rounding=rule, coordinates=coordinates, coordinate_decimals=2, open_routes=True)
    distances = instance.distances
    assert distances.dtype == np.int64
    assert (distances == distances.T).all()
    for first, second in ((1, 2), (2, 1)):
        assert cost(instance, (first,), (second,)) == distances[0, 1] + distances[0, 2] > 0
        assert cost(instance, (first, second)) == distances[0, first] + distances[first, second]


# Published solutions


def published(folder: Path, name: str, solution: str) -> tuple[RoutingInstance, Verdict, float]:
    """A CVRPLIB instance, the verdict on a published solution, and the cost that its file claims."""
    data = vrplib.read_instance(folder / f"{name}.vrp", compute_edge_weights=False)
    claim = vrplib.read_solution(folder.parent / solution)
    instance = RoutingInstance(
        rounding=Rounding.NEAREST,
        coordinates=np.array(data["node_coord"], dtype=int),
        demand=np.array(data["demand"], dtype=int),
        capacity=data["capacity"],
    )
    return instance, verify(instance, Routes(tuple(tuple(route) for route in claim["routes"]))), claim["cost"]


def test_a_published_solution_that_visits_a_customer_twice_is_refused(shared_data):
    """B-n50-k8 as published visits 2 twice and 3 never."""
    _, verdict, _ = published(shared_data / "cvrp" / "B", "B-n50-k8", "flawed/B-n50-k8.sol")
    assert [(found.kind, found.customer) for found in verdict.violations] == [
        ("duplicate-customer", 2),
        ("missing-customer", 3),
    ]


@pytest.mark.parametrize(("name", "true", "claimed"), [("B-n57-k7", 1155, 1153), ("E-n30-k3", 537, 534)])
def test_a_published_solution_that_claims_too_little_is_priced_truly(shared_data, name, true, claimed):
    _, verdict, claim = published(shared_data / "cvrp" / name[0], name, f"flawed/{name}.sol")
    assert (verdict.cost, claim) == (true, claimed)


@pytest.mark.parametrize("name", ["X-n101-k25", "X-n1001-k43"])
def test_best_known_solutions_are_priced_at_their_claim(shared_data, name):
    instance, verdict, claim = published(shared_data / "cvrp" / "X", name, f"X/{name}.sol")
    assert verdict.cost == claim
    assert instance.num_customers == int(name.split("-")[1][1:]) - 1
