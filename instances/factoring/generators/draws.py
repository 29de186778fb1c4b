"""Random integers of any size: equal keys give equal numbers, on every machine and in every release of Python."""

import hashlib
from collections.abc import Callable

ENUMERATED = 4096


class Draws:
    """A stream of random integers from SHAKE-256 of a key and a counter; streams of different keys are independent.

    Parameters
    ----------
    key
        What the stream is for.
    number
        The stream's place among those of a set, from 0; it is part of the key.
    """

    def __init__(self, key: str, number: int = 0) -> None:
        self.number = number
        self._key = f"{key}/{number}"
        self._count = 0

    def bits(self, size: int) -> int:
        """A uniform integer from 0 to 2^size - 1."""
        self._count += 1
        num_bytes = (size + 7) // 8
        data = hashlib.shake_256(f"{self._key}/{self._count}".encode()).digest(num_bytes)
        return int.from_bytes(data, "big") >> (8 * num_bytes - size)

    def between(self, low: int, high: int) -> int:
        """A uniform integer from ``low`` to ``high``."""
        while (value := self.bits((high - low).bit_length())) > high - low:
            pass
        return low + value

    def choose(self, low: int, high: int, fits: Callable[[int], bool]) -> int | None:
        """A uniform integer among those from ``low`` to ``high`` that fit.

        None if there is none; or, among more than 4096, if it was not met in 10,000 draws for each bit of ``high``.
        """
        if high - low < ENUMERATED:
            fitting = [value for value in range(low, high + 1) if fits(value)]
            return fitting[self.between(0, len(fitting) - 1)] if fitting else None
        for _ in range(10_000 * high.bit_length()):
            value = self.between(low, high)
            if fits(value):
                return value
        return None
