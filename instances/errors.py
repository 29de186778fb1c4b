"""The one error that bad input raises."""


class InvalidInput(ValueError):
    """Input that cannot be accepted.

    Parameters
    ----------
    message
        What was wrong and what would be accepted, in one sentence.
    where
        The place: a file, ``file:line``, or the name of a field. Readers that know the file add it to an error
        raised deeper down with :meth:`within`.
    """

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.message = message
        self.where = where

    def within(self, place: str) -> "InvalidInput":
        """Return the same error with ``place`` put before its own place."""
        return InvalidInput(self.message, f"{place}: {self.where}" if self.where else place)
