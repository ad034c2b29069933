"""The schema and its migrations are one; an older executable keeps off a newer database."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from vemetric import errors
from vemetric.database import migrate
from vemetric.database.database import Database, file_url
from vemetric.database.tables import metadata


def schema(path: Path) -> dict[str, tuple[object, ...]]:
    """What a database is made of, without the order in which a statement names it."""
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    inspector = sqlalchemy.inspect(engine)
    found = {}
    for table in inspector.get_table_names():
        parts = (
            inspector.get_columns(table),
            [inspector.get_pk_constraint(table)],
            inspector.get_foreign_keys(table),
            inspector.get_unique_constraints(table),
            inspector.get_check_constraints(table),
            inspector.get_indexes(table),
        )
        found[table] = tuple(sorted(repr(sorted(one.items(), key=str)) for one in part) for part in parts)
    engine.dispose()
    return found


@pytest.fixture
def migrated(tmp_path: Path) -> Path:
    """A database made by running every migration."""
    path = tmp_path / "migrated.db"
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        migrate.upgrade(connection, "head")
    engine.dispose()
    return path


async def test_migrations_lead_to_the_tables(tmp_path: Path, migrated: Path) -> None:
    database = await Database.open(file_url(tmp_path / "new.db"))
    await database.close()
    assert schema(migrated) == schema(tmp_path / "new.db")


def test_alembic_finds_no_difference(migrated: Path) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{migrated}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_revisions_are_one_line_named_by_their_files() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    line = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert list(reversed(line)) == migrate.revisions()


async def test_a_migrated_database_opens(migrated: Path) -> None:
    database = await Database.open(file_url(migrated))
    await database.close()


async def test_opens_twice_without_a_change(tmp_path: Path) -> None:
    path = tmp_path / "vemetric.db"
    for _ in range(2):
        database = await Database.open(file_url(path))
        await database.close()
    assert schema(path).keys() == {*metadata.tables, migrate.VERSION_TABLE}


async def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "vemetric.db"
    database = await Database.open(file_url(path))
    await database.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(errors.Misconfigured, match=r"9999.*newer version"):
        await Database.open(file_url(path))
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]
    connection.close()


NEXT_MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{down_revision}"


def upgrade() -> None:
    op.add_column("organization", sa.Column("motto", sa.Text(), nullable=True))
    {then}
"""


@pytest.fixture
def with_next_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Pretends that one more migration came with this version."""

    def add(then: str) -> None:
        monkeypatch.setattr(migrate, "MIGRATIONS", shutil.copytree(migrate.MIGRATIONS, tmp_path / "migrations"))
        newest = migrate.revisions()[-1]
        revision = f"{int(newest) + 1:04}"
        text = NEXT_MIGRATION.format(revision=revision, down_revision=newest, then=then)
        (migrate.MIGRATIONS / "versions" / f"{revision}_next.py").write_text(text)

    return add


async def test_an_older_database_is_upgraded(tmp_path: Path, with_next_migration: Callable[[str], None]) -> None:
    url = file_url(tmp_path / "vemetric.db")
    database = await Database.open(url)
    await database.close()
    with_next_migration("pass")
    database = await Database.open(url)
    async with database.connect() as connection:
        assert await connection.rows(sqlalchemy.text("SELECT motto FROM organization")) == []
        version = await connection.value(sqlalchemy.text("SELECT version_num FROM alembic_version"))
    await database.close()
    assert version == migrate.revisions()[-1]


async def test_a_migration_that_fails_changes_nothing(
    tmp_path: Path, with_next_migration: Callable[[str], None]
) -> None:
    path = tmp_path / "vemetric.db"
    database = await Database.open(file_url(path))
    await database.close()
    before = schema(path)
    with_next_migration("raise ZeroDivisionError")
    with pytest.raises(ZeroDivisionError):
        await Database.open(file_url(path))
    assert schema(path) == before


def test_who_was_restricted_by_a_list_is_so_by_a_mark(tmp_path: Path) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    with engine.begin() as connection:
        migrate.upgrade(connection, "0003")
        for statement in (
            "INSERT INTO organization (id, name, created_at_ms) VALUES ('o', 'Acme', 1)",
            "INSERT INTO project (id, organization_id, name, domain, token, time_zone, created_at_ms, updated_at_ms) "
            "VALUES ('7', 'o', 'Shop', 'shop.example', 't', 'UTC', 1, 1)",
            *(
                "INSERT INTO account (id, name, email, created_at_ms, updated_at_ms) "
                f"VALUES ('{one}', '', '{one}', 1, 1)"
                for one in "ab"
            ),
            *(f"INSERT INTO membership VALUES ('{one}', 'o', 'member', 1)" for one in "ab"),
            "INSERT INTO project_access VALUES ('b', '7', 'o')",
        ):
            connection.exec_driver_sql(statement)
        migrate.upgrade(connection, "head")
        rows = connection.exec_driver_sql("SELECT account_id, is_restricted FROM membership ORDER BY 1").all()
    engine.dispose()
    assert [tuple(row) for row in rows] == [("a", 0), ("b", 1)]
