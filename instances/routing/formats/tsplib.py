"""TSPLIB and CVRPLIB instance files (.tsp, .atsp, .vrp), with VRPLIB's sections for time windows.

The type decides, not the suffix. TSP and ATSP are one vehicle without capacity; the fleet of a CVRP is
limited by VEHICLES alone, not by the "-k5" in its name. DISTANCE limits a route's length, or its duration
where customers need service.

References
----------
G. Reinelt, TSPLIB 95, 1995. E. Uchoa et al., New benchmark instances for the capacitated vehicle routing
problem, 2017 (CVRPLIB). K. Helsgaun, LKH-3 report, 2017 (VEHICLES, SERVICE_TIME, TIME_WINDOW_SECTION).
"""

from typing import Any

import numpy as np

from instances.errors import InvalidInput
from instances.routing.formats import numbers
from instances.routing.formats.matrices import LAYOUTS, full_matrix
from instances.routing.formats.sections import Sections, node_index, split
from instances.routing.instance import MAX_LOCATIONS, RoutingInstance
from instances.routing.rounding import IntArray, Rounding

EDGE_WEIGHT_TYPES = {
    "EUC_2D": Rounding.NEAREST,
    "CEIL_2D": Rounding.CEILING,
    "ATT": Rounding.ATT,
    "GEO": Rounding.GEO,
    "EXPLICIT": Rounding.EXPLICIT,
}
TOUR_TYPES = ("TSP", "ATSP")
ROUTE_TYPES = ("CVRP", "ACVRP", "DCVRP", "CVRPTW", "VRPTW", "OVRP")
_KEYWORDS = (
    "NAME", "COMMENT", "TYPE", "DIMENSION", "CAPACITY", "VEHICLES", "DISTANCE", "SERVICE_TIME",
    "EDGE_WEIGHT_TYPE", "EDGE_WEIGHT_FORMAT", "NODE_COORD_TYPE", "DISPLAY_DATA_TYPE",
)  # fmt: skip
_SECTIONS = (
    "NODE_COORD_SECTION", "EDGE_WEIGHT_SECTION", "DISPLAY_DATA_SECTION", "DEMAND_SECTION", "DEPOT_SECTION",
    "TIME_WINDOW_SECTION", "SERVICE_TIME_SECTION",
)  # fmt: skip


def read(text: str, rounding: Rounding | None = None) -> RoutingInstance:
    """The instance of a file's text.

    Parameters
    ----------
    text
        The file.
    rounding
        The rule for planar coordinates in place of the file's own (EUC_2D: nearest); GEO and EXPLICIT files
        keep theirs.

    Raises
    ------
    InvalidInput
        With the line or the keyword, if anything is missing, repeated, unknown, not a number or out of range.
    """
    file = split(text, _KEYWORDS, _SECTIONS)
    kind = file.choice("TYPE", (*TOUR_TYPES, *ROUTE_TYPES))
    size = file.integer("DIMENSION", 1)
    if size > MAX_LOCATIONS:
        raise InvalidInput(f"is {size}; accepted are 1 to {MAX_LOCATIONS}", "DIMENSION")
    fields: dict[str, Any] = {
        "name": file.value("NAME") if "NAME" in file.header else "",
        "comment": file.header.get("COMMENT", (0, ""))[1],
        "open_routes": kind == "OVRP",
    }
    own = EDGE_WEIGHT_TYPES[file.choice("EDGE_WEIGHT_TYPE", EDGE_WEIGHT_TYPES)]
    if own is Rounding.EXPLICIT:
        fields |= _matrix(file, size)
    elif "EDGE_WEIGHT_SECTION" in file.sections:
        raise InvalidInput("is accepted with EDGE_WEIGHT_TYPE EXPLICIT only", "EDGE_WEIGHT_SECTION")
    else:
        coordinates, decimals = file.section("NODE_COORD_SECTION").table(size, 2, signed=True)
        fields |= {"coordinates": coordinates, "coordinate_decimals": decimals}
    fields["rounding"] = own if rounding is None or own in (Rounding.GEO, Rounding.EXPLICIT) else rounding
    fields |= _load(file, kind, size)
    fields["depot"] = _depot(file, size, required=kind not in TOUR_TYPES)
    fields |= _times(file, size, fields)
    return RoutingInstance(**fields)


