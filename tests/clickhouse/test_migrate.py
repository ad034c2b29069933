"""Migrations: each once, never changed, never unknown."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from vemetric import errors
from vemetric.clickhouse import migrate, rows
from vemetric.clickhouse.engine import Engine

SETTING_UP = migrate.Migration(
    "0001_thing", "-- A thing; not a statement;\nCREATE TABLE IF NOT EXISTS thing (x String) ENGINE = Memory;\n"
)
WIDENING = migrate.Migration("0002_wider", "ALTER TABLE thing ADD COLUMN IF NOT EXISTS y String;\n")


@pytest.fixture
async def _clean_tables(store: Engine) -> AsyncIterator[None]:
    """The tests of this file borrow the engine's own list of migrations and give it back."""
    await store.command("RENAME TABLE migration TO migration_kept")
    yield
    await store.command("DROP TABLE IF EXISTS thing")
    await store.command("DROP TABLE IF EXISTS migration")
    await store.command("RENAME TABLE migration_kept TO migration")


async def test_a_fresh_store_has_every_migration_and_applies_none_twice(store: Engine) -> None:
    noted = await store.query("SELECT name, checksum FROM migration ORDER BY name")
    assert noted == [[one.name, one.checksum] for one in migrate.all_migrations()]
    assert await migrate.migrate(store) == []


async def test_the_tables_have_the_columns_that_rows_are_written_in(store: Engine) -> None:
    found = await store.query(
        "SELECT table, groupArray(name) FROM (SELECT table, name FROM system.columns "
        "WHERE database = currentDatabase() ORDER BY table, position) GROUP BY table"
    )
    columns = {table: set(names) for table, names in found}
    # Only merges of users say who wrote an event, in the store itself.
    assert columns["event"] == {*rows.EVENT_COLUMNS, "mergeId"}
    assert columns["session"] == set(rows.SESSION_COLUMNS)
    assert columns["device"] == set(rows.DEVICE_COLUMNS)


async def test_every_table_is_flushed_to_disk_by_each_insert(store: Engine) -> None:
    found = await store.query("SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()")
    for _name, statement in found:
        assert "fsync_after_insert = 1" in statement
        assert "fsync_part_directory = 1" in statement


@pytest.mark.usefixtures("_clean_tables")
async def test_applies_what_is_missing_in_order(store: Engine) -> None:
    assert await migrate.migrate(store, [SETTING_UP]) == ["0001_thing"]
    assert await migrate.migrate(store, [SETTING_UP, WIDENING]) == ["0002_wider"]
    await store.insert("thing", ("x", "y"), [("a", "b")])
    assert await store.query("SELECT x, y FROM thing") == [["a", "b"]]


@pytest.mark.usefixtures("_clean_tables")
async def test_refuses_data_of_a_newer_program(store: Engine) -> None:
    await migrate.migrate(store, [SETTING_UP, WIDENING])
    with pytest.raises(errors.Misconfigured, match=r"newer version.*0002_wider"):
        await migrate.migrate(store, [SETTING_UP])


@pytest.mark.usefixtures("_clean_tables")
async def test_refuses_a_migration_whose_text_changed(store: Engine) -> None:
    await migrate.migrate(store, [SETTING_UP])
    changed = msgspec.structs.replace(SETTING_UP, sql=SETTING_UP.sql + "-- one more line\n")
    with pytest.raises(errors.Misconfigured, match="0001_thing"):
        await migrate.migrate(store, [changed])


def test_every_statement_bears_a_second_run() -> None:
    for migration in migrate.all_migrations():
        for statement in migration.statements:
            assert "IF NOT EXISTS" in statement or "MODIFY SETTING" in statement, migration.name


def test_names_are_numbered_without_gaps() -> None:
    numbers = [int(migration.name[:4]) for migration in migrate.all_migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_the_text_of_migrations_is_read_from_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert migrate.all_migrations()
