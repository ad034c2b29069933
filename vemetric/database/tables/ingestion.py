"""What ingestion keeps."""

from sqlalchemy import BigInteger, Column, Index, PrimaryKeyConstraint, String, Table, UniqueConstraint

from vemetric.database.tables.columns import Unsigned64, belongs_column, metadata, text_column, time_column

# The id is the secret of a UTC day itself. Only two rows exist; what is deleted is overwritten (dialect.py).
salt = Table(
    "salt",
    metadata,
    Column("id", String(64), primary_key=True),
    time_column("created_at_ms"),
)

# Who a user id is. The first identification keeps the visitor's id, so that the history follows by itself.
identity = Table(
    "identity",
    metadata,
    belongs_column("project_id", "project.id", Unsigned64),
    Column("user_id", Unsigned64, nullable=False),
    text_column("identifier"),
    time_column("created_at_ms"),
    PrimaryKeyConstraint("project_id", "user_id"),
    UniqueConstraint("project_id", "identifier"),
)

# Who was merged into whom: what the one did before `until_ms` is the other's, also what is stored later.
user_merge = Table(
    "user_merge",
    metadata,
    belongs_column("project_id", "project.id", Unsigned64),
    Column("from_user_id", Unsigned64, nullable=False),
    time_column("until_ms"),
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
    time_column("until_ms"),
    Column("events", BigInteger, nullable=False, server_default="0"),
    Column("events_leaving", BigInteger, nullable=False, server_default="0"),
    PrimaryKeyConstraint("project_id", "user_id"),
    Index(None, "until_ms"),
)
