"""The referee agrees with a brute force that was written from the definitions and shares no code with it.

The oracle is plain Python. It prices distances in decimal arithmetic, follows a route step by step from every
departure the depot allows, and counts visits; it knows nothing of slack, arrays or integer square roots.
"""

import math
from collections import Counter
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from instances.routing.instance import RoutingInstance
from instances.routing.referee import verify
from instances.routing.rounding import Rounding
from instances.routing.solution import Routes

Found = tuple[str, int | None, int | None, int | None]
Fields = dict[str, Any]
Plan = list[list[int]]

KINDS = (
    "unknown-customer", "duplicate-customer", "missing-customer", "fleet", "capacity", "route-distance",
    "time-window", "route-duration",
)  # fmt: skip


# The oracle


def distance(fields: Fields, i: int, j: int) -> int:
    """TSPLIB's and the DIMACS challenge's definitions, in 80 decimal digits (GEO in floats, as there)."""
    if fields["rounding"] == "explicit":
        return int(fields["matrix"][i][j])
    if i == j:
        return 0
    unit = Decimal(10) ** fields.get("coordinate_decimals", 0)
    (x1, y1), (x2, y2) = ([Decimal(value) / unit for value in fields["coordinates"][place]] for place in (i, j))
    if fields["rounding"] == "geo":
        return 0 if (x1, y1) == (x2, y2) else great_circle(float(x1), float(y1), float(x2), float(y2))
    with localcontext() as context:
        context.prec = 80
        squared = (x1 - x2) ** 2 + (y1 - y2) ** 2
        match fields["rounding"]:
            case "nearest" if squared.sqrt() % 1 == Decimal("0.5"):
                # Exact halves fall as in TSPLIB's own program, in doubles.
                dx, dy = float(x1) - float(x2), float(y1) - float(y2)
                return int(math.sqrt(dx * dx + dy * dy) + 0.5)
            case "nearest":
                return int((squared.sqrt() + Decimal("0.5")).to_integral_value(ROUND_FLOOR))
            case "unrounded":
                return int((squared.sqrt() * 10**6 + Decimal("0.5")).to_integral_value(ROUND_FLOOR))
            case "truncated":
                return int((squared.sqrt() * 10).to_integral_value(ROUND_FLOOR))
            case "ceiling":
                return int(squared.sqrt().to_integral_value(ROUND_CEILING))
            case "att":
                return int((squared / 10).sqrt().to_integral_value(ROUND_CEILING))
    raise AssertionError(fields["rounding"])


def great_circle(*degrees: float) -> int:
    """TSPLIB 95, section 2.4, literally; arguments are latitude and longitude in DDD.MM, twice."""
    radians = []
    for value in degrees:
        whole = math.trunc(value)
        radians.append(3.141592 * (whole + 5.0 * (value - whole) / 3.0) / 180.0)
    lat1, lon1, lat2, lon2 = radians
    q1, q2, q3 = math.cos(lon1 - lon2), math.cos(lat1 - lat2), math.cos(lat1 + lat2)
    return int(6378.388 * math.acos(max(-1.0, min(1.0, 0.5 * ((1 + q1) * q2 - (1 - q1) * q3)))) + 1.0)


def follow(fields: Fields, route: list[int], departure: int) -> tuple[list[tuple[int, int]], int]:
    """Leave at ``departure``, serve each stop as soon as may be: (stop, lateness) of all, and the end."""
    place, clock, late = fields["depot"], departure, []
    for stop in route if fields["open_routes"] else [*route, fields["depot"]]:
        clock += distance(fields, place, stop)
        place = stop
        if "time_windows" in fields:
            opening, closing = fields["time_windows"][stop]
            late.append((stop, max(0, clock - closing)))
            while clock < opening:
                clock += 1
        clock += fields.get("service_times", [0] * 99)[stop]
    return late, clock


