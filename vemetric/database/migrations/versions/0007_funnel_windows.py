"""Funnels say how long their steps may take."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("funnel", sa.Column("window_seconds", sa.Integer(), server_default="604800", nullable=False))
