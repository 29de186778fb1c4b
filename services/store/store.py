"""The store of comparisons and runs: one SQL database, idempotent by run key."""

import contextlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event

from instances.errors import InvalidInput
from instances.problem import BestKnown, Description
from services.records import Comparison, Incumbent, Results, Run, Status
from services.store import tables
from services.store.lock import lock

FILE_NAME = "versus.sqlite"
_RUN_COLUMNS = [column.name for column in tables.runs.c if column.name != "comparison"]
_ENDED_WELL = sa.and_(
    tables.runs.c.status.in_([Status.FINISHED.value, Status.KILLED.value]),
    tables.runs.c.cost.is_not(None),
    sa.not_(tables.runs.c.partial),
)
_RUNS = sa.select(
    *(tables.runs.c[column] for column in _RUN_COLUMNS if column != "log"),
    sa.case((_ENDED_WELL, ""), else_=tables.runs.c.log).label("log"),
)


class Store:
    """Comparisons, their instances and their runs.

    Open one with :meth:`open`, which brings the schema up to date.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self._held = contextlib.ExitStack()

    @classmethod
    def open(cls, url: str | sa.URL) -> "Store":
        """The store at an SQLAlchemy URL, created or migrated if need be; InvalidInput if a newer versus made it."""
        engine = sa.create_engine(url)
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _configure_sqlite)
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        history = ScriptDirectory.from_config(config)
        with engine.begin() as connection:
            revision = MigrationContext.configure(connection).get_current_revision()
            if revision != history.get_current_head():
                if revision not in (None, *(script.revision for script in history.walk_revisions())):
                    raise InvalidInput(f"was written by a newer versus (schema {revision})", str(engine.url.database))
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        return cls(engine)

    @classmethod
    def in_folder(cls, folder: Path, *, write: bool) -> "Store":
        """The store in a folder of results: to write, made if need be, by one process at a time; or to read.

        A folder that cannot be written to can be read.

        Raises
        ------
        InvalidInput
            If there is none to read, another process writes it, or it is no store of this version.
        """
        file = folder / FILE_NAME
        if not write and not file.is_file():
            raise InvalidInput(
                f"no results here; expected {FILE_NAME}, as `versus compare --out` makes it", str(folder)
            )
        if write:
            folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            if write:
                stack.enter_context(lock(folder))
            writable = write or (os.access(folder, os.W_OK) and os.access(file, os.W_OK))
            try:
                store = cls.open(_sqlite_url(file) if writable else _read_only_url(file))
            except sa.exc.DatabaseError as error:
                raise InvalidInput(f"cannot be opened as a store: {error.orig}", str(file)) from error
            store._held = stack.pop_all()
        return store

    def close(self) -> None:
        """Close all connections and give the folder free."""
        self.engine.dispose()
        self._held.close()

    def add_comparison(
        self,
        comparison: Comparison,
        instances: Iterable[tuple[Description, dict[str, Any]]],
        environment: dict[str, str],
    ) -> None:
        """Store a comparison with its instances (description and document), all or nothing."""
        rows, documents = [], {}
        for position, (description, document) in enumerate(instances):
            documents[description.digest] = document
            rows.append(
                {
                    "comparison": comparison.name,
                    "position": position,
                    "instance": description.digest,
                    "description": asdict(description),
                }
            )
        with self.engine.begin() as connection:
            connection.execute(
                tables.comparisons.insert(),
                {
                    "name": comparison.name,
                    "definition": asdict(comparison),
                    "environment": environment,
                    "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
                },
            )
            stored = set(connection.scalars(sa.select(tables.instances.c.digest)))
            new = [
                {"digest": digest, "document": _pack(document)}
                for digest, document in documents.items()
                if digest not in stored
            ]
            if new:
                connection.execute(tables.instances.insert(), new)
            connection.execute(tables.comparison_instances.insert(), rows)

    def comparisons(self) -> list[Comparison]:
        """All comparisons, oldest first."""
        query = sa.select(tables.comparisons.c.definition).order_by(tables.comparisons.c.created_at)
        with self.engine.connect() as connection:
            return [Comparison(**definition) for definition in connection.scalars(query)]

    def instance_digests(self, name: str) -> list[str]:
        """Digests of a comparison's instances, in its order."""
        columns = tables.comparison_instances.c
        query = sa.select(columns.instance).where(columns.comparison == name).order_by(columns.position)
        with self.engine.connect() as connection:
            return list(connection.scalars(query))

    def run_keys(self, name: str) -> set[str]:
        """Keys of the runs a comparison has already."""
        query = sa.select(tables.runs.c.key).where(tables.runs.c.comparison == name)
        with self.engine.connect() as connection:
            return set(connection.scalars(query))

    def save_run(self, name: str, run: Run) -> None:
        """Store a run of a comparison; the same key again replaces it."""
        row = {column: getattr(run, column) for column in _RUN_COLUMNS if column != "trace"}
        trace = [[incumbent.seconds, incumbent.cost] for incumbent in run.trace]
        # Joined, not decoded: compressing leaves the interpreter to the runs under way, encoding would not.
        solutions = b"[%s]" % b",".join(incumbent.solution or b"null" for incumbent in run.trace)
        with self.engine.begin() as connection:
            connection.execute(tables.run_solutions.delete().where(tables.run_solutions.c.run == run.key))
            connection.execute(tables.runs.delete().where(tables.runs.c.key == run.key))
            connection.execute(
                tables.runs.insert(), {**row, "comparison": name, "status": run.status.value, "trace": trace}
            )
            if trace:
                packed = zlib.compress(solutions)
                connection.execute(tables.run_solutions.insert(), {"run": run.key, "solutions": packed})

    def results(self, name: str) -> Results:
        """A comparison with all its runs.

        Documents and solutions are fetched when they are looked at. Logs, of up to 64 KB each, come with the runs that
        did not end with an answer only.
        """
        instances = tables.comparison_instances.c
        with self.engine.connect() as connection:
            head = connection.execute(
                sa.select(tables.comparisons).where(tables.comparisons.c.name == name)
            ).one_or_none()
            if head is None:
                raise InvalidInput("there is no such comparison", name)
            descriptions = connection.scalars(
                sa.select(instances.description).where(instances.comparison == name).order_by(instances.position)
            )
            by_digest = {entry["digest"]: _description(entry) for entry in descriptions}
            rows = connection.execute(_RUNS.where(tables.runs.c.comparison == name))
            found = [_run(row._asdict()) for row in rows]
        comparison = Comparison(**head.definition)
        place = {digest: i for i, digest in enumerate(by_digest)}
        column = {label: i for i, label in enumerate(comparison.solvers)}
        found.sort(key=lambda run: (place[run.instance], column[run.solver], run.repetition))
        return Results(
            comparison,
            by_digest,
            tuple(found),
            head.environment,
            _Lazy(self, tables.instances.c.digest, tables.instances.c.document, place),
            _LastSolution(
                self, tables.run_solutions.c.run, tables.run_solutions.c.solutions,
                [run.key for run in found if run.trace],
            ),
        )  # fmt: skip


