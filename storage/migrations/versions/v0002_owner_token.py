"""Two runs in one process are told apart: a study's lease names the run that holds it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the run's token to the owner's columns."""
    op.add_column("autometa_study", sa.Column("owner_token", sa.String(255)))