def _depot(file: Sections, size: int, required: bool) -> int:
    if "DEPOT_SECTION" not in file.sections and not required:
        return 0
    section = file.section("DEPOT_SECTION")
    depots = []
    for line, tokens in section.rows:
        for token in tokens:
            if token == "-1":
                break
            depots.append(node_index(token, size, line))
    if len(depots) != 1:
        raise InvalidInput(f"{len(depots)} depots; accepted is exactly one", f"line {section.line}")
    return depots[0]


def _matrix(file: Sections, size: int) -> dict[str, Any]:
    layout = file.choice("EDGE_WEIGHT_FORMAT", LAYOUTS)
    fields: dict[str, Any] = {}
    if "NODE_COORD_SECTION" in file.sections or "DISPLAY_DATA_SECTION" in file.sections:
        shown = "NODE_COORD_SECTION" if "NODE_COORD_SECTION" in file.sections else "DISPLAY_DATA_SECTION"
        fields["coordinates"], fields["coordinate_decimals"] = file.sections[shown].table(size, 2, signed=True)
    stream, decimals = file.section("EDGE_WEIGHT_SECTION").numbers()
    return fields | {"matrix": full_matrix(stream, size, layout), "matrix_decimals": decimals}


def _load(file: Sections, kind: str, size: int) -> dict[str, Any]:
    """Demand, capacity and fleet."""
    if kind in TOUR_TYPES:
        for keyword in ("CAPACITY", "VEHICLES", "DEMAND_SECTION"):
            if keyword in file.header or keyword in file.sections:
                raise InvalidInput(f"is not accepted in a {kind}; accepted types are {', '.join(ROUTE_TYPES)}", keyword)
        return {"num_vehicles": 1}
    fields: dict[str, Any] = {}
    if "VEHICLES" in file.header:
        fields["num_vehicles"] = file.integer("VEHICLES", 1)
    if kind in ("VRPTW", "OVRP") and "CAPACITY" not in file.header and "DEMAND_SECTION" not in file.sections:
        return fields
    fields["capacity"] = file.integer("CAPACITY", 0)
    section = file.section("DEMAND_SECTION")
    demand, decimals = section.table(size, 1)
    if decimals:
        raise InvalidInput("holds fractions; accepted are integers", f"line {section.line}: DEMAND_SECTION")
    return fields | {"demand": demand[:, 0]}


def _times(file: Sections, size: int, fields: dict[str, Any]) -> dict[str, Any]:
    """Time windows, service times and the route limit, in the unit of the distances."""
    found: dict[str, tuple[IntArray, int]] = {}
    if "DISTANCE" in file.header:
        found["DISTANCE"] = file.number("DISTANCE")
    if "SERVICE_TIME" in file.header and "SERVICE_TIME_SECTION" in file.sections:
        raise InvalidInput("is not accepted beside SERVICE_TIME_SECTION", "SERVICE_TIME")
    if "SERVICE_TIME" in file.header:
        value, decimals = file.number("SERVICE_TIME")
        services = np.full(size, value[0])
        services[fields["depot"]] = 0
        found["SERVICE_TIME"] = services, decimals
    if "SERVICE_TIME_SECTION" in file.sections:
        table, decimals = file.sections["SERVICE_TIME_SECTION"].table(size, 1)
        found["SERVICE_TIME"] = table[:, 0], decimals
    if "TIME_WINDOW_SECTION" in file.sections:
        found["TIME_WINDOW_SECTION"] = file.sections["TIME_WINDOW_SECTION"].table(size, 2)
    result: dict[str, Any] = {}
    unit = fields["rounding"].decimals
    if "matrix" in fields:
        # A matrix has no rounding rule that fixes its unit, so the finest number of the file does.
        own = fields["matrix_decimals"]
        unit = max([own, *(decimals for _, decimals in found.values())])
        result = {
            "matrix": numbers.rescale(fields["matrix"], own, unit, "EDGE_WEIGHT_SECTION"),
            "matrix_decimals": unit,
        }
    scaled = {name: numbers.rescale(values, decimals, unit, name) for name, (values, decimals) in found.items()}
    if "TIME_WINDOW_SECTION" in scaled:
        result["time_windows"] = scaled["TIME_WINDOW_SECTION"]
    served = "SERVICE_TIME" in scaled and bool(scaled["SERVICE_TIME"].any())
    if served:
        result["service_times"] = scaled["SERVICE_TIME"]
    if "DISTANCE" in scaled:
        result["max_route_duration" if served else "max_route_distance"] = int(scaled["DISTANCE"][0])
    return result


