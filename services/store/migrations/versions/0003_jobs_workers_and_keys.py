"""Jobs still to be done, workers, API keys, kept analyses; instances say what they are"""

import json
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.String(), nullable=False),
        sa.Column("revoked_at", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
    )
    op.create_table(
        "sessions",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["key"], ["api_keys.id"], name=op.f("fk_sessions_key"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_sessions")),
    )
    _extend_comparisons()
    _extend_instances()
    with op.batch_alter_table("runs") as batch_op:
        batch_op.add_column(sa.Column("attempt", sa.Integer(), nullable=False, server_default="1"))
        batch_op.create_index(op.f("ix_runs_finished_at_key"), ["finished_at", "key"])
        batch_op.create_index(op.f("ix_runs_status_finished_at_key"), ["status", "finished_at", "key"])
        batch_op.create_index(op.f("ix_runs_comparison_key"), ["comparison", "key"])
        batch_op.create_index(op.f("ix_runs_comparison_status_attempt"), ["comparison", "status", "attempt"])
    with op.batch_alter_table("runs") as batch_op:
        batch_op.alter_column("attempt", server_default=None)
    _create_jobs()
    op.create_table(
        "run_explanations",
        sa.Column("run", sa.String(length=64), nullable=False),
        sa.Column("needs", sa.String(), nullable=False),
        sa.Column("asked_at", sa.Float(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["run"], ["runs.key"], name=op.f("fk_run_explanations_run"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", name=op.f("pk_run_explanations")),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("needs", sa.JSON(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("threads", sa.Integer(), nullable=False),
        sa.Column("machine", sa.JSON(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.create_table(
        "idempotent_requests",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("comparison", sa.String(), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "key", name=op.f("pk_idempotent_requests")),
    )
    op.create_index(op.f("ix_idempotent_requests_created_at"), "idempotent_requests", ["created_at"])
    op.create_table(
        "analyses",
        sa.Column("comparison", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("revision", sa.String(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["comparison"], ["comparisons.name"], name=op.f("fk_analyses_comparison"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("comparison", "kind", name=op.f("pk_analyses")),
    )


def _extend_comparisons() -> None:
    with op.batch_alter_table("comparisons") as batch_op:
        batch_op.add_column(sa.Column("title", sa.String(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("single", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("owner", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("num_runs", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("cancelled", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.create_foreign_key(op.f("fk_comparisons_owner"), "api_keys", ["owner"], ["id"])
        batch_op.create_index(op.f("ix_comparisons_single_created_at_name"), ["single", "created_at", "name"])
    with op.batch_alter_table("comparisons") as batch_op:
        for column in ("title", "single", "priority", "num_runs", "cancelled"):
            batch_op.alter_column(column, server_default=None)
    connection = op.get_bind()
    kept = sa.table("comparisons", sa.column("name"), sa.column("definition", sa.JSON), sa.column("num_runs"))
    members = sa.table("comparison_instances", sa.column("comparison"))
    for name, definition in connection.execute(sa.select(kept.c.name, kept.c.definition)).all():
        query = sa.select(sa.func.count()).select_from(members).where(members.c.comparison == name)
        number = connection.execute(query).scalar_one() * len(definition["solvers"]) * definition["num_seeds"]
        connection.execute(kept.update().where(kept.c.name == name).values(num_runs=number))


def _extend_instances() -> None:
    with op.batch_alter_table("instances") as batch_op:
        batch_op.add_column(sa.Column("description", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("problem", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("name", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("size", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("added_at", sa.String(), nullable=True))
    connection = op.get_bind()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for digest, text in connection.execute(
        sa.text("SELECT instance, CAST(description AS TEXT) FROM comparison_instances")
    ).all():
        known = json.loads(text)
        connection.execute(
            sa.text(
                "UPDATE instances SET description = :description, problem = :problem, name = :name, size = :size, "
                "added_at = :now WHERE digest = :digest"
            ).bindparams(sa.bindparam("description", type_=sa.JSON)),
            {"description": known, "digest": digest, "now": now} | {k: known[k] for k in ("problem", "name", "size")},
        )
    connection.execute(sa.text("DELETE FROM instances WHERE description IS NULL"))
    with op.batch_alter_table("instances") as batch_op:
        for column, kind in (
            ("description", sa.JSON()), ("problem", sa.String()), ("name", sa.String()), ("size", sa.Integer()),
            ("added_at", sa.String()),
        ):  # fmt: skip
            batch_op.alter_column(column, existing_type=kind, nullable=False)
        batch_op.create_index(op.f("ix_instances_added_at_digest"), ["added_at", "digest"])
    op.create_index(op.f("ix_comparison_instances_instance"), "comparison_instances", ["instance"])


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("run", sa.String(length=64), nullable=False),
        sa.Column("comparison", sa.String(), nullable=False),
        sa.Column("instance", sa.String(length=64), nullable=False),
        sa.Column("solver", sa.String(), nullable=False),
        sa.Column("repetition", sa.Integer(), nullable=False),
        sa.Column("needs", sa.String(), nullable=False),
        sa.Column("threads", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("losses", sa.Integer(), nullable=False),
        sa.Column("cancel", sa.Boolean(), nullable=False),
        sa.Column("worker", sa.String(), nullable=True),
        sa.Column("lease_until", sa.Float(), nullable=True),
        sa.Column("queued_at", sa.Float(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=True),
        sa.Column("trace", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(
            ["comparison"], ["comparisons.name"], name=op.f("fk_jobs_comparison"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["instance"], ["instances.digest"], name=op.f("fk_jobs_instance")),
        sa.PrimaryKeyConstraint("run", name=op.f("pk_jobs")),
    )
    op.create_index("ix_jobs_state_needs_priority_turn", "jobs", ["state", "needs", sa.text("priority DESC"), "turn"])
    op.create_index(op.f("ix_jobs_state_turn"), "jobs", ["state", "turn"])
    op.create_index(op.f("ix_jobs_comparison_state"), "jobs", ["comparison", "state"])


def downgrade() -> None:
    op.drop_table("analyses")
    op.drop_table("idempotent_requests")
    op.drop_table("workers")
    op.drop_table("run_explanations")
    op.drop_table("jobs")
    with op.batch_alter_table("runs") as batch_op:
        for name in ("status_finished_at_key", "finished_at_key", "comparison_key", "comparison_status_attempt"):
            batch_op.drop_index(op.f(f"ix_runs_{name}"))
        batch_op.drop_column("attempt")
    op.drop_index(op.f("ix_comparison_instances_instance"), "comparison_instances")
    with op.batch_alter_table("instances") as batch_op:
        batch_op.drop_index(op.f("ix_instances_added_at_digest"))
        for column in ("description", "problem", "name", "size", "added_at"):
            batch_op.drop_column(column)
    with op.batch_alter_table("comparisons") as batch_op:
        batch_op.drop_index(op.f("ix_comparisons_single_created_at_name"))
        batch_op.drop_constraint(op.f("fk_comparisons_owner"), type_="foreignkey")
        for column in ("title", "single", "owner", "priority", "num_runs", "cancelled"):
            batch_op.drop_column(column)
    op.drop_table("sessions")
    op.drop_table("api_keys")
