"""The kinds of integers that can be made, and the one function that makes them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from itertools import count as counting
from itertools import islice
from typing import Any, cast, get_args

from instances.errors import InvalidInput
from instances.factoring.generators import semiprimes, special
from instances.factoring.generators.draws import Draws
from instances.factoring.generators.primes import Split
from instances.factoring.instance import FactoringInstance

MAX_BITS = 4096
PATIENCE = 200
"""Draws in a row that may lead to no new number before a set is called impossible."""


@dataclass(frozen=True)
class Kind:
    """A kind of integer: name, a line of help, options, and ``make``, which makes one or fails with None.

    ``divided`` kinds take the primes of one split; the others are made by a formula that leaves no choice.
    """

    name: str
    help: str
    options: type
    make: Callable[[Draws, int, Split, Any], int | None]
    divided: bool = True


KINDS = {
    kind.name: kind
    for kind in (
        Kind("semiprime", "two primes of equal length", semiprimes.NoOptions, semiprimes.semiprime),
        Kind("unbalanced", "a small and a large prime", semiprimes.UnbalancedOptions, semiprimes.unbalanced),
        Kind("close", "two primes close together", semiprimes.CloseOptions, semiprimes.close),
        Kind(
            "pm1-smooth",
            "two primes of equal length, one with a smooth p - 1",
            semiprimes.SmoothPredecessorOptions,
            semiprimes.smooth_predecessor,
        ),
        Kind("smooth", "small primes and one large cofactor", semiprimes.SmoothOptions, semiprimes.smooth),
        Kind("prime-power", "a power of one prime", special.PrimePowerOptions, special.prime_power),
        Kind("prime", "a prime", semiprimes.NoOptions, special.prime),
        Kind("carmichael", "Chernick's Carmichael numbers", semiprimes.NoOptions, special.carmichael, divided=False),
        Kind(
            "mersenne", "2^p - 1 for the primes p from bits on", semiprimes.NoOptions, special.mersenne, divided=False
        ),
        Kind("fermat", "2^(2^k) + 1 of at least that many bits", semiprimes.NoOptions, special.fermat, divided=False),
    )
}


def generate(
    kind: str, *, bits: int, count: int, seed: int = 1, split: str | None = None, **options: Any
) -> list[FactoringInstance]:
    """``count`` different integers of a kind; integer i depends on everything but ``count``.

    Parameters
    ----------
    kind
        A key of ``KINDS``.
    bits
        The exact bit length; of Mersenne and Fermat numbers the least.
    count
        Number of instances.
    seed
        Not negative. Mersenne and Fermat numbers depend on none.
    split
        Which primes may occur as factors; by default ``test``. Kinds made by a formula know ``any`` only.
    options
        Fields of the kind's options.

    Raises
    ------
    InvalidInput
        If the kind or an option is unknown, a value is out of range, or there are not so many such integers.
    """
    if kind not in KINDS:
        raise InvalidInput(f"unknown kind; accepted are {', '.join(KINDS)}", kind)
    chosen = KINDS[kind]
    for name, number, low, high in (
        ("bits", bits, 2, MAX_BITS), ("count", count, 1, 10**6), ("seed", seed, 0, 2**63)
    ):  # fmt: skip
        if not low <= number <= high:
            raise InvalidInput(f"is {number}; accepted are {low} to {high}", name)
    splits = get_args(Split) if chosen.divided else ("any",)
    usual = "test" if chosen.divided else "any"
    split = usual if split is None else split
    if split not in splits:
        raise InvalidInput(f"is {split!r}; {kind} accepts {', '.join(splits)}", "split")
    known = [option.name for option in fields(chosen.options)]
    for name in options:
        if name not in known:
            raise InvalidInput(f"unknown option of {kind}; accepted are {', '.join(known) or 'none'}", name)
    recipe = {"bits": bits, "seed": seed, "split": split, **options}
    made = list(islice(_numbers(chosen, bits, seed, cast(Split, split), chosen.options(**options)), count))
    if len(made) < count:
        what = f"{len(made)} different numbers of kind {kind} from {split} primes were found"
        raise InvalidInput(f"is {count}, but only {what}; accepted are fewer, or other bits, split or options", "count")
    given = [*([] if split == usual else [split]), *(str(value) for value in options.values() if value is not None)]
    family = "-".join((kind, *given))
    text = ", ".join(f"{key}={value}" for key, value in recipe.items())
    return [
        FactoringInstance(
            n,
            kind=kind,
            name=f"{family}-b{bits}-s{seed}-{index:04d}",
            comment=f"generator {kind}: {text}, number={index}",
        )
        for index, n in enumerate(made)
    ]


def _numbers(kind: Kind, bits: int, seed: int, split: Split, options: Any) -> Iterator[int]:
    """Different numbers of a kind, one after another, until ``PATIENCE`` draws in a row bring no new one."""
    seen: set[int] = set()
    failures = 0
    for number in counting():
        n = kind.make(Draws(f"factoring/{kind.name}/{bits}/{seed}/{split}/{options}", number), bits, split, options)
        if n is None or n in seen:
            failures += 1
            if failures == PATIENCE:
                return
            continue
        failures = 0
        seen.add(n)
        yield n
