"""Two workers on two hosts; one is cut off in the middle of a run for longer than its lease, and healed: one result.

The hosts are network namespaces joined to this one by veth pairs, so this needs root and Debian's iproute2:
``python -m tests.faults.network``.
"""

import subprocess
import sys
import time

import sqlalchemy as sa

from instances.problems import problem_of
from instances.routing.generators import generate
from services.queue.hints import Hints
from services.records import Comparison
from services.store import tables
from services.store.jobs import Jobs
from services.store.store import Store
from tests.faults.servers import VERSUS, Postgres, Valkey, environment, wait_for

LEASE = 3.0
BUDGET = 12.0


class Host:
    """A network namespace with an address of its own in 10.213.N.0/24; .1 is this side."""

    def __init__(self, number: int) -> None:
        self.name, self.link = f"versus{number}", f"vs{number}"
        self.here, self.there = f"10.213.{number}.1", f"10.213.{number}.2"

    def __enter__(self) -> "Host":
        ip("netns", "add", self.name)
        ip("link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        ip("address", "add", f"{self.here}/24", "dev", self.link)
        ip("link", "set", self.link, "up")
        self.inside("address", "add", f"{self.there}/24", "dev", "eth0")
        self.inside("link", "set", "eth0", "up")
        self.inside("link", "set", "lo", "up")
        self.inside("route", "add", "default", "via", self.here)
        return self

    def __exit__(self, *_: object) -> None:
        ip("netns", "delete", self.name)

    def inside(self, *arguments: str) -> None:
        ip("-n", self.name, *arguments)

    def cut(self) -> None:
        """Let nothing pass any more; connections stay open and hear nothing."""
        ip("link", "set", self.link, "down")

    def heal(self) -> None:
        ip("link", "set", self.link, "up")


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def main() -> int:
    # The servers listen on the first host's side; the kernel answers for that address on every link.
    with Host(1) as one, Host(2) as two, Postgres(one.here) as postgres, Valkey(one.here) as valkey:
        store = Store.open(postgres.url)
        jobs = Jobs(store.engine)
        (instance,) = generate("uniform", size=50, count=1, seed=1)
        problem = problem_of(instance)
        described = problem.describe(instance)
        store.add_instances([(described, problem.dump(instance))])
        workers = {
            host.name: subprocess.Popen(
                ["ip", "netns", "exec", host.name, VERSUS, "worker", "--queues", "cpu"],
                env=environment(postgres, valkey, LEASE),
            )
            for host in (one, two)
        }
        try:
            jobs.submit(Comparison("c", {"pyvrp": "pyvrp"}, BUDGET, 1), [described], {"pyvrp": "cpu"}, {})
            Hints(valkey.url).send("cpu", 1)
            holder = wait_for(lambda: _holder(store), 60)
            # A namespace has no host name of its own: which worker it is, its process id says.
            pid = int(holder.split("-")[-2])
            name = next(name for name, process in workers.items() if _has(process.pid, pid))
            host = one if name == one.name else two
            print(f"{holder} on {name} makes the run; cut off for {3 * LEASE:g} s")
            time.sleep(1.0)
            host.cut()
            other = wait_for(lambda: (now := _holder(store)) != holder and now, 4 * LEASE)
            print(f"{other} has it now")
            time.sleep(max(0.0, 3 * LEASE - 2))
            host.heal()
            print("healed")
            wait_for(lambda: store.results("c").runs, 3 * BUDGET)
            # Long enough for the first worker to report as well, if it still meant to.
            time.sleep(BUDGET)
            (run,) = store.results("c").runs
            print(f"one result: attempt {run.attempt}, {run.status}, cost {run.cost}")
            with store.engine.connect() as connection:
                left = connection.scalar(sa.select(sa.func.count()).select_from(tables.jobs))
            return int(not (run.attempt == 2 and run.status == "finished" and left == 0))
        finally:
            for process in workers.values():
                process.terminate()
            for process in workers.values():
                process.wait(60)
            store.close()


def _holder(store: Store) -> str | None:
    with store.engine.connect() as connection:
        return connection.scalar(sa.select(tables.jobs.c.worker).where(tables.jobs.c.state == "running"))


def _has(ancestor: int, pid: int) -> bool:
    """Whether a process is another or one of its descendants."""
    while pid > 1 and pid != ancestor:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            pid = int(file.read().rpartition(")")[2].split()[1])
    return pid == ancestor


if __name__ == "__main__":
    sys.exit(main())
