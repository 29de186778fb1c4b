"""Distance rules: how two points become one exact integer distance.

Coordinates are integers in units of ``10**-coordinate_decimals``; distances are integers in units of
``10**-rule.decimals``. No float square root decides a distance: square roots are integer square roots. TSPLIB's GEO
alone follows its own floating-point definition.

References
----------
G. Reinelt, TSPLIB 95, 1995 (NINT, CEIL_2D, ATT, GEO). DIMACS VRP challenge 2021 (truncation to 0.1 for VRPTW).
"""

import math
from enum import StrEnum

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

UNROUNDED_DECIMALS = 6


class Rounding(StrEnum):
    """The named rule by which distances are made; part of an instance's identity."""

    NEAREST = "nearest"
    TRUNCATED = "truncated"
    CEILING = "ceiling"
    ATT = "att"
    GEO = "geo"
    UNROUNDED = "unrounded"
    EXPLICIT = "explicit"

    @property
    def decimals(self) -> int:
        """Decimals of a distance under this rule; an explicit matrix carries its own."""
        return {Rounding.TRUNCATED: 1, Rounding.UNROUNDED: UNROUNDED_DECIMALS}.get(self, 0)


def integer_sqrt(values: IntArray) -> IntArray:
    """Floor of the square root of non-negative int64 values below 2**62, exact."""
    root = np.sqrt(values.astype(np.float64)).astype(np.int64)
    root -= root * root > values
    root += (root + 1) * (root + 1) <= values
    return root


def planar_distances(dx: IntArray, dy: IntArray, coordinate_decimals: int, rule: Rounding) -> IntArray:
    """Distances under ``rule`` of the coordinate differences ``dx`` and ``dy`` (int64, any equal shape).

    With s = sqrt(dx^2 + dy^2) and u = 10**coordinate_decimals, the result is

    - nearest: floor(s/u + 1/2), unrounded: floor(10^6 s/u + 1/2),
    - truncated: floor(10 s/u), ceiling: ceil(s/u), att: ceil(sqrt((dx^2 + dy^2) / (10 u^2))).
    """
    unit = 10**coordinate_decimals
    factor = {Rounding.NEAREST: 2, Rounding.UNROUNDED: 2 * 10**UNROUNDED_DECIMALS, Rounding.TRUNCATED: 10}.get(rule, 1)
    reach = int(max(np.abs(dx).max(initial=0), np.abs(dy).max(initial=0)))
    if 2 * reach * reach * factor * factor >= 2**62:
        exact = np.frompyfunc(lambda x, y: _planar_distance(int(x), int(y), unit, rule), 2, 1)
        return np.asarray(exact(dx, dy), dtype=np.int64)
    squared = dx * dx + dy * dy
    match rule:
        case Rounding.NEAREST | Rounding.UNROUNDED:
            return (integer_sqrt(squared * (factor * factor)) // unit + 1) // 2
        case Rounding.TRUNCATED:
            return integer_sqrt(squared * 100) // unit
        case Rounding.CEILING:
            return _ceiling_root(squared, unit * unit)
        case Rounding.ATT:
            return _ceiling_root(squared, 10 * unit * unit)
        case _:
            raise ValueError(f"{rule} is not a rule for planar coordinates")


def _ceiling_root(squared: IntArray, divisor: int) -> IntArray:
    """Smallest integer m with m^2 * divisor >= squared."""
    quotient = -(-squared // divisor)
    root = integer_sqrt(quotient)
    return root + (root * root < quotient)


def _planar_distance(dx: int, dy: int, unit: int, rule: Rounding) -> int:
    """The scalar form, in Python's unbounded integers, for coordinates too large for int64 squares."""
    squared = dx * dx + dy * dy
    match rule:
        case Rounding.NEAREST:
            return (math.isqrt(4 * squared) // unit + 1) // 2
        case Rounding.UNROUNDED:
            return (math.isqrt(4 * squared * 10 ** (2 * UNROUNDED_DECIMALS)) // unit + 1) // 2
        case Rounding.TRUNCATED:
            return math.isqrt(100 * squared) // unit
        case Rounding.CEILING | Rounding.ATT:
            divisor = unit * unit * (10 if rule is Rounding.ATT else 1)
            quotient = -(-squared // divisor)
            root = math.isqrt(quotient)
            return root + (root * root < quotient)
        case _:
            raise ValueError(f"{rule} is not a rule for planar coordinates")


def geographical_distances(
    origins: IntArray, destinations: IntArray, coordinate_decimals: int
) -> IntArray:
    """TSPLIB GEO distances in kilometres between (latitude, longitude) rows in DDD.MM form, shape (..., 2)."""
    lat_i, lon_i = np.moveaxis(_radians(origins, coordinate_decimals), -1, 0)
    lat_j, lon_j = np.moveaxis(_radians(destinations, coordinate_decimals), -1, 0)
    q1, q2, q3 = np.cos(lon_i - lon_j), np.cos(lat_i - lat_j), np.cos(lat_i + lat_j)
    angle = np.arccos(np.clip(0.5 * ((1.0 + q1) * q2 - (1.0 - q1) * q3), -1.0, 1.0))
    distances = (6378.388 * angle + 1.0).astype(np.int64)
    distances[(origins == destinations).all(axis=-1)] = 0
    return distances


def _radians(coordinates: IntArray, decimals: int) -> npt.NDArray[np.float64]:
    value = coordinates / 10**decimals
    degrees = np.trunc(value)
    return 3.141592 * (degrees + 5.0 * (value - degrees) / 3.0) / 180.0
