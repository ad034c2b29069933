"""The salts of ingestion, newest first. ingest/salts.py decides when there is a new one."""

from collections.abc import Sequence

import sqlalchemy
from sqlalchemy import delete, select

from vemetric.database.database import Connection
from vemetric.database.tables import salt
from vemetric.model.salt import Salt


async def newest(connection: Connection, limit: int) -> list[Salt]:
    """Up to `limit` salts, the newest first."""
    newest_first = select(salt).order_by(salt.c.created_at_ms.desc(), salt.c.id).limit(limit)
    return [Salt(row.id, row.created_at_ms) for row in await connection.rows(newest_first)]


async def insert(connection: Connection, salt_id: str, now_ms: int) -> Salt:
    """Keep a new salt."""
    await connection.change(sqlalchemy.insert(salt).values(id=salt_id, created_at_ms=now_ms))
    return Salt(salt_id, now_ms)


async def redate(connection: Connection, salt_id: str, created_at_ms: int) -> None:
    """Let a salt be as if it had been made then."""
    await connection.change(sqlalchemy.update(salt).where(salt.c.id == salt_id).values(created_at_ms=created_at_ms))


async def erase_all_but(connection: Connection, kept_ids: Sequence[str]) -> int:
    """Delete every other salt; returns how many there were."""
    return await connection.change(delete(salt).where(salt.c.id.not_in(kept_ids)))
