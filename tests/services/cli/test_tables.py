"""Terminal tables: every solver is in them, and they fit a narrow terminal."""

from io import StringIO

import pytest
from rich.console import Console, RenderableType

from instances.problem import BestKnown, Description
from services.analysis.overview import Overview, overview
from services.analysis.summary import Interval, SizeShare
from services.analysis.wording import (
    cost_words,
    interval_words,
    managed_words,
    number,
    p_words,
    seconds_words,
    size_words,
)
from services.cli.tables import MAX_SENTENCES, overview_parts, pairs_table, ranking_table, sentences_text
from services.records import Comparison, Incumbent, Results, Run, Status

SOLVERS = {
    "ortools:metaheuristic=guided,first_solution=savings,iterations=5000": "ortools",
    "pyvrp": "pyvrp",
    "[bold]savings": "savings",
}


def make_overview(num_instances: int = 8, best_known: int = 1000) -> Overview:
    """Solvers at 5, 1 and 9 percent above 1000, give or take an instance's own noise."""
    comparison = Comparison("spring", SOLVERS, 2.0, 1)
    known = BestKnown(best_known, False, "CVRPLIB", "2026-11")
    instances, runs = {}, []
    for i in range(num_instances):
        digest = f"{i:064x}"
        instances[digest] = Description("routing", f"i{i}", digest, 20, "customers", (), 0, {}, known)
        for label, level in zip(SOLVERS, (1050, 1010, 1090), strict=True):
            key, trace = f"{i}{label}", (Incumbent(0.1, level + i),)
            runs.append(Run(key, digest, label, SOLVERS[label], 0, 1, Status.FINISHED, trace=trace))
    return overview(Results(comparison, instances, tuple(runs)))


def printed(renderable: RenderableType, width: int = 80, soft_wrap: bool = True) -> list[str]:
    """Lines as the command prints them."""
    console = Console(file=StringIO(), width=width, soft_wrap=soft_wrap)
    console.print(renderable)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


def squeezed(lines: list[str]) -> str:
    return "".join("".join(lines).split())


@pytest.mark.parametrize("soft_wrap", [True, False])
def test_tables_fit_80_columns(soft_wrap: bool) -> None:
    """No line is wider than the terminal and no number is cut, whatever the label's length."""
    part = make_overview()
    for table in (ranking_table(part), pairs_table(part)):
        lines = printed(table, soft_wrap=soft_wrap)
        assert max(map(len, lines)) <= 80
        assert not any("…" in line for line in lines)
        assert "metaheuristic=guided,first_solution=savings,iterations=5000" in squeezed(lines)


def test_ranking_has_its_numbers() -> None:
    """Best first, with mean gap, interval and answered instances; markup in a label is shown as it is."""
    text = "\n".join(printed(ranking_table(make_overview()), 120))
    assert text.index("pyvrp") < text.index("ortools") < text.index("[bold]savings")
    assert "8/8" in text
    assert "1.35[1.20,1.50]" in squeezed([text])


def make_factoring() -> Overview:
    """Eight numbers that one solver factors in a tenth of the budget and another leaves half of."""
    comparison = Comparison("primes", {"sieve": "sieve", "trial:order=ascending": "trial"}, 2.0, 1)
    known = BestKnown(0, True, "every integer has a complete factorisation", "1801")
    instances, runs = {}, []
    for i in range(8):
        digest = f"{i:064x}"
        size = 16 + 8 * (i // 2)
        instances[digest] = Description("factoring", f"n{i}", digest, size, "bits", (), 0, {}, known)
        for label in comparison.solvers:
            trace = (Incumbent(0.2, 0),) if label == "sieve" or i < 4 else ()
            runs.append(Run(f"{i}{label}", digest, label, label, 0, 1, Status.FINISHED, trace=trace))
    return overview(Results(comparison, instances, tuple(runs)))


def test_solved_or_not_has_its_own_tables() -> None:
    """Shares unsolved, pairs by primal integral and the largest sizes, within 80 columns."""
    text = [printed(part) for part in overview_parts({"factoring": make_factoring()}, [])]
    assert max(len(line) for table in text[:3] for line in table) <= 80
    ranking, paired, sizes, said = map(squeezed, text)
    assert "rankingbyshareunsolved" in ranking and "8/8" in ranking and "4/8" in ranking
    assert "primalintegralin%ofthebudget" in paired
    assert "40bits(2of2)" in sizes and "24bits(2of2)" in sizes
    assert "sievesolvedthemost:8of8instances" in said


def test_several_problems_stand_under_their_names() -> None:
    """A heading for each of several, none for one; what closes the comparison comes last."""
    both = {"routing": make_overview(), "factoring": make_factoring()}
    lines = [line for part in overview_parts(both, ["a declined b."]) for line in printed(part, 200)]
    assert lines.index("routing: 3 solvers on 8 instances") < lines.index("factoring: 2 solvers on 8 instances")
    assert lines[-1] == "• a declined b."
    alone = [line for part in overview_parts({"routing": make_overview()}, []) for line in printed(part, 200)]
    assert not any(line.startswith("routing:") for line in alone)


def test_pairs_say_what_is_claimed() -> None:
    """Eight constant differences are claimed, two are too few."""
    assert sum(" yes" in line for line in printed(pairs_table(make_overview()), 160)) == 3
    assert sum(" yes" in line for line in printed(pairs_table(make_overview(2)), 160)) == 0


@pytest.mark.parametrize("soft_wrap", [True, False])
def test_conclusion_is_not_cut(soft_wrap: bool) -> None:
    """Each sentence is there to its end on a narrow terminal; too many are counted."""
    lines = printed(sentences_text(make_overview().sentences), 60, soft_wrap)
    assert "Gapsaretothebest-knowncoston8instances." in squeezed(lines)
    many = squeezed(printed(sentences_text(make_overview(30, best_known=2000).sentences), 60, soft_wrap))
    assert many.count("•") == MAX_SENTENCES
    assert "moreinthereport" in many


def test_words() -> None:
    """Numbers have a true minus sign, what does not exist is a dash, costs are in display units."""
    assert number(-1.234) == "−1.23"
    assert number(1.0, signed=True) == "+1.00"
    assert number(None) == number(float("nan")) == "–"
    assert number(float("inf")) == "∞"
    assert interval_words(Interval(1, -2, 3)) == "1.00 [−2.00, 3.00]"
    assert interval_words(Interval(1, float("nan"), float("nan"))) == "1.00"
    assert interval_words(None) == "–"
    assert p_words(0.0001) == "<\u00a00.001"
    assert p_words(0.04) == "0.040"
    assert seconds_words(0.01234) == "0.0123"
    assert seconds_words(1234.5) == "1234"
    assert seconds_words(8.74e-5) == "0.0000874"
    tenth = Description("routing", "C101", "", 100, "customers", (), 1, {}, None)
    assert cost_words(8273, tenth) == "827.3"
    assert cost_words(12345678, tenth) == "1\u202f234\u202f567.8"


def test_words_of_sizes() -> None:
    """A class of one size is that size; how many of it were solved is told."""
    share = SizeShare(41, 48, 20, 19, Interval(0.95, 0.7, 1))
    assert managed_words(share, "bits") == "41–48 bits (19 of 20)"
    assert managed_words(None, "bits") == "none"
    assert size_words(48, 48) == "48"
