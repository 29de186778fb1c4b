"""Index of runs by solver"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_runs_solver_finished_at_key", "runs", ["solver", "finished_at", "key"])


def downgrade() -> None:
    op.drop_index("ix_runs_solver_finished_at_key", "runs")
