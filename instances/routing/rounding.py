"""Distance rules: how two points become one exact integer distance.

Coordinates are integers in units of ``10**-coordinate_decimals``; distances are integers in units of
``10**-rule.decimals``, equal to those that exact arithmetic gives. TSPLIB's GEO alone follows its own
floating-point definition, and exact halves of fractional coordinates fall as TSPLIB's doubles put them.

References
----------
G. Reinelt, TSPLIB 95, 1995 (NINT, CEIL_2D, ATT, GEO). DIMACS VRP challenge 2021 (truncation to 0.1 for
VRPTW).
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
    """Floor of the square root of non-negative int64 values below 2**62, exact.

    Rounding m^2 to a float moves its root by at most m 2^-54, less than half the spacing of the floats around m,
    so the float root of m^2 is m, and no float root lies below the floor; one above it is one too large.
    """
    root: IntArray = np.sqrt(values.astype(np.float64)).astype(np.int64)
    root -= root * root > values
    return root


def planar_distances(dx: IntArray, dy: IntArray, coordinate_decimals: int, rule: Rounding) -> IntArray:
    """Distances under ``rule`` of the coordinate differences ``dx`` and ``dy`` (int64, any equal shape).

    With s = sqrt(dx^2 + dy^2) and u = 10**coordinate_decimals, the result is

    - nearest: floor(s/u + 1/2), unrounded: floor(10^6 s/u + 1/2),
    - truncated: floor(10 s/u), ceiling: ceil(s/u), att: ceil(sqrt((dx^2 + dy^2) / (10 u^2))).
    """
    if rule in (Rounding.GEO, Rounding.EXPLICIT):
        raise ValueError(f"{rule} is not a rule for planar coordinates")
    shift = rule.decimals - coordinate_decimals
    factor, divisor = 10 ** max(shift, 0), 10 ** max(-shift, 0)
    reach = max(int(limit) for d in (dx, dy) for limit in (d.max(initial=0), -d.min(initial=0)))
    largest = 2 * reach * reach * (2 * factor) ** 2
    if largest < 2**52 and divisor == 1:
        return _small_distances(dx, dy, factor, rule)
    if largest >= 2**62 or divisor > 10**8:
        exact = np.frompyfunc(lambda x, y: _planar_distance(int(x), int(y), factor, divisor, rule), 2, 1)
        return np.asarray(exact(dx, dy), dtype=np.int64)
    squared = dx * dx + dy * dy
    distances: IntArray
    match rule:
        case Rounding.TRUNCATED:
            distances = integer_sqrt(squared * factor**2) // divisor
        case Rounding.CEILING | Rounding.ATT:
            quotient = -(-squared // _ceiling_divisor(divisor, rule))
            root = integer_sqrt(quotient)
            distances = root + (root * root < quotient)
        case _:
            distances = (integer_sqrt(squared * (2 * factor) ** 2) // divisor + 1) // 2
    return distances


def _small_distances(dx: IntArray, dy: IntArray, factor: int, rule: Rounding) -> IntArray:
    """The same for small numbers and no divisor, in float64, still exact and several times faster.

    Let v = factor^2 (dx^2 + dy^2) < 2^50, an exact float, and h <= 2^25 an integer or half-integer other than
    sqrt(v). As 4 v and 4 h^2 are different integers, |sqrt(v) - h| = |4 v - 4 h^2| / (4 (sqrt(v) + h)) >=
    2^-28. IEEE 754 rounds the root correctly, with an error of at most 2^-29 below 2^25. So the float lies on
    the same side of every such h as sqrt(v), and equals h only if sqrt(v) does: rounding it decides as the
    exact root would.
    """
    squared = np.array(dx, dtype=np.float64)
    squared *= squared
    other = np.array(dy, dtype=np.float64)
    other *= other
    squared += other
    squared *= factor**2
    if rule is Rounding.ATT:  # m^2 >= squared / 10 if and only if m^2 >= its ceiling
        np.ceil(np.divide(squared, 10, out=squared), out=squared)
    root = np.sqrt(squared, out=squared)
    match rule:
        case Rounding.TRUNCATED:
            np.floor(root, out=root)
        case Rounding.CEILING | Rounding.ATT:
            np.ceil(root, out=root)
        case _:
            np.rint(root, out=root)
    return root.astype(np.int64)


def _ceiling_divisor(divisor: int, rule: Rounding) -> int:
    """By what dx^2 + dy^2 is divided under the two rules that round up before the root."""
    return divisor**2 * (10 if rule is Rounding.ATT else 1)


def _planar_distance(dx: int, dy: int, factor: int, divisor: int, rule: Rounding) -> int:
    """The scalar form, in Python's unbounded integers, for coordinates too large for int64 squares."""
    squared = dx * dx + dy * dy
    match rule:
        case Rounding.TRUNCATED:
            return math.isqrt(squared * factor**2) // divisor
        case Rounding.CEILING | Rounding.ATT:
            quotient = -(-squared // _ceiling_divisor(divisor, rule))
            root = math.isqrt(quotient)
            return root + (root * root < quotient)
        case _:
            return (math.isqrt(squared * (2 * factor) ** 2) // divisor + 1) // 2


def nearest_with_tsplib_ties(start: IntArray, end: IntArray, coordinate_decimals: int) -> IntArray:
    """Nearest-integer distances of coordinate rows, shape (..., 2), whose exact halves fall as in TSPLIB.

    TSPLIB's nint works on doubles, and its published optima rest on that: an exact half, which only fractional
    coordinates can give, falls to whichever side the doubles put it (tsp225: 272 pairs). Nothing else is decided so.
    """
    delta = start - end
    distances = planar_distances(delta[..., 0], delta[..., 1], coordinate_decimals, Rounding.NEAREST)
    unit = 10**coordinate_decimals
    doubles = start / unit - end / unit
    below = (np.sqrt(doubles[..., 0] ** 2 + doubles[..., 1] ** 2) + 0.5).astype(np.int64) < distances
    for place in map(tuple, np.argwhere(below)):
        dx, dy = map(int, delta[place])
        if 4 * (dx * dx + dy * dy) == ((2 * int(distances[place]) - 1) * unit) ** 2:
            distances[place] -= 1
    return distances


def geographical_distances(origins: IntArray, destinations: IntArray, coordinate_decimals: int) -> IntArray:
    """TSPLIB GEO distances in kilometres of (latitude, longitude) rows in DDD.MM form, shape (..., 2)."""
    lat_i, lon_i = np.moveaxis(_radians(origins, coordinate_decimals), -1, 0)
    lat_j, lon_j = np.moveaxis(_radians(destinations, coordinate_decimals), -1, 0)
    q1, q2, q3 = np.cos(lon_i - lon_j), np.cos(lat_i - lat_j), np.cos(lat_i + lat_j)
    angle = np.arccos(np.clip(0.5 * ((1.0 + q1) * q2 - (1.0 - q1) * q3), -1.0, 1.0))
    distances: IntArray = (6378.388 * angle + 1.0).astype(np.int64)
    distances[(origins == destinations).all(axis=-1)] = 0
    return distances


def _radians(coordinates: IntArray, decimals: int) -> npt.NDArray[np.float64]:
    value = coordinates / 10**decimals
    degrees = np.trunc(value)
    radians: npt.NDArray[np.float64] = 3.141592 * (degrees + 5.0 * (value - degrees) / 3.0) / 180.0
    return radians
