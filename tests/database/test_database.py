"""Transactions: what commits, what does not, and what two at once do to each other."""

import asyncio
import os
import sqlite3
import stat
import time
import traceback
from pathlib import Path

import pytest
import sqlalchemy

from vemetric import errors
from vemetric.database.database import Database, file_url
from vemetric.database.tables import UNSIGNED_64_MAX, organization, project

ACME = {"id": "acme", "name": "Acme", "created_at_ms": 1}


async def names(database: Database) -> list[str]:
    async with database.connect() as connection:
        rows = await connection.rows(sqlalchemy.select(organization.c.name).order_by(organization.c.name))
    return [row.name for row in rows]


async def add(database: Database, name: str) -> None:
    async with database.begin() as connection:
        await connection.change(sqlalchemy.insert(organization).values({**ACME, "id": name, "name": name}))


async def test_commits_at_the_end_of_the_block(database: Database) -> None:
    await add(database, "Acme")
    assert await names(database) == ["Acme"]


async def test_any_exception_rolls_back(database: Database) -> None:
    async def write_and_fail() -> None:
        async with database.begin() as connection:
            await connection.change(sqlalchemy.insert(organization).values(ACME))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await write_and_fail()
    assert await names(database) == []


async def test_a_cancelled_writer_rolls_back_and_lets_the_next_one_in(database: Database) -> None:
    reached = asyncio.Event()

    async def write_and_hang() -> None:
        async with database.begin() as connection:
            await connection.change(sqlalchemy.insert(organization).values(ACME))
            reached.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write_and_hang())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await add(database, "Next")
    assert await names(database) == ["Next"]


async def test_a_writer_cancelled_at_any_moment_leaves_the_store_usable(database: Database) -> None:
    for turns in range(40):
        task = asyncio.create_task(add(database, f"cancelled {turns}"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    await add(database, "last")
    assert "last" in await names(database)


async def test_many_writers_at_once_all_get_their_turn(database: Database) -> None:
    await asyncio.gather(*(add(database, f"{number:02}") for number in range(30)))
    assert await names(database) == [f"{number:02}" for number in range(30)]


async def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    async with database.begin() as connection:
        await connection.change(sqlalchemy.insert(organization).values(ACME))
        assert await names(database) == []
    assert await names(database) == ["Acme"]


async def test_a_clash_is_a_conflict(database: Database) -> None:
    await add(database, "Acme")
    with pytest.raises(errors.Conflict):
        await add(database, "Acme")
    await add(database, "Other")


async def test_a_reference_to_nothing_is_a_conflict(database: Database) -> None:
    row = {"id": 1, "organization_id": "nobody", "name": "x", "domain": "x", "token": "x", "time_zone": "UTC"}
    with pytest.raises(errors.Conflict):
        async with database.begin() as connection:
            await connection.change(sqlalchemy.insert(project).values(**row, created_at_ms=1, updated_at_ms=1))


async def test_insert_if_absent_tells_who_was_first(database: Database) -> None:
    async with database.begin() as connection:
        assert await connection.insert_if_absent(organization, ACME) is True
        assert await connection.insert_if_absent(organization, {**ACME, "name": "Second"}) is False
    assert await names(database) == ["Acme"]


async def test_an_error_does_not_tell_what_was_written(database: Database) -> None:
    await add(database, "acme")
    secret = "-".join(["some", "hash"])
    with pytest.raises(errors.Conflict) as raised:
        async with database.begin() as connection:
            await connection.change(sqlalchemy.insert(organization).values({**ACME, "name": secret}))
    told = "".join(traceback.format_exception(raised.value))
    assert "INSERT INTO organization" in told
    assert secret not in told


async def test_a_change_outside_of_begin_is_refused(database: Database) -> None:
    async with database.connect() as connection:
        with pytest.raises(RuntimeError):
            await connection.change(sqlalchemy.insert(organization).values(ACME))


@pytest.mark.parametrize("value", [-1, UNSIGNED_64_MAX + 1])
async def test_an_id_that_is_not_unsigned_64_bit_is_refused(database: Database, value: int) -> None:
    async with database.connect() as connection:
        with pytest.raises(sqlalchemy.exc.StatementError):
            await connection.row(sqlalchemy.select(project).where(project.c.id == value))


@pytest.mark.parametrize("url", ["mysql://host/x", "nothing at all", ""])
async def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(errors.Misconfigured):
        await Database.open(url)


class TestSqliteFile:
    """What only a file can do."""

    async def test_is_readable_by_its_owner_only(self, tmp_path: Path) -> None:
        path = tmp_path / "a ? strange % name.db"
        database = await Database.open(file_url(path))
        modes = {name: stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in os.listdir(tmp_path)}
        await database.close()
        assert path.name in modes
        assert set(modes.values()) == {0o600}

    async def test_keeps_what_was_committed(self, tmp_path: Path) -> None:
        url = file_url(tmp_path / "vemetric.db")
        database = await Database.open(url)
        await add(database, "Acme")
        await database.close()
        database = await Database.open(url)
        assert await names(database) == ["Acme"]
        await database.close()

    async def test_a_directory_that_is_not_there_is_unavailable(self, tmp_path: Path) -> None:
        with pytest.raises(errors.Unavailable, match="cannot be written"):
            await Database.open(file_url(tmp_path / "missing" / "vemetric.db"))

    async def test_a_file_that_is_no_database_is_said_so(self, tmp_path: Path) -> None:
        path = tmp_path / "vemetric.db"
        path.write_bytes(b"this is not a database, but long enough to look at" * 100)
        with pytest.raises(errors.Unavailable, match="not a database"):
            await Database.open(file_url(path))

    async def test_waits_for_another_process_that_writes(self, tmp_path: Path) -> None:
        path = tmp_path / "vemetric.db"
        database = await Database.open(file_url(path))
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        release = asyncio.get_running_loop().run_in_executor(None, lambda: (time.sleep(0.2), other.execute("COMMIT")))
        await add(database, "Acme")
        await release
        other.close()
        assert await names(database) == ["Acme"]
        await database.close()

    async def test_a_lock_that_stays_is_unavailable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "vemetric.db"
        database = await Database.open(file_url(path))
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        async with database.connect() as connection:
            await connection.row(sqlalchemy.text("PRAGMA busy_timeout = 1"))
        with pytest.raises(errors.Unavailable, match="locked"):
            await add(database, "Acme")
        other.execute("COMMIT")
        other.close()
        await add(database, "Acme")
        await database.close()
