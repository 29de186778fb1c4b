"""The referee for anyone's solution, in a process of its own: whatever it is given, it takes no more than it may.

Started as ``python -P -m services.api.referee PARENT MEMORY``: one JSON object in, one out, an :class:`Answer`.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from instances.errors import InvalidInput
from instances.problem import Instance, Problem, Solution
from instances.problems import problem_named
from services.runner import proc
from services.runner.machine import thread_limits

SECONDS = 10.0
MEMORY = 2 * 1024**3
MAX_VIOLATIONS = 100
WAIT_SECONDS = 5.0

Answer = dict[str, Any]


class Busy(Exception):
    """So many are asking that there is no verdict to be had now."""


class Referee:
    """Verdicts, so many at a time."""

    def __init__(self, places: int = 2) -> None:
        self._places = threading.BoundedSemaphore(places)

    def verdict(
        self, instance: bytes, solution: bytes, text: str | None = None, form: str = "", max_size: int | None = None
    ) -> Answer:
        """The verdict on a solution, a JSON document or the ``text`` of a file of format ``form``.

        ``max_size`` is the largest instance that is accepted.

        Raises
        ------
        InvalidInput
            If the instance or the solution is malformed, or more than a process may take.
        Busy
            If no process is free for a while, or none can be started.
        """
        terms = json.dumps({"text": text, "format": form, "max_size": max_size}).encode()
        request = b'{"instance":%s,"solution":%s,"terms":%s}' % (instance, solution, terms)
        if not self._places.acquire(timeout=WAIT_SECONDS):
            raise Busy
        try:
            child = subprocess.run(
                [sys.executable, "-P", "-m", __name__, str(os.getpid()), str(MEMORY)],
                input=request, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=SECONDS, check=False,
                start_new_session=True, env={**os.environ, **thread_limits(1)},
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise InvalidInput(f"the referee comes to no verdict within {SECONDS:g} s", "solution") from None
        except OSError as error:
            raise Busy from error
        finally:
            self._places.release()
        if child.returncode:
            raise InvalidInput(
                f"the referee cannot judge it: its process {proc.exit_text(child.returncode)}", "solution"
            )
        answer: Answer = json.loads(child.stdout)
        if "refused" in answer:
            raise InvalidInput(*answer["refused"])
        return answer


def _answer(request: dict[str, Any]) -> Answer:
    document, terms = request["instance"], request["terms"]
    try:
        problem = problem_named(document.get("problem", ""))
        instance = problem.load(document)
    except InvalidInput as error:
        raise error.within("document") from None
    known = problem.describe(instance)
    if terms["max_size"] is not None and known.size > terms["max_size"]:
        raise InvalidInput(f"has {known.size} {known.size_unit}; accepted are at most {terms['max_size']}", "document")
    solution, claimed = _solution(problem, instance, request["solution"], terms["text"], terms["format"])
    verdict = problem.verify(instance, solution)
    shown = [asdict(violation) for violation in verdict.violations[:MAX_VIOLATIONS]]
    return {
        "digest": known.digest,
        "feasible": verdict.feasible,
        "complete": verdict.feasible and verdict.complete,
        "cost": verdict.cost,
        "decimals": known.decimals,
        "display": _text(verdict.cost, known.decimals),
        "claimed": _text(claimed, known.decimals),
        "notes": verdict.notes,
        "violations": shown,
        "num_violations": len(verdict.violations),
    }


def _solution(
    problem: Problem, instance: Instance, document: Any, text: str | None, form: str
) -> tuple[Solution, int | Decimal | None]:
    if text is None:
        try:
            return problem.load_solution(document), None
        except InvalidInput as error:
            raise error.within("solution") from None
    if form not in problem.solution_suffixes:
        raise InvalidInput(f"is {form!r}; accepted are {', '.join(problem.solution_suffixes)}", "format")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "solution").with_suffix(form)
        file.write_text(text, encoding="utf-8", newline="")
        try:
            return problem.read_solution(instance, file)
        except InvalidInput as error:
            where = error.where.removeprefix(str(file)).removeprefix(": ")
            raise InvalidInput(error.message, where).within("solution_text") from None


def _text(cost: int | Decimal | None, decimals: int) -> str | None:
    """A cost in units of 10^-decimals as people write it."""
    if cost is None:
        return None
    return f"{Decimal(cost).scaleb(-decimals):f}" if decimals else str(cost)


def main() -> None:
    """Answer the one request of the process that started this one."""
    parent, memory = map(int, sys.argv[1:])
    proc.tie_to_parent(parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    try:
        answer = _answer(json.load(sys.stdin.buffer))
    except InvalidInput as error:
        answer = {"refused": [error.message, error.where]}
    except Exception as error:
        answer = {"refused": [f"the referee cannot judge it: {type(error).__name__}: {error}", "solution"]}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
