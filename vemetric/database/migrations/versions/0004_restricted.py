"""Members and invitations say themselves that they are restricted: a list that ran empty would let them see all."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for table in ("membership", "invitation"):
        op.add_column(table, sa.Column("is_restricted", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute(
        "UPDATE membership SET is_restricted = true WHERE account_id || organization_id IN "
        "(SELECT account_id || organization_id FROM project_access)"
    )
    op.execute(
        "UPDATE invitation SET is_restricted = true WHERE token IN "
        "(SELECT invitation_token FROM invitation_project_access)"
    )
