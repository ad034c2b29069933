"""Projects say how long their rows are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("project", sa.Column("retention_days", sa.Integer(), nullable=True))
