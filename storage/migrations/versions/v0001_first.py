"""The first schema: tables, studies, trials with folds and curves, models, proposals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.String(255)
HASH = sa.String(64)


def upgrade() -> None:
    """Create everything."""
    _create_table()
    _create_study()
    _create_trial()
    _create_fold_and_curve()
    _create_model()
    _create_proposal()


def _create_table() -> None:
    op.create_table(
        "autometa_table",
        sa.Column("fingerprint", HASH, primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("n_rows", sa.BigInteger(), nullable=False),
        sa.Column("n_columns", sa.Integer(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("kind", NAME, nullable=False),
        sa.Column("n_classes", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("description_version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )


def _create_study() -> None:
    op.create_table(
        "autometa_study",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column(
            "table_fingerprint", HASH, sa.ForeignKey("autometa_table.fingerprint"), nullable=False
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", HASH, nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("metric", NAME, nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("split", NAME, nullable=False),
        sa.Column("status", NAME, nullable=False),
        sa.Column("baseline_loss", sa.Double()),
        sa.Column("best_loss", sa.Double()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.Column("finished_at", sa.DateTime()),
        sa.Column("owner_host", NAME),
        sa.Column("owner_pid", sa.BigInteger()),
        sa.Column("owner_started_at", sa.Double()),
        sa.Column("heartbeat_at", sa.DateTime()),
        sa.Column("workspace", sa.Text()),
        sa.Column("autometa_version", NAME, nullable=False),
    )
    for column in ("table_fingerprint", "key", "created_at"):
        op.create_index(f"ix_autometa_study_{column}", "autometa_study", [column])


def _create_trial() -> None:
    op.create_table(
        "autometa_trial",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("study_id", sa.String(16), _to("autometa_study.id"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("learner", NAME, nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("config_hash", HASH, nullable=False),
        sa.Column("state", NAME, nullable=False),
        sa.Column("loss", sa.Double()),
        sa.Column("duration_s", sa.Double(), nullable=False),
        sa.Column("predict_s", sa.Double(), nullable=False),
        sa.Column("peak_memory_mb", sa.Double(), nullable=False),
        sa.Column("n_steps", sa.BigInteger()),
        sa.Column("origin", NAME, nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("n_folds", sa.Integer(), nullable=False),
        sa.Column("n_curves", sa.Integer(), nullable=False),
        sa.UniqueConstraint("study_id", "number", name="uq_autometa_trial_number"),
    )


def _create_fold_and_curve() -> None:
    op.create_table(
        "autometa_fold",
        sa.Column("trial_id", ROW_ID, _to("autometa_trial.id"), primary_key=True),
        sa.Column("fold", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("loss", sa.Double()),
    )
    op.create_table(
        "autometa_curve",
        sa.Column("trial_id", ROW_ID, _to("autometa_trial.id"), primary_key=True),
        sa.Column("fold", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("steps", sa.Text(), nullable=False),
        sa.Column("losses", sa.Text(), nullable=False),
    )


def _create_model() -> None:
    op.create_table(
        "autometa_model",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("study_id", sa.String(16), _to("autometa_study.id"), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("scores", sa.Text(), nullable=False),
        sa.Column("members", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_autometa_model_study_id", "autometa_model", ["study_id"])


def _create_proposal() -> None:
    op.create_table(
        "autometa_proposal",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("study_id", sa.String(16), _to("autometa_study.id"), nullable=False),
        sa.Column("kind", NAME, nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("origin", NAME, nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_autometa_proposal_study_id", "autometa_proposal", ["study_id"])


def _to(parent: str) -> sa.ForeignKey:
    return sa.ForeignKey(parent, ondelete="CASCADE")
