"""The batch evaluation on a server: the runs are made there, the results kept here as those of any comparison."""

import contextlib
import hashlib
import json
import tomllib
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from instances.errors import InvalidInput
from services import definition as definitions
from services.analysis.comparable import check_comparable
from services.batch import Instances
from services.client import Client, ServiceError
from services.definition import Definition
from services.quantities import bytes_text
from services.records import Comparison, Results
from services.store import store as stores
from services.store.store import Store

FILE_NAME = "server.toml"
_OTHER = "holds a comparison of other instances, solvers or terms; choose another --out"


def begin(
    client: Client, definition: Definition, instances: Instances, folder: Path, tell: Callable[[str], None]
) -> str:
    """The id of the comparison on the server: the one that the folder remembers, or a new one.

    The folder remembers that one was asked for before it is, so that it is never made twice. When the server refuses
    it, nothing is left there or here but instances that the server lacked.

    Raises
    ------
    InvalidInput
        If the folder holds another comparison, or one that was made without a server; or if the server finds the
        terms, a solver or an instance wrong.
    ServiceError
        If the server refuses otherwise.
    """
    if definition.batch > 1:
        raise InvalidInput(f"is {definition.batch}; a server gives solvers one instance at a time", "--batch")
    request = _request(definition, list(instances))
    terms = hashlib.sha256(json.dumps(request).encode()).hexdigest()
    known = _Remembered.read(folder)
    if known is None and (folder / stores.FILE_NAME).exists():
        raise InvalidInput("holds a comparison that was made without a server; choose another --out", str(folder))
    if known is not None and known.terms != terms:
        raise InvalidInput(_OTHER, str(folder))
    if known is not None and known.comparison:
        return known.comparison
    descriptions = {digest: problem.describe(instance) for digest, (problem, instance) in instances.items()}
    check_comparable(Results(Comparison(definition.name, {}, definition.budget, definition.seeds), descriptions, ()))
    _send_missing(client, instances, tell)
    asked = known or _Remembered(client.url, str(uuid.uuid4()), terms, "")
    created = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    asked.write(folder)
    try:
        made = client.compare({**request, "title": _title(definition.name)}, asked.request)
    except (InvalidInput, ServiceError) as error:
        # Without an answer, or with that of a gateway, it may have been made.
        if isinstance(error, InvalidInput) or (error.status is not None and error.status < 500):
            (folder / FILE_NAME).unlink()
            if created:
                with contextlib.suppress(OSError):
                    folder.rmdir()
        raise
    replace(asked, comparison=str(made["id"])).write(folder)
    return str(made["id"])


def open_results(
    client: Client, id: str, definition: Definition, instances: Instances, folder: Path, command: str
) -> tuple[Store, Comparison]:
    """The folder's store, holding the comparison as it would without a server, but for where it was made.

    Raises
    ------
    InvalidInput
        If another process writes there, or the server has no such comparison, or another one of that name.
    """
    try:
        made = Comparison(**client.comparison(id)["definition"])
    except ServiceError as error:
        if error.status != 404:
            raise
        message = (
            f"has no comparison {id} (any more); `versus report` shows what was fetched, another --out begins anew"
        )
        raise InvalidInput(message, client.url) from None
    store = Store.in_folder(folder, write=True)
    try:
        stored = store.comparisons()
        asked = Comparison(
            name=stored[0].name if stored else definition.name,
            solvers={label: made.solvers.get(label, "") for label in definition.solvers},
            problems={label: made.problems.get(label, "") for label in definition.solvers},
            budget=definition.budget,
            num_seeds=definition.seeds,
            seed=definition.seed,
            threads=definition.threads,
            memory=definition.memory,
            batch=definition.batch,
            reference=definition.reference,
        )
        if replace(made, name=asked.name) != asked:
            raise InvalidInput(f"has another comparison by the name of {id} than was asked for", client.url)
        if not stored:
            definitions.write(definition, folder / definitions.FILE_NAME)
            environment = {
                "versus": str(client.system()["version"]), "server": client.url, "comparison": id, "command": command,
            }  # fmt: skip
            described = (
                (problem.describe(instance), problem.dump(instance)) for problem, instance in instances.values()
            )
            store.add_comparison(asked, described, environment)
        elif stored[0] != asked or store.instance_digests(asked.name) != list(instances):
            raise InvalidInput(_OTHER, str(folder))
    except BaseException:
        store.close()
        raise
    return store, asked


def fetch(client: Client, id: str, store: Store, comparison: Comparison) -> Results:
    """Store the runs that have ended on the server, those that the store lacks, and return all results."""
    kept = {run.key: (run.attempt, run.finished_at) for run in store.results(comparison.name).runs}
    for run in client.records(id):
        # Keys are those of the comparison's name here.
        own = replace(run, key=comparison.run_key(run.instance, run.solver, run.repetition))
        if kept.get(own.key) != (own.attempt, own.finished_at):
            store.save_runs(comparison.name, own)
    return store.results(comparison.name)


def check_made_here(folder: Path) -> None:
    """Refuse with InvalidInput to go on in a folder whose comparison is made on a server."""
    known = _Remembered.read(folder)
    if known is not None:
        message = f"its comparison is made on a server; --server {known.server} goes on with it"
        raise InvalidInput(message, str(folder))


@dataclass(frozen=True)
class _Remembered:
    """What a folder remembers of its comparison on a server."""

    server: str
    request: str
    """The Idempotency-Key under which it was asked for."""
    terms: str
    """Hash of what was asked for."""
    comparison: str
    """Its id; empty while it is not known whether it was made."""

    @classmethod
    def read(cls, folder: Path) -> "_Remembered | None":
        file = folder / FILE_NAME
        if not file.is_file():
            return None
        try:
            table = tomllib.loads(file.read_text())
            return cls(**{name: str(table[name]) for name in cls.__dataclass_fields__})
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError) as error:
            message = f"is not as `versus compare --server` wrote it ({error!r}); choose another --out"
            raise InvalidInput(message, str(file)) from None

    def write(self, folder: Path) -> None:
        # JSON strings are TOML as they stand.
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in asdict(self).items()]
        draft = folder / f"{FILE_NAME}.part"
        draft.write_text("# Where the runs are made; the same command goes on with it.\n" + "".join(lines))
        draft.replace(folder / FILE_NAME)


def _request(definition: Definition, digests: list[str]) -> dict[str, Any]:
    """A comparison as it is asked for, but for its title, which may change."""
    return {
        "instances": digests,
        "solvers": list(definition.solvers),
        # All digits: the server's budget is the same number.
        "budget": f"{definition.budget!r}s",
        "seeds": definition.seeds,
        "seed": definition.seed,
        "threads": definition.threads,
        "memory": bytes_text(definition.memory),
        "reference": definition.reference,
    }


def _title(name: str) -> str:
    return name[:200] if name.isprintable() else ""


def _send_missing(client: Client, instances: Instances, tell: Callable[[str], None]) -> None:
    missing = [digest for digest in instances if not client.has_instance(digest)]
    if missing:
        tell(f"sending {len(missing)} of {len(instances)} instances")
        parts = (instances[digest] for digest in missing)
        client.add_instances(problem.dump(instance) for problem, instance in parts)
