"""The whole relational schema in one place; migrations/ leads to it and a test holds the two equal.

Times are milliseconds since 1970 UTC. Random ids and tokens are text. What is secret is stored hashed, but for the
public project token and the invitation token, which its page shows again.
"""

import json
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    true,
)
from sqlalchemy.types import TypeDecorator

UNSIGNED_64_MAX = 2**64 - 1

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class Unsigned64(TypeDecorator[int]):
    """An unsigned 64-bit id as decimal text: neither SQLite nor PostgreSQL has an integer that holds it."""

    impl = String(20)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if not 0 <= value <= UNSIGNED_64_MAX:
            raise ValueError(f"{value} is not an unsigned 64-bit id")
        return str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value)


class JsonText(TypeDecorator[Any]):
    """A JSON document as text, the same on every database."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


def _time(name: str, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _text(name: str, length: int | None = None, nullable: bool = False, unique: bool = False) -> Column[str]:
    return Column(name, String(length) if length else Text(), nullable=nullable, unique=unique)


def _belongs(name: str, target: str, kind: Any, nullable: bool = False) -> Column[Any]:
    """A reference: the row goes with what it belongs to; an optional one is emptied instead."""
    return Column(name, kind, ForeignKey(target, ondelete="SET NULL" if nullable else "CASCADE"), nullable=nullable)


# People

account = Table(
    "account",
    metadata,
    Column("id", String(16), primary_key=True),
    _text("name", 100),
    _text("email", 254, unique=True),
    _time("email_verified_at_ms", nullable=True),
    _text("image", nullable=True),
    Column("is_operator", Boolean, nullable=False, server_default=false()),
    Column("receives_tips", Boolean, nullable=False, server_default=true()),
    _time("created_at_ms"),
    _time("updated_at_ms"),
)

password = Table(
    "password",
    metadata,
    Column("account_id", String(16), ForeignKey("account.id", ondelete="CASCADE"), primary_key=True),
    _text("hash"),
    _time("changed_at_ms"),
)

oauth_identity = Table(
    "oauth_identity",
    metadata,
    _text("provider", 40),
    _text("subject", 255),
    _belongs("account_id", "account.id", String(16)),
    _time("created_at_ms"),
    PrimaryKeyConstraint("provider", "subject"),
    UniqueConstraint("account_id", "provider"),
)

login = Table(
    "login",
    metadata,
    Column("id", String(16), primary_key=True),
    _belongs("account_id", "account.id", String(16)),
    _text("token_hash", 64, unique=True),
    Column("remember", Boolean, nullable=False),
    _text("user_agent", 255),
    _text("ip", 45),
    _time("created_at_ms"),
    _time("used_at_ms"),
    _time("expires_at_ms"),
    Index(None, "account_id"),
    Index(None, "expires_at_ms"),
)

# A code or link mailed to prove an address or to set a new password.
verification = Table(
    "verification",
    metadata,
    Column("id", String(16), primary_key=True),
    _text("purpose", 20),
    _belongs("account_id", "account.id", String(16)),
    _text("email", 254),
    _text("token_hash", 64, unique=True),
    _text("code_hash", 64, nullable=True),
    Column("attempts", Integer, nullable=False, server_default="0"),
    _time("created_at_ms"),
    _time("expires_at_ms"),
    Index(None, "account_id"),
)

# The link that makes the first account; gone once there is one.
setup_token = Table(
    "setup_token",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    _time("created_at_ms"),
    _time("expires_at_ms"),
)

# Organizations

organization = Table(
    "organization",
    metadata,
    Column("id", String(16), primary_key=True),
    _text("name", 100),
    Column("events_per_month_max", BigInteger, nullable=True),
    _time("created_at_ms"),
)

feature_flag = Table(
    "feature_flag",
    metadata,
    _belongs("organization_id", "organization.id", String(16)),
    _text("name", 100),
    PrimaryKeyConstraint("organization_id", "name"),
)

membership = Table(
    "membership",
    metadata,
    _belongs("account_id", "account.id", String(16)),
    _belongs("organization_id", "organization.id", String(16)),
    _text("role", 10),
    # Sees only what project_access lists, be it nothing any more; without it, every project of the organization.
    Column("is_restricted", Boolean, nullable=False, server_default=false()),
    _time("created_at_ms"),
    PrimaryKeyConstraint("account_id", "organization_id"),
    CheckConstraint("role IN ('admin', 'member')", name="role"),
    Index(None, "organization_id"),
)

invitation = Table(
    "invitation",
    metadata,
    Column("token", String(16), primary_key=True),
    _belongs("organization_id", "organization.id", String(16)),
    _text("role", 10),
    Column("is_restricted", Boolean, nullable=False, server_default=false()),
    _belongs("created_by_id", "account.id", String(16), nullable=True),
    # Whom the link was mailed to; anybody who has it may use it.
    _text("email", 254, nullable=True),
    _time("created_at_ms"),
    CheckConstraint("role IN ('admin', 'member')", name="role"),
    UniqueConstraint("token", "organization_id"),
    Index(None, "organization_id"),
)

# Projects

project = Table(
    "project",
    metadata,
    Column("id", Unsigned64, primary_key=True),
    _belongs("organization_id", "organization.id", String(16)),
    _text("name", 100),
    _text("domain", 253, unique=True),
    _text("token", 16, unique=True),
    _text("time_zone", 64),
    Column("public_dashboard", Boolean, nullable=False, server_default=false()),
    # Whether search engines may list the public dashboard.
    Column("public_indexed", Boolean, nullable=False, server_default=false()),
    Column("events_prevent_bounce", Boolean, nullable=False, server_default=false()),
    # How long rows are kept, 0 for ever; empty: as the server is set.
    Column("retention_days", Integer, nullable=True),
    _time("first_event_at_ms", nullable=True),
    _time("created_at_ms"),
    _time("updated_at_ms"),
    # What lets the access tables below refer to a project together with its organization.
    UniqueConstraint("id", "organization_id"),
    Index(None, "organization_id"),
)

excluded_ip = Table(
    "excluded_ip",
    metadata,
    _belongs("project_id", "project.id", Unsigned64),
    _text("ip", 45),
    PrimaryKeyConstraint("project_id", "ip"),
)

excluded_country = Table(
    "excluded_country",
    metadata,
    _belongs("project_id", "project.id", Unsigned64),
    _text("country_code", 2),
    PrimaryKeyConstraint("project_id", "country_code"),
)

# Patterns in which * stands for any text.
excluded_path = Table(
    "excluded_path",
    metadata,
    _belongs("project_id", "project.id", Unsigned64),
    _text("path", 500),
    PrimaryKeyConstraint("project_id", "path"),
)

excluded_host = Table(
    "excluded_host",
    metadata,
    _belongs("project_id", "project.id", Unsigned64),
    _text("host", 253),
    PrimaryKeyConstraint("project_id", "host"),
)

event_icon = Table(
    "event_icon",
    metadata,
    _belongs("project_id", "project.id", Unsigned64),
    _text("event_name"),
    _text("icon", 32),
    PrimaryKeyConstraint("project_id", "event_name"),
)

# What a restricted member may see.
project_access = Table(
    "project_access",
    metadata,
    _text("account_id", 16),
    Column("project_id", Unsigned64, nullable=False),
    _text("organization_id", 16),
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
    _text("invitation_token", 16),
    Column("project_id", Unsigned64, nullable=False),
    _text("organization_id", 16),
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
    _belongs("project_id", "project.id", Unsigned64),
    _text("name", 100),
    _text("key_hash", 64, unique=True),
    _text("key_prefix", 16),
    _time("created_at_ms"),
    _belongs("created_by_id", "account.id", String(16), nullable=True),
    _time("revoked_at_ms", nullable=True),
    _belongs("revoked_by_id", "account.id", String(16), nullable=True),
    _time("last_used_at_ms", nullable=True),
    Column("scope", String(5), server_default="read", nullable=False),
    Index(None, "project_id"),
)

funnel = Table(
    "funnel",
    metadata,
    Column("id", String(36), primary_key=True),
    _belongs("project_id", "project.id", Unsigned64),
    _text("name", 100),
    _text("icon", 32, nullable=True),
    Column("steps", JsonText, nullable=False),
    Column("window_seconds", Integer, nullable=False, server_default="604800"),
    _time("created_at_ms"),
    _time("updated_at_ms"),
    Index(None, "project_id", "created_at_ms"),
)

saved_filter = Table(
    "saved_filter",
    metadata,
    Column("id", String(36), primary_key=True),
    _belongs("project_id", "project.id", Unsigned64),
    _text("name", 100),
    _text("icon", 32, nullable=True),
    Column("filters", JsonText, nullable=False),
    _time("created_at_ms"),
    _time("updated_at_ms"),
    Index(None, "project_id", "created_at_ms"),
)

# What a public dashboard asks of those who look; '' for nothing. One that asks nothing has no row.
public_access = Table(
    "public_access",
    metadata,
    Column("project_id", Unsigned64, ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
    _text("link_salt", 16),
    _text("password_hash"),
)

# Letters that follow one another until their goal is reached.

mail_sequence = Table(
    "mail_sequence",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("project_id", Unsigned64, ForeignKey("project.id", ondelete="CASCADE"), nullable=True),
    Column("account_id", String(16), ForeignKey("account.id", ondelete="CASCADE"), nullable=True),
    _text("kind", 40),
    Column("step", Integer, nullable=False, server_default="0"),
    _text("status", 10),
    _time("last_sent_at_ms", nullable=True),
    _time("completed_at_ms", nullable=True),
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
    _text("kind", 40),
    _text("address", 254),
    _text("subject"),
    _text("body_text"),
    _text("body_html"),
    _text("unsubscribe_url"),
    _text("status", 10),
    Column("attempts", Integer, nullable=False, server_default="0"),
    _text("message_id", 255, nullable=True),
    _text("error", nullable=True),
    _time("created_at_ms"),
    _time("sent_at_ms", nullable=True),
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
    _text("subscription_id", 64, unique=True),
    _text("customer_id", 64),
    _text("price_id", 64),
    _text("status", 20),
    _time("next_billed_at_ms", nullable=True),
    _time("ends_at_ms", nullable=True),
    _time("told_at_ms"),
)

# What ingestion keeps

# The id is the secret of a UTC day itself. Only two rows exist; what is deleted is overwritten (dialect.py).
salt = Table(
    "salt",
    metadata,
    Column("id", String(64), primary_key=True),
    _time("created_at_ms"),
)

# Who a user id is. The first identification keeps the visitor's id, so that the history follows by itself.
identity = Table(
    "identity",
    metadata,
    _belongs("project_id", "project.id", Unsigned64),
    Column("user_id", Unsigned64, nullable=False),
    _text("identifier"),
    _time("created_at_ms"),
    PrimaryKeyConstraint("project_id", "user_id"),
    UniqueConstraint("project_id", "identifier"),
)

# Who was merged into whom: what the one did before `until_ms` is the other's, also what is stored later.
user_merge = Table(
    "user_merge",
    metadata,
    _belongs("project_id", "project.id", Unsigned64),
    Column("from_user_id", Unsigned64, nullable=False),
    _time("until_ms"),
    Column("into_user_id", Unsigned64, nullable=False),
    PrimaryKeyConstraint("project_id", "from_user_id", "until_ms", "into_user_id"),
    Index(None, "until_ms"),
)

# What was erased: everything of a user before `until_ms`; user 0 is the whole project. `events` were removed;
# `events_leaving` are being removed. Outlives the project, so that what still waits of it is explained.
erasure = Table(
    "erasure",
    metadata,
    Column("project_id", Unsigned64, nullable=False),
    Column("user_id", Unsigned64, nullable=False),
    _time("until_ms"),
    Column("events", BigInteger, nullable=False, server_default="0"),
    Column("events_leaving", BigInteger, nullable=False, server_default="0"),
    PrimaryKeyConstraint("project_id", "user_id"),
    Index(None, "until_ms"),
)
