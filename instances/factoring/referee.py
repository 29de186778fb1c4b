"""The referee of factoring: the product exact, every factor prime or named as still composite.

References
----------
J. Sorenson and J. Webster, Strong pseudoprimes to twelve prime bases, Mathematics of Computation 86, 2017:
3317044064679887385961981 is the least composite that passes the Miller-Rabin test to the first 13 prime bases.
"""

from collections import Counter

import gmpy2

from instances.factoring.instance import FactoringInstance
from instances.factoring.numbers import shortened
from instances.factoring.solution import Factors
from instances.verdict import Verdict, Violation

BASES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41)
PROVEN_BELOW = 3_317_044_064_679_887_385_961_981


def verify(instance: FactoringInstance, solution: Factors) -> Verdict:
    """The bits still composite, 0 for a complete factorisation, or everything that is wrong with it.

    The cost is the sum of the bit lengths of the factors that are not prime, each as often as it is given. A
    partial factorisation is feasible, but not complete, and its notes name the composite factors. Below
    ``PROVEN_BELOW`` a prime is proven by Miller-Rabin tests; from there a prime is one that passes the
    Baillie-PSW test, which no composite is known to pass, and a note calls it a probable prime.

    Kinds of violations are ``nonpositive-factor`` (nothing further is checked then), ``unit-factor``, and, where
    the product is not n, ``not-a-divisor``, ``multiplicity`` (a divisor too often or too rarely; ``amount`` says
    by how much) and ``wrong-product``.
    """
    counts = dict(sorted(Counter(solution.factors).items()))
    violations = _violations(instance.n, counts)
    if violations:
        return Verdict(violations=tuple(violations))
    cost, notes = 0, []
    for factor, times in counts.items():
        what = f"{shortened(factor)}, {factor.bit_length()} bits{f', {times} times' if times > 1 else ''}"
        if not _is_prime(factor):
            cost += times * factor.bit_length()
            notes.append(f"still composite: {what}")
        elif factor >= PROVEN_BELOW:
            notes.append(f"probable prime, not proven: {what}")
    return Verdict(cost=cost, complete=cost == 0, notes=tuple(notes))


def _violations(n: int, counts: dict[int, int]) -> list[Violation]:
    """What is wrong with the factors, ``counts`` saying how often each is given; nothing if n is their product."""
    found = [
        Violation("nonpositive-factor", f"{shortened(factor)} is not positive", amount=times)
        for factor, times in counts.items()
        if factor < 1
    ]
    if found:
        return found
    if 1 in counts:
        found.append(Violation("unit-factor", "1 is given as a factor; accepted are factors from 2", amount=counts[1]))
    product = gmpy2.mpz(1)
    for factor, times in counts.items():
        product *= gmpy2.mpz(factor) ** times
    if product == n:
        return found
    missing, excess = n // gmpy2.gcd(n, product), product // gmpy2.gcd(n, product)
    for factor, times in counts.items():
        if factor == 1:
            continue
        _, divides = gmpy2.remove(gmpy2.mpz(n), factor)
        if divides == 0:
            found.append(Violation("not-a-divisor", f"{shortened(factor)} does not divide n", amount=times))
        elif times > divides or missing % factor == 0:
            message = f"{shortened(factor)} is given {_times(times)}, but divides n {_times(divides)}"
            found.append(Violation("multiplicity", message, amount=times - divides))
    message = f"the factors multiply to {shortened(product)}, not to {shortened(n)}"
    for what, quotient in (("missing", missing), ("too much", excess)):
        if quotient > 1:
            message += f"; {what}: {shortened(quotient)}"
    return [*found, Violation("wrong-product", message)]


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _is_prime(number: int) -> bool:
    if number >= PROVEN_BELOW:
        return bool(gmpy2.is_prime(number))
    if any(number % base == 0 for base in BASES):
        return number in BASES
    return all(gmpy2.is_strong_prp(number, base) for base in BASES)
