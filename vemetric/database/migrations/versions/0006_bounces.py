"""Projects say whether custom events prevent a bounce."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column(
        "project", sa.Column("events_prevent_bounce", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
