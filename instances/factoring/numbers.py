"""Integers as text: Python's own conversions end at 4300 digits, so these go through gmpy2."""

import re

import gmpy2

from instances.errors import InvalidInput
from instances.factoring.instance import MAX_DIGITS

_INTEGER = re.compile(r"-?(?:[0-9]+|0[xX][0-9a-fA-F]+)")
_BARE_HEXADECIMAL = re.compile(r"[0-9a-fA-F]+")
_SHOWN = 40


def integer(token: str) -> int:
    """The integer that decimal digits stand for, or hexadecimal digits after ``0x``; a minus sign may precede.

    Raises
    ------
    InvalidInput
        If it is written in any other way; if it has more than 10,000 digits, before it is parsed.
    """
    if len(token.removeprefix("-")) > MAX_DIGITS:
        raise InvalidInput(f"'{token[:_SHOWN]}...' has more than {MAX_DIGITS} digits")
    if not _INTEGER.fullmatch(token):
        if _BARE_HEXADECIMAL.fullmatch(token):
            raise InvalidInput(f"{token[:_SHOWN]!r} is not decimal; hexadecimal digits are accepted after 0x")
        raise InvalidInput(f"{token[:_SHOWN]!r} is no integer; accepted are decimal digits, or hexadecimal after 0x")
    # Base 0 reads the prefix, but takes a leading 0 for octal.
    return int(gmpy2.mpz(token, 0 if "x" in token.lower() else 10))


def text(number: int) -> str:
    """The decimal digits."""
    return str(gmpy2.mpz(number).digits())


def shortened(number: int) -> str:
    """The decimal digits, of more than 40 the first and last twelve and how many there are."""
    digits = text(number)
    return digits if len(digits) <= _SHOWN else f"{digits[:12]}...{digits[-12:]} ({len(digits)} digits)"
