"""Remember who was merged into whom and who was erased, for what is stored late."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "user_merge",
        sa.Column("project_id", sa.String(length=20), nullable=False),
        sa.Column("from_user_id", sa.String(length=20), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("into_user_id", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_user_merge_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "from_user_id", "until_ms", "into_user_id", name=op.f("pk_user_merge")),
    )
    op.create_index(op.f("ix_user_merge_until_ms"), "user_merge", ["until_ms"])
    op.create_table(
        "erasure",
        sa.Column("project_id", sa.String(length=20), nullable=False),
        sa.Column("user_id", sa.String(length=20), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("events", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("events_leaving", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("project_id", "user_id", name=op.f("pk_erasure")),
    )
    op.create_index(op.f("ix_erasure_until_ms"), "erasure", ["until_ms"])
