"""Small integers, one of each kind and corner, on which a solver shows how it behaves."""

from instances.factoring.instance import FactoringInstance

_NUMBERS = {
    "the smallest": 2,
    "a prime": 7_919,
    "a prime above 2^31": 2_147_483_659,
    "the smallest composite": 4,
    "the square of a prime": 1_009**2,
    "the square of a composite": (2 * 3 * 11) ** 2,
    "a power of two": 2**20,
    "a power of a prime": 101**3,
    "a Carmichael number": 561,
    "a Carmichael number of larger primes": 37 * 73 * 109,
    "an even number": 2 * 10_007,
    "many small factors": 2**3 * 3**2 * 5 * 7 * 11 * 13,
    "a semiprime": 1_019 * 1_733,
    "close primes": 4_091 * 4_093,
    "a small factor": 3 * 65_537,
    "p - 1 smooth for both primes": 2_311 * 4_621,
}


def examples() -> dict[str, FactoringInstance]:
    """The instances by what is special about them; every method factors each in about a second."""
    return {label: FactoringInstance(n) for label, n in _NUMBERS.items()}
