"""Solution files: the published re-price to their cost, the flawed are refused, claims are exact."""

import csv
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from instances.errors import InvalidInput
from instances.files import read_path
from instances.routing.instance import RoutingInstance
from instances.routing.problem import ROUTING
from instances.routing.rounding import Rounding
from instances.routing.solution import Routes


def published_costs(shared_data: Path) -> dict[str, Decimal]:
    with (shared_data / "bks.csv").open(newline="") as stream:
        return {record["name"]: Decimal(record["best_known_cost"]) for record in csv.DictReader(stream)}


@pytest.mark.parametrize(
    ("folder", "suffix", "count"), [("cvrp", ".sol", 107), ("vrptw", ".sol", 10), ("tsp", ".opt.tour", 19)]
)
def test_published_solutions_cost_what_is_published(shared_data: Path, folder: str, suffix: str, count: int) -> None:
    """Every solution is feasible, and its claim, the referee and the table of values say the same cost."""
    costs = published_costs(shared_data)
    priced = 0
    for entry in read_path(shared_data / folder):
        path = entry.path.with_suffix(suffix)
        if not path.exists():
            continue
        solution, claimed = ROUTING.read_solution(entry.instance, path)
        verdict = ROUTING.verify(entry.instance, solution)
        expected = costs[entry.path.stem] * 10**entry.instance.decimals
        assert verdict.cost == expected, path.name
        assert claimed == verdict.cost or (claimed is None and suffix == ".opt.tour"), path.name
        priced += 1
    assert priced == count


@pytest.mark.parametrize(
    ("name", "claimed", "cost", "kinds"),
    [
        ("B-n50-k8", 1312, None, ["duplicate-customer", "missing-customer"]),
        ("B-n57-k7", 1153, 1155, []),
        ("E-n30-k3", 534, 537, []),
    ],
)
def test_the_flawed_solutions_are_refused_for_their_reasons(
    shared_data: Path, name: str, claimed: int, cost: int | None, kinds: list[str]
) -> None:
    """One visits customer 2 twice and misses 3; two cost more than they claim."""
    (entry,) = read_path(shared_data / "cvrp" / name[0] / f"{name}.vrp")
    solution, claim = ROUTING.read_solution(entry.instance, shared_data / "cvrp" / "flawed" / f"{name}.sol")
    verdict = ROUTING.verify(entry.instance, solution)
    assert (claim, verdict.cost, [violation.kind for violation in verdict.violations]) == (
        claimed,
        cost,
        kinds,
    )
    assert [violation.customer for violation in verdict.violations] == ([2, 3] if kinds else [])


def square(rounding: Rounding = Rounding.NEAREST, **changes: object) -> RoutingInstance:
    """Five places: the depot in the origin and customers at (1, 1), (2, 2), (3, 3) and (4, 4)."""
    points = np.array([[0, 0], [1, 1], [2, 2], [3, 3], [4, 4]])
    return RoutingInstance(rounding=rounding, coordinates=points, **changes)  # type: ignore[arg-type]


def read(
    text: str, tmp_path: Path, suffix: str = ".sol", instance: RoutingInstance | None = None
) -> tuple[Routes, object]:
    path = tmp_path / f"x{suffix}"
    path.write_text(text)
    return ROUTING.read_solution(instance or square(), path)


def test_what_cvrplib_files_hold_is_read(tmp_path: Path) -> None:
    """Blank lines, spaces, CRLF, empty routes, any case, and remarks beside routes and cost."""
    text = "Name : x\r\nRoute #1: 2  1 \r\n\r\nroute #2:\r\nRoute #3: 3 4\r\nCost 23.0 \r\nTime: 1.5 s\r\n"
    assert read(text, tmp_path) == (Routes(((2, 1), (3, 4))), 23)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Cost 5\n", "holds no route; expected lines like 'Route #1: 2 3'"),
        ("Route #1: 1 two\n", "line 1: 'two' is not a customer; accepted are location indices"),
        ("Route #1: 1 -2\n", "line 1: '-2' is not a customer"),
        ("Route #1: 1.0\n", "line 1: '1.0' is not a customer"),
        ("Route #1: 1\nRoute 2 3\n", "line 2: 'Route 2 3' is neither"),
        ("Route #1: 1\n2 3\n", "line 2: '2 3' is neither"),
        ("Route #1: 1\nCost 5\nCost 6\n", "line 3: a second cost"),
        ("Route #1: 1\nCost NaN\n", "line 2: 'NaN' is not a number"),
        ("Route #1: 1\nCost\n", "line 2: 'Cost' is neither"),
    ],
)
def test_malformed_sol_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    """The error names the line and what is accepted."""
    with pytest.raises(InvalidInput) as caught:
        read(text, tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'x.sol'}: ") and message in str(caught.value)


def test_a_solution_with_a_wrong_customer_is_for_the_referee(tmp_path: Path) -> None:
    """The reader accepts any location index; the verdict names what is wrong."""
    solution, _ = read("Route #1: 1 2 3 4 99\n", tmp_path)
    (violation,) = ROUTING.verify(square(), solution).violations
    assert (violation.kind, violation.customer) == ("unknown-customer", 99)


def tour(*nodes: int, head: str = "TYPE : TOUR\nDIMENSION : 5\n") -> str:
    return head + "TOUR_SECTION\n" + "\n".join(map(str, nodes)) + "\n-1\nEOF\n"


