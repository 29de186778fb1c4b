"""What the commands do on a server (``--server``)."""

import contextlib
import math
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from instances.verdict import Verdict
    from services.client import Client
    from services.records import Incumbent, Run

PATIENCE_SECONDS = 5.0
"""For how long it is tried to reach a server that may not be there at all."""


@contextlib.contextmanager
def connection(server: str) -> Iterator["Client"]:
    """A client of a server, with the key in VERSUS_API_KEY; what the server refuses ends the command.

    The exit code is 1 if it cannot do it now, 2 if it never will.
    """
    from services.cli.terminal import fail, notice
    from services.client import Client, ServiceError

    try:
        with Client(server, os.environ.get("VERSUS_API_KEY"), patience=PATIENCE_SECONDS, tell=notice) as client:
            yield client
    except ServiceError as error:
        remedy = " (it is read from VERSUS_API_KEY)" if error.status == 401 else ""
        fail(f"{error}{remedy}", 1 if error.status is None or error.status == 429 or error.status >= 500 else 2)


def verdict_on(server: str, instance: dict[str, Any], solution: Any) -> "Verdict":
    """What a server's referee says of a solution to an instance."""
    from instances.verdict import Verdict, Violation

    with connection(server) as client:
        answer = client.verify(instance, solution)
    violations = [Violation(**violation) for violation in answer["violations"]]
    more = answer["num_violations"] - len(violations)
    if more:
        violations.append(Violation("more", f"and {more} more"))
    return Verdict(
        answer["cost"], tuple(violations), answer["complete"] or not answer["feasible"], tuple(answer["notes"])
    )


def solve_on(server: str, request: dict[str, Any], on_incumbent: Callable[["Incumbent"], None]) -> "Run":
    """The run that a server makes of a request; cancelled there when it is interrupted here."""
    from services.cli.terminal import fail, notice
    from services.records import Incumbent

    with connection(server) as client:
        id = ""
        try:
            made = client.solve(request)
            id, client.patience = made["id"], math.inf
            for event in client.events(id):
                if event.kind == "incumbent":
                    on_incumbent(Incumbent(event.data["seconds"], event.data["cost"]))
                elif event.kind == "restart":
                    notice(f"attempt {event.data['attempt']}: the one before lost its worker")
            runs = list(client.records(made["comparison"]))
        except KeyboardInterrupt:
            if id:
                client.patience = PATIENCE_SECONDS
                client.cancel_run(id)
            raise
    if not runs:
        fail("the run was deleted on the server", 1)
    return runs[0]
