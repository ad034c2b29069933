"""What the settings of projects, invitations and API keys need beyond the first version."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("invitation", sa.Column("email", sa.String(length=254), nullable=True))
    op.add_column("api_key", sa.Column("last_used_at_ms", sa.BigInteger(), nullable=True))
    op.add_column("project", sa.Column("public_indexed", sa.Boolean(), server_default=sa.false(), nullable=False))
    for table, column, length in (("excluded_path", "path", 500), ("excluded_host", "host", 253)):
        op.create_table(
            table,
            sa.Column("project_id", sa.String(length=20), nullable=False),
            sa.Column(column, sa.String(length=length), nullable=False),
            sa.ForeignKeyConstraint(
                ["project_id"], ["project.id"], name=op.f(f"fk_{table}_project_id"), ondelete="CASCADE"
            ),
            sa.PrimaryKeyConstraint("project_id", column, name=op.f(f"pk_{table}")),
        )