class _Lazy(Mapping[str, Any]):
    """Packed documents by key, read one at a time."""

    def __init__(self, store: Store, key: sa.Column[Any], value: sa.Column[Any], keys: Iterable[str]) -> None:
        self._engine = store.engine
        self._key = key
        self._value = value
        self._keys = dict.fromkeys(keys)

    def __getitem__(self, key: str) -> Any:
        with self._engine.connect() as connection:
            packed = connection.scalar(sa.select(self._value).where(self._key == key))
        if packed is None:
            raise KeyError(key)
        return _unpack(packed)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


class _LastSolution(_Lazy):
    """The last, best solution of a run's trace."""

    def __getitem__(self, key: str) -> Any:
        return super().__getitem__(key)[-1]


def _run(row: Mapping[str, Any]) -> Run:
    values = {column: row[column] for column in _RUN_COLUMNS if column != "cost"}
    values["status"] = Status(values["status"])
    values["trace"] = tuple(Incumbent(seconds, cost) for seconds, cost in values["trace"])
    return Run(**values)


def _description(entry: dict[str, Any]) -> Description:
    known = entry["best_known"]
    return Description(
        **{
            **entry,
            "features": tuple(entry["features"]),
            "best_known": BestKnown(**known) if known is not None else None,
        }
    )


def _pack(document: Any) -> bytes:
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode())


def _unpack(packed: bytes) -> Any:
    return json.loads(zlib.decompress(packed))


def _sqlite_url(file: Path) -> sa.URL:
    return sa.URL.create("sqlite", database=str(file))


def _read_only_url(file: Path) -> sa.URL:
    """The file's URL under which SQLite writes nothing, neither into the file nor beside it."""
    query = {"mode": "ro", "uri": "true"}
    # A database in WAL mode needs its -wal file, which SQLite cannot make here. Where it is missing, nobody writes.
    if not file.with_name(f"{file.name}-wal").exists():
        query["immutable"] = "1"
    return sa.URL.create("sqlite", database=f"file:{quote(str(file.absolute()))}", query=query)


def _configure_sqlite(connection: Any, _record: Any) -> None:
    """Readers never wait for the writer, a writer waits its turn, and foreign keys hold."""
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
