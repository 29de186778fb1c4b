"""Every distance rule, against exact arithmetic and by hand."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from instances.routing import rounding
from instances.routing.rounding import (
    IntArray,
    Rounding,
    geographical_distances,
    integer_sqrt,
    planar_distances,
)

PLANAR = [rule for rule in Rounding if rule not in (Rounding.GEO, Rounding.EXPLICIT)]


def one(dx: int, dy: int, decimals: int, rule: Rounding) -> int:
    return int(planar_distances(np.array([dx]), np.array([dy]), decimals, rule)[0])


def floor_root(value: Fraction) -> int:
    """The floor of the square root of a rational number."""
    return math.isqrt(value.numerator // value.denominator)


def reference(dx: int, dy: int, decimals: int, rule: Rounding) -> int:
    """The rule's definition in rational numbers: m - 1/2 <= sqrt(v) if and only if (2 m - 1)^2 <= 4 v."""
    squared = Fraction(dx * dx + dy * dy, 10 ** (2 * decimals))
    match rule:
        case Rounding.NEAREST:
            return (floor_root(4 * squared) + 1) // 2
        case Rounding.UNROUNDED:
            return (floor_root(4 * 10**12 * squared) + 1) // 2
        case Rounding.TRUNCATED:
            return floor_root(100 * squared)
        case _:
            value = squared / 10 if rule is Rounding.ATT else squared
            root = floor_root(value)
            return root + (root * root < value)


differences = st.one_of(
    st.integers(-2000, 2000),
    st.integers(-(2**26), 2**26),
    st.integers(-(2**31), 2**31),
    st.integers(-(2**54), 2**54),
)


@given(st.sampled_from(PLANAR), st.lists(st.tuples(differences, differences), min_size=1), st.integers(0, 18))
@example(Rounding.NEAREST, [(2**24, 1), (2**24 - 1, 2**12)], 0)
@example(Rounding.UNROUNDED, [(1_000_000, 999_999)], 6)
@example(Rounding.TRUNCATED, [(2**54, 2**54)], 18)
@example(Rounding.CEILING, [(2**53, 1), (0, 0)], 9)
def test_distances_are_exact(rule: Rounding, pairs: list[tuple[int, int]], decimals: int) -> None:
    """All paths of every rule agree with rational arithmetic, for any size of number."""
    dx, dy = np.array(pairs, dtype=np.int64).T
    expected = [reference(x, y, decimals, rule) for x, y in pairs]
    assume(max(expected) < 2**62)  # as every instance guarantees
    assert planar_distances(dx, dy, decimals, rule).tolist() == expected


@pytest.mark.parametrize("rule", PLANAR)
def test_next_to_where_the_rule_decides(rule: Rounding) -> None:
    """Where a root lies next to an integer or a half-integer, at every magnitude, it falls on the right side.

    With k = m^2: k^2 + m^2 lies 1/4 below the square of k + 1/2, (k - 1)^2 + m^2 lies 3/4 above that of
    k - 1/2, k^2 + 1 lies next to k^2, and (2 k)^2 + (2 m)^2 next to (2 k + 1)^2.
    """
    for start in range(1, 2**15, 256):
        m = np.arange(start, start + 256, 15)
        dx = np.concatenate((m**2, m**2 - 1, m**2, 2 * m**2))
        dy = np.concatenate((m, m, np.ones_like(m), 2 * m))
        expected = [reference(x, y, 0, rule) for x, y in zip(dx.tolist(), dy.tolist(), strict=True)]
        assert planar_distances(dx, dy, 0, rule).tolist() == expected


@pytest.mark.parametrize("rule", [Rounding.NEAREST, Rounding.CEILING, Rounding.TRUNCATED, Rounding.UNROUNDED])
def test_every_small_square_is_exact(rule: Rounding) -> None:
    """All differences up to 300, at once."""
    dx, dy = np.meshgrid(np.arange(301), np.arange(301))
    found = planar_distances(dx, dy, 0, rule)
    assert found.tolist() == [[reference(x, y, 0, rule) for x in range(301)] for y in range(301)]


@pytest.mark.parametrize("rule", PLANAR)
@pytest.mark.parametrize("decimals", [0, 1, 6])
def test_all_paths_agree(rule: Rounding, decimals: int) -> None:
    """The floating, the integer and the unbounded path give the same distances where all of them apply."""
    dx, dy = np.random.default_rng(1).integers(-3000, 3001, size=(2, 500))
    fast = planar_distances(dx, dy, decimals, rule)
    factor, divisor = 10 ** max(rule.decimals - decimals, 0), 10 ** max(decimals - rule.decimals, 0)
    exact = [
        rounding._planar_distance(x, y, factor, divisor, rule) for x, y in zip(dx.tolist(), dy.tolist(), strict=True)
    ]
    # One huge difference sends the others down the unbounded path with it, a large one down the integer path.
    for huge in (10**5, 2**26, 2**40):
        mixed = planar_distances(np.append(dx, huge), np.append(dy, huge), decimals, rule)
        assert mixed[:-1].tolist() == exact
    assert fast.tolist() == exact


