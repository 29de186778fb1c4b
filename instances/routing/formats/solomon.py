"""Solomon's and Gehring and Homberger's text format for vehicle routing with time windows (.txt).

NUMBER is the size of the fleet. By default distances are truncated to one decimal, the rule of the DIMACS
challenge.

References
----------
M. Solomon, Algorithms for the vehicle routing and scheduling problems with time window constraints, 1987.
H. Gehring and J. Homberger, A parallel hybrid evolutionary metaheuristic for the VRPTW, 1999.
"""

import numpy as np

from instances.errors import InvalidInput
from instances.routing.formats import numbers
from instances.routing.instance import RoutingInstance
from instances.routing.rounding import Rounding

_HEADINGS = (
    "VEHICLE",
    "NUMBER CAPACITY",
    "",
    "CUSTOMER",
    "CUST NO. XCOORD. YCOORD. DEMAND READY TIME DUE DATE SERVICE TIME",
)
_COLUMNS = ("x", "y", "demand", "ready time", "due date", "service time")
_WIDTH = 1 + len(_COLUMNS)


def read(text: str, rounding: Rounding | None = None) -> RoutingInstance:
    """The instance of a file's text, under ``rounding`` or else truncation to 0.1.

    Raises
    ------
    InvalidInput
        With the line, if a heading is not Solomon's, a row is not seven numbers, or customers are not 0, 1,
        2, ...
    """
    lines = [(line, raw.split()) for line, raw in enumerate(text.split("\n"), start=1) if raw.strip(" \t\r\x1a")]
    for (line, tokens), heading in zip(lines[1:], _HEADINGS, strict=False):
        if heading and " ".join(tokens).upper() != heading:
            found = " ".join(tokens)[:40]
            message = f"{found!r} is not the {heading!r} of Solomon's format, the only one accepted in a .txt"
            raise InvalidInput(message, f"line {line}")
    if len(lines) <= 1 + len(_HEADINGS):
        raise InvalidInput(
            "ends before the first customer; a .txt is accepted in Solomon's format", f"line {lines[-1][0]}"
        )
    line, fleet = lines[3]
    if len(fleet) != 2:
        raise InvalidInput(f"{len(fleet)} columns; expected NUMBER and CAPACITY", f"line {line}")
    (num_vehicles, capacity), decimals = numbers.parse(fleet, lambda _: line)
    if decimals or num_vehicles < 1:
        raise InvalidInput(f"{' '.join(fleet)!r}; expected a positive NUMBER and a CAPACITY, integers", f"line {line}")
    rows = lines[1 + len(_HEADINGS) :]
    for location, (line, tokens) in enumerate(rows):
        if len(tokens) != _WIDTH:
            raise InvalidInput(f"{len(tokens)} columns; expected {_WIDTH}", f"line {line}")
        if tokens[0] != str(location):
            raise InvalidInput(f"customer {tokens[0][:40]!r}; expected {location}", f"line {line}")
    flat = [token for _, tokens in rows for token in tokens[1:3]]
    coordinates, coordinate_decimals = numbers.parse(flat, lambda index: rows[index // 2][0], signed=True)
    columns = [numbers.parse([tokens[1 + c] for _, tokens in rows], lambda index: rows[index][0]) for c in range(2, 6)]
    rule = Rounding.TRUNCATED if rounding is None else rounding
    (demand, fraction), *times = columns
    if fraction:
        raise InvalidInput("holds fractions; accepted are integers", "demand")
    ready, due, service = (
        numbers.rescale(values, decimals, rule.decimals, name)
        for (values, decimals), name in zip(times, _COLUMNS[3:], strict=True)
    )
    return RoutingInstance(
        rounding=rule,
        coordinates=coordinates.reshape(-1, 2),
        coordinate_decimals=coordinate_decimals,
        demand=demand,
        capacity=int(capacity),
        num_vehicles=int(num_vehicles),
        time_windows=np.stack([ready, due], axis=1),
        service_times=service if service.any() else None,
        name=" ".join(lines[0][1]),
    )


def write(instance: RoutingInstance) -> str:
    """The text of a file that reads back as the same instance.

    Raises
    ------
    InvalidInput
        If the format cannot hold a field; the error names all such fields.
    """
    wanted = {
        "rounding": instance.rounding is Rounding.TRUNCATED,
        "capacity": instance.capacity is not None,
        "num_vehicles": instance.num_vehicles is not None,
        "demand": instance.demand is not None,
        "time_windows": instance.time_windows is not None,
        "max_route_distance": instance.max_route_distance is None,
        "max_route_duration": instance.max_route_duration is None,
        "open_routes": not instance.open_routes,
        "depot": instance.depot == 0,
    }
    lost = [field for field, held in wanted.items() if not held]
    if lost or instance.coordinates is None or instance.demand is None or instance.time_windows is None:
        raise InvalidInput(
            f"a Solomon .txt file cannot hold the {', '.join(lost)} of this instance: it has truncated "
            "distances, capacity, fleet size, demand and time windows, and nothing else; .json holds all"
        )
    services = np.zeros(instance.num_locations, np.int64) if instance.service_times is None else instance.service_times
    lines = [" ".join(instance.name.split()) or "instance", "", "VEHICLE", "NUMBER     CAPACITY"]
    lines += [f"{instance.num_vehicles:>4} {instance.capacity:>14}", "", "CUSTOMER"]
    lines += ["CUST NO.  XCOORD.   YCOORD.    DEMAND   READY TIME  DUE DATE   SERVICE TIME", ""]
    for location in range(instance.num_locations):
        cells = [str(location)]
        cells += [
            numbers.text_of(value, instance.coordinate_decimals) for value in instance.coordinates[location].tolist()
        ]
        cells.append(str(instance.demand[location]))
        times = [*instance.time_windows[location].tolist(), int(services[location])]
        cells += [numbers.text_of(value, instance.decimals) for value in times]
        lines.append(" ".join(f"{cell:>9}" for cell in cells))
    return "\n".join([*lines, ""])
