"""Figures: what they draw is what they were given, in one legible look, whatever the names are."""

import itertools
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
import pytest

from instances.problem import Description
from services.analysis.summary import GapCurve, Interval, Pair, Profile, RankRow, SizeShare, SolvedBySize, SolvedCurve
from services.figures.curves import GAP_FLOOR, gap_over_time_figure, performance_profile_figure
from services.figures.gaps import MAX_GROUPS, family, features, gap_by_size_figure, mean_by_group_figure
from services.figures.maps import solution_map
from services.figures.ranking import pair_matrix_figure, ranking_figure
from services.figures.solved import solved_by_size_figure, solved_over_time_figure
from services.figures.theme import INK, PALETTE, solver_styles, text, tick_text

NAN = math.nan
LABELS = ["ortools", "pyvrp", "savings"]
DARK, LIGHT = "#171a20", "#ffffff"


def row(solver: str, gap: Interval) -> RankRow:
    return RankRow(solver, 10, 9, 3, 30, 0, gap, gap.value, Interval(0.1, 0.1, 0.1), None, 1.0)


def pair(first: str, second: str, difference: Interval | None, claimed: bool) -> Pair:
    return Pair(first, second, 10, difference, 1, 2, 7, 0.01, 0.03, -0.5, claimed)


def description(digest: str, size: int, name: str = "X-n1", **properties: str) -> Description:
    return Description("routing", name, digest, size, "customers", ("capacity",), 0, dict(properties), None)


def linear(colour: str) -> npt.NDArray[np.float64]:
    """Linear light of a #rrggbb colour."""
    value = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2."""
    low, high = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def lab(light: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """CIELAB of linear light."""
    matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x = np.array(matrix) @ light.clip(0, 1) / [0.9505, 1, 1.089]
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("page", [LIGHT, DARK])
def test_colours_are_legible_in_light_and_dark(page: str) -> None:
    """Every solver's colour has the contrast of 3 that graphics need, text nearly 4, on either background."""
    assert all(contrast(colour, page) >= 3 for colour in PALETTE)
    assert contrast(INK, page) >= 3.9


# Machado, Oliveira and Fernandes 2009, full severity.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}


@pytest.mark.parametrize("vision", VISION)
def test_colours_differ_to_the_colour_blind(vision: str) -> None:
    """Any two solver colours are at least 12 apart in CIELAB, where 2.3 is just noticeable."""
    seen = [lab(VISION[vision] @ linear(colour)) for colour in PALETTE]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) >= 12


def test_style_is_fixed_by_place() -> None:
    """A solver keeps its colour in every figure; no two of the first 42 look alike even without colours."""
    styles = solver_styles(str(i) for i in range(42))
    assert [style.colour for style in styles.values()][:8] == list(PALETTE)
    assert len({(style.symbol, style.dash) for style in styles.values()}) == 42
    assert len({style.dash for style in list(styles.values())[:6]}) == 6
    trace = ranking_figure([row("pyvrp", Interval(1, 0, 2))], LABELS).data[0]
    assert trace.marker.color == solver_styles(LABELS)["pyvrp"].colour


def test_long_labels_stay_distinct() -> None:
    """Labels that differ only where they are cut have different names, none too long."""
    long = [f"ortools:{'a' * 60}{i}{'b' * 60}" for i in range(3)]
    names = [style.name for style in solver_styles(long).values()]
    assert len(set(names)) == 3
    assert max(map(len, names)) <= 36


def test_text_is_harmless() -> None:
    """Plotly reads tags and entities in text: both are escaped."""
    assert text("<a href='http://x'>\n&amp;") == "&lt;a href='http://x'&gt; &amp;amp;"


def test_ticks_break_after_punctuation() -> None:
    """A spec on an axis is parted where it is parted, on short lines, and escaped."""
    assert tick_text("trial:order=ascending") == "trial:order=<br>ascending"
    assert tick_text("pyvrp") == "pyvrp"
    assert tick_text("<b>") == "&lt;b&gt;"
    assert all(len(line) <= 20 for line in tick_text("x" * 60).split("<br>"))


def test_ranking_draws_gaps_and_intervals() -> None:
    """A dot per solver at its mean, whiskers to the bounds, first row at the top."""
    figure = ranking_figure([row("pyvrp", Interval(1, 0.5, 2)), row("ortools", Interval(4, 3, 6))], LABELS)
    assert [(trace.x[0], trace.error_x.arrayminus[0], trace.error_x.array[0]) for trace in figure.data] == [
        (1, 0.5, 1),
        (4, 1, 2),
    ]
    assert figure.layout.yaxis.ticktext == ("pyvrp", "ortools")
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]


def test_ranking_without_an_interval_has_no_whisker() -> None:
    """A nan bound reaches neither the words nor, as a number, the figure."""
    figure = ranking_figure([row("pyvrp", Interval(1, NAN, NAN))], LABELS)
    assert "nan" not in figure.to_json().lower()


