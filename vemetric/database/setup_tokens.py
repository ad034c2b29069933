"""The hashed token of the set-up link. There is at most one, and none once an account exists."""

import sqlalchemy
from sqlalchemy import select

from vemetric.database.database import Connection
from vemetric.database.tables import setup_token


async def replace(connection: Connection, token_hash: str, now_ms: int, expires_at_ms: int) -> None:
    """Make this the only token."""
    await erase(connection)
    await connection.change(
        sqlalchemy.insert(setup_token).values(token_hash=token_hash, created_at_ms=now_ms, expires_at_ms=expires_at_ms)
    )


async def is_valid(connection: Connection, token_hash: str, now_ms: int) -> bool:
    """Whether the token exists and has not run out."""
    found = select(setup_token.c.token_hash).where(
        setup_token.c.token_hash == token_hash, setup_token.c.expires_at_ms > now_ms
    )
    return await connection.value(found) is not None


async def erase(connection: Connection) -> None:
    """Let no link work any more."""
    await connection.change(sqlalchemy.delete(setup_token))
