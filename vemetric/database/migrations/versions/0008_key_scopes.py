"""Keys to the API say what they are for."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("api_key", sa.Column("scope", sa.String(5), server_default="read", nullable=False))
