"""What a comparison's page says in words, recomputed by other code from its exported CSV and its runs' traces."""

import csv
import io
import itertools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import httpx
import numpy as np
import pytest
from scipy import stats

from services.records import Run, Status


def words(page, selector: str) -> list[str]:
    return [" ".join(text.split()) for text in page.locator(selector).all_inner_texts()]


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


BOUNDS = r"(−?[\d.]+) % \[(−?[\d.]+), (−?[\d.]+)\]"


@dataclass(frozen=True)
class Recomputed:
    """What an export says, read by numpy alone: of each solver a value on each instance, the median over seeds.

    Costs and integrals have shape (instances,), in the order of ``references``; an unanswered run costs infinity.
    """

    costs: dict[str, np.ndarray]
    integrals: dict[str, np.ndarray]
    references: np.ndarray
    kinds: Counter
    num_runs: int
    disturbed: Counter

    @classmethod
    def of(cls, site: str, name: str) -> "Recomputed":
        """Of the CSV of a comparison."""
        costs, integrals = (defaultdict(lambda: defaultdict(list)) for _ in range(2))
        references, disturbed, num_runs = {}, Counter(), 0
        for row in rows_of(httpx.get(f"{site}/v1/comparisons/{name}/export?format=csv").text):
            solver, digest = row["solver"], row["instance_digest"]
            costs[solver][digest].append(float(row["cost"]) if row["answered"] == "True" else math.inf)
            integrals[solver][digest].append(float(row["primal_integral"]))
            references[digest] = (float(row["reference_cost"]), row["reference_kind"])
            disturbed[solver] += row["disturbed"] == "True"
            num_runs += 1

        def medians(values):
            return {one: np.array([np.median(of[digest]) for digest in references]) for one, of in values.items()}

        return cls(
            medians(costs), medians(integrals), np.array([cost for cost, _ in references.values()]),
            Counter(kind for _, kind in references.values()), num_runs, disturbed,
        )  # fmt: skip

    def gaps(self, solver: str) -> np.ndarray:
        """Percent gaps, an unanswered instance at 100."""
        return np.minimum(100 * (self.costs[solver] - self.references) / self.references, 100)


def corrected(differences: dict[tuple[str, str], np.ndarray]) -> dict[tuple[str, str], float]:
    """Holm's p-values of the signed-rank tests of all pairs."""
    p = {pair: stats.wilcoxon(values, zero_method="pratt").pvalue for pair, values in differences.items()}
    found, least = {}, 0.0
    for place, pair in enumerate(sorted(p, key=p.get)):
        least = found[pair] = max(least, min(1.0, (len(p) - place) * p[pair]))
    return found


def check_pairs(
    said: list[str],
    differences: dict[tuple[str, str], np.ndarray],
    leader: str,
    *,
    basis: str = "",
    of: str = "",
    measure: str = "",
) -> Counter:
    """Each pair with the leader is told: who beats whom by how much, or that no difference can be claimed.

    ``differences`` are of the first minus the second in percent ``of`` something, the better the lower. How many
    sentences begin with a winner's name, and how many with "No".
    """
    p = corrected(differences)
    told = Counter()
    for (first, second), values in differences.items():
        if leader not in (first, second):
            continue
        by = p[first, second]
        better, worse, size = (first, second, -values) if values.mean() < 0 else (second, first, values)
        chance = "p < 0.001" if by < 0.001 else f"p = {by:.2g}"
        end = re.escape(f"at 1 s on {values.size} instances{basis} (mean difference, corrected {chance})")
        if by < 0.05:
            pattern = rf"{better} beats {worse} by {BOUNDS}{of}{measure} {end}\."
        else:
            pattern = (
                rf"No difference can be claimed between {first} and {second}: "
                rf"{worse} is {BOUNDS}{of} worse than {better}{measure} {end}, which may be chance\."
            )
        (match,) = filter(None, (re.fullmatch(pattern, line) for line in said))
        check(size, match.groups())
        told[match[0].split()[0]] += 1
    assert sum(" beats " in line or line.startswith("No difference") for line in said) == told.total()
    return told


