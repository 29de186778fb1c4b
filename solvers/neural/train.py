"""The process that trains for ``versus train``: ``python -m solvers.neural.train ARGUMENTS``.

ARGUMENTS is a JSON object of :class:`~solvers.training.TrainingArguments`. Progress goes to stdout, a JSON
object a line: ``{"event": "progress", ...}`` about once a second and for each line of the metrics, at last
``{"event": "done", "checkpoint": ...}``, or ``{"event": "error", "message": ...}`` and exit code 2.
It ends when its stdin does, so that it never outlives who started it.
"""

import json
import os
import sys
import threading
from typing import Any

from instances.errors import InvalidInput
from solvers.training import TrainingArguments


def main() -> int:
    """Train; return the exit code."""
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    try:
        from solvers.neural.training import train

        arguments = TrainingArguments(**json.loads(sys.argv[1]))
        path = train(arguments, watch=lambda numbers: _say("progress", **numbers))
    except InvalidInput as error:
        _say("error", message=str(error))
        return 2
    if int(os.environ.get("RANK", "0")) == 0:
        _say("done", checkpoint=str(path))
    return 0


def _say(event: str, **content: Any) -> None:
    print(json.dumps({"event": event, **content}), flush=True)  # noqa: T201


def _end_with_stdin() -> None:
    # Unbuffered: a buffer would be locked when the interpreter ends.
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
