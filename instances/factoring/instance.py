"""An integer to be factored."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

from instances.errors import InvalidInput

MAX_DIGITS = 10_000


@dataclass(frozen=True)
class FactoringInstance:
    """An integer from 2 with at most 10,000 decimal digits; n alone is its identity.

    Parameters
    ----------
    n
        The integer to factor. It may be prime.
    kind
        The declared kind (semiprime, prime, ...), for groups in tables. It is no promise: nothing rests on it.
    name, comment
        For people.

    Raises
    ------
    InvalidInput
        If n is no integer, below 2, or has more than 10,000 digits.
    """

    n: int
    kind: str = field(default="", compare=False)
    name: str = field(default="", compare=False)
    comment: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if type(self.n) is not int:
            raise InvalidInput(f"is of type {type(self.n).__name__}; accepted are integers", "n")
        if self.n < 2:
            # A huge negative number has no decimal text in Python.
            what = str(self.n) if self.n > -(10**40) else "negative"
            raise InvalidInput(f"is {what}; accepted are integers from 2", "n")
        if self.n >= 10**MAX_DIGITS:
            raise InvalidInput(f"has more than {MAX_DIGITS} digits", "n")

    @property
    def bits(self) -> int:
        """The length of n in binary."""
        return self.n.bit_length()

    @property
    def features(self) -> frozenset[str]:
        """None: an integer has no opt-in constraints."""
        return frozenset()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the problem and n, as 64 hex digits; kind, name and comment do not enter."""
        return hashlib.sha256(f"factoring {self.n:x}".encode()).hexdigest()
