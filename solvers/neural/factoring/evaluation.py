"""What the factoring networks are worth on primes they never saw, beside fixed orders and shuffled digits.

    python -m solvers.neural.factoring.evaluation [--crossed FOLDER] [--count N] [--out FILE]

From 24 bits on the shipped networks are measured on semiprimes of two primes held out of their training. Of shorter
primes there are too few for that, so five further networks of each kind are trained, each with two of five folds of
primes left out, and each semiprime is tried on one that saw neither of its primes. The tables go into FILE between
its marks, and the means onto the cards.
"""

import argparse
import dataclasses
import math
import shlex
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.stats
import torch

from instances.errors import InvalidInput
from solvers.neural.cards import SUFFIX, Evaluation, card_path, read_card, write_card
from solvers.neural.factoring.checkpoints import FOLDER, load_network, write_readme
from solvers.neural.factoring.digit_pointer import DigitPointer, beam, log_likelihood
from solvers.neural.factoring.prime_pointer import PrimePointer
from solvers.neural.factoring.solver import best_first
from solvers.neural.factoring.task import (
    NUM_FOLDS,
    Division,
    Semiprimes,
    joined,
    primes_of,
    products,
    shuffled,
    up_to_root,
)
from solvers.neural.factoring.train import CHECKPOINT, Arguments, train
from solvers.neural.ship import commit, machine

CROSSED_BITS = (8, 10, 12, 14, 16, 18, 20)
HELD_OUT_BITS = (24, 28, 32)
CROSSED = {
    "prime-pointer": {"steps": 1000, "batch": 48, "candidates": 40},
    "digit-pointer": {"steps": 600, "batch": 32, "samples": 8},
}
RESAMPLES = 9999
FEWEST = 10  # semiprimes for an interval
SEED = 4321
TENTH = 0.1
BEAM = 64
MARKS = ("<!-- tables -->", "<!-- end of tables -->")

Floats = npt.NDArray[np.float64]


# --- Which network meets which semiprime -------------------------------------------------------------------


CROSSED_FOLDS = tuple((fold, (fold + 1) % NUM_FOLDS) for fold in range(NUM_FOLDS))
"""The folds that are left out together: neighbours in the circle."""


def crossed_set(bits: int, folds: tuple[int, int]) -> Semiprimes:
    """The semiprimes for the network without these folds: a prime of each, or both primes of the first."""
    first, second = folds
    return joined([_of_folds(bits, first, first), _of_folds(bits, first, second)])


