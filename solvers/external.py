"""Any program as a solver: started by a command, read as in the DIMACS challenge."""

import contextlib
import ctypes
import os
import re
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, ClassVar, Literal, cast

from instances.errors import InvalidInput
from instances.routing.formats import solomon, tsplib
from instances.routing.instance import RoutingInstance
from instances.routing.solution import Routes
from solvers.routing.segments import FEATURES
from solvers.search import Search

_ROUTE = re.compile(rb"route\s*#?\s*(\d+)\s*:([\d\s]*)", re.IGNORECASE)
_COST = re.compile(rb"cost[\s:].*", re.IGNORECASE)
_TAIL_BYTES = 2_000
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Exec:
    """Any program, by a command with {instance} {seconds} {seed} {threads}, that prints CVRPLIB solutions.

    The program is started without a shell. Each solution on its standard output is a block of lines like
    ``Route #1: 3 5 2`` that ends with a line ``Cost 1234``; customers are location indices (the node number
    of the file minus one; the number itself in Solomon's format), and other lines are passed over. The cost
    is for the referee to find; what the program prints there is not used. The program is killed when the time
    is over.

    Which instances it can take, the file format decides: one that the file cannot hold is declined.

    Raises
    ------
    ValueError
        If the command is empty, has unbalanced quotes or lacks {instance}.
    """

    command: str = field(
        metadata={"help": "the program with its arguments; {instance} {seconds} {seed} {threads} are filled in"}
    )
    form: Literal["auto", "tsplib", "solomon"] = field(
        default="auto",
        metadata={"help": "the instance's file: .vrp/.tsp, or Solomon's .txt; auto takes .txt where it can hold it"},
    )
    margin: float = field(
        default=0.1, metadata={"help": "by how many seconds less than there are the program is told to take"}
    )

    problem: ClassVar[str] = "routing"
    honours: ClassVar[frozenset[str]] = FEATURES
    packages: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if not any("{instance}" in part for part in self._parts()[1:]):
            raise ValueError(f"command {self.command!r} has no argument with {{instance}}, the file to read")
        if not 0 <= self.margin < float("inf"):
            raise ValueError(f"margin is {self.margin}; accepted are seconds from 0")

    def declines(self, instance: RoutingInstance) -> str | None:
        try:
            self._file(instance)
        except InvalidInput as error:
            return str(error)
        return None

    def prepare(self) -> "Exec":
        program = self._parts()[0]
        if shutil.which(program) is None:
            raise FileNotFoundError(f"there is no program {program!r}")
        return self

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        """Run the program.

        Raises
        ------
        RuntimeError
            If it ends by itself with an exit status other than 0; with the end of its standard error.
        """
        suffix, text = self._file(instance)
        with tempfile.TemporaryDirectory(prefix="versus-") as folder:
            path = Path(folder, f"instance{suffix}")
            path.write_text(text)
            values = {
                "{instance}": str(path),
                "{seconds}": f"{max(0.0, search.remaining() - self.margin):.3f}",
                "{seed}": str(search.seed),
                "{threads}": str(search.threads),
            }
            pattern = re.compile("|".join(map(re.escape, values)))
            command = [pattern.sub(lambda match: values[match[0]], part) for part in self._parts()]
            _run(command, search)

    def _parts(self) -> list[str]:
        return shlex.split(self.command)

    def _file(self, instance: RoutingInstance) -> tuple[str, str]:
        """Suffix and text of the instance's file; InvalidInput if it cannot hold the instance."""
        if self.form == "solomon":
            return ".txt", solomon.write(instance)
        if self.form == "auto" and instance.time_windows is not None:
            try:
                return ".txt", solomon.write(instance)
            except InvalidInput:
                pass
        suffix = ".vrp"
        if "tsp" in instance.features:
            suffix = ".atsp" if "asymmetric" in instance.features else ".tsp"
        return suffix, tsplib.write(instance, suffix)


def _run(command: list[str], search: Search) -> None:
    """Start the command, report the solutions it prints, and end it with everything it started."""
    routes: list[tuple[int, ...]] = []
    tail = b""
    solver = os.getpid()
    prctl = ctypes.CDLL(None).prctl

    def die_with_solver() -> None:
        """If this process is killed, nobody else would end the program."""
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != solver:
            os._exit(1)

    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=die_with_solver,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        try:
            for stream, line in _lines([process.stdout, process.stderr], search):
                if stream is process.stderr:
                    sys.stderr.write(line.decode(errors="replace") + "\n")
                    tail = (tail + line + b"\n")[-_TAIL_BYTES:]
                elif match := _ROUTE.fullmatch(line):
                    if int(match[1]) <= 1:
                        routes = []
                    routes.append(tuple(int(customer) for customer in match[2].split()))
                elif _COST.fullmatch(line) and routes:
                    search.report(Routes(tuple(routes)))
                    routes = []
            status = process.wait(search.remaining())
        except subprocess.TimeoutExpired:
            status = 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if status:
        raise RuntimeError(f"{command[0]} ended with status {status}: {tail.decode(errors='replace').strip()}")


def _lines(streams: list[IO[bytes]], search: Search) -> Iterator[tuple[IO[bytes], bytes]]:
    """The lines of several pipes, stripped, as they come, until all are closed or the time is over."""
    pending = dict.fromkeys(streams, b"")
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ)
        while pending and search.running():
            for key, _ in selector.select(search.remaining()):
                stream = cast("IO[bytes]", key.fileobj)
                received = os.read(key.fd, 65536)
                *lines, rest = (pending[stream] + received).split(b"\n")
                if received:
                    pending[stream] = rest
                else:
                    selector.unregister(stream)
                    lines = [rest] if (rest := pending.pop(stream)) else []
                for line in lines:
                    yield stream, line.strip()
