"""``versus train``: a pointer network of one's own, trained in a process of its own."""

import contextlib
import dataclasses
import inspect
import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from services.cli.options import Json
from solvers.training import TrainingArguments

INSTANCES = "instances.jsonl"
ENDING_SECONDS = 10.0


def register(app: typer.Typer) -> None:
    app.command()(_with_options(train, TrainingArguments))


def _with_options(command: Any, arguments: type) -> Any:
    """The command with an option for each field of a dataclass of arguments, by its type, default and help."""
    hints = get_type_hints(arguments)
    options = [
        inspect.Parameter(
            item.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=item.default,
            annotation=Annotated[hints[item.name], typer.Option(help=item.metadata["help"])],
        )
        for item in dataclasses.fields(arguments)
    ]
    own = [part for part in inspect.signature(command).parameters.values() if part.kind is not part.VAR_KEYWORD]
    command.__signature__ = inspect.Signature([*own, *options])
    command.__annotations__ = {part.name: part.annotation for part in (*own, *options)}
    return command


def train(*, as_json: Json = False, **options: Any) -> None:
    """Train a pointer network by reinforcement learning, with generated instances or your own.

    The same command goes on where a run was interrupted or killed. Several GPUs: torchrun --no-python
    --nproc-per-node N versus train ... The result runs as --solver pointer:checkpoint=OUT/checkpoint.safetensors.
    """
    from services.cli.terminal import fail, stdout

    arguments = TrainingArguments(**options)
    if arguments.instances_from:
        arguments = dataclasses.replace(arguments, instances_from=str(_gathered(arguments)))
    last: dict[str, Any] = {}
    try:
        for event in _shown(arguments, _events(arguments)):
            if event["event"] == "error":
                fail(event["message"])
            last = last | event
    except KeyboardInterrupt:
        fail("interrupted; the same command goes on from the last checkpoint", code=130)
    if last.get("event") != "done":
        return  # another rank than torchrun's first, which reports for all
    if as_json:
        typer.echo(json.dumps({name: value for name, value in last.items() if name != "event"}))
    else:
        stdout.print(_sentence(last), markup=False, highlight=False)


def _gathered(arguments: TrainingArguments) -> Path:
    """The user's instances as one file of documents in the run's folder."""
    from instances.files import read_path, write_jsonl

    entries = read_path(Path(arguments.instances_from))
    path = Path(arguments.out) / INSTANCES
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name("draft-" + path.name)
    write_jsonl([entry.instance for entry in entries], draft)
    draft.replace(path)
    return path


def _events(arguments: TrainingArguments) -> Generator[dict[str, Any], None, None]:
    """What the training process says; it ends with this iterator.

    The process reads a pipe from here and ends when that closes, so it dies with this one, however this ends.
    """
    command = [sys.executable, "-m", "solvers.neural.train", json.dumps(dataclasses.asdict(arguments))]
    # In a session of its own, so that Ctrl-C is heard here alone.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        for line in process.stdout:
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict) and "event" in event:
                    yield event
        if process.wait() not in (0, 2):
            yield {"event": "error", "message": _ended(process.returncode)}
    finally:
        process.stdin.close()
        try:
            process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
        process.stdout.close()


def _ended(code: int) -> str:
    name = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return f"the training process ended with {name}; the same command goes on from the last checkpoint"


def _shown(arguments: TrainingArguments, events: Generator[dict[str, Any], None, None]) -> Iterator[dict[str, Any]]:
    """The events, shown live on stderr as they pass."""
    from rich.progress import Progress, TextColumn

    from services.cli.terminal import stderr

    line = TextColumn("{task.description}", markup=False)
    hidden = os.environ.get("RANK", "0") != "0"  # torchrun's first process shows for all
    with contextlib.closing(events), Progress(line, console=stderr, disable=hidden) as progress:
        task = progress.add_task("starting", total=None)
        for event in events:
            if event["event"] == "progress":
                left = _clock(_seconds_left(arguments, event))
                progress.update(task, description=f"{_numbers(event)}  {left} left")
            yield event


def _numbers(event: dict[str, Any]) -> str:
    text = f"{event['instances']:,} instances  {event['instances_per_second']:.0f}/s  "
    text += f"loss {event['loss']:.4f}  cost {event['cost']:.4g}"
    if event["validation_cost"] is not None:
        text += f"  validation {event['validation_cost']:.5g}"
    if event["validation_gap"] is not None:
        text += f" (PyVRP {event['validation_gap']:+.2f} %)"
    return text


def _seconds_left(arguments: TrainingArguments, event: dict[str, Any]) -> float:
    by_instances: float = (arguments.instances - event["instances"]) / event["instances_per_second"]
    by_seconds: float = arguments.seconds - event["seconds"]
    return max(0.0, min(by_instances, by_seconds))


def _clock(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02d} h"


def _sentence(last: dict[str, Any]) -> str:
    if "instances" not in last:
        return f"{last['checkpoint']}: nothing was left to do"
    return f"{last['checkpoint']}: {_numbers(last)}"