@pytest.mark.parametrize(
    ("rule", "dx", "dy", "decimals", "expected"),
    [
        (Rounding.NEAREST, 1, 1, 0, 1),  # 1.414
        (Rounding.NEAREST, 1, 2, 0, 2),  # 2.236
        (Rounding.NEAREST, 2, 3, 0, 4),  # 3.606
        (Rounding.NEAREST, 15, 20, 1, 3),  # 2.5 rounds up
        (Rounding.NEAREST, 149, 0, 2, 1),  # 1.49
        (Rounding.TRUNCATED, 1, 1, 0, 14),  # 1.414
        (Rounding.TRUNCATED, 2, 3, 0, 36),  # 3.606
        (Rounding.TRUNCATED, 1999, 0, 3, 19),  # 1.999
        (Rounding.CEILING, 3, 4, 0, 5),
        (Rounding.CEILING, 1, 1, 0, 2),
        (Rounding.CEILING, 101, 0, 2, 2),  # 1.01
        (Rounding.UNROUNDED, 1, 1, 0, 1_414_214),
        (Rounding.UNROUNDED, 1_000_000, 1_000_000, 6, 1_414_214),
        (Rounding.UNROUNDED, 3, 4, 6, 5),
        (Rounding.ATT, 10, 0, 0, 4),  # sqrt(10) = 3.16: TSPLIB's nint gives 3, below, so 4
        (Rounding.ATT, 30, 10, 0, 10),  # sqrt(100) exactly
        (Rounding.ATT, 7, 1, 0, 3),  # sqrt(5) = 2.24
        (Rounding.ATT, 6823 - 7692, 4674 - 2247, 0, 816),  # sqrt(664548.9...) = 815.2: att48-like magnitudes
    ],
)
def test_by_hand(rule: Rounding, dx: int, dy: int, decimals: int, expected: int) -> None:
    """Hand-computed distances of each rule."""
    assert one(dx, dy, decimals, rule) == expected
    assert one(-dy, dx, decimals, rule) == expected


def test_att_is_tsplibs_pseudo_euclidean() -> None:
    """ATT as TSPLIB words it: nint of sqrt((dx^2 + dy^2) / 10), plus one where that lies below."""
    dx, dy = np.meshgrid(np.arange(200), np.arange(200))
    exact = np.sqrt((dx * dx + dy * dy) / 10.0)
    nearest = np.rint(exact).astype(np.int64)
    np.testing.assert_array_equal(
        planar_distances(dx, dy, 0, Rounding.ATT), np.where(nearest < exact, nearest + 1, nearest)
    )


def test_geo_is_tsplibs() -> None:
    """The first row of TSPLIB's ulysses16, whose coordinates are degrees and minutes."""
    points = np.array(
        [
            [3824, 2042],
            [3957, 2615],
            [4056, 2532],
            [3626, 2312],
            [3348, 1054],
            [3756, 1219],
            [3842, 1311],
            [3752, 2044],
        ]
    )
    row = geographical_distances(np.broadcast_to(points[0], points.shape), points, 2)
    assert row.tolist() == [0, 509, 501, 312, 1019, 736, 656, 60]


def test_geo_of_one_place_is_zero_and_of_the_south_is_symmetric() -> None:
    """A place is 0 from itself, though TSPLIB's formula gives 1; mirrored places are equally far apart."""
    north, south = np.array([[3030, 1015], [4045, 2030]]), np.array([[-3030, -1015], [-4045, -2030]])
    assert geographical_distances(north, north, 2).tolist() == [0, 0]
    ends = geographical_distances(north[:1], north[1:], 2), geographical_distances(south[:1], south[1:], 2)
    assert ends[0] == ends[1]


@given(st.lists(st.integers(0, 2**62 - 1), min_size=1))
@example([0, 1, 2**62 - 1, (2**31 - 1) ** 2, (2**31 - 1) ** 2 - 1, 94906265**2, 94906266**2 - 1])
def test_integer_sqrt_is_the_floor(values: list[int]) -> None:
    """The vectorised root equals math.isqrt."""
    assert integer_sqrt(np.array(values, dtype=np.int64)).tolist() == [math.isqrt(value) for value in values]


@pytest.mark.parametrize("rule", [Rounding.GEO, Rounding.EXPLICIT])
def test_other_rules_are_not_planar(rule: Rounding) -> None:
    """GEO and explicit matrices have no planar distances."""
    nothing: IntArray = np.zeros(1, np.int64)
    with pytest.raises(ValueError, match="not a rule for planar"):
        planar_distances(nothing, nothing, 0, rule)


def test_shapes_are_kept() -> None:
    """Any shape, also empty, goes through."""
    for shape in ((0,), (2, 3), ()):
        zeros: IntArray = np.zeros(shape, np.int64)
        assert planar_distances(zeros, zeros, 0, Rounding.NEAREST).shape == shape


def test_decimals_of_a_distance() -> None:
    """Truncated distances have one decimal, unrounded ones six, the others none."""
    assert {rule: rule.decimals for rule in Rounding if rule.decimals} == {
        Rounding.TRUNCATED: 1,
        Rounding.UNROUNDED: 6,
    }
