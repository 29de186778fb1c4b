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
    Column("title", String, nullable=False, default=""),
    Column("single", Boolean, nullable=False, default=False),
    Column("owner", String, ForeignKey("api_keys.id")),
    Column("priority", Integer, nullable=False, default=0),
    Column("num_runs", Integer, nullable=False, default=0),
    Column("cancelled", Boolean, nullable=False, default=False),
)
Index(None, comparisons.c.single, comparisons.c.created_at, comparisons.c.name)

# An instance is stored once, whatever number of comparisons use it. Its description is that of when it came.
instances = Table(
    "instances",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("document", LargeBinary, nullable=False),
    Column("description", JSON, nullable=False),
    Column("problem", String, nullable=False),
    Column("name", String, nullable=False),
    Column("size", Integer, nullable=False),
    Column("added_at", String, nullable=False),
)
Index(None, instances.c.added_at, instances.c.digest)

# What a comparison knew of an instance when it began: its name there, its best-known value then.
comparison_instances = Table(
    "comparison_instances",
    metadata,
    Column("comparison", ForeignKey("comparisons.name", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("instance", ForeignKey("instances.digest"), nullable=False),
    Column("description", JSON, nullable=False),
)
Index(None, comparison_instances.c.instance)

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
    Column("attempt", Integer, nullable=False, default=1),
)
Index(None, runs.c.comparison, runs.c.instance)
Index(None, runs.c.comparison, runs.c.key)
Index(None, runs.c.comparison, runs.c.status, runs.c.attempt)
Index(None, runs.c.finished_at, runs.c.key)
Index(None, runs.c.status, runs.c.finished_at, runs.c.key)
Index(None, runs.c.solver, runs.c.finished_at, runs.c.key)

# Solutions are large and rarely read: the documents of a run's trace, compressed, beside the runs.
run_solutions = Table(
    "run_solutions",
    metadata,
    Column("run", ForeignKey("runs.key", ondelete="CASCADE"), primary_key=True),
    Column("solutions", LargeBinary, nullable=False),
)

# How a solver came to the best solution of a run: asked for, and without a document until a worker has made it.
run_explanations = Table(
    "run_explanations",
    metadata,
    Column("run", ForeignKey("runs.key", ondelete="CASCADE"), primary_key=True),
    Column("needs", String, nullable=False),
    Column("asked_at", Float, nullable=False),
    Column("document", LargeBinary),
)

# What is still to be done: a run stands here until it is in its final state, and then among the runs. Its attempt
# fences: only who holds the current one may complete it. ``turn`` orders the comparisons fairly, ``losses`` counts the
# attempts whose lease ran out, ``trace`` holds the incumbents of the attempt under way. Times are the database's, in
# seconds since 1970.
jobs = Table(
    "jobs",
    metadata,
    Column("run", String(64), primary_key=True),
    Column("comparison", ForeignKey("comparisons.name", ondelete="CASCADE"), nullable=False),
    Column("instance", ForeignKey("instances.digest"), nullable=False),
    Column("solver", String, nullable=False),
    Column("repetition", Integer, nullable=False),
    Column("needs", String, nullable=False),
    Column("threads", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("turn", BigInteger, nullable=False),
    Column("state", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("losses", Integer, nullable=False),
    Column("cancel", Boolean, nullable=False),
    Column("worker", String),
    Column("lease_until", Float),
    Column("queued_at", Float, nullable=False),
    Column("started_at", Float),
    Column("trace", JSON),
)
Index("ix_jobs_state_needs_priority_turn", jobs.c.state, jobs.c.needs, jobs.c.priority.desc(), jobs.c.turn)
Index(None, jobs.c.state, jobs.c.turn)
Index(None, jobs.c.comparison, jobs.c.state)

workers = Table(
    "workers",
    metadata,
    Column("id", String, primary_key=True),
    Column("host", String, nullable=False),
    Column("needs", JSON, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("threads", Integer, nullable=False),
    Column("machine", JSON, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
)

# An API key is shown once, when it is made; only its hash stays.
api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("hash", String(64), nullable=False),
    Column("name", String, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_at", String, nullable=False),
    Column("revoked_at", String),
)

# Who signed in with a key in the browser: only the hash of what the cookie says stays.
sessions = Table(
    "sessions",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("key", ForeignKey("api_keys.id", ondelete="CASCADE"), nullable=False),
    Column("expires_at", Float, nullable=False),
)

# Requests with an Idempotency-Key, and their answers; without an answer while under way. ``comparison`` is the name of
# what they submit, so that whoever takes one over finds what was submitted already.
idempotent_requests = Table(
    "idempotent_requests",
    metadata,
    Column("owner", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("request_hash", String(64), nullable=False),
    Column("comparison", String, nullable=False),
    Column("answer", JSON),
    Column("created_at", Float, nullable=False),
)
Index(None, idempotent_requests.c.created_at)

# What was computed of a comparison whose runs have all ended: once, and then kept.
analyses = Table(
    "analyses",
    metadata,
    Column("comparison", ForeignKey("comparisons.name", ondelete="CASCADE"), primary_key=True),
    Column("kind", String, primary_key=True),
    Column("revision", String, nullable=False),
    Column("document", LargeBinary, nullable=False),
)