def judge(fields: Fields, plan: Plan) -> tuple[int | None, list[Found]]:
    """The cost, or None and every violation."""
    size = len(fields["matrix"] if fields["rounding"] == "explicit" else fields["coordinates"])
    customers = [place for place in range(size) if place != fields["depot"]]
    found: list[Found] = []
    for number, route in enumerate(plan, 1):
        for position, stop in enumerate(route):
            before = [stop for earlier in plan[: number - 1] for stop in earlier] + route[:position]
            if stop not in customers:
                found.append(("unknown-customer", number, stop, None))
            elif stop in before:
                found.append(("duplicate-customer", number, stop, None))
    visited = [stop for route in plan for stop in route]
    found += [("missing-customer", None, customer, None) for customer in customers if customer not in visited]
    if any(stop not in customers for stop in visited):
        return None, found

    used = [route for route in plan if route != []]
    if "num_vehicles" in fields and len(used) > fields["num_vehicles"]:
        found.append(("fleet", None, None, len(used) - fields["num_vehicles"]))
    total = 0
    for number, route in enumerate(plan, 1):
        walk = [fields["depot"], *route] + ([] if fields["open_routes"] else [fields["depot"]])
        length = sum(distance(fields, walk[k], walk[k + 1]) for k in range(len(walk) - 1))
        total += length
        if "capacity" in fields and "demand" in fields:
            load = sum(fields["demand"][stop] for stop in route)
            if load > fields["capacity"]:
                found.append(("capacity", number, None, load - fields["capacity"]))
        if length > fields.get("max_route_distance", math.inf):
            found.append(("route-distance", number, None, length - fields["max_route_distance"]))
        if route:
            first, last = fields.get("time_windows", {fields["depot"]: (0, 0)})[fields["depot"]]
            unavoidable, _ = follow(fields, route, first)
            found += [("time-window", number, stop, late) for stop, late in unavoidable if late]
            durations = []
            for departure in range(first, last + 1):
                late, end = follow(fields, route, departure)
                if late == unavoidable:
                    durations.append(end - departure)
            if min(durations) > fields.get("max_route_duration", math.inf):
                excess = min(durations) - fields["max_route_duration"]
                found.append(("route-duration", number, None, excess))
    return (None, found) if found else (total, [])


# The cases