def write(instance: RoutingInstance, suffix: str) -> str:
    """The text of a ``.tsp``, ``.atsp`` or ``.vrp`` file that reads back as the same instance.

    Raises
    ------
    InvalidInput
        If the format cannot hold a field; the error names all such fields.
    """
    tour = "tsp" in instance.features
    types = {rounding: name for name, rounding in EDGE_WEIGHT_TYPES.items()}
    lost = []
    if (suffix == ".vrp") == tour:
        lost.append("a tour belongs into a .tsp" if tour else "only a tour belongs into a .tsp, others into a .vrp")
    if instance.rounding not in types:
        lost.append(f"rounding ({instance.rounding}; a file can say {', '.join(types)})")
    served = instance.service_times is not None
    if instance.max_route_distance is not None and served:
        lost.append("max_route_distance (beside service times, DISTANCE means a duration)")
    if instance.max_route_duration is not None and not served:
        lost.append("max_route_duration (without service times, DISTANCE means a length)")
    if (instance.capacity is None) != (instance.demand is None):
        lost.append("demand or capacity without the other")
    kind = _kind(instance)
    if kind in ("CVRP", "ACVRP") and instance.capacity is None:
        lost.append("the lack of a capacity (accepted with time windows or open routes)")
    if lost:
        raise InvalidInput(f"a {suffix} file cannot hold this instance: {'; '.join(lost)}; .json holds all")
    return "\n".join([*_header_lines(instance, kind, types[instance.rounding]), *_section_lines(instance), "EOF", ""])


def _kind(instance: RoutingInstance) -> str:
    asymmetric = "asymmetric" in instance.features
    if "tsp" in instance.features:
        return "ATSP" if asymmetric else "TSP"
    if instance.open_routes:
        return "OVRP"
    if instance.time_windows is not None:
        return "VRPTW"
    return "ACVRP" if asymmetric else "CVRP"


def _header_lines(instance: RoutingInstance, kind: str, edge_weight_type: str) -> list[str]:
    limit = instance.max_route_distance if instance.max_route_duration is None else instance.max_route_duration
    values: dict[str, object] = {
        "NAME": " ".join(instance.name.split()),
        "COMMENT": " ".join(instance.comment.split()),
        "TYPE": kind,
        "DIMENSION": instance.num_locations,
        "CAPACITY": instance.capacity,
        "VEHICLES": None if kind in TOUR_TYPES else instance.num_vehicles,
        "DISTANCE": None if limit is None else numbers.text_of(limit, instance.decimals),
        "EDGE_WEIGHT_TYPE": edge_weight_type,
        "EDGE_WEIGHT_FORMAT": None if instance.matrix is None else "FULL_MATRIX",
    }
    return [f"{keyword} : {value}" for keyword, value in values.items() if value not in (None, "")]


def _section_lines(instance: RoutingInstance) -> list[str]:
    lines: list[str] = []
    for keyword, values, decimals in (
        ("NODE_COORD_SECTION", instance.coordinates, instance.coordinate_decimals),
        ("DEMAND_SECTION", instance.demand, 0),
        ("TIME_WINDOW_SECTION", instance.time_windows, instance.decimals),
        ("SERVICE_TIME_SECTION", instance.service_times, instance.decimals),
    ):
        if values is not None:
            lines.append(keyword)
            for node, row in enumerate(values.reshape(instance.num_locations, -1).tolist(), start=1):
                lines.append(" ".join([str(node), *(numbers.text_of(value, decimals) for value in row)]))
    if instance.matrix is not None:
        lines.append("EDGE_WEIGHT_SECTION")
        decimals = instance.matrix_decimals
        lines += [" ".join(numbers.text_of(value, decimals) for value in row) for row in instance.matrix.tolist()]
    if "tsp" not in instance.features or instance.depot:
        lines += ["DEPOT_SECTION", str(instance.depot + 1), "-1"]
    return lines