@pytest.mark.parametrize("seeds", [1, 3])
def test_words_agree_with_the_export(site, store, fill, page, seeds):
    """What the verdict says of costs is recomputed from the CSV by numpy and scipy alone, sentence for sentence.

    An interval must hold the recomputed mean, and be that of scipy's bootstrap up to its randomness.
    """

    def change(run: Run) -> Run:
        """Leave the quick one without an answer on some instances, the poor one in some runs; disturb some others."""
        unanswered = {"quick": int(run.instance[:4], 16) % 5 == 0, "poor": int(run.key[:4], 16) % 3 == 0}
        if unanswered.get(run.solver):
            return replace(run, status=Status.NO_SOLUTION, trace=())
        return replace(run, disturbed=run.solver != "quick" and int(run.key[:4], 16) % 7 == 0)

    fill(
        store, "one", solvers=["steady", "twin", "quick", "poor"], num_instances=24, seeds=seeds, num_known=10,
        change=change,
    )  # fmt: skip
    export = Recomputed.of(site, "one")
    page.goto(f"{site}/comparisons/one")
    said = words(page, "#verdict li")

    match = re.fullmatch(
        rf"(\w+) has the lowest mean gap: {BOUNDS} over (\d+) instances, (\d+) of them answered\.", said[0]
    )
    means = {solver: export.gaps(solver).mean() for solver in export.costs}
    ranking = sorted(means, key=means.get)
    assert match[1] == ranking[0] and ranking[0] in ("steady", "twin") and ranking[2:] == ["quick", "poor"]
    assert int(match[5]) == export.references.size == 24
    assert int(match[6]) == np.isfinite(export.costs[ranking[0]]).sum()
    check(export.gaps(ranking[0]), match.groups()[1:4])

    differences = {}
    for first, second in itertools.combinations(["steady", "twin", "quick", "poor"], 2):
        both = np.isfinite(export.costs[first]) & np.isfinite(export.costs[second])
        difference = export.costs[first][both] - export.costs[second][both]
        differences[first, second] = 100 * difference / export.references[both]
    told = check_pairs(said, differences, ranking[0], basis=" both answered")
    assert told["No"] == 1 and told[ranking[0]] == 2

    assert export.kinds == {"best-known": 10, "best of comparison": 14}
    missed = {solver: np.isinf(costs).sum() for solver, costs in export.costs.items()}
    assert missed["quick"] and missed["poor"] and not missed["steady"]
    num = export.disturbed.total()
    by_solver = ", ".join(f"{solver} {export.disturbed[solver]}" for solver in ranking if export.disturbed[solver])
    assert num > 3 and "quick" not in by_solver
    assert said[4:-1] == [
        "Gaps are to the best-known cost on 10 instances and the best cost of this comparison on 14 instances.",
        *(
            f"{solver} left {missed[solver]} of 24 instances unanswered; each counts at a gap of 100 %."
            for solver in ranking
            if missed[solver]
        ),
        f"{num} of {export.num_runs} runs were disturbed by other load: {by_solver}.",
    ]


def check(values: np.ndarray, told: Sequence[str]) -> None:
    """The mean stands within half a unit of its last digit, inside the bounds, and these are scipy's to 15 %."""
    mean, low, high = (float(bound.replace("−", "-")) for bound in told)
    unit = 10.0 ** -len(told[0].partition(".")[2])
    assert abs(values.mean() - mean) <= unit / 2 + 1e-9
    assert low <= values.mean() + unit and values.mean() - unit <= high
    if np.ptp(values) == 0:
        assert low == high == mean
        return
    other = stats.bootstrap((values,), np.mean, n_resamples=9999, method="BCa", rng=np.random.default_rng(1))
    slack = 0.15 * (other.confidence_interval.high - other.confidence_interval.low) + unit
    assert abs(other.confidence_interval.low - low) < slack and abs(other.confidence_interval.high - high) < slack


def early(run: Run) -> Run:
    """The quick one is done before the steady one begins, so that the order turns."""
    seconds = {"quick": 0.05, "steady": 0.3}.get(run.solver)
    return run if seconds is None else replace(run, trace=(replace(run.trace[-1], seconds=seconds),))


