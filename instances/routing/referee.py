"""The referee of routing: every constraint checked, an exact integer cost or the violations.

All sums are of Python integers: a wrong solution may have any length, and none may wrap around to a good one.
"""

from decimal import Decimal
from itertools import chain

import numpy as np

from instances.routing.instance import RoutingInstance
from instances.routing.solution import Routes
from instances.verdict import Verdict, Violation


def verify(instance: RoutingInstance, solution: Routes) -> Verdict:
    """The exact cost of ``solution`` (total distance), or everything that is wrong with it.

    Kinds of violations are ``unknown-customer`` (the depot, or no location at all, inside a route; nothing
    further is checked then), ``duplicate-customer``, ``missing-customer``, ``fleet``, ``capacity``,
    ``route-distance``, ``time-window`` and ``route-duration``. A route without customers stays in the depot:
    it costs nothing and needs no vehicle. An open route ends with the service of its last customer: the way
    back counts neither as distance nor as time, and the depot's window bounds its departure only.
    """
    violations = _visit_violations(instance, solution)
    if any(violation.kind == "unknown-customer" for violation in violations):
        return Verdict(violations=tuple(violations))
    arcs = _arc_lengths(instance, solution)
    violations += _fleet_violations(instance, solution)
    violations += _load_violations(instance, solution)
    violations += _distance_violations(instance, arcs)
    violations += _schedule_violations(instance, solution, arcs)
    if violations:
        return Verdict(violations=tuple(violations))
    return Verdict(cost=sum(map(sum, arcs)))


def _visit_violations(instance: RoutingInstance, solution: Routes) -> list[Violation]:
    """Every customer exactly once, no depot inside a route, no index outside the instance."""
    found = []
    missing = dict.fromkeys(instance.customers.tolist())
    visitor: dict[int, int] = {}
    for number, route in enumerate(solution.routes, start=1):
        for customer in route:
            if customer in missing:
                del missing[customer]
                visitor[customer] = number
            elif customer in visitor:
                message = f"route {number} visits customer {customer} again, after route {visitor[customer]}"
                found.append(Violation("duplicate-customer", message, number, customer))
            else:
                what = "the depot" if customer == instance.depot else "not a location of the instance"
                message = f"route {number} visits {customer}, {what}"
                found.append(Violation("unknown-customer", message, number, customer))
    found += [
        Violation("missing-customer", f"customer {customer} is not visited", customer=customer) for customer in missing
    ]
    return found


def _arc_lengths(instance: RoutingInstance, solution: Routes) -> list[list[int]]:
    """Per route, the lengths of its arcs from depot to depot, or to the last customer of an open route."""
    depot = (instance.depot,)
    stops = np.fromiter(chain(depot, *(route + depot for route in solution.routes)), dtype=np.int64)
    lengths = instance.lengths(stops[:-1], stops[1:]).tolist()
    arcs, start = [], 0
    for route in solution.routes:
        end = start + len(route)
        arcs.append(lengths[start:end] if instance.open_routes else lengths[start : end + 1])
        start = end + 1
    return arcs


def _fleet_violations(instance: RoutingInstance, solution: Routes) -> list[Violation]:
    used = sum(1 for route in solution.routes if route)
    if instance.num_vehicles is None or used <= instance.num_vehicles:
        return []
    message = f"{used} routes for a fleet of {instance.num_vehicles} vehicles"
    return [Violation("fleet", message, amount=used - instance.num_vehicles)]


def _load_violations(instance: RoutingInstance, solution: Routes) -> list[Violation]:
    if instance.capacity is None or instance.demand is None:
        return []
    found = []
    demand = instance.demand.tolist()
    for number, route in enumerate(solution.routes, start=1):
        load = sum([demand[customer] for customer in route])
        excess = load - instance.capacity
        if excess > 0:
            message = f"route {number} carries {load}, {excess} above the capacity {instance.capacity}"
            found.append(Violation("capacity", message, number, amount=excess))
    return found


def _distance_violations(instance: RoutingInstance, arcs: list[list[int]]) -> list[Violation]:
    limit = instance.max_route_distance
    if limit is None:
        return []
    sums = map(sum, arcs)
    return [
        _above_limit(instance, "distance", number, distance, limit)
        for number, distance in enumerate(sums, start=1)
        if distance > limit
    ]


def _schedule_violations(instance: RoutingInstance, solution: Routes, arcs: list[list[int]]) -> list[Violation]:
    """Time windows and route durations, of routes that have customers."""
    limit = instance.max_route_duration
    if instance.time_windows is None and limit is None:
        return []
    found = []
    windows = None if instance.time_windows is None else instance.time_windows.tolist()
    services = None if instance.service_times is None else instance.service_times.tolist()
    for number, (route, lengths) in enumerate(zip(solution.routes, arcs, strict=True), start=1):
        if not route:
            continue
        stops = route if instance.open_routes else (*route, instance.depot)
        service = [0] * len(stops) if services is None else [services[stop] for stop in stops]
        if windows is None:
            duration = sum(lengths) + sum(service)
        else:
            late, duration = _follow(windows[instance.depot], [windows[stop] for stop in stops], lengths, service)
            found += [_late(instance, number, stops[place], arrival) for place, arrival in late]
        if limit is not None and duration > limit:
            found.append(_above_limit(instance, "duration", number, duration, limit))
    return found


def _follow(
    depot_window: list[int], windows: list[list[int]], lengths: list[int], services: list[int]
) -> tuple[list[tuple[int, int]], int]:
    """The late stops of a route that departs as early as it may, and its shortest duration.

    Late stops are pairs (place in the route, arrival). No later departure arrives anywhere earlier, so they
    are late in every schedule. A later departure can save waiting: ``slack`` is the longest delay of the
    departure that makes no stop late, and no late stop later.

    References
    ----------
    M. W. P. Savelsbergh, The vehicle routing problem with time windows: minimizing route duration, ORSA
    Journal on Computing 4(2), 1992.
    """
    departure, last_departure = depot_window
    clock, waited, slack = departure, 0, last_departure - departure
    late = []
    for place, ((opening, closing), length, service) in enumerate(zip(windows, lengths, services, strict=True)):
        arrival = clock + length
        if arrival > closing:
            late.append((place, arrival))
        start = max(arrival, opening)
        waited += start - arrival
        slack = min(slack, waited + max(closing - start, 0))
        clock = start + service
    return late, clock - departure - min(slack, waited)


def _late(instance: RoutingInstance, number: int, stop: int, arrival: int) -> Violation:
    assert instance.time_windows is not None
    closing = int(instance.time_windows[stop, 1])
    reached, late, closed = (_decimal(instance, value) for value in (arrival, arrival - closing, closing))
    message = f"route {number} reaches {stop} at {reached}, {late} after its window closes at {closed}"
    return Violation("time-window", message, number, stop, arrival - closing)


def _above_limit(instance: RoutingInstance, what: str, number: int, value: int, limit: int) -> Violation:
    reached, excess, allowed = (_decimal(instance, value) for value in (value, value - limit, limit))
    message = f"the {what} of route {number} is {reached}, {excess} above the limit {allowed}"
    return Violation(f"route-{what}", message, number, amount=value - limit)


def _decimal(instance: RoutingInstance, value: int) -> str:
    """A distance or time as people write it: 8273 with one decimal is 827.3."""
    return f"{Decimal(value).scaleb(-instance.decimals):f}"
