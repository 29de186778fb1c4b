"""Generated integers are of their kind and length, made again by their seed, and their primes stay in their split."""

from collections import Counter
from math import gcd, isqrt, prod

import pytest
from flint import fmpz
from sympy import isprime, primerange

from instances.errors import InvalidInput
from instances.factoring.generators import KINDS, generate, split_of
from instances.factoring.generators.draws import Draws

FIRST_TEST_PRIMES = [47, 83, 263, 349, 401, 419, 499, 521]
FIRST = {
    "semiprime": 12674758977087142723,
    "unbalanced": 12128102131573182179,
    "close": 16495493088423162643,
    "pm1-smooth": 15147777517920098917,
    "smooth": 15643056077136802493,
    "prime-power": 12473512187333844529,
    "prime": 12744008930985779809,
    "carmichael": 16322953468310051041,
    "mersenne": 147573952589676412927,
    "fermat": 18446744073709551617,
}
DIVIDED = [name for name, kind in KINDS.items() if kind.divided]


def primes_of(n: int) -> list[int]:
    """The prime factors by FLINT, ascending, each as often as it divides."""
    return sorted(int(prime) for prime, times in fmpz(n).factor() for _ in range(times))


def made(kind: str, bits: int, count: int = 12, **options) -> list[list[int]]:
    """The prime factors of generated numbers; fails if they are not of ``bits`` bits, or not different."""
    numbers = generate(kind, bits=bits, count=count, **options)
    assert len({number.n for number in numbers}) == count
    assert {number.kind for number in numbers} == {kind}
    if kind not in ("mersenne", "fermat"):
        assert {number.bits for number in numbers} == {bits}
    return [primes_of(number.n) for number in numbers]


