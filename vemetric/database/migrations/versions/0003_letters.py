"""Letters instead of a history of drip mails; subscriptions; addresses that the operator has vouched for."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.drop_table("mail_history")
    op.create_table(
        "letter",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("account_id", sa.String(length=16), nullable=True),
        sa.Column("sequence_id", sa.String(length=16), nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body_text", sa.Text(), nullable=False),
        sa.Column("body_html", sa.Text(), nullable=False),
        sa.Column("unsubscribe_url", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("message_id", sa.String(length=255), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("sent_at_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("status IN ('waiting', 'sent', 'kept', 'failed')", name=op.f("ck_letter_status")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_letter_account_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["sequence_id"], ["mail_sequence.id"], name=op.f("fk_letter_sequence_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_letter")),
    )
    for column in ("created_at_ms", "status", "account_id", "sequence_id"):
        op.create_index(op.f(f"ix_letter_{column}"), "letter", [column])
    op.create_table(
        "subscription",
        sa.Column("organization_id", sa.String(length=16), nullable=False),
        sa.Column("subscription_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("price_id", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("next_billed_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("ends_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("told_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
            name=op.f("fk_subscription_organization_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_subscription")),
        sa.UniqueConstraint("subscription_id", name=op.f("uq_subscription_subscription_id")),
    )
    # Until now nobody could make an account but by the operator's word.
    op.execute("UPDATE account SET email_verified_at_ms = created_at_ms WHERE email_verified_at_ms IS NULL")