@st.composite
def cases(draw: st.DrawFn) -> tuple[Fields, Plan]:
    """A small instance with any features, and a plan that is good, or spoilt, or anything."""
    size = draw(st.integers(1, 6))
    small = st.integers(0, 20)
    fields: Fields = {
        "rounding": draw(st.sampled_from([str(rule) for rule in Rounding])),
        "depot": draw(st.integers(0, size - 1)),
        "open_routes": draw(st.booleans()),
    }
    depot = fields["depot"]
    if fields["rounding"] == "explicit":
        matrix = draw(st.lists(st.lists(small, min_size=size, max_size=size), min_size=size, max_size=size))
        fields["matrix"] = [[0 if i == j else matrix[i][j] for j in range(size)] for i in range(size)]
        fields["matrix_decimals"] = draw(st.integers(0, 2))
    else:
        decimals = draw(st.integers(0, 2))
        reach = 90 * 10**decimals if fields["rounding"] == "geo" else 15 * 10**decimals
        point = st.tuples(st.integers(-reach, reach), st.integers(-reach, reach))
        fields["coordinates"] = draw(st.lists(point, min_size=size, max_size=size))
        fields["coordinate_decimals"] = decimals

    lengths = [distance(fields, i, j) for i in range(size) for j in range(size)]
    # Limits and windows are drawn around typical lengths, so that many of them bind.
    near = st.integers(0, 3 * (max(lengths) + 1))

    def per_location(values: st.SearchStrategy[int]) -> list[int]:
        return [0 if place == depot else draw(values) for place in range(size)]

    if draw(st.booleans()):
        fields["demand"] = per_location(small)
    if draw(st.booleans()):
        fields["capacity"] = max([0, *fields.get("demand", [])]) + draw(small)
    if draw(st.booleans()):
        fields["num_vehicles"] = draw(st.integers(1, 3))
    if draw(st.booleans()):
        fields["service_times"] = per_location(st.integers(0, 5))
    if draw(st.booleans()):
        fields["max_route_distance"] = draw(near)
    if draw(st.booleans()):
        fields["max_route_duration"] = draw(near)
    if fields["rounding"] not in ("geo", "unrounded", "truncated") and draw(st.booleans()):
        opening = st.integers(0, 2 * max(lengths) + 1)
        windows = [(first, first + draw(near)) for first in (draw(opening) for _ in range(size))]
        if draw(st.booleans()):
            windows[depot] = (windows[depot][0] // 2, windows[depot][1] + 4 * max(lengths))
        fields["time_windows"] = windows

    order = draw(st.permutations([place for place in range(size) if place != depot]))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=3)))
    plan = [list(order[a:b]) for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        route = draw(st.sampled_from(plan))
        place = draw(st.integers(0, len(route)))
        route[place : place + draw(st.integers(0, 2))] = draw(st.lists(st.integers(-1, size), max_size=2))
    return fields, plan


def referee(fields: Fields, plan: Plan) -> tuple[int | None, list[Found]]:
    """The referee's verdict in the oracle's terms."""
    arrays = {"coordinates", "matrix", "demand", "time_windows", "service_times"}
    instance = RoutingInstance(
        **{name: np.array(value) if name in arrays else value for name, value in fields.items()}
        | {"rounding": Rounding(fields["rounding"])}
    )
    verdict = verify(instance, Routes(tuple(tuple(route) for route in plan)))
    return verdict.cost, [(found.kind, found.route, found.customer, found.amount) for found in verdict.violations]


def check(case: tuple[Fields, Plan]) -> None:
    fields, plan = case
    cost, found = judge(fields, plan)
    refereed_cost, refereed = referee(fields, plan)
    assert refereed_cost == cost
    assert Counter(refereed) == Counter(found)


@settings(max_examples=600, deadline=None)
@given(cases())
def test_referee_and_oracle_agree_on_cost_and_on_every_violation(case):
    check(case)


@settings(max_examples=300, deadline=None)
@given(
    st.integers(1, 4),
    st.tuples(st.integers(-(10**5), 10**5), st.integers(-(10**5), 10**5)),
    st.sampled_from([(5, 0), (0, 5), (3, 4), (4, 3), (7, 24), (24, 7)]),
    st.integers(0, 500),
)
def test_referee_and_oracle_agree_on_exact_halves(decimals, start, direction, size):
    """The customer is an odd number of halves away."""
    steps = (2 * size + 1) * 10 ** (decimals - 1)
    end = (start[0] + direction[0] * steps, start[1] + direction[1] * steps)
    fields = {"rounding": "nearest", "depot": 0, "open_routes": False}
    check((fields | {"coordinates": [start, end], "coordinate_decimals": decimals}, [[1]]))


@pytest.mark.slow
@settings(max_examples=20_000, deadline=None)
@given(cases())
def test_referee_and_oracle_agree_on_many_cases(case):
    check(case)


SEARCH = settings(max_examples=20_000, deadline=None, phases=[Phase.generate], database=None)


@pytest.mark.parametrize("kind", KINDS)
def test_the_cases_hold_every_kind_of_violation_alone(kind):
    """Else the agreement above would say nothing about it."""

    def only(case: tuple[Fields, Plan]) -> bool:
        return {found[0] for found in judge(*case)[1]} == {kind}

    check(find(cases(), only, settings=SEARCH))


def test_the_cases_hold_good_plans_that_use_every_feature():
    def rich(case: tuple[Fields, Plan]) -> bool:
        fields, plan = case
        wanted = {"demand", "capacity", "num_vehicles", "service_times", "max_route_duration", "time_windows"}
        return wanted <= fields.keys() and len(plan) > 1 and judge(fields, plan)[0] is not None

    check(find(cases(), rich, settings=SEARCH))
