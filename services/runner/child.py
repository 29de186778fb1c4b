"""The child process a solver runs in: it greets, prepares, and solves one instance after another.

Started as ``python -P -m services.runner.child NAME COMMANDS MESSAGES MEMORY PARENT``, where COMMANDS and MESSAGES are
inherited file descriptors. Commands and messages are JSON lines, but for ``solution RUN PLACE DOCUMENT``, which the
parent does not decode; PLACE counts the instances that are solved together. See :mod:`services.runner.process` for its
side. Standard output and error are the run's log.
"""

import contextlib
import ctypes
import dataclasses
import functools
import gc
import importlib.metadata
import json
import logging
import os
import resource
import signal
import sys
import threading
import time
import traceback
import typing
from collections.abc import Callable
from typing import Any

from instances.errors import InvalidInput
from instances.problem import Problem
from instances.problems import problem_named
from services.runner import proc
from solvers import registry, spec

PR_SET_CHILD_SUBREAPER = 36
ERROR_LENGTH = 10_000
REASON_LENGTH = 150
"""Of each instance of a batch: what is declined is said in one message."""


class ChildSearch:
    """The Search a solver sees: it writes every reported solution to the parent at once."""

    def __init__(self, budget: float, seed: int, threads: int, started: float, emit: Callable[[Any], None]) -> None:
        self.budget = budget
        self.seed = seed
        self.threads = threads
        self._end = started + budget
        self._emit = emit

    def running(self) -> bool:
        return time.perf_counter() < self._end

    def remaining(self) -> float:
        return max(0.0, self._end - time.perf_counter())

    def report(self, solution: Any) -> None:
        self._emit(solution)


class Child:
    """Answers the parent's commands, one at a time, until the pipe closes."""

    def __init__(self, name: str, commands: int, messages: int) -> None:
        self.name = name
        self.commands = os.fdopen(commands, "rb")
        self.messages = messages
        self.lock = threading.Lock()
        self.solver: Any = None
        self.ready: Any = None
        self.raw: list[bytes] = []

    def say(self, event: str, **content: Any) -> None:
        self.write(_json({"event": event, **content}))

    def write(self, line: bytes) -> None:
        rest = memoryview(line + b"\n")
        with self.lock:
            while rest:
                rest = rest[os.write(self.messages, rest) :]

    def serve(self) -> None:
        try:
            solver_class = registry.find(self.name).load()
        except Exception as error:
            traceback.print_exc()
            self.say("unavailable", error=_said(error))
            return
        self.say("greeting", **describe(self.name, solver_class))
        for line in self.commands:
            command = json.loads(line)
            match command["op"]:
                case "prepare":
                    self.prepare(solver_class, command["parameters"])
                case "load":
                    self.raw = [self.commands.read(size) for size in command["bytes"]]
                    gc.collect()
                    _reset_peak_memory()
                    self.say("loaded")
                case "go":
                    self.run(problem_named(solver_class.problem), command)
                case "explain":
                    self.explain(problem_named(solver_class.problem), self.commands.read(command["bytes"]))

    def prepare(self, solver_class: type, parameters: dict[str, str]) -> None:
        try:
            self.solver = spec.build(solver_class, parameters, f"solver {self.name!r}")
            self.ready = self.solver.prepare()
            # What is there now stays: the collection before each run need not look at it, nor one during a run.
            gc.collect()
            gc.freeze()
        except InvalidInput as error:
            self.say("refused", error=str(error)[:ERROR_LENGTH])
        except MemoryError as error:
            self.say("failed", kind="memory", error=_said(error))
        except Exception as error:
            traceback.print_exc()
            self.say("unavailable", error=_said(error))
        else:
            values = {
                field.name: getattr(self.solver, field.name) for field in dataclasses.fields(solver_class) if field.init
            }
            self.say("ready", spec=spec.canonical(self.name, values))

    def explain(self, problem: Problem, solution: bytes) -> None:
        """Say how the solver comes to a solution of the instance that was loaded."""
        try:
            instance = problem.load(json.loads(self.raw[0]))
            said = self.ready.explain(instance, problem.load_solution(json.loads(solution)))
        except Exception as error:
            traceback.print_exc()
            self.say("failed", error=_said(error))
        else:
            self.say("explained", document=said)

    def run(self, problem: Problem, command: dict[str, Any]) -> None:
        """One run, or a batch of them; the clock started when the parent wrote the command."""
        started = time.perf_counter()
        declined: dict[int, str] = {}
        length = ERROR_LENGTH if len(self.raw) == 1 else REASON_LENGTH
        accepted: list[tuple[Any, ChildSearch]] = []

        def emit(place: int, solution: Any) -> None:
            self.write(b"solution %d %d " % (command["run"], place) + _json(problem.dump_solution(solution)))

        try:
            for place, (raw, seed) in enumerate(zip(self.raw, command["seeds"], strict=True)):
                document = json.loads(raw)
                if document["problem"] != problem.name:
                    declined[place] = f"solves {problem.name}, not {document['problem']}"
                    continue
                instance = problem.load(document)
                reason = self.solver.declines(instance)
                if reason is not None:
                    declined[place] = reason[:length]
                    continue
                tell = functools.partial(emit, place)
                search = ChildSearch(command["budget"], seed, command["threads"], started, tell)
                accepted.append((instance, search))
            if accepted and command["together"]:
                self.ready.solve_many(*(list(column) for column in zip(*accepted, strict=True)))
            elif accepted:
                self.ready.solve(*accepted[0])
            sys.stdout.flush()
        except MemoryError as error:
            sys.stdout.flush()
            self.say("failed", kind="memory", error=_said(error))
        except Exception as error:
            sys.stdout.flush()
            traceback.print_exc()
            self.say("failed", kind="crashed", error=_said(error))
        else:
            self.say("done", declined=declined)


def describe(name: str, solver_class: type[Any]) -> dict[str, Any]:
    """A solver class as the parent and its users see it."""
    hints = typing.get_type_hints(solver_class)
    distribution = getattr(registry.find(name).dist, "name", "versus")
    packages = dict.fromkeys([distribution, *solver_class.packages])
    return {
        "name": name,
        "summary": (solver_class.__doc__ or "").strip().partition("\n")[0],
        "problem": solver_class.problem,
        "honours": sorted(solver_class.honours),
        "explains": bool(getattr(solver_class, "explains", False)),
        "batches": bool(getattr(solver_class, "batches", False)),
        "versions": {package: importlib.metadata.version(package) for package in packages},
        "parameters": [
            {
                "name": field.name,
                "type": spec.type_name(hints[field.name]),
                "default": None if field.default is dataclasses.MISSING else spec.text(field.default),
                "required": field.default is dataclasses.MISSING,
                "help": field.metadata.get("help", ""),
            }
            for field in dataclasses.fields(solver_class)
            if field.init
        ],
    }


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _said(error: Exception) -> str:
    """The error in words, of a length that the parent takes."""
    return f"{type(error).__name__}: {error}".removesuffix(": ")[:ERROR_LENGTH]


def _reset_peak_memory() -> None:
    """Let the kernel's peak resident size start again from here (proc(5), clear_refs), where it does that."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123
        file.write("5")


def main() -> None:
    name, commands, messages, memory, parent = sys.argv[1:]
    proc.tie_to_parent(int(parent))
    # Adopt orphaned grandchildren, so that the parent can find and kill them.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (int(memory), int(memory)))
    for descriptor in (int(commands), int(messages)):
        os.set_inheritable(descriptor, False)
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    Child(name, int(commands), int(messages)).serve()


if __name__ == "__main__":
    main()
