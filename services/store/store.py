"""The store of comparisons and runs: one SQL database, idempotent by run key."""

import contextlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from sqlalchemy.dialects import postgresql, sqlite

from instances.errors import InvalidInput
from instances.problem import BestKnown, Description
from services.records import Comparison, Incumbent, Results, Run, Status
from services.store import tables
from services.store.lock import lock

FILE_NAME = "versus.sqlite"
IN_LIMIT = 1000
"""Values in one IN list."""
_MIGRATION_LOCK = 0x76657273
_RUN_COLUMNS = [column.name for column in tables.runs.c if column.name != "comparison"]
_ENDED_WELL = sa.and_(
    tables.runs.c.status.in_([Status.FINISHED.value, Status.KILLED.value]),
    tables.runs.c.cost.is_not(None),
    sa.not_(tables.runs.c.partial),
)
RUNS = sa.select(
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
    def open(cls, url: str | sa.URL, *, migrate: bool = True) -> "Store":
        """The store at an SQLAlchemy URL, created or migrated if need be.

        Raises
        ------
        InvalidInput
            If a newer versus made it; or if it needs to be migrated and ``migrate`` is false.
        """
        engine = _engine(url)
        where = str(engine.url.database)
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        history = ScriptDirectory.from_config(config)
        with engine.connect() as connection:
            revision = MigrationContext.configure(connection).get_current_revision()
        if revision != history.get_current_head():
            if revision not in (None, *(script.revision for script in history.walk_revisions())):
                raise InvalidInput(f"was written by a newer versus (schema {revision})", where)
            if not migrate:
                raise InvalidInput("is not of this version; run `versus migrate`", where)
            with _migration(engine) as connection:
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
        described = list(instances)
        with self.engine.begin() as connection:
            insert_instances(connection, described)
            insert_comparison(connection, comparison, [description for description, _ in described], environment)

    def add_instances(self, instances: Iterable[tuple[Description, dict[str, Any]]]) -> set[str]:
        """Store instances (description and document); the digests of those that were not there yet."""
        with self.engine.begin() as connection:
            return insert_instances(connection, instances)

    def comparisons(self) -> list[Comparison]:
        """All comparisons, oldest first."""
        query = sa.select(tables.comparisons.c.definition).order_by(tables.comparisons.c.created_at)
        with self.engine.connect() as connection:
            return [Comparison(**definition) for definition in connection.scalars(query)]

    def holds(self, name: str) -> bool:
        """Whether there is a comparison of that name."""
        query = sa.select(tables.comparisons.c.name).where(tables.comparisons.c.name == name)
        with self.engine.connect() as connection:
            return connection.scalar(query) is not None

    def comparison(self, name: str) -> Comparison:
        """A comparison; InvalidInput if there is none of that name."""
        query = sa.select(tables.comparisons.c.definition).where(tables.comparisons.c.name == name)
        with self.engine.connect() as connection:
            definition = connection.scalar(query)
        if definition is None:
            raise InvalidInput("there is no such comparison", name)
        return Comparison(**definition)

    def document(self, digest: str) -> bytes:
        """An instance's document in JSON, as it is stored; InvalidInput if there is none of that digest."""
        query = sa.select(tables.instances.c.document).where(tables.instances.c.digest == digest)
        with self.engine.connect() as connection:
            packed = connection.scalar(query)
        if packed is None:
            raise InvalidInput("there is no such instance", digest)
        return zlib.decompress(packed)

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

    def save_runs(self, name: str, *runs: Run) -> None:
        """Store runs of a comparison, all or nothing; the same key again replaces one."""
        with self.engine.begin() as connection:
            for run in runs:
                connection.execute(tables.runs.delete().where(tables.runs.c.key == run.key))
                insert_run(connection, name, run)

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
            by_digest = {entry["digest"]: description_of(entry) for entry in descriptions}
            rows = connection.execute(RUNS.where(tables.runs.c.comparison == name))
            found = [run_of(row._asdict()) for row in rows]
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


def parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Slices that fit into an IN list."""
    for start in range(0, len(values), IN_LIMIT):
        yield values[start : start + IN_LIMIT]


def insert_instances(connection: sa.Connection, instances: Iterable[tuple[Description, dict[str, Any]]]) -> set[str]:
    """Store those instances that are not there yet; their digests."""
    described = {description.digest: (description, document) for description, document in instances}
    stored: set[str] = set()
    for part in parts(list(described)):
        stored.update(
            connection.scalars(sa.select(tables.instances.c.digest).where(tables.instances.c.digest.in_(part)))
        )
    added_at = _timestamp()
    rows = [
        {
            "digest": digest,
            "document": _pack(document),
            "description": asdict(description),
            "problem": description.problem,
            "name": description.name,
            "size": description.size,
            "added_at": added_at,
        }
        for digest, (description, document) in described.items()
        if digest not in stored
    ]
    if rows:
        # Another request may store the same instance at the same moment.
        insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        connection.execute(insert(tables.instances).on_conflict_do_nothing(), rows)
    return {str(row["digest"]) for row in rows}


def insert_comparison(
    connection: sa.Connection,
    comparison: Comparison,
    instances: Sequence[Description],
    environment: dict[str, str],
    **columns: Any,
) -> None:
    """Store a comparison of instances that are stored; ``columns`` are further ones of its row."""
    connection.execute(
        tables.comparisons.insert(),
        {
            "name": comparison.name,
            "definition": asdict(comparison),
            "environment": environment,
            "created_at": _timestamp(),
            "num_runs": len(instances) * len(comparison.solvers) * comparison.num_seeds,
            **columns,
        },
    )
    connection.execute(
        tables.comparison_instances.insert(),
        [
            {
                "comparison": comparison.name,
                "position": position,
                "instance": known.digest,
                "description": asdict(known),
            }
            for position, known in enumerate(instances)
        ],
    )


def insert_run(connection: sa.Connection, name: str, run: Run) -> None:
    """Store a run of a comparison with the solutions of its trace."""
    row = {column: getattr(run, column) for column in _RUN_COLUMNS if column != "trace"}
    trace = [[incumbent.seconds, incumbent.cost] for incumbent in run.trace]
    connection.execute(tables.runs.insert(), {**row, "comparison": name, "status": run.status.value, "trace": trace})
    if trace:
        # Joined, not decoded: compressing leaves the interpreter to the runs under way, encoding would not.
        solutions = b"[%s]" % b",".join(incumbent.solution or b"null" for incumbent in run.trace)
        packed = zlib.compress(solutions)
        connection.execute(tables.run_solutions.insert(), {"run": run.key, "solutions": packed})


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


def run_of(row: Mapping[str, Any]) -> Run:
    """The run of a row."""
    values = {column: row[column] for column in _RUN_COLUMNS if column != "cost"}
    values["status"] = Status(values["status"])
    values["trace"] = tuple(Incumbent(seconds, cost) for seconds, cost in values["trace"])
    return Run(**values)


def description_of(entry: dict[str, Any]) -> Description:
    """The description of an instance, from its JSON."""
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


def _timestamp() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@contextlib.contextmanager
def _migration(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection in a transaction of its own, in which a schema may change: all of it or nothing."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            # SQLite changes a table by making it anew, which would delete the rows of others that refer to its rows.
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            # Who comes second waits, and then finds it done.
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        yield connection
        if engine.dialect.name == "sqlite":
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            if broken:
                raise RuntimeError(f"the migration left rows that refer to nothing: {broken[:3]}")
        connection.commit()
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")


def _engine(url: str | sa.URL) -> sa.Engine:
    url = sa.make_url(url)
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() != "sqlite":
        # A connection that a restarted server has forgotten is replaced when it is taken.
        return sa.create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20)
    engine = sa.create_engine(url)
    event.listen(engine, "connect", _configure_sqlite)
    return engine


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
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
