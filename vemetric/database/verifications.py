"""Codes and links that prove an address or let somebody set a password. Kept hashed; each works once."""

from typing import Any

import msgspec
import sqlalchemy
from sqlalchemy import select
from sqlalchemy.engine import Row

from vemetric.database.database import Connection
from vemetric.database.tables import verification
from vemetric.model.verification import Purpose, Verification

COLUMNS = tuple(verification.c[field] for field in Verification.__struct_fields__)


async def replace(connection: Connection, new: Verification, now_ms: int) -> None:
    """Keep a new one; earlier ones of the same account and purpose end, and those of anybody that have run out."""
    mine = sqlalchemy.and_(verification.c.account_id == new.account_id, verification.c.purpose == new.purpose)
    old = verification.c.expires_at_ms <= now_ms
    await connection.change(sqlalchemy.delete(verification).where(sqlalchemy.or_(mine, old)))
    await connection.change(sqlalchemy.insert(verification).values(msgspec.structs.asdict(new)))


async def delete_expired(connection: Connection, now_ms: int) -> int:
    """Forget those that have run out; returns how many."""
    return await connection.change(sqlalchemy.delete(verification).where(verification.c.expires_at_ms <= now_ms))


async def by_token_hash(connection: Connection, purpose: Purpose, token_hash: str, now_ms: int) -> Verification | None:
    """The one whose link this is, if it has not run out."""
    row = await connection.row(
        select(*COLUMNS).where(
            verification.c.purpose == purpose,
            verification.c.token_hash == token_hash,
            verification.c.expires_at_ms > now_ms,
        )
    )
    return None if row is None else _verification(row)


async def of_email(connection: Connection, purpose: Purpose, email: str, now_ms: int) -> Verification | None:
    """The one that was mailed to an address, if it has not run out."""
    row = await connection.row(
        select(*COLUMNS).where(
            verification.c.purpose == purpose, verification.c.email == email, verification.c.expires_at_ms > now_ms
        )
    )
    return None if row is None else _verification(row)


async def count_attempt(connection: Connection, verification_id: str) -> None:
    """Note that a code was tried."""
    await connection.change(
        sqlalchemy.update(verification)
        .where(verification.c.id == verification_id)
        .values(attempts=verification.c.attempts + 1)
    )


async def delete_of_account(connection: Connection, account_id: str, purpose: Purpose | None = None) -> None:
    """End the account's codes and links, of one purpose or of all."""
    statement = sqlalchemy.delete(verification).where(verification.c.account_id == account_id)
    if purpose is not None:
        statement = statement.where(verification.c.purpose == purpose)
    await connection.change(statement)


def _verification(row: Row[Any]) -> Verification:
    values = dict(row._mapping)
    return Verification(**values | {"purpose": Purpose(values["purpose"])})