@pytest.mark.parametrize(
    ("solvers", "change", "expected"),
    [
        (("steady", "twin"), lambda run: run, "nobody leads clearly"),
        (("steady", "poor"), lambda run: run, "is the only one to lead clearly, first at"),
        (("steady", "quick", "poor"), early, "the order turns: "),
    ],
)
def test_leads_agree_with_the_runs(site, store, fill, page, solvers, change, expected):
    """Who leads when, and where that is clear, is recomputed by numpy and scipy from the incumbents of all runs.

    Clear before the budget is what all signed-rank tests of the leader against the others agree on, by Bonferroni for
    all pairs at all nine times; at the budget what the corrected pairs say. Every solver here answers all instances.
    """
    fill(store, "one", solvers=solvers, num_instances=24, change=change)
    records = httpx.get(f"{site}/v1/comparisons/one/records?limit=1000").json()["items"]
    times = np.array([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0])
    digests = sorted({record["instance"] for record in records})
    best = {digest: min(record["cost"] for record in records if record["instance"] == digest) for digest in digests}
    gaps = {solver: np.full((len(digests), times.size), 100.0) for solver in solvers}
    for record in records:
        digest = record["instance"]
        for seconds, cost in record["trace"]:
            gap = min(100 * (cost - best[digest]) / best[digest], 100)
            gaps[record["solver"]][digests.index(digest), times >= seconds] = gap
    pairs = list(itertools.combinations(solvers, 2))
    at_the_end = corrected({(first, second): gaps[first][:, -1] - gaps[second][:, -1] for first, second in pairs})

    def is_better(one: str, other: str, place: int) -> bool:
        values = gaps[one][:, place] - gaps[other][:, place]
        if times[place] == 1:
            return values.mean() < 0 and at_the_end.get((one, other), at_the_end.get((other, one))) < 0.05
        p = stats.wilcoxon(values, zero_method="pratt").pvalue if values.any() else 1.0
        return values.mean() < 0 and p * len(pairs) * 9 < 0.05

    states = []
    for place in range(times.size):
        means = {solver: gaps[solver][:, place].mean() for solver in solvers}
        lowest = [solver for solver in solvers if means[solver] == min(means.values())]
        if len(lowest) > 1:
            states.append(("shared", "not clear"))
        else:
            clear = all(is_better(lowest[0], other, place) for other in solvers if other != lowest[0])
            states.append((lowest[0], "clear" if clear else "not clear"))
    starts = [place for place in range(times.size) if place == 0 or states[place] != states[place - 1]]
    ends = [*starts[1:], times.size - 1]
    leads = [(f"{times[start]:g}", f"{times[end]:g}", *states[start]) for start, end in zip(starts, ends, strict=True)]
    page.goto(f"{site}/comparisons/one")
    page.locator("#time tbody tr").first.wait_for()
    assert [tuple(row.locator("td").all_inner_texts()) for row in page.locator("#time tbody tr").all()] == leads

    spans = [
        (leader, group[0][0], group[-1][1])
        for leader, lasting in itertools.groupby((lead for lead in leads if lead[3] == "clear"), lambda lead: lead[2])
        for group in (list(lasting),)
    ]
    if all(start == "1" for _, start, _ in spans):
        end = "nobody leads clearly"
    elif len(spans) == 1:
        end = f"{spans[0][0]} is the only one to lead clearly, first at {spans[0][1]} s"
    else:
        told = [f"{leader} from {start} s to {end} s" for leader, start, end in spans]
        end = f"the order turns: {', '.join(told[:-1])} and {told[-1]} lead clearly"
    said = words(page, "#verdict li")
    assert said[-1].startswith(f"Stopped earlier within the runs of 1 s, {end} (claimed as in the pairs, corrected")
    assert expected in end

    # The last time before the end at which the leader was worse than another, by the same rule.
    leader, last = states[-1][0], times.size - 1
    turned = {
        other: [place for place in range(last) if is_better(other, leader, place)]
        for other in solvers
        if other != leader and is_better(leader, other, last)
    }
    turned = {other: f"{times[places[-1]]:g}" for other, places in turned.items() if places}
    told = [line for line in said if "the order is reversed" in line]
    assert len(told) == len(turned) and bool(turned) == (change is early)
    for other, seconds in turned.items():
        (line,) = (line for line in told if line.startswith(f"{leader} beats {other} by "))
        assert line.endswith(f"; stopped earlier, at {seconds} s, the order is reversed.")


def test_factoring_says_how_large(site, fill_factoring, store, page):
    """Share solved, who solved the most and the largest sizes agree with the export; figures are by bits and time."""
    fill_factoring(store, "one", {"strong": 48, "weak": 32})
    solved = defaultdict(list)
    for row in rows_of(httpx.get(f"{site}/v1/comparisons/one/export?format=csv").text):
        solved[row["solver"]].append((int(row["size"]), row["answered"] == "True"))
    numbers = {solver: sum(answered for _, answered in runs) for solver, runs in solved.items()}
    page.goto(f"{site}/comparisons/one")
    said = words(page, "#verdict li")
    export = Recomputed.of(site, "one")
    match = re.fullmatch(
        rf"strong solved the most: {numbers['strong']} of 16 instances; on average it took {BOUNDS} of the budget\.",
        said[0],
    )
    check(100 * export.integrals["strong"], match.groups())
    assert said[1] == f"Solved by the others: weak {numbers['weak']}. An unsolved run counts as the whole budget."
    differences = {("strong", "weak"): 100 * (export.integrals["strong"] - export.integrals["weak"])}
    assert check_pairs(said, differences, "strong", of=" of the budget", measure=" in primal integral") == {"strong": 1}
    assert words(page, "#ranking tbody td:nth-of-type(1)") == [f"{numbers[one]} of 16" for one in ("strong", "weak")]
    shares = [100 * (1 - numbers[one] / 16) for one in ("strong", "weak")]
    assert [float(text.split()[0]) for text in words(page, "#ranking tbody td:nth-of-type(2)")] == shares
    largest = {one: max(size for size, answered in runs if answered) for one, runs in solved.items()}
    rows = words(page, "#sizes .scroll:first-of-type tbody tr")
    assert [row.split()[-2] for row in rows[:2]] == [str(largest[one]) for one in ("strong", "weak")]
    for section in ("#sizes", "#time"):
        page.locator(f"{section} .plot").scroll_into_view_if_needed()
        page.wait_for_selector(f"{section} .plot[data-drawn=done]")
