"""The referee over HTTP: exact verdicts, every violation, and a bound on what it takes."""

import time
from typing import Any

import httpx
import pytest

from instances.errors import InvalidInput
from services.api import referee
from services.api.referee import Busy, Referee

NUMBER = {"problem": "factoring", "version": 1, "n": "1000036000099"}
SQUARE = {
    "problem": "routing", "version": 1, "rounding": "unrounded", "capacity": 7, "demand": [0, 3, 4, 5],
    "coordinates": [[0, 0], [0, 10], [10, 10], [10, 0]],
}  # fmt: skip


def ask(client: httpx.Client, **question: Any) -> httpx.Response:
    """Ask for a verdict."""
    return client.post("/v1/verify", json=question)


def test_a_feasible_solution_has_its_exact_cost(client: httpx.Client) -> None:
    """The cost is an integer with its decimals, and also as people write it."""
    verdict = ask(client, document=SQUARE, solution=[[1, 2], [3]]).json()
    assert verdict["feasible"]
    assert verdict["complete"]
    assert verdict["violations"] == []
    assert verdict["cost"] / 10 ** verdict["decimals"] == pytest.approx(40 + 200**0.5)
    assert float(verdict["display"]) == pytest.approx(40 + 200**0.5)


def test_an_infeasible_solution_has_violations(client: httpx.Client) -> None:
    """There is no cost, and everything that is wrong is listed."""
    verdict = ask(client, document=SQUARE, solution=[[1, 2, 3, 3]]).json()
    assert not verdict["feasible"]
    assert not verdict["complete"]
    assert verdict["cost"] is None
    assert verdict["num_violations"] == len(verdict["violations"]) >= 2


def test_a_stored_instance_is_named_by_its_digest(client: httpx.Client) -> None:
    """A solution to a stored instance needs no document."""
    digest = client.post("/v1/instances", json=NUMBER).json()["items"][0]["digest"]
    verdict = ask(client, instance=digest, solution=["1000003", "1000033"]).json()
    assert (verdict["digest"], verdict["cost"], verdict["complete"]) == (digest, 0, True)
    assert ask(client, instance="0" * 64, solution=[]).status_code == 404


def test_a_partial_factorisation_is_not_complete(client: httpx.Client) -> None:
    """It is feasible, its cost the bits still composite, and a note says what is left."""
    verdict = ask(client, document=NUMBER, solution=["1000036000099"]).json()
    assert verdict["feasible"]
    assert not verdict["complete"]
    assert verdict["cost"] == 40
    assert "still composite" in verdict["notes"][0]


def test_the_text_of_a_solution_file_is_read(client: httpx.Client) -> None:
    """A solution file's claim is shown beside the cost."""
    document = {**SQUARE, "rounding": "nearest"}
    text = "Route #1: 1 2\nRoute #2: 3\nCost 53\n"
    verdict = ask(client, document=document, solution_text=text, format=".sol").json()
    assert verdict["cost"] == 54
    assert verdict["claimed"] == "53"


@pytest.mark.parametrize(
    ("question", "where"),
    [
        ({"solution": []}, ""),
        ({"document": NUMBER}, ""),
        ({"document": NUMBER, "instance": "0" * 64, "solution": []}, ""),
        ({"document": NUMBER, "solution_text": "3"}, ""),
        ({"document": {"problem": "chess"}, "solution": []}, "document: problem"),
        ({"document": {}, "solution": []}, "document: problem"),
        ({"document": {"problem": ["factoring"]}, "solution": []}, "document: problem"),
        ({"document": NUMBER, "solution": [3]}, "solution: factors[0]"),
        ({"document": SQUARE, "solution": [["1"]]}, "solution"),
        ({"document": NUMBER, "solution_text": "3 x", "format": ".factors"}, "solution_text: line 1"),
        ({"document": NUMBER, "solution_text": "3", "format": ".sol"}, "format"),
        ({"document": NUMBER, "solution_text": "3", "format": "/../../etc/passwd"}, "format"),
        ({"document": {**NUMBER, "n": hex(2**10_000)}, "solution": []}, "document"),
        ({"document": NUMBER, "solution": {}}, "solution"),
        ({"document": NUMBER, "solution": [], "more": 1}, "more"),
    ],
)  # fmt: skip
def test_wrong_questions_are_refused(client: httpx.Client, question: dict[str, Any], where: str) -> None:
    """The answer is 422 and names the place, never a path of the server."""
    answer = ask(client, **question)
    assert answer.status_code == 422
    assert answer.json().get("where", "") == where
    assert "/tmp" not in answer.text


def test_a_solution_full_of_errors_has_a_short_answer(client: httpx.Client) -> None:
    """All violations are counted, but only the first hundred told."""
    verdict = ask(client, document=SQUARE, solution=[[9]] * 5000 + [[10**30]]).json()
    assert not verdict["feasible"]
    assert verdict["num_violations"] > 1000
    assert len(verdict["violations"]) == 100


def test_a_number_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prime of 23,209 bits keeps nobody longer than the limit: the process that tests it is ended."""
    monkeypatch.setattr(referee, "SECONDS", 1.0)
    prime = hex(2**23209 - 1).encode()
    started = time.monotonic()
    with pytest.raises(InvalidInput, match="no verdict within 1 s"):
        Referee().verdict(b'{"problem": "factoring", "version": 1, "n": "%s"}' % prime, b'["%s"]' % prime)
    assert time.monotonic() - started < 10


def test_a_process_that_runs_out_of_memory_is_no_crash_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """What needs more memory than the referee has is refused."""
    monkeypatch.setattr(referee, "MEMORY", 128 * 1024**2)
    monkeypatch.setattr(referee, "SECONDS", 100.0)
    huge = b"[" + b"[]," * 4_000_000 + b"[]]"
    with pytest.raises(InvalidInput, match="cannot judge"):
        Referee().verdict(b'{"problem": "routing"}', huge)


def test_who_finds_no_place_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all places are taken, the wait ends."""
    monkeypatch.setattr(referee, "WAIT_SECONDS", 0.05)
    with pytest.raises(Busy):
        Referee(places=0).verdict(b"{}", b"[]")
