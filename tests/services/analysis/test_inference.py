"""Intervals and tests against scipy and statsmodels, and on degenerate data."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from services.analysis.inference import holm, mean_intervals, rank_biserial, signed_rank_p, wilson_interval


@pytest.mark.parametrize("num_rows", [2, 3, 7, 30, 200])
@pytest.mark.parametrize("kind", ["normal", "skewed", "many zeros"])
def test_intervals_equal_those_of_scipy(num_rows: int, kind: str) -> None:
    """The same draws give scipy's BCa interval of the mean, column by column."""
    rng = np.random.default_rng(num_rows)
    values = {
        "normal": rng.normal(30, 100, (num_rows, 3)),
        "skewed": 100 * rng.exponential(1, (num_rows, 3)) ** 2,
        "many zeros": rng.integers(-3, 2, (num_rows, 3)).clip(min=0),
    }[kind].round()
    values[0] += 1000  # No column is constant; integers keep scipy's sums, and so its ties, exact.
    for column, ours in enumerate(mean_intervals(values, 1999)):
        theirs = stats.bootstrap(
            (values[:, column],), np.mean, n_resamples=1999, method="BCa", rng=np.random.default_rng(0)
        ).confidence_interval
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9, abs=1e-12)
        assert ours.value == pytest.approx(values[:, column].mean())


def test_blocks_of_draws_do_not_change_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded by drawing in blocks; the stream of draws stays one."""
    values = np.random.default_rng(5).normal(size=(20, 2))
    whole = mean_intervals(values, 999)
    monkeypatch.setattr("services.analysis.inference._BLOCK", 20 * 64)
    for one, other in zip(whole, mean_intervals(values, 999), strict=True):
        assert (one.low, one.high) == pytest.approx((other.low, other.high), rel=1e-12)


def test_intervals_are_deterministic() -> None:
    values = np.random.default_rng(2).normal(size=(12, 4))
    assert mean_intervals(values) == mean_intervals(values.copy())


def test_intervals_of_degenerate_columns() -> None:
    """A constant gives itself thrice, a nan column nan, and neither disturbs the column between."""
    good = np.arange(10.0)
    values = np.stack([np.full(10, 0.1), good, np.full(10, np.nan)], axis=1)
    constant, between, missing = mean_intervals(values)
    assert (constant.low, constant.high) == (constant.value, constant.value) == pytest.approx((0.1, 0.1))
    assert between == mean_intervals(good[:, None])[0]
    assert math.isnan(missing.value) and math.isnan(missing.low) and math.isnan(missing.high)


def test_intervals_of_one_row_and_of_none() -> None:
    """One instance has a mean and no interval, none has neither."""
    (one,) = mean_intervals(np.array([[4.0]]))
    assert one.value == 4 and math.isnan(one.low) and math.isnan(one.high)
    (none,) = mean_intervals(np.empty((0, 1)))
    assert math.isnan(none.value) and math.isnan(none.low)


@pytest.mark.parametrize("num", [1, 2, 6, 15, 50])
def test_signed_rank_p_is_scipys_exact_one(num: int) -> None:
    """Without ties and zeros."""
    differences = np.random.default_rng(num).normal(0.3, 1, num)
    expected = stats.wilcoxon(differences, zero_method="pratt", method="exact").pvalue
    assert signed_rank_p(differences) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(4))
def test_signed_rank_p_with_ties_and_zeros_is_the_permutation_test(seed: int) -> None:
    """scipy enumerates all signs of up to 13 differences; so do we, by convolution."""
    differences = np.random.default_rng(seed).integers(-2, 4, 9).astype(float)
    expected = stats.wilcoxon(differences, zero_method="pratt").pvalue
    assert signed_rank_p(differences) == pytest.approx(expected)


def test_signed_rank_p_of_many_differences_is_scipys_asymptotic_one() -> None:
    differences = np.round(np.random.default_rng(0).normal(0.1, 1, 300), 1)
    expected = stats.wilcoxon(differences, zero_method="pratt", method="asymptotic").pvalue
    assert signed_rank_p(differences) == pytest.approx(expected)


def test_five_differences_among_zeros_are_not_significant() -> None:
    """Only the five signs carry evidence, 2 / 2^5; the normal approximation would say 0.03."""
    differences = np.array([0.0] * 95 + [1.0, 2.0, 3.0, 4.0, 5.0])
    assert signed_rank_p(differences) == pytest.approx(2 / 2**5)
    assert stats.wilcoxon(differences, zero_method="pratt", method="asymptotic").pvalue < 0.05


def test_signed_rank_p_of_nothing_and_of_zeros_is_1() -> None:
    assert signed_rank_p(np.zeros(20)) == 1
    assert signed_rank_p(np.empty(0)) == 1


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60))
def test_signed_rank_p_is_a_probability_blind_to_order_and_sign(values: list[int]) -> None:
    differences = np.array(values, dtype=float)
    p = signed_rank_p(differences)
    assert 0 < p <= 1
    assert signed_rank_p(-differences) == pytest.approx(p)
    assert signed_rank_p(differences[::-1]) == pytest.approx(p)


@pytest.mark.parametrize("p_values", [[0.02], [0.01, 0.04, 0.03], [0.5, 0.01, 0.01, 1.0], [0.0, 0.9, 0.2, 0.011]])
def test_holm_is_that_of_statsmodels(p_values: list[float]) -> None:
    """Also with ties and with scaled values above 1."""
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_holm_of_no_pair() -> None:
    assert holm([]) == []


def test_rank_biserial() -> None:
    """-1 and 1 where all differences have one sign, 0 where there are none; by hand between."""
    assert rank_biserial(np.array([-1.0, -2.0, 0.0])) == -1
    assert rank_biserial(np.array([3.0])) == 1
    assert rank_biserial(np.zeros(4)) == 0
    assert rank_biserial(np.empty(0)) == 0
    assert rank_biserial(np.array([-1.0, 2.0, 3.0])) == pytest.approx((2 + 3 - 1) / 6)


@pytest.mark.parametrize(("num_successes", "number"), [(0, 1), (1, 1), (0, 20), (7, 20), (20, 20), (133, 1000)])
def test_wilson_interval_is_that_of_scipy(num_successes: int, number: int) -> None:
    theirs = stats.binomtest(num_successes, number).proportion_ci(method="wilson")
    ours = wilson_interval(num_successes, number)
    assert ours.value == num_successes / number
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilson_interval_of_nothing_is_nan() -> None:
    assert math.isnan(wilson_interval(0, 0).value)
