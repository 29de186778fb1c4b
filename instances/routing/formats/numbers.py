"""Numbers as files write them, read exactly: integers times a power of ten, never binary fractions."""

import re
from collections.abc import Callable, Sequence
from decimal import Context, Decimal, Inexact

import numpy as np

from instances.errors import InvalidInput
from instances.routing.instance import MAX_VALUE
from instances.routing.rounding import IntArray

MAX_DECIMALS = 18
_PLAIN = re.compile(r"[-+0-9 ]*")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_EXACT = Context(prec=200, traps=[Inexact])


def decimal(token: str) -> Decimal:
    """The exact value of a decimal number without trailing zeros; scientific notation is accepted.

    Raises
    ------
    InvalidInput
        If the token is no number (NaN and infinity are none), or needs more than 18 digits before or after
        the point.
    """
    if not _NUMBER.fullmatch(token):
        raise InvalidInput(f"{token[:40]!r} is not a number")
    if len(token) > 100:
        raise InvalidInput(f"{token[:40]!r}... has too many digits")
    value = _EXACT.normalize(Decimal(token))
    if value and value.adjusted() > MAX_DECIMALS:
        raise InvalidInput(f"{token!r} is too large; accepted are magnitudes up to 2^53 = {MAX_VALUE}")
    if num_decimals(value) > MAX_DECIMALS:
        raise InvalidInput(f"{token!r} has more than {MAX_DECIMALS} decimals")
    return value


def num_decimals(value: Decimal) -> int:
    """Decimals of a value that has no trailing zeros."""
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


def in_units(value: Decimal, decimals: int) -> int | Decimal:
    """``value`` in units of ``10**-decimals``: an integer where that is exact, else the exact decimal."""
    scaled = value.scaleb(decimals, _EXACT)
    return int(scaled) if scaled == scaled.to_integral_value() else scaled


def text_of(value: int, decimals: int) -> str:
    """``value`` units of ``10**-decimals`` as the shortest exact decimal number."""
    whole, fraction = divmod(abs(value), 10**decimals)
    sign = "-" if value < 0 else ""
    digits = f"{fraction:0{decimals}d}".rstrip("0") if decimals else ""
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def parse(tokens: Sequence[str], line_of: Callable[[int], int], signed: bool = False) -> tuple[IntArray, int]:
    """Numbers as int64 with the fewest decimals that hold them all exactly.

    Parameters
    ----------
    tokens
        The numbers as text.
    line_of
        The line of the i-th token, for errors.
    signed
        Whether negative numbers are accepted.

    Returns
    -------
    values, decimals
        int64, shape (len(tokens),), in units of ``10**-decimals``.

    Raises
    ------
    InvalidInput
        At the first token that is no number, negative though it must not be, or too large.
    """
    values, decimals = _plain_integers(tokens), 0
    if values is None:
        numbers = []
        for index, token in enumerate(tokens):
            try:
                numbers.append(decimal(token))
            except InvalidInput as error:
                raise error.within(f"line {line_of(index)}") from None
        decimals = max(map(num_decimals, numbers), default=0)
        exact = [int(number.scaleb(decimals, _EXACT)) for number in numbers]
        # One beyond the largest accepted value stands for all that is larger; it is refused below.
        values = np.array([max(-MAX_VALUE - 1, min(MAX_VALUE + 1, value)) for value in exact], dtype=np.int64)
    for wrong, accepted in (
        ((values < 0) & (not signed), "numbers from 0"),
        (
            (values < -MAX_VALUE) | (values > MAX_VALUE),
            f"magnitudes up to 2^53 units of {text_of(1, decimals)}",
        ),
    ):
        if wrong.any():
            index = int(np.argmax(wrong))
            raise InvalidInput(f"{tokens[index]!r} is out of range; accepted are {accepted}", f"line {line_of(index)}")
    return values, decimals


def _plain_integers(tokens: Sequence[str]) -> IntArray | None:
    """The fast way for what almost every file holds: short integers. None if one token is anything else."""
    if not _PLAIN.fullmatch(" ".join(tokens)):
        return None
    try:
        return np.array(list(map(int, tokens)), dtype=np.int64)
    except (ValueError, OverflowError):
        return None


def rescale(values: IntArray, decimals: int, to: int, where: str) -> IntArray:
    """Values in units of ``10**-decimals`` in units of ``10**-to``; InvalidInput where that is not exact."""
    if decimals > to:
        unit = text_of(1, to)
        raise InvalidInput(
            f"has {decimals} decimals, but times and distances are multiples of {unit} under this rounding; "
            "rounding 'unrounded' accepts 6 decimals",
            where,
        )
    factor = 10 ** (to - decimals)
    if values.size and int(values.max()) * factor > MAX_VALUE:
        raise InvalidInput(f"is out of range; accepted are up to 2^53 units of 10^-{to}", where)
    scaled: IntArray = values * factor
    return scaled
