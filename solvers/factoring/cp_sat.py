"""OR-Tools CP-SAT on two models of a product."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isqrt
from typing import Any, ClassVar, Literal

import gmpy2
from gmpy2 import mpz
from ortools.sat.python import cp_model

from instances.factoring.instance import FactoringInstance
from solvers.factoring.parts import decompose
from solvers.search import Search

MAX_BITS = 63
"""CP-SAT's integers have 64 bits with the sign."""


@dataclass(frozen=True)
class CpSat:
    """Google's OR-Tools CP-SAT: the factors as integers with a given product, or as bits of a multiplier.

    Twos are divided out first, so both factors are odd, and x is at most y. The product is one constraint on two
    integers; x is looked for between the square root and half of it, then between this and half of it, and so on,
    because the narrower the domains, the quicker they are searched. The multiplier is a grid of partial products,
    whose columns add up, with carries, to the bits of n. With one thread, equal seeds find equal factors. The
    settings are the best of those measured: what CP-SAT does by default for the product, no presolve and no linear
    relaxation for the bits.
    """

    model: Literal["product", "bits"] = field(
        default="product", metadata={"help": "one constraint on integers, or a multiplier of bits"}
    )

    problem: ClassVar[str] = "factoring"
    honours: ClassVar[frozenset[str]] = frozenset()
    packages: ClassVar[tuple[str, ...]] = ("ortools", "gmpy2")

    def declines(self, instance: FactoringInstance) -> str | None:
        if instance.bits > MAX_BITS:
            return f"CP-SAT's integers end at 2^{MAX_BITS}; this has {instance.bits} bits"
        return None

    def prepare(self) -> "CpSat":
        cp_model.CpSolver().solve(_multiplier(15)[0])
        return self

    def solve(self, instance: FactoringInstance, search: Search) -> None:
        decompose(instance, search, lambda composite: self._split(composite, search))

    def _split(self, n: mpz, search: Search) -> list[int] | None:
        odd, twos = gmpy2.remove(n, 2)
        if twos:
            return [2] * twos + ([int(odd)] if odd > 1 else [])
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.random_seed = search.seed
        if self.model == "bits":
            solver.parameters.cp_model_presolve = False
            solver.parameters.linearization_level = 0
        for model, x in _products(int(n)) if self.model == "product" else [_multiplier(int(n))]:
            if not search.running():
                return None
            solver.parameters.max_time_in_seconds = search.remaining()
            if solver.solve(model) in (cp_model.OPTIMAL, cp_model.FEASIBLE):
                divisor = solver.value(x)
                return [divisor, int(n) // divisor]
        return None


def _products(n: int) -> Iterator[tuple[cp_model.CpModel, cp_model.LinearExprT]]:
    """x y = n for each interval that x may lie in, the largest first."""
    high = isqrt(n)
    while high >= 3:
        low = max(3, high // 2 + 1)
        model = cp_model.CpModel()
        x = 2 * model.new_int_var(low // 2, (high - 1) // 2, "x") + 1
        y = 2 * model.new_int_var((n // high - 1) // 2, (n // low - 1) // 2, "y") + 1
        model.add_multiplication_equality(n, [x, y])
        yield model, x
        high = low - 1


def _multiplier(n: int) -> tuple[cp_model.CpModel, cp_model.LinearExprT]:
    """x y = n, bit by bit."""
    model = cp_model.CpModel()
    x = [model.new_bool_var(f"x{i}") for i in range(isqrt(n).bit_length())]
    y = [model.new_bool_var(f"y{j}") for j in range((n // 3).bit_length())]
    model.add_bool_and(x[0], y[0])
    columns: list[list[cp_model.IntVar]] = [[] for _ in range(n.bit_length())]
    for i, one in enumerate(x):
        for j, other in enumerate(y):
            if i + j >= len(columns):
                model.add_bool_or(~one, ~other)
                continue
            both = model.new_bool_var(f"x{i}y{j}")
            model.add_bool_or(~one, ~other, both)
            model.add_implication(both, one)
            model.add_implication(both, other)
            columns[i + j].append(both)
    carry: Any = 0
    most = 0
    for k, column in enumerate(columns):
        most = (most + len(column)) // 2
        last = k == len(columns) - 1
        carried: Any = 0 if last else model.new_int_var(0, most, f"carry{k}")
        model.add(sum(column) + carry == (n >> k & 1) + 2 * carried)
        carry = carried
    smaller, larger = (sum(bit * 2**i for i, bit in enumerate(bits)) for bits in (x, y))
    model.add(smaller >= 3)
    model.add(smaller <= larger)
    return model, smaller