def test_gap_over_time_draws_line_and_band() -> None:
    """Each solver has its line at the values and a band between the bounds; small gaps lie on the floor."""
    gaps = (Interval(5, 4, 6), Interval(0, -1, 0.5), Interval(2, NAN, NAN))
    figure = gap_over_time_figure([GapCurve("pyvrp", (0.1, 1.0, 10.0), gaps)], LABELS)
    low, high, line = figure.data
    assert line.x == (0.1, 1.0, 10.0)
    assert line.y == (5, GAP_FLOOR, 2)
    assert low.y == (4, GAP_FLOOR, 2)
    assert high.y == (6, 0.5, 2)
    assert high.fill == "tonexty"
    assert "0.00 [−1.00, 0.50]" in line.text
    assert figure.layout.meta["alt"] == "Mean gap after 0.1, 1, 10 s: pyvrp 5.00, 0.00, 2.00 %."


def test_lines_are_told_apart_without_colour() -> None:
    """Each solver's line has its own dashes and, at a few of its points, its own symbol."""
    gaps = tuple(Interval(5, 4, 6) for _ in range(61))
    curves = [GapCurve(label, tuple(float(i) for i in range(1, 62)), gaps) for label in LABELS]
    profiles = [Profile(label, 4, 4, (1.0, 1.5), (0.25, 1.0)) for label in LABELS]
    share = (Interval(0, 0, 0.3), Interval(0.5, 0.2, 0.8))
    solved = [SolvedCurve(label, 4, (0.0, 2.0), share) for label in LABELS]
    for figure in (
        gap_over_time_figure(curves, LABELS),
        performance_profile_figure(profiles, LABELS),
        solved_over_time_figure(solved, LABELS),
    ):
        drawn = [trace for trace in figure.data if trace.mode == "lines+markers"]
        assert len({trace.line.dash for trace in drawn}) == len({trace.marker.symbol for trace in drawn}) == len(LABELS)
        assert all(0 < trace.marker.maxdisplayed < 12 for trace in drawn)


def test_a_text_alternative_tells_labels_as_they_are() -> None:
    """Outside of Plotly nothing is read as a tag, so that nothing is escaped; of very many parts the first are told."""
    figure = performance_profile_figure([Profile("<b>&", 4, 4, (1.0,), (1.0,))], ["<b>&"])
    assert figure.data[0].name == "&lt;b&gt;&amp;"
    assert figure.layout.meta["alt"].endswith(": <b>& 100, 100, 100, 100 %.")
    labels = [f"s{i}" for i in range(30)]
    figure = performance_profile_figure([Profile(label, 4, 4, (1.0,), (1.0,)) for label in labels], labels)
    assert figure.layout.meta["alt"].endswith("; and 18 more.")


def test_profile_reaches_as_far_for_all() -> None:
    """Steps in percent above the best; every line goes on to the furthest ratio."""
    profiles = [Profile("ortools", 4, 4, (1.0, 1.5), (0.25, 1.0)), Profile("pyvrp", 4, 3, (1.0,), (0.75,))]
    figure = performance_profile_figure(profiles, LABELS)
    first, second = figure.data
    assert (first.x, first.y) == ((0, 50, 50), (25, 100, 100))
    assert (second.x, second.y) == ((0, 50), (75, 75))
    words = "ortools 25, 25, 25, 25 %; pyvrp 75, 75, 75, 75 %"
    assert figure.layout.meta["alt"] == f"Instances within 0, 1, 5, 10 % of the best solver: {words}."


def test_matrix_is_antisymmetric_and_colours_claims_only() -> None:
    """Row minus column, in both triangles; an unclaimed difference has no colour, a missing one no number."""
    pairs = [
        pair("ortools", "pyvrp", Interval(3, 2, 4), True),
        pair("ortools", "savings", Interval(-1, -3, 1), False),
        pair("pyvrp", "savings", None, False),
    ]
    (heat,) = pair_matrix_figure(pairs, LABELS).data
    assert [list(words) for words in heat.text] == [
        ["", "+3.00", "−1.00"],
        ["−3.00", "", ""],
        ["+1.00", "", ""],
    ]
    assert [list(z) for z in heat.z] == [[None, 1, 0], [-1, None, None], [0, None, None]]
    assert "−3.00 [−4.00, −2.00]" in heat.customdata[1][0]


