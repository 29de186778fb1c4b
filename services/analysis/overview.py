"""What a comparison says of each of its problems, ready to be shown: the input of terminal, report and JSON."""

from dataclasses import asdict, dataclass
from typing import Any

from services.analysis.metrics import solved_or_not
from services.analysis.sentences import sentences
from services.analysis.solved import largest_sizes
from services.analysis.statistics import pairs, rank
from services.analysis.summary import LargestSize, Pair, RankRow
from services.records import Results


@dataclass(frozen=True)
class Overview:
    """A comparison's conclusion on one problem, and what it rests on.

    ``solved_or_not`` where costs say no more than that; only then there are ``largest_sizes``. ``results`` are
    those of the problem alone.
    """

    results: Results
    solved_or_not: bool
    sentences: tuple[str, ...]
    ranking: tuple[RankRow, ...]
    pairs: tuple[Pair, ...]
    largest_sizes: tuple[LargestSize, ...]

    def document(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "conclusion": list(self.sentences),
            "ranking": [asdict(row) for row in self.ranking],
            "pairs": [asdict(pair) for pair in self.pairs],
            "largest_sizes": [asdict(row) for row in self.largest_sizes],
        }


def overview(results: Results) -> Overview:
    """The conclusion on the results of one problem; InvalidInput if they are of several."""
    ranking, paired = rank(results), pairs(results)
    binary = solved_or_not(results)
    return Overview(
        results=results,
        solved_or_not=binary,
        sentences=tuple(sentences(results, ranking, paired)),
        ranking=tuple(ranking),
        pairs=tuple(paired),
        largest_sizes=tuple(largest_sizes(results)) if binary else (),
    )


def overviews(results: Results) -> dict[str, Overview]:
    """The conclusion on each problem of a comparison, by the problem's name."""
    return {problem: overview(of_problem) for problem, of_problem in results.by_problem().items()}
