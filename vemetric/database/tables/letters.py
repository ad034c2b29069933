"""Letters, those that follow one another, and what an organization has bought."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, String, Table, UniqueConstraint

from vemetric.database.tables.columns import Unsigned64, metadata, text_column, time_column

# Letters that follow one another until their goal is reached.

mail_sequence = Table(
    "mail_sequence",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("project_id", Unsigned64, ForeignKey("project.id", ondelete="CASCADE"), nullable=True),
    Column("account_id", String(16), ForeignKey("account.id", ondelete="CASCADE"), nullable=True),
    text_column("kind", 40),
    Column("step", Integer, nullable=False, server_default="0"),
    text_column("status", 10),
    time_column("last_sent_at_ms", nullable=True),
    time_column("completed_at_ms", nullable=True),
    CheckConstraint("(project_id IS NULL) <> (account_id IS NULL)", name="one_subject"),
    CheckConstraint("status IN ('active', 'completed', 'error')", name="status"),
    UniqueConstraint("project_id", "kind"),
    UniqueConstraint("account_id", "kind"),
)

# Every letter, before it is sent and after: what waits, what the operator reads where no mail is set up, the history of
# deliveries. Once a letter is sent its body is emptied, because it may hold a secret.
letter = Table(
    "letter",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("account_id", String(16), ForeignKey("account.id", ondelete="CASCADE"), nullable=True),
    Column("sequence_id", String(16), ForeignKey("mail_sequence.id", ondelete="CASCADE"), nullable=True),
    text_column("kind", 40),
    text_column("address", 254),
    text_column("subject"),
    text_column("body_text"),
    text_column("body_html"),
    text_column("unsubscribe_url"),
    text_column("status", 10),
    Column("attempts", Integer, nullable=False, server_default="0"),
    text_column("message_id", 255, nullable=True),
    text_column("error", nullable=True),
    time_column("created_at_ms"),
    time_column("sent_at_ms", nullable=True),
    CheckConstraint("status IN ('waiting', 'sent', 'kept', 'failed')", name="status"),
    Index(None, "created_at_ms"),
    Index(None, "status"),
    Index(None, "account_id"),
    Index(None, "sequence_id"),
)

# What an organization has bought, where billing is on. `told_at_ms`: of the notice that was last believed.
subscription = Table(
    "subscription",
    metadata,
    Column("organization_id", String(16), ForeignKey("organization.id", ondelete="CASCADE"), primary_key=True),
    text_column("subscription_id", 64, unique=True),
    text_column("customer_id", 64),
    text_column("price_id", 64),
    text_column("status", 20),
    time_column("next_billed_at_ms", nullable=True),
    time_column("ends_at_ms", nullable=True),
    time_column("told_at_ms"),
)