def test_sizes_are_averaged_in_classes() -> None:
    """At most eight size classes that hold all instances; a line is the mean of its class."""
    instances = {str(i): description(str(i), 10 + i) for i in range(100)}
    gaps = {"pyvrp": {digest: float(i) for i, digest in enumerate(instances)}}
    dots, line = gap_by_size_figure(gaps, instances, "customers", LABELS).data
    assert len(dots.x) == 100
    assert len(line.x) == 8
    assert sum(line.customdata) == 100
    assert np.average(line.y, weights=line.customdata) == pytest.approx(49.5)
    few = {digest: instances[digest] for digest in ("0", "1", "99")}
    figure = gap_by_size_figure({"pyvrp": {"0": 1.0, "1": 2.0, "99": 3.0}, "savings": {}}, few, "customers", LABELS)
    (_, line, *_) = figure.data
    assert (line.x, line.y) == ((10, 11, 109), (1, 2, 3))
    words = "pyvrp 1.00 % at 10 to 3.00 % at 109; savings answered none"
    assert figure.layout.meta["alt"] == f"Mean gap at the smallest and the largest size (customers): {words}."


def test_sizes_of_one_unit_in_the_colours_of_the_comparison() -> None:
    """Cities are not customers; a solver's colour is that of its place among all solvers."""
    cities = {f"c{i}": replace(description(f"c{i}", 50 + i), size_unit="cities") for i in range(2)}
    instances = {"a": description("a", 10), "b": description("b", 20), **cities}
    gaps = {"savings": dict.fromkeys(instances, 1.0)}
    for unit, sizes in (("customers", (10, 20)), ("cities", (50, 51))):
        figure = gap_by_size_figure(gaps, instances, unit, LABELS)
        assert figure.data[-1].x == sizes
        assert unit in figure.layout.xaxis.title.text
        assert figure.data[-1].line.color == solver_styles(LABELS)["savings"].colour


def test_solved_by_size_draws_shares_side_by_side() -> None:
    """Percent at each size with whiskers to the bounds; solvers are set a little apart, the words tell the size."""
    shares = (SizeShare(16, 16, 4, 4, Interval(1, 0.5, 1)), SizeShare(24, 31, 4, 1, Interval(0.25, 0.05, 0.7)))
    rows = [SolvedBySize("ortools", "bits", shares), SolvedBySize("pyvrp", "bits", shares)]
    figure = solved_by_size_figure(rows, LABELS)
    one, other = figure.data
    assert one.y == other.y == (100, 25)
    assert one.error_y.arrayminus == pytest.approx((50, 20))
    assert one.error_y.array == pytest.approx((0, 45))
    assert one.x[0] < 16 < other.x[0] < one.x[1] < 27.5 < other.x[1]
    assert one.customdata[1] == "24–31 bits<br>solved 1 of 4: 25 [5, 70] %"
    assert "pyvrp 100 % at 16 to 25 % at 24–31." in figure.layout.meta["alt"]
    json.loads(solved_by_size_figure(rows[:1], LABELS).to_json(), parse_constant=pytest.fail)


def test_solved_over_time_draws_steps_from_the_first_to_the_budget() -> None:
    """A line between its bounds in percent; the log axis begins before the first arrival, not at 0."""
    share = (Interval(0, 0, 0.3), Interval(0.5, 0.2, 0.8), Interval(0.5, 0.2, 0.8))
    figure = solved_over_time_figure([SolvedCurve("pyvrp", 4, (0.0, 2.0, 10.0), share)], LABELS)
    low, high, line = figure.data
    assert line.y == (0, 50, 50)
    assert (low.y, high.y) == ((0, 20, 20), (30, 80, 80))
    assert 0 < line.x[0] < 2
    assert line.x[1:] == (2, 10)
    assert line.line.shape == "hv"
    assert figure.layout.meta["alt"] == "Solved after 0.1, 1, 10 s: pyvrp 0, 0, 50 %."


def test_dots_give_way_to_lines_when_there_are_many() -> None:
    """With thousands of instances only the lines are drawn."""
    instances = {str(i): description(str(i), 10 + i % 50) for i in range(2_000)}
    figure = gap_by_size_figure({"pyvrp": dict.fromkeys(instances, 1.0)}, instances, "customers", LABELS)
    assert [trace.mode for trace in figure.data] == ["lines+markers"]


def test_groups_beyond_twelve_are_together() -> None:
    """The largest groups have their own line, all others share one; unanswered instances are left out."""
    groups = {f"{group}/{i}": f"g{group}" for group in range(20) for i in range(20 - group)}
    gaps = {"pyvrp": {digest: 2.0 for digest in groups if digest != "0/0"}, "savings": {"0/1": 4.0}}
    figure = mean_by_group_figure(gaps, groups, "family", LABELS)
    assert len(figure.layout.yaxis.ticktext) == MAX_GROUPS + 1
    assert figure.layout.yaxis.ticktext[0] == "g0 (20)"
    assert figure.layout.yaxis.ticktext[-1] == f"others ({sum(range(1, 9))})"
    assert figure.data[0].customdata[0] == 19
    assert (figure.data[1].x, figure.data[1].y) == ((4.0,), (0,))
    alt = figure.layout.meta["alt"]
    words = "g0 (20) 2.00 % (pyvrp) to 4.00 % (savings); g1 (19) 2.00 % (pyvrp); "
    assert alt.startswith(f"Mean gap from the lowest to the highest, by family: {words}")
    assert alt.endswith("; and 1 more.")


