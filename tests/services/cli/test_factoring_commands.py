"""Factoring on the command line: generate, info and verify, with the exit codes of routing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

VERSUS = str(Path(sys.executable).with_name("versus"))


def versus(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    return subprocess.run([VERSUS, *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("form", ["jsonl", "json", "num"])
def test_generated_integers_are_read_again(tmp_path, form):
    """One file of all, or one each; the same seed makes the same bytes, and info says what they are."""
    options = ("generate", "factoring", "semiprime", "--bits", 48, "--count", 3, "--seed", 2, "--format", form, "--out")
    made = versus(*options, tmp_path / "one")
    assert made.returncode == 0, made.stderr
    files = [Path(line) for line in made.stdout.split()]
    assert [file.suffix for file in files] == [f".{form}"] * (1 if form == "jsonl" else 3)
    shown = json.loads(versus("info", tmp_path / "one", "--json").stdout)
    assert [(known["size"], known["size_unit"], known["properties"]["digits"]) for known in shown] == [
        (48, "bits", 15)
    ] * 3
    versus(*options, tmp_path / "two")
    assert [file.read_bytes() for file in files] == [(tmp_path / "two" / file.name).read_bytes() for file in files]


def test_options_and_split_reach_the_generator(tmp_path):
    """They are in the name; a wrong one exits with 2 and writes nothing."""
    made = versus(
        "generate", "factoring", "unbalanced", "--bits", 48, "--split", "any", "--option", "small=8", "--out", tmp_path
    )
    assert Path(made.stdout.strip()).name == "unbalanced-any-8-b48-s1.jsonl"
    out = tmp_path / "out"
    for arguments, message in (
        (("unbalanced", "--bits", 48, "--option", "small=tiny"), "--option of unbalanced, small: 'tiny'"),
        (("semiprime", "--bits", 48, "--split", "train"), "split: is 'train'; semiprime accepts training"),
        (("semiprime", "--bits", 1), "bits: is 1; accepted are 2 to 4096"),
        (("semiprime", "--bits", 16), "count: is 1, but only 0 different numbers"),
        (("sextic", "--bits", 16), "sextic: unknown kind; accepted are semiprime"),
    ):
        refused = versus("generate", "factoring", *arguments, "--out", out)
        assert refused.returncode == 2
        assert message in refused.stderr
        assert not out.exists()


@pytest.fixture
def sixty(tmp_path):
    """60 = 2^2 * 3 * 5 as a file."""
    (tmp_path / "sixty.num").write_text("60\n")
    return tmp_path / "sixty.num"


def test_info_shows_bits_and_digits(sixty):
    shown = versus("info", sixty).stdout.split()
    for label, value in (("problem", "factoring"), ("bits", "6"), ("digits", "2"), ("kind", "None")):
        assert shown[shown.index(label) + 1] == value


@pytest.mark.parametrize(
    ("factors", "code", "words"),
    [
        ("2^2 3 5", 0, ["feasible, 0 bits still composite (no cost claimed)"]),
        ("2 3 10", 1, ["feasible, but not complete: 4 bits still composite (no cost claimed)",
                       "  still composite: 10, 4 bits"]),
        ("2 3 5", 1, ["infeasible", "  2 is given once, but divides n 2 times",
                      "  the factors multiply to 30, not to 60; missing: 2"]),
    ],
)  # fmt: skip
def test_verify_says_what_remains(sixty, tmp_path, factors, code, words):
    """Exit code 0 only for a complete factorisation."""
    (tmp_path / "x.factors").write_text(factors)
    verified = versus("verify", sixty, tmp_path / "x.factors")
    assert (verified.returncode, verified.stdout.splitlines()) == (code, words)
    document = json.loads(versus("verify", sixty, tmp_path / "x.factors", "--json").stdout)
    assert document["complete"] == (code == 0)
    assert document["feasible"] == (words[0] != "infeasible")
    if document["feasible"]:
        assert document["notes"] == [note.strip() for note in words[1:]]


def test_a_false_claim_is_no_honest_answer(sixty, tmp_path):
    """A partial factorisation that claims to be complete exits with 1 and says both costs."""
    (tmp_path / "x.json").write_text('{"factors": ["2", "3", "10"], "cost": 0}')
    verified = versus("verify", sixty, tmp_path / "x.json")
    assert verified.returncode == 1
    assert "feasible, but it costs 4 and claims 0" in verified.stdout


def test_solve_shows_the_factors_and_verify_agrees(sixty, tmp_path):
    """The line says what is left, and the factors; the file that is written claims the cost truly."""
    solved = versus("solve", sixty, "--solver", "trial", "--out", tmp_path / "answer.json")
    assert solved.returncode == 0, solved.stderr
    assert solved.stdout.startswith("finished: ")
    assert solved.stdout.endswith(" s  0 bits still composite  2^2 * 3 * 5\n")
    verified = versus("verify", sixty, tmp_path / "answer.json")
    assert (verified.returncode, verified.stdout) == (0, "feasible, 0 bits still composite (as claimed)\n")
    # The answer lies beside the instance and is none.
    assert len(json.loads(versus("info", tmp_path, "--json").stdout)) == 1


def test_a_partial_answer_exits_1(tmp_path):
    """Trial division finds the small factors of 4 p q in half a second; what remains is named in the reason."""
    p, q = 2**61 - 1, 2**89 - 1
    (tmp_path / "hard.num").write_text(f"{4 * p * q}\n")
    solved = versus("solve", tmp_path / "hard.num", "--solver", "trial", "--budget", "500ms")
    assert solved.returncode == 1, solved.stdout
    assert f"150 bits still composite  2^2 * {str(p * q)[:12]}" in solved.stdout
    assert "partial: still composite: " in solved.stdout
    document = json.loads(
        versus("solve", tmp_path / "hard.num", "--solver", "trial", "--budget", "500ms", "--json").stdout
    )
    assert (document["complete"], document["cost"], document["gap"]) == (False, "150", None)
    assert document["solution"][:2] == ["2", "2"]


@pytest.mark.parametrize(
    ("text", "message"), [("0", "n: is 0"), ("9" * 10_001, "more than 10000 digits"), ("ff", "0x")]
)
def test_numbers_that_are_none_exit_2(tmp_path, text, message):
    """Every command that reads the file names it, the line and what is wrong."""
    (tmp_path / "wrong.num").write_text(text + "\n")
    for command in (
        ("info",),
        ("solve", "--solver", "trial"),
        ("compare", "--solver", "trial", "--out", tmp_path / "out"),
    ):
        refused = versus(command[0], tmp_path / "wrong.num", *command[1:])
        assert refused.returncode == 2
        assert "wrong.num: line 1: " in refused.stderr
        assert message in refused.stderr
    assert not (tmp_path / "out").exists()


def test_factor_one_exits_1(tmp_path, sixty):
    """1 is no factor, however right the product is."""
    (tmp_path / "one.factors").write_text("1 2 2 3 5\n")
    refused = versus("verify", sixty, tmp_path / "one.factors")
    assert refused.returncode == 1
    assert "1 is given as a factor" in refused.stdout


def test_one_comparison_holds_both_problems(tmp_path, sixty):
    """Each solver answers its own problem and declines the other with the reason; each problem has its ranking."""
    assert versus("generate", "routing", "uniform", "--size", 10, "--out", sixty.parent).returncode == 0
    out = tmp_path / "out"
    solvers = ("--solver", "savings", "--solver", "trial")
    done = versus("compare", sixty, sixty.parent, *solvers, "--budget", "1s", "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    problems = json.loads(done.stdout)["problems"]
    assert {name: [row["solver"] for row in part["ranking"]] for name, part in problems.items()} == {
        "factoring": ["trial"],
        "routing": ["savings"],
    }
    rows = json.loads(versus("export", out, "--format", "json").stdout)
    assert {(row["problem"], row["solver"]): (row["status"], row["reason"]) for row in rows} == {
        ("factoring", "trial"): ("finished", ""),
        ("factoring", "savings"): ("declined", "solves routing, not factoring"),
        ("routing", "savings"): ("finished", ""),
        ("routing", "trial"): ("declined", "solves factoring, not routing"),
    }
