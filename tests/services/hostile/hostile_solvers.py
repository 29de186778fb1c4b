"""Solvers that misbehave, each in its own way, as a third party's package could."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import ClassVar

from instances.routing.instance import RoutingInstance
from instances.routing.solution import Routes
from solvers.search import Search

ALL_FEATURES = frozenset(
    {"tsp", "capacity", "fleet", "time-windows", "service-times", "route-distance", "route-duration", "open",
     "matrix", "asymmetric"}
)  # fmt: skip


def singles(instance: RoutingInstance) -> Routes:
    """A feasible answer of a plain CVRP: one route per customer."""
    return Routes(tuple((customer,) for customer in instance.customers.tolist()))


@dataclass(frozen=True)
class _Routing:
    problem: ClassVar[str] = "routing"
    honours: ClassVar[frozenset[str]] = ALL_FEATURES
    packages: ClassVar[tuple[str, ...]] = ()

    def declines(self, instance: RoutingInstance) -> str | None:
        return None

    def prepare(self) -> "_Routing":
        return self

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Trivial(_Routing):
    """Reports one route per customer and returns."""

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        search.report(singles(instance))


@dataclass(frozen=True)
class Declining(_Routing):
    """Declines everything."""

    def declines(self, instance: RoutingInstance) -> str | None:
        return "not my kind of instance"


@dataclass(frozen=True)
class Together(_Routing):
    """Takes several instances at once: feasible for all but the second, and none of more than 30 customers."""

    batches: ClassVar[bool] = True
    then: str = field(default="", metadata={"help": "what it does at last: raise, hang or forge"})

    def declines(self, instance: RoutingInstance) -> str | None:
        return "too large" if instance.num_customers > 30 else None

    def solve_many(self, instances: list[RoutingInstance], searches: list[Search]) -> None:
        for place, (instance, search) in enumerate(zip(instances, searches, strict=True)):
            search.report(Routes(((1,),)) if place == 1 else singles(instance))
            print(place, search.seed)
        if self.then == "raise":
            raise RuntimeError("enough")
        if self.then == "hang":
            time.sleep(60)
        if self.then == "forge":
            _write_to_the_runner(b'{"event":"done","declined":{"0":7,"x":"y","99":"z"}}')


@dataclass(frozen=True)
class Hanging(_Routing):
    """Reports an answer, then never returns."""

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        search.report(singles(instance))
        while True:
            time.sleep(1)


@dataclass(frozen=True)
class Stubborn(_Routing):
    """Ignores SIGTERM and spins without releasing the interpreter for long."""

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            sum(range(10**6))


@dataclass(frozen=True)
class Leaking(_Routing):
    """Takes memory until there is none."""

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        search.report(singles(instance))
        hoard = []
        while True:
            hoard.append(bytearray(16 * 1024**2))


@dataclass(frozen=True)
class Hoarding(_Routing):
    """Keeps 100 MB of every run."""

    hoard: ClassVar[list[bytes]] = []

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        self.hoard.append(b"x" * (100 * 1024**2))
        search.report(singles(instance))


@dataclass(frozen=True)
class LeakingGrandchild(_Routing):
    """Takes memory in a process of its own."""

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        code = "import time; hoard = [bytearray(b'x' * 2**20) for _ in range(485)]; time.sleep(60)"
        subprocess.run([sys.executable, "-c", code], check=True)


@dataclass(frozen=True)
class Forking(_Routing):
    """Starts processes that leave its session and outlive it."""

    record: str = field(default="", metadata={"help": "file that receives the process ids"})

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        search.report(singles(instance))
        code = (
            "import os, sys, time\n"
            "if os.fork() == 0:\n"
            "    open(sys.argv[1], 'a').write(f'{os.getpid()}\\n')\n"
            "    time.sleep(600)\n"
        )
        for _ in range(3):
            subprocess.run([sys.executable, "-c", code, self.record], start_new_session=True, check=False)
        while True:
            time.sleep(1)


@dataclass(frozen=True)
class Deserting(Forking):
    """Starts processes that outlive it, then crashes."""

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        code = "import os, sys, time\nopen(sys.argv[1], 'a').write(f'{os.getpid()}\\n')\ntime.sleep(600)\n"
        subprocess.Popen([sys.executable, "-c", code, self.record], start_new_session=True)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGSEGV)


@dataclass(frozen=True)
class Flooding(_Routing):
    """Prints without end."""

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        search.report(singles(instance))
        while search.running():
            os.write(1, b"flood " * 10_000)
        os.write(1, b"last words\n")


@dataclass(frozen=True)
class FloodingReports(_Routing):
    """Reports the same answer as fast as it can."""

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        answer = singles(instance)
        while search.running():
            search.report(answer)


@dataclass(frozen=True)
class Garbling(_Routing):
    """Prints garbage on every pipe it finds, the runner's own among them."""

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        for descriptor in range(1, 4096):
            try:
                os.write(descriptor, b"\xff\xfe{not json\n")
            except OSError:
                continue
        time.sleep(5)


@dataclass(frozen=True)
class Infeasible(_Routing):
    """Reports routes that miss a customer, then things that are no routes at all."""

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        search.report(Routes(singles(instance).routes[1:]))
        search.report(Routes((("a", None),)))


@dataclass(frozen=True)
class Late(_Routing):
    """Reports only when the time is over."""

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        while search.running():
            time.sleep(0.01)
        time.sleep(0.05)
        search.report(singles(instance))


