"""Letters: what waits to be sent, what the operator reads, what became of the rest."""

from typing import Any

import msgspec
import sqlalchemy
from sqlalchemy import select
from sqlalchemy.engine import Row

from vemetric.database.database import Connection
from vemetric.database.tables import letter
from vemetric.model.letter import Letter, LetterStatus

COLUMNS = tuple(letter.c[field] for field in Letter.__struct_fields__)


async def create(connection: Connection, new: Letter) -> None:
    """Keep a new letter."""
    await connection.change(sqlalchemy.insert(letter).values(msgspec.structs.asdict(new)))


async def by_id(connection: Connection, letter_id: str) -> Letter | None:
    """The letter of an id."""
    row = await connection.row(select(*COLUMNS).where(letter.c.id == letter_id))
    return None if row is None else _letter(row)


async def latest(connection: Connection, limit: int) -> list[Letter]:
    """The newest letters first."""
    newest_first = select(*COLUMNS).order_by(letter.c.created_at_ms.desc(), letter.c.id).limit(limit)
    return [_letter(row) for row in await connection.rows(newest_first)]


async def of_account(connection: Connection, account_id: str) -> list[Letter]:
    """The letters to an account, the newest first."""
    mine = select(*COLUMNS).where(letter.c.account_id == account_id)
    return [_letter(row) for row in await connection.rows(mine.order_by(letter.c.created_at_ms.desc(), letter.c.id))]


async def waiting(connection: Connection, before_ms: int, limit: int) -> list[str]:
    """The ids of letters that have waited since before then, the oldest first."""
    oldest_first = (
        select(letter.c.id)
        .where(letter.c.status == LetterStatus.WAITING, letter.c.created_at_ms < before_ms)
        .order_by(letter.c.created_at_ms, letter.c.id)
        .limit(limit)
    )
    return [row.id for row in await connection.rows(oldest_first)]


async def note(connection: Connection, changed: Letter) -> None:
    """Store what became of a letter; the body of one that was sent is emptied."""
    values: dict[str, Any] = {
        "status": changed.status,
        "attempts": changed.attempts,
        "message_id": changed.message_id,
        "error": changed.error,
        "sent_at_ms": changed.sent_at_ms,
    }
    if changed.status is LetterStatus.SENT:
        values |= {"body_text": "", "body_html": ""}
    await connection.change(sqlalchemy.update(letter).where(letter.c.id == changed.id).values(values))


async def forget_address(connection: Connection, address: str) -> None:
    """Delete every letter to an address: invitations came before there was an account."""
    await connection.change(sqlalchemy.delete(letter).where(letter.c.address == address))


async def forget(connection: Connection, before_ms: int) -> int:
    """Delete letters made before then; returns how many."""
    return await connection.change(sqlalchemy.delete(letter).where(letter.c.created_at_ms < before_ms))


def _letter(row: Row[Any]) -> Letter:
    values = dict(row._mapping)
    return Letter(**values | {"status": LetterStatus(values["status"])})
