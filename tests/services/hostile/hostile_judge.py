"""The judge with a referee that misbehaves, as HOSTILE_REFEREE says, on every solution or on unlucky ones."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from instances.routing.instance import RoutingInstance
from instances.routing.problem import RoutingProblem
from instances.routing.solution import Routes
from instances.verdict import Verdict
from services.runner import judge

SLOW_SECONDS = float(os.environ.get("HOSTILE_SLOW_SECONDS", "1"))
genuine = RoutingProblem.verify
genuine_load = RoutingProblem.load


def verify(self: RoutingProblem, instance: RoutingInstance, solution: Routes) -> Verdict:
    """Misbehave, then give the true verdict."""
    unlucky = solution.routes[0] == (13,)
    match os.environ["HOSTILE_REFEREE"]:
        case "slow":
            _hold_the_interpreter(SLOW_SECONDS)
        case "hanging" if unlucky:
            time.sleep(600)
        case "aborting" if unlucky:
            os.abort()
        case "killed once" if not (told := Path(os.environ["HOSTILE_TOLD"])).exists():
            told.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        case "failing" if unlucky:
            raise ZeroDivisionError("the referee's own fault")
        case "leaving":
            verdict = genuine(self, instance, solution)
            return Verdict(verdict.cost, complete=False, notes=("something remains", "and more"))
    return genuine(self, instance, solution)


def load(self: RoutingProblem, document: dict[str, Any]) -> RoutingInstance:
    """Misbehave, then load the instance."""
    match os.environ["HOSTILE_REFEREE"]:
        case "unloading":
            raise ZeroDivisionError("the judge's own fault")
        case "slow to load":
            time.sleep(1)
    return genuine_load(self, document)


def _hold_the_interpreter(seconds: float) -> None:
    """Compute in long C calls, as big modular powers do."""
    ends = time.perf_counter() + seconds
    modulus = (1 << 4423) - 1
    while time.perf_counter() < ends:
        pow(3, modulus - 1, modulus)


if __name__ == "__main__":
    RoutingProblem.verify = verify  # type: ignore[method-assign]
    RoutingProblem.load = load  # type: ignore[method-assign]
    judge.main()
