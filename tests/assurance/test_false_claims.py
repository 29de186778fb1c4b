"""The A/A test of the statistics, in reduced form; ``false_claims.py`` is the full one."""

import runpy
from pathlib import Path

import pytest

SCRIPT = runpy.run_path(str(Path(__file__).with_name("false_claims.py")))


@pytest.mark.parametrize("case", [case for case in SCRIPT["CASES"] if case.bounded], ids=lambda case: case.name)
def test_few_false_claims_most_differences_found_truth_covered(case: object) -> None:
    """Over 200 comparisons the protocol's three bounds hold, give or take three standard errors."""
    rates = SCRIPT["measure"](case, 200)
    assert rates.false_claims <= 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5
    assert rates.found >= 0.80
    assert 0.92 - 3 * (0.92 * 0.08 / 400) ** 0.5 <= rates.covered <= 0.97 + 3 * (0.97 * 0.03 / 400) ** 0.5


@pytest.mark.slow
def test_the_full_form_holds_its_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    """2,000 comparisons of each kind stay within the bounds, which the script judges itself."""
    assert SCRIPT["main"](["--comparisons", "2000"]) == 0, capsys.readouterr().out
