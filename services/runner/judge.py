"""The judge: a process that verifies solutions, so that no check delays a stamp, a limit or the next arrival.

Started as ``python -P -m services.runner.judge PARENT``; see :mod:`services.runner.hearing` for the parent's side.
Every line of its input has one line of answer, a JSON object. ``instance DOCUMENT`` is answered by ``{}`` or
``{"failed": reason}``; ``solution DOCUMENT`` by ``{"cost": ..., "complete": ..., "notes": [...]}`` or
``{"rejected": reason}``.
"""

import json
import os
import resource
import signal
import sys
from typing import Any, BinaryIO

from instances.errors import InvalidInput
from instances.problem import Instance, Problem
from instances.problems import problem_named
from services.runner import proc

JUDGE_MEMORY = 4 * 1024**3
NICENESS = 5


def serve(commands: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the input ends."""
    problem: Problem | None = None
    instance: Instance = None
    for line in commands:
        kind, _, document = line.partition(b" ")
        answer: dict[str, Any] = {}
        if kind == b"instance":
            try:
                problem, instance = _load(document)
            except Exception as error:
                answer = {"failed": _reason(error)}
        elif problem is not None:
            answer = _judged(problem, instance, document)
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def _load(document: bytes) -> tuple[Problem, Instance]:
    decoded = json.loads(document)
    problem = problem_named(decoded["problem"])
    return problem, problem.load(decoded)


def _judged(problem: Problem, instance: Instance, document: bytes) -> dict[str, Any]:
    """The referee's word; whatever a solution breaks on the way is a reason to reject it."""
    try:
        verdict = problem.verify(instance, problem.load_solution(json.loads(document.decode())))
        if verdict.cost is None:
            return {"rejected": verdict.violations[0].message}
        answer = {"cost": verdict.cost, "complete": verdict.complete, "notes": verdict.notes}
        json.dumps(answer)
    except Exception as error:
        return {"rejected": _reason(error)}
    return answer


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, InvalidInput) else f"{type(error).__name__}: {error}"


def main() -> None:
    """Serve the process that started this one."""
    proc.tie_to_parent(int(sys.argv[1]))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (JUDGE_MEMORY, JUDGE_MEMORY))
    # Where the judge shares a core with the parent, stamps come first.
    os.nice(NICENESS)
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
