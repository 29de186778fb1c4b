"""The comparison on a terminal: tables that fit 80 columns."""

import re

from rich import box
from rich.table import Table
from rich.text import Text

from services.analysis.statistics import conclusion, pairs, rank
from services.records import Results
from services.wording import interval_bounds, number, p_words, seconds_words

MAX_SENTENCES = 12


def ranking_table(results: Results) -> Table:
    """Solvers by mean percent gap: answered, gap with 95 % interval, primal integral, seconds to best."""
    table = _table(f"{results.comparison.name}: ranking by mean gap, budget {results.comparison.budget:g} s")
    table.add_column("solver", overflow="fold", min_width=10)
    for heading in ("answered", "gap %", "95 % interval", "primal\nintegral", "s to\nbest", "dis-\nturbed"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rank(results):
        table.add_row(
            _label(row.solver),
            f"{row.num_answered}/{row.num_instances}",
            number(row.gap.value),
            interval_bounds(row.gap),
            number(row.primal_integral.value, 3),
            seconds_words(row.seconds_to_best),
            f"{row.num_disturbed}/{row.num_runs}",
        )
    return table


def pairs_table(results: Results) -> Table:
    """Every declared pair on the instances both answered; claimed differences are marked."""
    table = _table("pairs: mean difference in percent, negative where the first is better")
    table.add_column("first", overflow="fold", min_width=10)
    table.add_column("second", overflow="fold", min_width=10)
    for heading in ("diff %", "95 % interval", "w/t/l", "p (Holm)"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("claimed", no_wrap=True)
    num_disturbed = sum(run.disturbed for run in results.runs)
    if num_disturbed:
        table.caption = f"{num_disturbed} of {len(results.runs)} runs were disturbed"
    for pair in pairs(results):
        table.add_row(
            _label(pair.first),
            _label(pair.second),
            number(pair.difference.value if pair.difference else None, signed=True),
            interval_bounds(pair.difference),
            f"{pair.wins}/{pair.ties}/{pair.losses}",
            p_words(pair.corrected_p),
            Text("yes", style="bold green") if pair.claimed else Text("no", style="dim"),
        )
    return table


def conclusion_text(results: Results) -> Text:
    """The conclusion, a sentence a line; beyond twelve, how many more the report has."""
    said = conclusion(results)
    lines = [f"• {sentence}" for sentence in said[:MAX_SENTENCES]]
    if len(said) > MAX_SENTENCES:
        lines.append(f"… and {len(said) - MAX_SENTENCES} more in the report")
    return Text("\n".join(lines))


def _label(solver: str) -> Text:
    """A label that may break after its punctuation."""
    return Text(re.sub(r"([:,])(?=\S)", r"\1 ", solver))


def _table(title: str) -> Table:
    return Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
