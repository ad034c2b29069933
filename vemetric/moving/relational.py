"""Copy the relational store. One transaction: interrupted, it leaves nothing behind, and the next run begins anew."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import sqlalchemy
from sqlalchemy import Table

from vemetric import errors
from vemetric.database import tables
from vemetric.database.database import Connection, Database
from vemetric.moving.compared import Compared, Fingerprint

STORE = "database"
PAGE_ROWS = 2_000


async def copy(source: Database, target: Database) -> list[Compared]:
    """Make every table of `target` what it is in `source`, and compare.

    Raises Conflict, and changes nothing, when the target belongs to another instance or a table differs afterwards.
    """
    ordered = tables.metadata.sorted_tables
    async with source.connect() as reading, target.begin() as writing:
        await _refuse_another_instance(reading, writing)
        for table in reversed(ordered):
            await writing.change(sqlalchemy.delete(table))
        for table in ordered:
            async for page in _pages(reading, table):
                await writing.change(sqlalchemy.insert(table), page)
        return [await _compare(reading, writing, table) for table in ordered]


async def _refuse_another_instance(reading: Connection, writing: Connection) -> None:
    """What a run before this one copied may be overwritten, what others have made may not."""
    ids = sqlalchemy.select(tables.account.c.id)
    ours = {row.id for row in await reading.rows(ids)}
    theirs = {row.id for row in await writing.rows(ids)}
    if theirs - ours:
        raise errors.Conflict("The database to move to holds accounts of another instance; give an empty one.")


async def _compare(reading: Connection, writing: Connection, table: Table) -> Compared:
    found = []
    for side in (reading, writing):
        fingerprint = Fingerprint()
        async for page in _pages(side, table):
            fingerprint.add(list(row.values()) for row in page)
        found.append(fingerprint)
    if found[0] != found[1]:
        raise errors.Conflict(f"The table {table.name} is not the same after it was copied; nothing was changed.")
    return Compared(STORE, str(table.name), found[0].rows, found[0].checksum)


async def _pages(connection: Connection, table: Table) -> AsyncIterator[Sequence[dict[str, Any]]]:
    every = sqlalchemy.select(table).order_by(*table.primary_key.columns).limit(PAGE_ROWS)
    offset = 0
    while page := await connection.rows(every.offset(offset)):
        yield [dict(row._mapping) for row in page]
        offset += len(page)
