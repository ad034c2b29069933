"""Who may sign in, and the organizations that people belong to."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
    false,
    true,
)

from vemetric.database.tables.columns import belongs_column, metadata, text_column, time_column

# People

account = Table(
    "account",
    metadata,
    Column("id", String(16), primary_key=True),
    text_column("name", 100),
    text_column("email", 254, unique=True),
    time_column("email_verified_at_ms", nullable=True),
    text_column("image", nullable=True),
    Column("is_operator", Boolean, nullable=False, server_default=false()),
    Column("receives_tips", Boolean, nullable=False, server_default=true()),
    time_column("created_at_ms"),
    time_column("updated_at_ms"),
)

password = Table(
    "password",
    metadata,
    Column("account_id", String(16), ForeignKey("account.id", ondelete="CASCADE"), primary_key=True),
    text_column("hash"),
    time_column("changed_at_ms"),
)

oauth_identity = Table(
    "oauth_identity",
    metadata,
    text_column("provider", 40),
    text_column("subject", 255),
    belongs_column("account_id", "account.id", String(16)),
    time_column("created_at_ms"),
    PrimaryKeyConstraint("provider", "subject"),
    UniqueConstraint("account_id", "provider"),
)

login = Table(
    "login",
    metadata,
    Column("id", String(16), primary_key=True),
    belongs_column("account_id", "account.id", String(16)),
    text_column("token_hash", 64, unique=True),
    Column("remember", Boolean, nullable=False),
    text_column("user_agent", 255),
    text_column("ip", 45),
    time_column("created_at_ms"),
    time_column("used_at_ms"),
    time_column("expires_at_ms"),
    Index(None, "account_id"),
    Index(None, "expires_at_ms"),
)

# A code or link mailed to prove an address or to set a new password.
verification = Table(
    "verification",
    metadata,
    Column("id", String(16), primary_key=True),
    text_column("purpose", 20),
    belongs_column("account_id", "account.id", String(16)),
    text_column("email", 254),
    text_column("token_hash", 64, unique=True),
    text_column("code_hash", 64, nullable=True),
    Column("attempts", Integer, nullable=False, server_default="0"),
    time_column("created_at_ms"),
    time_column("expires_at_ms"),
    Index(None, "account_id"),
)

# The link that makes the first account; gone once there is one.
setup_token = Table(
    "setup_token",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    time_column("created_at_ms"),
    time_column("expires_at_ms"),
)

# Organizations

organization = Table(
    "organization",
    metadata,
    Column("id", String(16), primary_key=True),
    text_column("name", 100),
    Column("events_per_month_max", BigInteger, nullable=True),
    time_column("created_at_ms"),
)

feature_flag = Table(
    "feature_flag",
    metadata,
    belongs_column("organization_id", "organization.id", String(16)),
    text_column("name", 100),
    PrimaryKeyConstraint("organization_id", "name"),
)

membership = Table(
    "membership",
    metadata,
    belongs_column("account_id", "account.id", String(16)),
    belongs_column("organization_id", "organization.id", String(16)),
    text_column("role", 10),
    # Sees only what project_access lists, be it nothing any more; without it, every project of the organization.
    Column("is_restricted", Boolean, nullable=False, server_default=false()),
    time_column("created_at_ms"),
    PrimaryKeyConstraint("account_id", "organization_id"),
    CheckConstraint("role IN ('admin', 'member')", name="role"),
    Index(None, "organization_id"),
)

invitation = Table(
    "invitation",
    metadata,
    Column("token", String(16), primary_key=True),
    belongs_column("organization_id", "organization.id", String(16)),
    text_column("role", 10),
    Column("is_restricted", Boolean, nullable=False, server_default=false()),
    belongs_column("created_by_id", "account.id", String(16), nullable=True),
    # Whom the link was mailed to; anybody who has it may use it.
    text_column("email", 254, nullable=True),
    time_column("created_at_ms"),
    CheckConstraint("role IN ('admin', 'member')", name="role"),
    UniqueConstraint("token", "organization_id"),
    Index(None, "organization_id"),
)