def test_a_tour_is_turned_to_the_depot(tmp_path: Path) -> None:
    """Nodes from 1 become location indices; the tour starts after the depot, wherever the file starts."""
    expected = Routes(((2, 4, 1, 3),)), None
    assert read(tour(1, 3, 5, 2, 4), tmp_path, ".tour") == expected
    assert read(tour(2, 4, 1, 3, 5), tmp_path, ".tour") == expected
    assert read(tour(2, 4, 1, 3, 5).replace("-1\nEOF\n", ""), tmp_path, ".opt.tour") == expected
    elsewhere = square(depot=3)
    assert read(tour(1, 3, 5, 2, 4), tmp_path, ".tour", elsewhere)[0] == Routes(((0, 2, 4, 1),))


def test_the_length_in_a_tours_comment_is_its_claim(tmp_path: Path) -> None:
    """LKH writes it so; any other comment claims nothing."""
    head = "COMMENT : Length = 12\nTYPE : TOUR\n"
    assert read(tour(1, 2, 3, 4, 5, head=head), tmp_path, ".tour")[1] == 12
    head = "COMMENT : Optimal solution (3919)\nTYPE : TOUR\n"
    assert read(tour(1, 2, 3, 4, 5, head=head), tmp_path, ".tour")[1] is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (tour(1, 2, 6), "line 6: '6' is not a node; accepted are 1 to 5"),
        (tour(2, 3, 4), "line 3: does not visit node 1, where it should start"),
        (tour(1, 2, head="TYPE : TOUR\nDIMENSION : 9\n"), "DIMENSION: is 9; the instance has 5 nodes"),
        (tour(1, 2, head="TYPE : TSP\n"), "line 1: TYPE is 'TSP'; accepted are TOUR"),
        (tour(1, 2).replace("EOF", "3"), "line 7: '3' after the tour's end"),
        ("TYPE : TOUR\nEOF\n", "TOUR_SECTION: is missing"),
    ],
)
def test_malformed_tours_are_refused(text: str, message: str, tmp_path: Path) -> None:
    """The error names the line or keyword."""
    with pytest.raises(InvalidInput) as caught:
        read(text, tmp_path, ".tour")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[1, 2]]", "accepted is {"),
        ('{"routes": [[1, 2]], "price": 3}', "accepted is {"),
        ('{"routes": [1, 2]}', "must be a list of routes"),
        ('{"routes": [[1.5]]}', "a route must hold integers only"),
        ('{"routes": [[1]], "cost": NaN}', "NaN is not a number"),
        ('{"routes": [[1]], "cost": [3]}', "cost: is '[3]'; accepted is a number"),
        ('{"routes": [[1]], "cost": "ten"}', "cost: 'ten' is not a number"),
        ('{"routes": [[1]', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_malformed_json_solutions_are_refused(text: str, message: str, tmp_path: Path) -> None:
    """The error says what a JSON solution is."""
    with pytest.raises(InvalidInput) as caught:
        read(text, tmp_path, ".json")
    assert message in str(caught.value)


@pytest.mark.parametrize("suffix", [".sol", ".json", ".sol.gz"])
@pytest.mark.parametrize("rounding", [Rounding.NEAREST, Rounding.TRUNCATED, Rounding.UNROUNDED])
def test_solutions_come_back_with_their_cost(suffix: str, rounding: Rounding, tmp_path: Path) -> None:
    """What is written is read, and its claim is the exact cost."""
    instance, solution = square(rounding), Routes(((1, 2), (4, 3)))
    cost = ROUTING.verify(instance, solution).cost
    assert cost is not None
    ROUTING.write_solution(instance, solution, cost, tmp_path / f"x{suffix}")
    assert ROUTING.read_solution(instance, tmp_path / f"x{suffix}") == (solution, cost)


def test_a_tour_comes_back_with_its_length(tmp_path: Path) -> None:
    """A .tour holds one route; more are refused, and so is any other suffix."""
    instance = square(num_vehicles=1, depot=2)
    ROUTING.write_solution(instance, Routes(((1, 0, 4, 3),)), 12, tmp_path / "x.tour")
    assert ROUTING.read_solution(instance, tmp_path / "x.tour") == (Routes(((1, 0, 4, 3),)), 12)
    with pytest.raises(InvalidInput, match="holds one tour, not 2 routes"):
        ROUTING.write_solution(instance, Routes(((1, 0), (4, 3))), 12, tmp_path / "y.tour")
    with pytest.raises(InvalidInput, match="is no format of solutions"):
        ROUTING.write_solution(instance, Routes(((1, 0, 4, 3),)), 12, tmp_path / "y.csv")


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("11", 110),
        ("11.2", 112),
        ("11.20", 112),
        ("1.12e1", 112),
        ("11.25", Decimal("112.5")),
        ("11.200001", Decimal("112.00001")),
    ],
)
def test_claims_are_converted_exactly(claim: str, value: int | Decimal, tmp_path: Path) -> None:
    """A claim finer than the unit stays a fraction of it, which equals no cost."""
    found = read(f"Route #1: 1 2 3 4\nCost {claim}\n", tmp_path, instance=square(Rounding.TRUNCATED))[1]
    assert found == value and isinstance(found, type(value))


@pytest.mark.parametrize(
    ("claim", "true"),
    [
        ("11.31", True),
        ("11.314", True),
        ("11.3137085", True),
        ("11.313708499", True),
        ("11.32", False),
        ("11.30", False),
        ("11.3138", False),
        ("11.3147", False),
    ],
)
def test_claims_of_unrounded_costs_hold_to_their_last_digit(claim: str, true: bool, tmp_path: Path) -> None:
    """8 sqrt(2) = 11.3137085, published with two decimals or more; a wrong last digit is no agreement."""
    instance = square(Rounding.UNROUNDED)
    solution, found = read(f"Route #1: 1 2 3 4\nCost {claim}\n", tmp_path, instance=instance)
    assert (found == ROUTING.verify(instance, solution).cost) is true