@dataclass(frozen=True)
class Dying(_Routing):
    """Reports an answer and dies by a signal."""

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        search.report(singles(instance))
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Raising(_Routing):
    """Raises an exception."""

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        raise RuntimeError("the solver's own fault")


def _write_to_the_runner(line: bytes) -> None:
    """Write to the runner's own pipe, as no solver should."""
    os.write(int(sys.argv[3]), line + b"\n")
    time.sleep(5)


@dataclass(frozen=True)
class OddFailure(_Routing):
    """Sends a failure of a kind that does not exist."""

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        _write_to_the_runner(b'{"event":"failed","kind":"odd","error":"odd"}')


@dataclass(frozen=True)
class Nested(_Routing):
    """Sends a line nested deeper than a decoder goes."""

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        _write_to_the_runner(b"[" * 100_000)


@dataclass(frozen=True)
class Unspeakable(_Routing):
    """Fails with a message and a log that no database takes."""

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        os.write(1, b"nul \0 byte\n")
        raise RuntimeError("bad file \udcff \0" + "long" * 10_000)


@dataclass(frozen=True)
class Littering(Forking):
    """Answers and returns, but leaves a process."""

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        code = "import os, sys, time; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); time.sleep(600)"
        subprocess.Popen([sys.executable, "-c", code, self.record], start_new_session=True)
        while not os.path.exists(self.record) or not os.path.getsize(self.record):  # noqa: PTH110, PTH202
            time.sleep(0.01)
        search.report(singles(instance))


@dataclass(frozen=True)
class Exiting(_Routing):
    """Leaves the interpreter."""

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        os._exit(3)


@dataclass(frozen=True)
class Haunting(_Routing):
    """Leaves a thread behind that reports its first instance's answer for ever."""

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        answer = singles(instance)
        search.report(answer)

        def haunt() -> None:
            while True:
                search.report(answer)
                time.sleep(0.001)

        threading.Thread(target=haunt, daemon=True).start()
        time.sleep(0.05)


@dataclass(frozen=True)
class Counting(_Routing):
    """Reports more customers together in one route with every run that its process has made."""

    runs: ClassVar[list[int]] = []

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        self.runs.append(id(instance))
        print(f"run {len(self.runs)} of this process")
        search.report(singles(instance))


@dataclass(frozen=True)
class Unpreparable(_Routing):
    """Fails while it prepares."""

    def prepare(self) -> "_Routing":
        raise OSError("no weights here")


@dataclass(frozen=True)
class Ticking(_Routing):
    """Reports ever better answers, ten milliseconds apart, then hangs."""

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        customers = instance.customers.tolist()
        for joined in range(1, 4):
            search.report(Routes((tuple(customers[:joined]), *((customer,) for customer in customers[joined:]))))
            time.sleep(0.01)
        while True:
            time.sleep(1)


@dataclass(frozen=True)
class Unlucky(_Routing):
    """Reports what a hostile referee stumbles over, then a good answer."""

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        search.report(Routes(((13,),)))
        search.report(singles(instance))


@dataclass(frozen=True)
class Restless(_Routing):
    """Leaves a thread behind that computes for ever."""

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        def spin() -> None:
            while True:
                sum(range(1000))

        threading.Thread(target=spin, daemon=True).start()
        search.report(singles(instance))


@dataclass(frozen=True)
class Delegating(_Routing):
    """Lets a process compute, and does not wait for its end."""

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        code = "while True: sum(range(1000))"
        subprocess.Popen([sys.executable, "-S", "-c", code], start_new_session=True)
        time.sleep(0.8)
        search.report(singles(instance))


@dataclass(frozen=True)
class Choking(_Routing):
    """Runs out of memory while it prepares."""

    def prepare(self) -> "Choking":
        bytearray(1 << 40)
        return self


@dataclass(frozen=True)
class Falling(_Routing):
    """Dies by a signal while it prepares."""

    def prepare(self) -> "Falling":
        os.kill(os.getpid(), signal.SIGSEGV)
        return self


@dataclass(frozen=True)
class Bloated(_Routing):
    """Leaves no memory for an instance."""

    hoard: ClassVar[list[bytearray]] = []

    def prepare(self) -> "Bloated":
        try:
            while True:
                self.hoard.append(bytearray(1 << 20))
        except MemoryError:
            del self.hoard[-2:]
        return self


@dataclass(frozen=True)
class Forging(_Routing):
    """Sends a message that only the runner, or a child with an error to tell, would send."""

    kind: str = field(default="gone", metadata={"help": "the event forged"})

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        search.report(singles(instance))
        _write_to_the_runner(b'{"event":"%s","error":""}' % self.kind.encode())


@dataclass(frozen=True)
class ForgingReadiness(Forging):
    """Sends it while it prepares, and goes on preparing."""

    def prepare(self) -> "ForgingReadiness":
        _write_to_the_runner(b'{"event":"%s","error":""}' % self.kind.encode())
        return self


@dataclass(frozen=True)
class SlowToPrepare(_Routing):
    """Prepares for minutes."""

    def prepare(self) -> "SlowToPrepare":
        time.sleep(120)
        return self


@dataclass(frozen=True)
class Inundating(_Routing):
    """Dies, and leaves processes without the runner's mark that print without end."""

    def solve(self, instance: RoutingInstance, search: Search) -> None:
        code = "import os\nwhile True: os.write(1, b'flood ' * 10_000)"
        for _ in range(8):
            subprocess.Popen([sys.executable, "-S", "-c", code], env={}, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        os._exit(3)