def _of_folds(bits: int, first: int, second: int) -> Semiprimes:
    primes = primes_of(bits // 2)
    return products(bits, primes[first::NUM_FOLDS], primes[second::NUM_FOLDS])


def held_out_set(bits: int, count: int) -> Semiprimes:
    """Semiprimes of two primes that the shipped networks never saw, at most ``count`` at random."""
    primes = Division().held_out(bits // 2)
    return sampled(products(bits, primes, primes), count, bits)


def seen_set(bits: int, count: int) -> Semiprimes:
    """Semiprimes of two primes that the shipped networks were trained on."""
    primes = Division().seen(bits // 2)
    return sampled(products(bits, primes, primes), count, bits)


def sampled(semiprimes: Semiprimes, count: int, bits: int) -> Semiprimes:
    """At most ``count`` of them, at random, in their order."""
    if len(semiprimes) <= count:
        return semiprimes
    rng = np.random.default_rng((SEED, bits))
    return semiprimes[np.sort(rng.choice(len(semiprimes), count, replace=False))]


# --- What is measured of one network on some semiprimes ----------------------------------------------------


@torch.no_grad()
def order_places(network: PrimePointer, semiprimes: Semiprimes) -> dict[str, Floats]:
    """How many divisions each order takes until the smaller factor, each of shape (N,), how many there may be,
    and the smaller factor.

    The candidates are the primes of the smaller factor's length up to the square root of n, the same for all orders.
    ``bounded`` is the ascending order from the least prime whose cofactor is not too long; the random order is
    its expectation.
    """
    rows: dict[str, list[float]] = {}
    for p, n in zip(semiprimes.smaller.tolist(), semiprimes.n.tolist(), strict=True):
        bits = n.bit_length()
        candidates = up_to_root(primes_of(bits // 2), n)
        count, place = len(candidates), int(np.searchsorted(candidates, p))
        least = int(np.searchsorted(candidates, n / (1 << (bits - bits // 2))))
        rng = np.random.default_rng((SEED, n))
        found = {
            "network": _place(best_first(network, n, candidates), place),
            "shuffled": _place(best_first(network, shuffled(n, rng), candidates), place),
            "ascending": place + 1,
            "descending": count - place,
            "random": (count + 1) / 2,
            "bounded": place - least + 1,
            "candidates": count,
            "prime": p,
        }
        for name, value in found.items():
            rows.setdefault(name, []).append(value)
    return {name: np.array(values, np.float64) for name, values in rows.items()}


def _place(order: Any, candidate: int) -> int:
    return int(np.flatnonzero(order == candidate)[0]) + 1


@torch.no_grad()
def digit_successes(network: DigitPointer, semiprimes: Semiprimes) -> dict[str, Floats]:
    """How likely the digits are to be a factor's, each of shape (N,).

    ``sample``: the probability that one number pointed out at random divides n, exactly. ``shuffled``: the same with
    the digits of n shuffled. ``chance``: of a random odd number of the same length. ``greedy`` and ``beam``: whether
    the first, or one of the first 64, of a beam divides n. ``descending``: whether one of the 64 largest primes up
    to the square root does. ``guessed``: the probability that one of 64 random odd numbers does.
    """
    rows: dict[str, list[float]] = {}
    for p, q in zip(semiprimes.smaller.tolist(), semiprimes.larger.tolist(), strict=True):
        n = p * q
        half = n.bit_length() // 2
        factors = [factor for factor in (p, q) if factor.bit_length() == half]
        other = shuffled(n, np.random.default_rng((SEED, n)))
        numbers = beam(network, n, BEAM).tolist()
        every = 1 << (half - 2)
        candidates = up_to_root(primes_of(half), n)
        found = {
            "sample": _probability(network, n, factors),
            "shuffled": _probability(network, other, factors),
            "chance": len(factors) / every,
            "greedy": float(numbers[0] in factors),
            "beam": float(any(factor in numbers for factor in factors)),
            "descending": float(len(candidates) - int(np.searchsorted(candidates, p)) <= BEAM),
            "guessed": _one_of(BEAM, len(factors), every),
            "prime": p,
        }
        for name, value in found.items():
            rows.setdefault(name, []).append(value)
    return {name: np.array(values, np.float64) for name, values in rows.items()}


def _probability(network: DigitPointer, n: int, factors: list[int]) -> float:
    number, bits = torch.tensor([n]), torch.tensor([n.bit_length()])
    return float(log_likelihood(network, number, bits, torch.tensor([factors])).exp().sum())


def _one_of(drawn: int, factors: int, every: int) -> float:
    """The probability that of ``every`` number, some drawn without repetition, one of the factors is drawn."""
    missed = 1.0
    for number in range(factors):
        missed *= max(0, every - drawn - number) / max(1, every - number)
    return 1 - missed


# --- Intervals ---------------------------------------------------------------------------------------------


def interval(values: Floats, primes: Floats) -> tuple[float, float]:
    """A 95 % interval of the mean by the BCa bootstrap over the smaller primes, with all semiprimes of each.

    Semiprimes that share a prime are not independent: what an order gains on one it gains on the others. Not a
    number where there are few primes, or where the values are equal.

    Parameters
    ----------
    values
        Of each semiprime, shape (N,).
    primes
        Its smaller prime, shape (N,).
    """
    groups = np.unique(primes, return_inverse=True)[1]
    counts, sums = np.bincount(groups), np.bincount(groups, values)
    if len(counts) < FEWEST or np.ptp(values) == 0:
        return math.nan, math.nan
    found = scipy.stats.bootstrap(
        (sums, counts),
        lambda total, count, axis: total.sum(axis=axis) / count.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        method="BCa",
        rng=np.random.default_rng(SEED),
        batch=500,
    ).confidence_interval
    return float(found.low), float(found.high)


def _difference(found: dict[str, Floats], first: str, second: str, digits: int, factor: float = 1.0) -> str:
    values = factor * (found[first] - found[second])
    low, high = interval(values, found["prime"])
    text = f"{values.mean():+.{digits}f}"
    return text if math.isnan(low) else f"{text} [{low:+.{digits}f}, {high:+.{digits}f}]"


# --- Tables ------------------------------------------------------------------------------------------------

Measured = dict[int, dict[str, Floats]]


def order_tables(measured: Measured, seen: Measured) -> list[str]:
    """The mean number of divisions by bit length, the network's differences, and its early successes."""
    orders = ("network", "shuffled", "ascending", "descending", "random", "bounded")
    lines = [
        "Mean number of divisions until the factor is found; every order finds it in the end.",
        "",
        "| bits | semiprimes | candidates | network | its digits shuffled | ascending | descending | random "
        "| ascending from n / 2^h |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for bits, found in measured.items():
        means = [f"{found[name].mean():.1f}" for name in ("candidates", *orders)]
        lines.append(f"| {bits} | {len(found['network'])} | " + " | ".join(means) + " |")
    lines += [
        "",
        "The network's divisions less those of the other order, the mean over semiprimes with its 95 % interval; "
        "negative where the network needs fewer.",
        "",
        "| bits | shuffled | ascending | descending | random | ascending from n / 2^h "
        "| descending, on primes of its training |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for bits, found in measured.items():
        cells = [_difference(found, "network", name, 1) for name in orders[1:]]
        cells += [_difference(seen[bits], "network", "descending", 1) if bits in seen else "-"]
        lines.append(f"| {bits} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "Success within the first tenth of the candidates (rounded up), % of the semiprimes.",
        "",
        "| bits | network | its digits shuffled | ascending | descending | ascending from n / 2^h "
        "| network less descending |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for bits, found in measured.items():
        limit = np.ceil(TENTH * found["candidates"])
        early = {name: np.where(found[name] <= limit, 100.0, 0.0) for name in orders}
        cells = [f"{early[name].mean():.1f}" for name in ("network", "shuffled", "ascending", "descending", "bounded")]
        difference = _difference(early | {"prime": found["prime"]}, "network", "descending", 1)
        lines.append(f"| {bits} | " + " | ".join(cells) + f" | {difference} |")
    return lines


def digit_tables(measured: Measured, seen: Measured) -> list[str]:
    """The exact success rates of the digits by bit length."""
    lines = [
        "Success of one number pointed out at random, %, exactly (the network's own probability of a factor), and the "
        "differences with their 95 % intervals.",
        "",
        "| bits | semiprimes | network | on primes of its training | its digits shuffled | a random odd number "
        "| network less shuffled | network less random |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for bits, found in measured.items():
        trained = f"{100 * seen[bits]['sample'].mean():.4f}" if bits in seen else "-"
        means = [f"{100 * found[name].mean():.4f}" for name in ("sample", "shuffled", "chance")]
        gains = [_difference(found, "sample", name, 4, 100) for name in ("shuffled", "chance")]
        cells = [means[0], trained, *means[1:], *gains]
        lines.append(f"| {bits} | {len(found['sample'])} | " + " | ".join(cells) + " |")
    lines += [
        "",
        f"Success of the likeliest number, and within {BEAM} divisions, % of the semiprimes.",
        "",
        f"| bits | greedy | beam of {BEAM} | the {BEAM} largest primes up to the root | {BEAM} random odd numbers "
        "| beam less largest primes |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for bits, found in measured.items():
        means = [f"{100 * found[name].mean():.1f}" for name in ("greedy", "beam", "descending", "guessed")]
        difference = _difference(found, "beam", "descending", 1, 100)
        lines.append(f"| {bits} | " + " | ".join([*means, difference]) + " |")
    return lines


# --- The run -----------------------------------------------------------------------------------------------


def crossed_network(kind: str, folds: tuple[int, int], folder: Path, report: Callable[[str], None]) -> Any:
    """The network without two folds of primes, trained now if it is not in the folder."""
    out = folder / f"{kind}-{folds[0]}{folds[1]}"
    arguments = Arguments(
        out=str(out), network=kind, smallest=min(CROSSED_BITS), largest=max(CROSSED_BITS),
        left_out=f"{folds[0]},{folds[1]}",
        **CROSSED[kind],
    )  # fmt: skip
    if not (out / CHECKPOINT).exists():
        report(f"training {out}")
        train(arguments)
    return load_network(out / CHECKPOINT)


def measure(kind: str, count: int, crossed: Path, report: Callable[[str], None]) -> tuple[Measured, Measured]:
    """By bit length: what is measured on unseen primes, and, of the shipped network, on those of its training."""
    method: Any = order_places if kind == "prime-pointer" else digit_successes
    parts: dict[int, list[dict[str, Floats]]] = {bits: [] for bits in CROSSED_BITS}
    for folds in CROSSED_FOLDS:
        network = crossed_network(kind, folds, crossed, report)
        for bits in CROSSED_BITS:
            semiprimes = sampled(crossed_set(bits, folds), math.ceil(count / NUM_FOLDS), bits)
            if len(semiprimes):
                parts[bits].append(method(network, semiprimes))
        report(f"{kind} without folds {folds} measured")
    measured = {bits: {name: np.concatenate([p[name] for p in found]) for name in found[0]}
                for bits, found in parts.items() if found}  # fmt: skip
    seen = {}
    network = load_network(FOLDER / f"{kind}{SUFFIX}")
    for bits in HELD_OUT_BITS:
        measured[bits] = method(network, held_out_set(bits, count))
        seen[bits] = method(network, seen_set(bits, count))
        report(f"{kind}, {bits} bits measured")
    return measured, seen


def evaluations(kind: str, measured: Measured, seconds: float, command: str) -> tuple[Evaluation, ...]:
    """The means on the shipped network's own unseen primes, for its card."""
    name, factor, decode = {
        "prime-pointer": ("network", 1, "best first: divisions"),
        "digit-pointer": ("sample", 100, "sample: % of success"),
    }[kind]
    found = []
    for bits in HELD_OUT_BITS:
        values = factor * measured[bits][name]
        low, high = interval(values, measured[bits]["prime"])
        found.append(
            Evaluation(
                instances=f"balanced semiprimes of {bits} bits, unseen primes",
                count=len(values),
                decode=decode,
                mean=round(float(values.mean()), 5),
                low=round(low, 5),
                high=round(high, 5),
                seconds=round(seconds, 1),
                device=f"cpu, {torch.get_num_threads()} thread",
                commit=commit(),
                date=datetime.now(UTC).date().isoformat(),
                command=command,
            )
        )
    return tuple(found)


def main(given: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m solvers.neural.factoring.evaluation", description=__doc__)
    parser.add_argument("--crossed", type=Path, default=Path(".training/factoring-crossed"),
                        help="folder of the networks with folds left out; what is missing is trained")  # fmt: skip
    parser.add_argument("--count", type=int, default=500, help="semiprimes of a bit length, where there are so many")
    parser.add_argument("--out", type=Path, default=Path("docs/results-factoring-networks.md"))
    arguments = parser.parse_args(given)
    torch.set_num_threads(1)
    command = shlex.join(["python", "-m", "solvers.neural.factoring.evaluation", *given])

    def report(line: str) -> None:
        sys.stderr.write(line + "\n")

    lines: list[str] = []
    try:
        before, _, rest = arguments.out.read_text().partition(MARKS[0])
        _, mark, after = rest.partition(MARKS[1])
        if not mark:
            raise InvalidInput(f"is without the marks {' and '.join(MARKS)}", str(arguments.out))
        for kind in CROSSED:
            begun = time.perf_counter()
            measured, seen = measure(kind, arguments.count, arguments.crossed, report)
            seconds = time.perf_counter() - begun
            tables = (order_tables if kind == "prime-pointer" else digit_tables)(measured, seen)
            lines += [f"## {kind}", "", *tables, ""]
            path = card_path(FOLDER / f"{kind}{SUFFIX}")
            card = read_card(path)
            write_card(dataclasses.replace(card, evaluation=evaluations(kind, measured, seconds, command)), path)
        write_readme(FOLDER)
    except InvalidInput as error:
        sys.exit(f"error: {error}")
    made = f"`{command}`, commit `{commit()[:10]}`{' with changes' if commit().endswith('+') else ''}"
    lines += [f"Made by {made}, {datetime.now(UTC).date().isoformat()}, {machine('cpu')}, 1 thread."]
    arguments.out.write_text(before + "\n".join([MARKS[0], "", *lines, "", MARKS[1]]) + after)


if __name__ == "__main__":
    main(sys.argv[1:])
