"""The tables of the store, on SQLite and PostgreSQL alike."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

comparisons = Table(
    "comparisons",
    metadata,
    Column("name", String, primary_key=True),
    Column("definition", JSON, nullable=False),
    Column("environment", JSON, nullable=False),
    Column("created_at", String, nullable=False),
)

# An instance is stored once, whatever number of comparisons use it.
instances = Table(
    "instances",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("document", LargeBinary, nullable=False),
)

# What a comparison knew of an instance when it began: its name there, its best-known value then.
comparison_instances = Table(
    "comparison_instances",
    metadata,
    Column("comparison", ForeignKey("comparisons.name", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("instance", ForeignKey("instances.digest"), nullable=False),
    Column("description", JSON, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("comparison", ForeignKey("comparisons.name", ondelete="CASCADE"), nullable=False),
    Column("instance", ForeignKey("instances.digest"), nullable=False),
    Column("solver", String, nullable=False),
    Column("spec", String, nullable=False),
    Column("repetition", Integer, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("status", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("cost", BigInteger),
    Column("partial", Boolean, nullable=False),
    Column("trace", JSON, nullable=False),
    Column("num_reported", Integer, nullable=False),
    Column("num_rejected", Integer, nullable=False),
    Column("num_late", Integer, nullable=False),
    Column("setup_seconds", Float, nullable=False),
    Column("wall_seconds", Float, nullable=False),
    Column("cpu_seconds", Float, nullable=False),
    Column("peak_bytes", BigInteger, nullable=False),
    Column("involuntary_switches", Integer, nullable=False),
    Column("disturbed", Boolean, nullable=False),
    Column("versions", JSON, nullable=False),
    Column("machine", String, nullable=False),
    Column("log", Text, nullable=False),
    Column("finished_at", String, nullable=False),
)
Index(None, runs.c.comparison, runs.c.instance)

# Solutions are large and rarely read: the documents of a run's trace, compressed, beside the runs.
run_solutions = Table(
    "run_solutions",
    metadata,
    Column("run", ForeignKey("runs.key", ondelete="CASCADE"), primary_key=True),
    Column("solutions", LargeBinary, nullable=False),
)
