"""The referee of routing: every constraint checked, an exact integer cost or the violations."""

from itertools import chain

import numpy as np

from instances.routing.instance import MAX_TOTAL, RoutingInstance
from instances.routing.rounding import IntArray
from instances.routing.solution import Routes
from instances.verdict import Verdict, Violation


def verify(instance: RoutingInstance, solution: Routes) -> Verdict:
    """The exact cost of ``solution`` (total distance), or everything that is wrong with it."""
    visits = _visit_violations(instance, solution)
    if any(violation.kind == "unknown-customer" for violation in visits):
        return Verdict(violations=tuple(visits))
    routes = [np.array(route, dtype=np.int64) for route in solution.routes]
    arcs = _arc_lengths(instance, routes)
    violations = [
        *visits,
        *_fleet_violations(instance, routes),
        *_load_violations(instance, routes),
        *_distance_violations(instance, arcs),
        *_schedule_violations(instance, routes, arcs),
    ]
    if violations:
        return Verdict(violations=tuple(violations))
    return Verdict(cost=sum(int(lengths.sum()) for lengths in arcs))


def _visit_violations(instance: RoutingInstance, solution: Routes) -> list[Violation]:
    """Every customer exactly once, no depot inside a route, no index outside the instance."""
    found = []
    seen: dict[int, int] = {}
    for number, route in enumerate(solution.routes, start=1):
        for customer in route:
            if not 0 <= customer < instance.num_locations or customer == instance.depot:
                what = "the depot" if customer == instance.depot else "not a location of the instance"
                found.append(
                    Violation("unknown-customer", f"route {number} visits {customer}, {what}", number, customer)
                )
            elif customer in seen:
                message = f"customer {customer} is visited again in route {number}, after route {seen[customer]}"
                found.append(Violation("duplicate-customer", message, number, customer))
            else:
                seen[customer] = number
    for customer in instance.customers.tolist():
        if customer not in seen:
            found.append(Violation("missing-customer", f"customer {customer} is not visited", customer=customer))
    return found


def _arc_lengths(instance: RoutingInstance, routes: list[IntArray]) -> list[IntArray]:
    """Per route, the lengths of its arcs from depot to depot; the last arc of an open route has length 0."""
    depot = instance.depot
    if not routes:
        return []
    stops = np.fromiter(chain.from_iterable((depot, *route.tolist(), depot) for route in routes), dtype=np.int64)
    lengths = instance.lengths(stops[:-1], stops[1:])
    arcs, start = [], 0
    for route in routes:
        arc = lengths[start : start + len(route) + 1].copy()
        if instance.open_routes:
            arc[-1] = 0
        arcs.append(arc)
        start += len(route) + 2
    return arcs


def _fleet_violations(instance: RoutingInstance, routes: list[IntArray]) -> list[Violation]:
    used = sum(1 for route in routes if len(route))
    if instance.num_vehicles is None or used <= instance.num_vehicles:
        return []
    message = f"{used} routes for a fleet of {instance.num_vehicles} vehicles"
    return [Violation("fleet", message, amount=used - instance.num_vehicles)]


def _load_violations(instance: RoutingInstance, routes: list[IntArray]) -> list[Violation]:
    if instance.capacity is None or instance.demand is None:
        return []
    found = []
    for number, route in enumerate(routes, start=1):
        load = int(instance.demand[route].sum())
        if load > instance.capacity:
            excess = load - instance.capacity
            message = f"route {number} carries {load}, {excess} above the capacity {instance.capacity}"
            found.append(Violation("capacity", message, number, amount=excess))
    return found


def _distance_violations(instance: RoutingInstance, arcs: list[IntArray]) -> list[Violation]:
    if instance.max_route_distance is None:
        return []
    found = []
    for number, lengths in enumerate(arcs, start=1):
        excess = int(lengths.sum()) - instance.max_route_distance
        if excess > 0:
            message = f"route {number} is {excess} longer than the limit {instance.max_route_distance}"
            found.append(Violation("route-distance", message, number, amount=excess))
    return found


def _schedule_violations(
    instance: RoutingInstance, routes: list[IntArray], arcs: list[IntArray]
) -> list[Violation]:
    if instance.time_windows is None and instance.max_route_duration is None:
        return []
    found = []
    for number, (route, lengths) in enumerate(zip(routes, arcs, strict=True), start=1):
        if len(route):
            found += _route_schedule_violations(instance, number, route, lengths)
    return found


def _route_schedule_violations(
    instance: RoutingInstance, number: int, route: IntArray, lengths: IntArray
) -> list[Violation]:
    """Time windows and the shortest duration of one route, by extending it stop by stop.

    Departures from ``earliest`` to ``latest`` complete the stops so far in the shortest time, ``duration``. After a
    late stop the clock goes back to its window's end (``warp``), so that each lateness is reported once.

    References
    ----------
    T. Vidal et al., A hybrid genetic algorithm with adaptive diversity management for a large class of vehicle
    routing problems with time-windows, 2013, section 4.3.
    """
    stops = route.tolist() if instance.open_routes else [*route.tolist(), instance.depot]
    services = np.zeros(instance.num_locations, np.int64) if instance.service_times is None else instance.service_times
    windows = instance.time_windows
    earliest, latest = (0, MAX_TOTAL) if windows is None else windows[instance.depot].tolist()
    duration = warp = 0
    found = []
    for stop, length in zip(stops, lengths.tolist(), strict=False):
        opening, closing = (0, MAX_TOTAL) if windows is None else windows[stop].tolist()
        elapsed = duration - warp + length
        late = max(0, earliest + elapsed - closing)
        if late:
            message = f"route {number} reaches {stop} at {closing + late}, {late} after its window closes at {closing}"
            found.append(Violation("time-window", message, number, stop, late))
        waiting = max(0, opening - latest - elapsed)
        duration += length + waiting + int(services[stop])
        warp += late
        earliest = max(opening - elapsed, earliest) - waiting
        latest = min(closing - elapsed, latest) + late
    if instance.max_route_duration is not None and duration > instance.max_route_duration:
        excess = duration - instance.max_route_duration
        message = f"route {number} takes {duration}, {excess} above the limit {instance.max_route_duration}"
        found.append(Violation("route-duration", message, number, amount=excess))
    return found
