"""Brings the relational schema up to this version. A new database gets it whole; an older one by its migrations.

Alembic is imported only when there is something to migrate: it is slow to import and almost every start needs none.
"""

from pathlib import Path

import sqlalchemy
from sqlalchemy.engine import Connection

from vemetric import errors
from vemetric.database.tables import metadata

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "alembic_version"
VERSION_LENGTH = 32


def revisions() -> list[str]:
    """The known revisions, oldest first: versions/0001_first.py is revision 0001."""
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def bring_up(connection: Connection) -> None:
    """Make or migrate the schema in the connection's transaction; Misconfigured if a newer version has written it."""
    known = revisions()
    revision = current(connection)
    if revision is None:
        _create(connection, known[-1])
    elif revision not in known:
        raise errors.Misconfigured(
            f"The accounts database is at revision {revision}, written by a newer version of Vemetric; this one knows "
            f"{known[-1]}. Start the newer version, or restore a backup from before the upgrade."
        )
    elif revision != known[-1]:
        upgrade(connection, "head")


def current(connection: Connection) -> str | None:
    """The revision the database is at; None if it is empty."""
    if not sqlalchemy.inspect(connection).has_table(VERSION_TABLE):
        return None
    revision = connection.execute(sqlalchemy.select(_version_table().c.version_num)).scalar()
    return None if revision is None else str(revision)


def upgrade(connection: Connection, target: str) -> None:
    """Run the migrations up to the target revision."""
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, target)


def _create(connection: Connection, revision: str) -> None:
    metadata.create_all(connection)
    table = _version_table()
    table.create(connection)
    connection.execute(table.insert().values(version_num=revision))


def _version_table() -> sqlalchemy.Table:
    """The table Alembic keeps its place in, made as Alembic makes it."""
    return sqlalchemy.Table(
        VERSION_TABLE,
        sqlalchemy.MetaData(),
        sqlalchemy.Column("version_num", sqlalchemy.String(VERSION_LENGTH), nullable=False),
        sqlalchemy.PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
    )
