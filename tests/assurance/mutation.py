"""Mutation testing of the referees: spoil their code in every way mutmut knows; a test must fail each time.

    python tests/assurance/mutation.py [--sample N]

prints the survivors and the score, and exits 1 below 95 %. A sample is drawn from all mutants by a fixed
seed. The mutations are mutmut's; the runs are not, because ``mutmut run`` knows no samples, leaves out class
bodies and decorated functions, and keeps a copy of the project in the checkout. Here every mutant lives and
dies in the memory of a forked child, which runs the tests against it.
"""

import difflib
import importlib
import importlib.util
import os
import random
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import libcst
import pytest
from libcst.metadata import MetadataWrapper
from mutmut.mutation.file_mutation import Mutation, MutationVisitor
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests" / "instances"
ROUTING = [TESTS / "routing" / name for name in ("test_referee.py", "test_referee_oracle.py")]
FACTORING = [TESTS / "factoring" / name for name in ("test_factoring_referee.py", "test_factoring_referee_oracle.py")]
TARGETS = {
    "instances.verdict": ROUTING,
    "instances.routing.referee": ROUTING,
    "instances.routing.rounding": [TESTS / "routing" / "test_rounding.py", *ROUTING],
    "instances.factoring.referee": FACTORING,
}
REQUIRED = 0.95
CPU_SECONDS, MEMORY_BYTES = 60, 8 * 1024**3
"""What a mutant may use before it counts as killed; the tests take a few seconds."""


@dataclass(frozen=True)
class Mutant:
    """One change of a module, or none at all."""

    module: str
    tree: libcst.Module
    mutation: Mutation | None = None

    @property
    def code(self) -> str:
        if self.mutation is None:
            return self.tree.code
        mutated = self.tree.deep_replace(self.mutation.original_node, self.mutation.mutated_node)
        assert isinstance(mutated, libcst.Module)
        return mutated.code

    def __str__(self) -> str:
        """The module, the place, and the changed lines before and after."""
        before, after = self.tree.code.splitlines(), self.code.splitlines()
        lines = list(difflib.unified_diff(before, after, n=0, lineterm=""))
        return "\n".join([f"{self.module} {lines[2]}", *lines[3:]])


def mutants(module: str) -> list[Mutant]:
    """The module unchanged, then every mutant of it; annotations and docstrings are left alone."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    visitor = MutationVisitor(mutation_operators, IgnoredCode(set(), set(), set()))
    tree = MetadataWrapper(libcst.parse_module(Path(spec.origin).read_text())).visit(visitor)
    return [Mutant(module, tree), *(Mutant(module, tree, mutation) for mutation in visitor.mutations)]


def judge(mutant: Mutant) -> int:
    """Run the tests in this process with the mutant in its module's place; pytest's exit code."""
    try:
        spec = importlib.util.find_spec(mutant.module)
        assert spec is not None
        assert spec.origin is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[mutant.module] = module
        exec(compile(mutant.code, spec.origin, "exec"), module.__dict__)
        parent, _, name = mutant.module.rpartition(".")
        setattr(importlib.import_module(parent), name, module)
    except Exception:
        return pytest.ExitCode.TESTS_FAILED
    hypothesis.settings.register_profile(
        "mutation",
        database=None,
        derandomize=True,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )
    hypothesis.settings.load_profile("mutation")
    options = [
        "-x",
        "-q",
        "--assert=plain",
        "-p",
        "no:cacheprovider",
        "-m",
        "not slow",
        "-k",
        "not cases_hold",
    ]
    return pytest.main([*options, *(str(path) for path in TARGETS[mutant.module])])


def start(mutant: Mutant) -> int:
    """Judge the mutant in a forked child; its process id. It exits 0 if the mutant survived."""
    child = os.fork()
    if child:
        return child
    code = pytest.ExitCode.INTERNAL_ERROR
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        code = pytest.ExitCode(judge(mutant))
    finally:
        os._exit(code)


def survivors(queue: list[Mutant]) -> Iterator[Mutant]:
    """The mutants that every test passes."""
    running: dict[int, Mutant] = {}
    for number, mutant in enumerate(queue, start=1):
        if len(running) == len(os.sched_getaffinity(0)):
            yield from finished(running)
        running[start(mutant)] = mutant
        if sys.stderr.isatty():
            print(f"\r{number}/{len(queue)}", end=" ", file=sys.stderr, flush=True)
    while running:
        yield from finished(running)


def finished(running: dict[int, Mutant]) -> Iterator[Mutant]:
    """Wait for one child; its mutant, if it survived."""
    child, status = os.wait()
    mutant = running.pop(child)
    code = os.waitstatus_to_exitcode(status)
    if code in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise SystemExit(f"pytest could not run the tests of {mutant.module} (exit code {code})")
    if code == pytest.ExitCode.OK:
        yield mutant


def main(arguments: list[str]) -> int:
    began = time.monotonic()
    os.chdir(ROOT)
    chosen = []
    for module in TARGETS:
        unchanged, *changed = mutants(module)
        if not list(survivors([unchanged])):
            raise SystemExit(f"the tests of {module} fail without any mutation")
        chosen += changed
    if arguments[:1] == ["--sample"]:
        chosen = random.Random(0).sample(chosen, min(int(arguments[1]), len(chosen)))
    alive = []
    for mutant in survivors(chosen):
        print(mutant, flush=True)
        alive.append(mutant)
    for module in TARGETS:
        num_mutants = sum(mutant.module == module for mutant in chosen)
        num_alive = sum(mutant.module == module for mutant in alive)
        print(f"{module}: {num_mutants - num_alive} of {num_mutants} mutants killed")
    score = 1 - len(alive) / len(chosen)
    seconds = time.monotonic() - began
    print(f"score {score:.1%} of {len(chosen)} mutants, {REQUIRED:.0%} required; {seconds:.0f} s")
    return int(score < REQUIRED)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
