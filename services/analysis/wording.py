"""How numbers are written for people, in tables, figures and reports alike."""

import math

import numpy as np

from instances.problem import Description
from services.analysis.summary import Interval, Measure, SizeShare

NONE = "–"
"""What stands where there is no number."""

MEASURE_UNITS: dict[Measure, str] = {
    "cost": "percent of the reference cost",
    "primal integral": "percent of the budget",
}
"""What the difference of a pair is in."""


def number(value: float | None, digits: int = 2, *, signed: bool = False) -> str:
    """A number with a true minus sign; a dash where there is none, an infinity sign where it is infinite."""
    if value is None or math.isnan(value):
        return NONE
    words = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return "∞" if math.isinf(value) else words.replace("-", "−")


def interval_bounds(interval: Interval | None, digits: int = 2) -> str:
    """``[low, high]``; nothing where there is no interval."""
    if interval is None or math.isnan(interval.low):
        return ""
    return f"[{number(interval.low, digits)}, {number(interval.high, digits)}]"


def interval_words(interval: Interval | None, digits: int = 2) -> str:
    """``value [low, high]``."""
    return f"{number(interval.value if interval else None, digits)} {interval_bounds(interval, digits)}".rstrip()


def cost_words(value: float, description: Description) -> str:
    """A cost in display units with at most four decimals and narrow spaces between thousands."""
    return cost(value, description.decimals)


def cost(value: float, decimals: int) -> str:
    """The same of a cost in units of 10^-decimals."""
    shown = f"{value / 10**decimals:,.{min(decimals, 4)}f}"
    return shown.replace(",", "\u202f").replace("-", "−")


def seconds_words(seconds: float) -> str:
    """Seconds with three significant digits and no exponent, without the unit."""
    if math.isnan(seconds):
        return NONE
    if abs(seconds) >= 100:
        return f"{seconds:.0f}"
    return np.format_float_positional(seconds, precision=3, fractional=False, unique=False, trim="-")


def p_words(p_value: float | None) -> str:
    """A p-value with three decimals, ``< 0.001`` below them."""
    if p_value is None or math.isnan(p_value):
        return NONE
    return "<\u00a00.001" if p_value < 0.001 else f"{p_value:.3f}"


def size_words(low: int, high: int) -> str:
    """A class of sizes: ``48`` or ``41–48``."""
    return str(low) if low == high else f"{low}–{high}"


def managed_words(managed: SizeShare | None, unit: str) -> str:
    """The largest class of sizes a solver manages, with how many of its instances: ``48 bits (19 of 20)``."""
    if managed is None:
        return "none"
    return f"{size_words(managed.low, managed.high)} {unit} ({managed.num_solved} of {managed.num_instances})"
