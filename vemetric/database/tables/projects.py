"""What is measured, and what its settings hold."""

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
    false,
)

from vemetric.database.tables.columns import JsonText, Unsigned64, belongs_column, metadata, text_column, time_column

project = Table(
    "project",
    metadata,
    Column("id", Unsigned64, primary_key=True),
    belongs_column("organization_id", "organization.id", String(16)),
    text_column("name", 100),
    text_column("domain", 253, unique=True),
    text_column("token", 16, unique=True),
    text_column("time_zone", 64),
    Column("public_dashboard", Boolean, nullable=False, server_default=false()),
    # Whether search engines may list the public dashboard.
    Column("public_indexed", Boolean, nullable=False, server_default=false()),
    Column("events_prevent_bounce", Boolean, nullable=False, server_default=false()),
    # How long rows are kept, 0 for ever; empty: as the server is set.
    Column("retention_days", Integer, nullable=True),
    time_column("first_event_at_ms", nullable=True),
    time_column("created_at_ms"),
    time_column("updated_at_ms"),
    # What lets the access tables below refer to a project together with its organization.
    UniqueConstraint("id", "organization_id"),
    Index(None, "organization_id"),
)

excluded_ip = Table(
    "excluded_ip",
    metadata,
    belongs_column("project_id", "project.id", Unsigned64),
    text_column("ip", 45),
    PrimaryKeyConstraint("project_id", "ip"),
)

excluded_country = Table(
    "excluded_country",
    metadata,
    belongs_column("project_id", "project.id", Unsigned64),
    text_column("country_code", 2),
    PrimaryKeyConstraint("project_id", "country_code"),
)

# Patterns in which * stands for any text.
excluded_path = Table(
    "excluded_path",
    metadata,
    belongs_column("project_id", "project.id", Unsigned64),
    text_column("path", 500),
    PrimaryKeyConstraint("project_id", "path"),
)

excluded_host = Table(
    "excluded_host",
    metadata,
    belongs_column("project_id", "project.id", Unsigned64),
    text_column("host", 253),
    PrimaryKeyConstraint("project_id", "host"),
)

event_icon = Table(
    "event_icon",
    metadata,
    belongs_column("project_id", "project.id", Unsigned64),
    text_column("event_name"),
    text_column("icon", 32),
    PrimaryKeyConstraint("project_id", "event_name"),
)

# What a restricted member may see.
project_access = Table(
    "project_access",
    metadata,
    text_column("account_id", 16),
    Column("project_id", Unsigned64, nullable=False),
    text_column("organization_id", 16),
    PrimaryKeyConstraint("account_id", "project_id"),
    ForeignKeyConstraint(
        ["account_id", "organization_id"],
        ["membership.account_id", "membership.organization_id"],
        ondelete="CASCADE",
    ),
    ForeignKeyConstraint(
        ["project_id", "organization_id"], ["project.id", "project.organization_id"], ondelete="CASCADE"
    ),
    Index(None, "project_id"),
)

invitation_project_access = Table(
    "invitation_project_access",
    metadata,
    text_column("invitation_token", 16),
    Column("project_id", Unsigned64, nullable=False),
    text_column("organization_id", 16),
    PrimaryKeyConstraint("invitation_token", "project_id"),
    ForeignKeyConstraint(
        ["invitation_token", "organization_id"], ["invitation.token", "invitation.organization_id"], ondelete="CASCADE"
    ),
    ForeignKeyConstraint(
        ["project_id", "organization_id"], ["project.id", "project.organization_id"], ondelete="CASCADE"
    ),
    Index(None, "project_id"),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", String(25), primary_key=True),
    belongs_column("project_id", "project.id", Unsigned64),
    text_column("name", 100),
    text_column("key_hash", 64, unique=True),
    text_column("key_prefix", 16),
    time_column("created_at_ms"),
    belongs_column("created_by_id", "account.id", String(16), nullable=True),
    time_column("revoked_at_ms", nullable=True),
    belongs_column("revoked_by_id", "account.id", String(16), nullable=True),
    time_column("last_used_at_ms", nullable=True),
    Column("scope", String(5), server_default="read", nullable=False),
    Index(None, "project_id"),
)

funnel = Table(
    "funnel",
    metadata,
    Column("id", String(36), primary_key=True),
    belongs_column("project_id", "project.id", Unsigned64),
    text_column("name", 100),
    text_column("icon", 32, nullable=True),
    Column("steps", JsonText, nullable=False),
    Column("window_seconds", Integer, nullable=False, server_default="604800"),
    time_column("created_at_ms"),
    time_column("updated_at_ms"),
    Index(None, "project_id", "created_at_ms"),
)

saved_filter = Table(
    "saved_filter",
    metadata,
    Column("id", String(36), primary_key=True),
    belongs_column("project_id", "project.id", Unsigned64),
    text_column("name", 100),
    text_column("icon", 32, nullable=True),
    Column("filters", JsonText, nullable=False),
    time_column("created_at_ms"),
    time_column("updated_at_ms"),
    Index(None, "project_id", "created_at_ms"),
)

# What a public dashboard asks of those who look; '' for nothing. One that asks nothing has no row.
public_access = Table(
    "public_access",
    metadata,
    Column("project_id", Unsigned64, ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
    text_column("link_salt", 16),
    text_column("password_hash"),
)
