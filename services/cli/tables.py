"""The comparison on a terminal: tables that fit 80 columns."""

import re
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from services.analysis.overview import Overview
from services.analysis.sentences import count
from services.analysis.wording import interval_bounds, managed_words, number, p_words, seconds_words

MAX_SENTENCES = 12


def overview_parts(parts: dict[str, Overview], closing: Sequence[str]) -> Iterable[RenderableType]:
    """What is printed of a comparison: each problem under its name, if there are several, then what closes it."""
    for problem, part in parts.items():
        if len(parts) > 1:
            num_solvers, num_instances = len(part.results.comparison.solvers), len(part.results.instances)
            heading = f"{problem}: {count(num_solvers, 'solver')} on {count(num_instances, 'instance')}"
            yield Text(heading, style="bold underline")
        if part.ranking:
            yield ranking_table(part)
            yield pairs_table(part)
        if part.largest_sizes:
            yield sizes_table(part)
        yield sentences_text(part.sentences)
        if len(parts) > 1:
            yield Text()
    if closing:
        yield sentences_text(closing)


def ranking_table(part: Overview) -> Table:
    """Solvers by mean percent gap: answered, at the reference cost or better, gap, integral, seconds to best.

    Where costs only say solved or not, the mean gap is the share unsolved and headed so.
    """
    comparison = part.results.comparison
    by = "share unsolved" if part.solved_or_not else "mean gap"
    table = _table(f"{comparison.name}: ranking by {by}, budget {comparison.budget:g} s")
    table.add_column("solver", overflow="fold", min_width=10)
    headings = ("solved", "un-\nsolved %") if part.solved_or_not else ("answered", "at\nbest", "gap %")
    seconds = "s to\nsolve" if part.solved_or_not else "s to\nbest"
    for heading in (*headings, "95 % interval", "primal\nintegral", seconds, "dis-\nturbed"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in part.ranking:
        reached = f"{row.num_reached}/{row.num_instances}"
        table.add_row(
            _label(row.solver),
            *([] if part.solved_or_not else [f"{row.num_answered}/{row.num_instances}"]),
            reached,
            number(row.gap.value),
            interval_bounds(row.gap),
            number(row.primal_integral.value, 3),
            seconds_words(row.seconds_to_best),
            f"{row.num_disturbed}/{row.num_runs}",
        )
    return table


def pairs_table(part: Overview) -> Table:
    """Every declared pair, by cost or by primal integral; claimed differences are marked."""
    what = "primal integral in % of the budget" if part.solved_or_not else "mean difference in percent"
    table = _table(f"pairs: {what}, negative where the first is better")
    table.add_column("first", overflow="fold", min_width=10)
    table.add_column("second", overflow="fold", min_width=10)
    for heading in ("diff %", "95 % interval", "w/t/l", "p (Holm)"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("claimed", no_wrap=True)
    num_disturbed = sum(run.disturbed for run in part.results.runs)
    if num_disturbed:
        table.caption = f"{num_disturbed} of {len(part.results.runs)} runs were disturbed"
    for pair in part.pairs:
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


def sizes_table(part: Overview) -> Table:
    """How large the instances are that each solver manages within the budget."""
    table = _table("largest size managed within the budget, with how many of that size were solved")
    table.add_column("solver", overflow="fold", min_width=10)
    for heading in ("all solved\nup to", "half solved\nup to", "largest\nsolved"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in part.largest_sizes:
        largest = "none" if row.solved is None else f"{row.solved} {row.unit}"
        all_solved, half_solved = (managed_words(managed, row.unit) for managed in (row.all, row.half))
        table.add_row(_label(row.solver), all_solved, half_solved, largest)
    return table


def sentences_text(said: Sequence[str]) -> Text:
    """Sentences, one a line; beyond twelve, how many more the report has."""
    lines = [f"• {sentence}" for sentence in said[:MAX_SENTENCES]]
    if len(said) > MAX_SENTENCES:
        lines.append(f"… and {len(said) - MAX_SENTENCES} more in the report")
    return Text("\n".join(lines))


def _label(solver: str) -> Text:
    """A label that may break after its punctuation."""
    return Text(re.sub(r"([:,])(?=\S)", r"\1 ", solver))


def _table(title: str) -> Table:
    return Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