def test_one_group_is_said_not_drawn() -> None:
    """Where there is nothing to compare the figure says so."""
    figure = mean_by_group_figure({"pyvrp": {"a": 1.0}}, {"a": "X"}, "family", LABELS)
    assert not figure.data
    assert figure.layout.annotations[0].text == figure.layout.meta["alt"] == "All instances have one family: X."


@pytest.mark.parametrize(
    ("name", "properties", "expected"),
    [("X-n101-k25", {}, "X"), ("RC101", {}, "RC"), ("7", {}, "other"), ("X-n1", {"family": "road"}, "road")],
)
def test_family_is_property_or_letters(name: str, properties: dict[str, str], expected: str) -> None:
    """An instance's family is what its maker says, else the letters its name begins with."""
    assert family(description("a", 10, name, **properties)) == expected
    assert features(description("a", 10)) == "capacity"


def grid_document(**fields: Any) -> dict[str, Any]:
    """Five locations, the depot in the middle."""
    coordinates = [[0, 0], [10, 10], [-10, 10], [-10, -10], [10, -10]]
    return {"problem": "routing", "version": 1, "rounding": "nearest", "coordinates": coordinates, **fields}


def lines(figure: go.Figure) -> list[list[tuple[float, float]]]:
    """The drawn polylines of traces with a hover text, split at their gaps."""
    found = []
    for trace in figure.data:
        if trace.mode == "lines+markers":
            points = zip(trace.x, trace.y, strict=True)
            found += [list(part) for drawn, part in itertools.groupby(points, lambda p: p[0] is not None) if drawn]
    return found


def test_map_draws_each_route_in_its_colour() -> None:
    """Two routes in two colours, four dotted legs to the depot, which is marked, all legible."""
    figure = solution_map(grid_document(), [[1, 2], [3, 4]])
    assert sorted(lines(figure)) == [[(-10, -10), (10, -10)], [(10, 10), (-10, 10)]]
    legs, first, second, depot = figure.data
    assert first.line.color != second.line.color
    assert legs.x.count(0) == 4 and legs.line.dash == "dot"
    assert all(contrast(legs.line.color, page) >= 3 for page in (LIGHT, DARK))
    assert (depot.x, depot.y, depot.marker.symbol) == ((0,), (0,), "square")
    assert figure.layout.yaxis.scaleanchor == "x"


def test_map_of_a_tour_is_closed() -> None:
    """A single route begins and ends at the depot; an open one ends at its last customer."""
    assert lines(solution_map(grid_document(), [[1, 2]])) == [[(0, 0), (10, 10), (-10, 10), (0, 0)]]
    assert lines(solution_map(grid_document(open_routes=True), [[1, 2]])) == [[(0, 0), (10, 10), (-10, 10)]]
    (legs, *_) = solution_map(grid_document(open_routes=True), [[1, 2], [3, 4]]).data
    assert legs.x.count(0) == 2


def test_map_has_few_traces() -> None:
    """Forty routes take no more traces than there are colours, and the routes stay apart."""
    coordinates = [[0, 0], *([i, i * i] for i in range(1, 81))]
    figure = solution_map(grid_document(coordinates=coordinates), [[2 * i + 1, 2 * i + 2] for i in range(40)])
    assert len(figure.data) == len(PALETTE) + 2
    assert len(lines(figure)) == 40


def test_map_units_and_geography() -> None:
    """Coordinates are in display units; of GEO ones longitude goes right and latitude up."""
    assert solution_map(grid_document(coordinate_decimals=1), [[1]]).data[0].x == (0, 1, 0, None)
    document = grid_document(coordinates=[[50, 3], [51, 4]], rounding="geo")
    assert solution_map(document, None).data[-1].x == (3,)


def test_map_without_coordinates_says_so() -> None:
    """A distance matrix cannot be drawn."""
    document = {"problem": "routing", "version": 1, "rounding": "explicit", "matrix": [[0, 1], [1, 0]]}
    assert "without coordinates" in solution_map(document, [[1]]).layout.annotations[0].text


def test_figures_serialise_to_plain_json() -> None:
    """A figure is JSON without nan, with axis titles that name their units."""
    figure = gap_over_time_figure([GapCurve("pyvrp", (0.1,), (Interval(5, NAN, NAN),))], LABELS)
    document = json.loads(figure.to_json(), parse_constant=pytest.fail)
    assert "seconds" in document["layout"]["xaxis"]["title"]["text"]
    assert "percent" in document["layout"]["yaxis"]["title"]["text"]