@pytest.mark.parametrize("bits", [32, 33, 48, 61])
def test_semiprimes_have_two_primes_of_equal_length(bits):
    """Of bits/2 bits each; where bits is odd, one is a bit longer."""
    for p, q in made("semiprime", bits):
        assert p < q
        assert [p.bit_length(), q.bit_length()] == [bits // 2, bits - bits // 2]


def test_every_pair_of_primes_is_made():
    """All 8-bit training primes occur, in all products of 16 bits: the draw leaves none out."""
    primes = [p for p in primerange(128, 256) if split_of(p) == "training"]
    products = {p * q for p in primes for q in primes if p < q and (p * q).bit_length() == 16}
    sets = [generate("semiprime", bits=16, count=50, seed=seed, split="training") for seed in range(20)]
    assert {number.n for numbers in sets for number in numbers} == products


@pytest.mark.parametrize("small", [None, 8, 20])
def test_unbalanced_semiprimes_have_a_small_prime(small):
    """Of the bits asked for, by default a quarter."""
    for p, q in made("unbalanced", 60, small=small, split="any"):
        assert p.bit_length() == (small or 15)
        assert q.bit_length() in (60 - p.bit_length(), 61 - p.bit_length())


def test_close_primes_fall_to_the_first_step_of_fermat():
    """By default ceil(sqrt(n))^2 - n is a square; a wider distance is what it says."""
    for p, q in made("close", 80):
        assert 0 < q - p < 2**20
        root = isqrt(p * q) + 1
        assert isqrt(root**2 - p * q) ** 2 == root**2 - p * q
    gaps = [q - p for p, q in made("close", 80, distance=30)]
    assert 2**20 < max(gaps) < 2**30


def test_p_minus_1_is_smooth_where_promised():
    """One prime's predecessor has different primes up to the bound only: one power of each is enough."""
    for bits, bound in ((64, 10_000), (65, 1000), (40, 100)):
        for p, q in made("pm1-smooth", bits, count=5, bound=bound, split="any"):
            assert {p.bit_length(), q.bit_length()} <= {bits // 2, bits - bits // 2}
            predecessors = [primes_of(p - 1), primes_of(q - 1)]
            assert any(max(primes) <= bound and len(set(primes)) == len(primes) for primes in predecessors)


def test_smooth_numbers_have_one_large_prime():
    """The others are up to the bound; the large one has at least half the bits, or those asked for."""
    for bound, cofactor in ((1000, None), (100, 12), (30_000, 40)):
        for *small, large in made("smooth", 64, bound=bound, cofactor=cofactor):
            assert small
            assert max(small) <= bound < large
            assert large.bit_length() >= (cofactor or 32)


@pytest.mark.parametrize("exponent", [2, 3, 5])
def test_prime_powers_are_powers_of_one_prime(exponent):
    for primes in made("prime-power", 64, exponent=exponent, split="any"):
        assert len(primes) == exponent
        assert len(set(primes)) == 1


def test_primes_are_prime():
    for bits in (16, 33, 200):
        assert all(isprime(number.n) for number in generate("prime", bits=bits, count=3))


def test_carmichael_numbers_pass_fermats_test_to_every_base():
    """Three primes p with p - 1 dividing n - 1 (Korselt); the smallest of the form is 1729."""
    assert [number.n for number in generate("carmichael", bits=11, count=1)] == [1729]
    for primes in made("carmichael", 50, count=5):
        n = prod(primes)
        assert len(set(primes)) == 3
        assert all((n - 1) % (p - 1) == 0 for p in primes)
        assert all(pow(base, n - 1, n) == 1 for base in range(2, 50) if gcd(base, n) == 1)


def test_mersenne_and_fermat_numbers_come_in_order():
    """From the length asked for on; no two are the same."""
    assert [number.n for number in generate("mersenne", bits=2, count=5)] == [3, 7, 31, 127, 2047]
    assert [number.n for number in generate("mersenne", bits=65, count=2)] == [2**67 - 1, 2**71 - 1]
    assert [number.n for number in generate("fermat", bits=2, count=5)] == [3, 5, 17, 257, 65537]
    assert [number.n for number in generate("fermat", bits=33, count=2)] == [2**32 + 1, 2**64 + 1]
    assert [number.bits for number in generate("fermat", bits=34, count=1)] == [65]


@pytest.mark.parametrize("kind", DIVIDED)
def test_every_prime_is_of_its_split(kind):
    """So no prime of a test set occurs in a training set."""
    for split in ("training", "validation", "test"):
        for primes in made(kind, 48, count=6, split=split):
            assert {split_of(p) for p in primes} == {split}


def test_splits_part_all_primes():
    """Each prime has one; a tenth is test, a tenth validation. A prime that changes its split moves results."""
    primes = list(primerange(2, 200_000))
    shares = Counter(map(split_of, primes))
    assert set(shares) == {"training", "validation", "test"}
    assert 0.09 < shares["test"] / len(primes) < 0.11
    assert 0.09 < shares["validation"] / len(primes) < 0.11
    assert [p for p in primes if split_of(p) == "test"][:8] == FIRST_TEST_PRIMES


def test_test_is_the_usual_split():
    """Formulas leave no choice of primes and know no split."""
    assert generate("semiprime", bits=48, count=2) == generate("semiprime", bits=48, count=2, split="test")
    assert generate("fermat", bits=48, count=2) == generate("fermat", bits=48, count=2, split="any")


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_makes_the_same_integers(kind):
    """Integer i does not depend on how many are made; another seed, length or split makes others."""
    five = generate(kind, bits=64, count=5, seed=3)
    assert generate(kind, bits=64, count=2, seed=3) == five[:2]
    assert [number.name for number in generate(kind, bits=64, count=2, seed=3)] == [five[0].name, five[1].name]
    if kind not in ("mersenne", "fermat"):
        assert not set(generate(kind, bits=64, count=5, seed=4)) & set(five)


def test_results_have_not_moved():
    """The first integer of each kind, on every machine; a change here moves results."""
    first = {kind: generate(kind, bits=64, count=1)[0].n for kind in KINDS}
    assert first == FIRST


def test_names_and_comments_say_what_makes_an_integer_again():
    (number,) = generate("unbalanced", bits=60, count=1, seed=7, split="any", small=9)
    assert number.name == "unbalanced-any-9-b60-s7-0000"
    assert number.comment == "generator unbalanced: bits=60, seed=7, split=any, small=9, number=0"
    (number,) = generate("semiprime", bits=60, count=1)
    assert number.name == "semiprime-b60-s1-0000"
    assert number.comment == "generator semiprime: bits=60, seed=1, split=test, number=0"
    assert generate("mersenne", bits=60, count=1)[0].name == "mersenne-b60-s1-0000"


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("prime-number", {}, "prime-number: unknown kind; accepted are semiprime, unbalanced, close, pm1-smooth"),
        ("semiprime", {"bits": 1}, "bits: is 1; accepted are 2 to 4096"),
        ("semiprime", {"bits": 4097}, "bits: is 4097; accepted are 2 to 4096"),
        ("semiprime", {"count": 0}, "count: is 0; accepted are 1 to 1000000"),
        ("semiprime", {"seed": -1}, "seed: is -1; accepted are 0 to"),
        ("semiprime", {"split": "train"}, "split: is 'train'; semiprime accepts training, validation, test, any"),
        ("mersenne", {"split": "test"}, "split: is 'test'; mersenne accepts any"),
        ("semiprime", {"small": 8}, "small: unknown option of semiprime; accepted are none"),
        ("unbalanced", {"large": 8}, "large: unknown option of unbalanced; accepted are small"),
        ("unbalanced", {"small": 1}, "small: is 1; accepted are integers from 2"),
        ("unbalanced", {"small": 24}, "small: is 24 of 48 bits; accepted are 2 to 23"),
        ("close", {"distance": 1}, "distance: is 1; accepted are integers from 2"),
        ("pm1-smooth", {"bound": 4}, "bound: is 4; accepted are 5 to 100000"),
        ("smooth", {"bound": 100_001}, "bound: is 100001; accepted are 5 to 100000"),
        ("smooth", {"cofactor": 10}, "cofactor: is 10 of 48 bits; accepted are 11 to 47 with bound=1000"),
        ("smooth", {"cofactor": 48}, "cofactor: is 48 of 48 bits; accepted are 11 to 47 with bound=1000"),
        ("prime-power", {"exponent": 1}, "exponent: is 1; accepted are integers from 2"),
        ("prime-power", {"exponent": 60}, "exponent: is 60 of 48 bits; accepted are 2 to 47"),
        ("close", {"distance": 10**20}, "distance: is 100000000000000000000 of 48 bits; accepted are 2 to 48"),
        ("carmichael", {"bits": 513}, "bits: is 513; accepted are up to 512 for Carmichael numbers"),
    ],
)
def test_wrong_requests_are_refused(kind, changes, message):
    """The error names the option and what is accepted."""
    with pytest.raises(InvalidInput) as caught:
        generate(kind, **{"bits": 48, "count": 1} | changes)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("kind", "bits", "count", "options", "found"),
    [
        ("semiprime", 2, 1, {"split": "any"}, 0),
        ("semiprime", 4, 1, {"split": "any"}, 0),
        ("semiprime", 16, 1, {"split": "test"}, 0),
        ("semiprime", 20, 99, {"split": "test"}, 14),
        ("prime", 2, 3, {"split": "any"}, 2),
        ("prime-power", 48, 1, {"exponent": 47}, 0),
        ("carmichael", 12, 1, {}, 0),
        ("carmichael", 11, 2, {}, 1),
        ("unbalanced", 48, 1, {"small": 2, "split": "test"}, 0),
        ("fermat", 4096, 5, {}, 4),
    ],
)
def test_impossible_requests_are_refused(kind, bits, count, options, found):
    """The error says how many different ones there are."""
    with pytest.raises(InvalidInput) as caught:
        generate(kind, bits=bits, count=count, **options)
    assert str(caught.value).startswith(f"count: is {count}, but only {found} different numbers of kind {kind}")


def test_draws_are_uniform_and_bounded():
    """Every value of a small range occurs about equally often; equal keys give equal draws."""
    draws = Draws("test")
    counts = Counter(draws.between(-2, 4) for _ in range(7000))
    assert set(counts) == set(range(-2, 5))
    assert all(850 < count < 1150 for count in counts.values())
    assert {draws.between(5, 5) for _ in range(3)} == {5}
    again = [Draws("test", 1).bits(100) for _ in range(2)]
    assert again[0] == again[1] != Draws("test").bits(100)
    assert {Draws("test", number).bits(3) for number in range(99)} == set(range(8))


def test_a_choice_is_among_what_fits():
    """None where nothing does; in small ranges and in large."""
    draws = Draws("test")
    assert {draws.choose(0, 20, lambda value: value % 7 == 0) for _ in range(99)} == {0, 7, 14}
    assert draws.choose(0, 20, lambda value: value > 20) is None
    assert draws.choose(0, 10**6, lambda value: value > 10**6) is None
    assert draws.choose(0, 10**6, lambda value: value % 1000 == 1) % 1000 == 1
