"""Logins: the browser sessions of accounts, found by the hash of their token."""

import sqlalchemy
from sqlalchemy import select
from sqlalchemy.engine import Row

from vemetric.database import accounts
from vemetric.database.database import Connection
from vemetric.database.tables import account, login
from vemetric.model.account import Account, Login

LOGIN_COLUMNS = tuple(column for column in login.c if column.name != "token_hash")


async def create(connection: Connection, new: Login, token_hash: str) -> None:
    """Keep a new login."""
    await connection.change(
        sqlalchemy.insert(login).values(
            id=new.id,
            account_id=new.account_id,
            token_hash=token_hash,
            remember=new.remember,
            user_agent=new.user_agent,
            ip=new.ip,
            created_at_ms=new.created_at_ms,
            used_at_ms=new.used_at_ms,
            expires_at_ms=new.expires_at_ms,
        )
    )


async def by_token_hash(connection: Connection, token_hash: str, now_ms: int) -> tuple[Account, Login] | None:
    """The login of a token that has not run out, and whose it is."""
    owner_columns = [column.label(f"owner_{column.name}") for column in accounts.ACCOUNT_COLUMNS]
    row = await connection.row(
        select(*LOGIN_COLUMNS, *owner_columns)
        .join(account, account.c.id == login.c.account_id)
        .where(login.c.token_hash == token_hash, login.c.expires_at_ms > now_ms)
    )
    return None if row is None else (accounts.from_row(row, "owner_"), _login(row))


async def prolong(connection: Connection, login_id: str, now_ms: int, expires_at_ms: int) -> None:
    """Note that the login was used, and let it live longer."""
    await connection.change(
        sqlalchemy.update(login).where(login.c.id == login_id).values(used_at_ms=now_ms, expires_at_ms=expires_at_ms)
    )


async def of_account(connection: Connection, account_id: str, now_ms: int) -> list[Login]:
    """The account's logins that still work, the last used first."""
    rows = await connection.rows(
        select(*LOGIN_COLUMNS)
        .where(login.c.account_id == account_id, login.c.expires_at_ms > now_ms)
        .order_by(login.c.used_at_ms.desc(), login.c.id)
    )
    return [_login(row) for row in rows]


async def delete(connection: Connection, account_id: str, login_id: str) -> bool:
    """End one login of the account; False if it has no such login."""
    where = (login.c.account_id == account_id, login.c.id == login_id)
    return await connection.change(sqlalchemy.delete(login).where(*where)) == 1


async def delete_of_account(connection: Connection, account_id: str, but_login_id: str | None = None) -> int:
    """End every login of the account, but for one where it is named; returns how many."""
    statement = sqlalchemy.delete(login).where(login.c.account_id == account_id)
    if but_login_id is not None:
        statement = statement.where(login.c.id != but_login_id)
    return await connection.change(statement)


async def delete_expired(connection: Connection, now_ms: int) -> int:
    """Forget the logins that have run out; returns how many."""
    return await connection.change(sqlalchemy.delete(login).where(login.c.expires_at_ms <= now_ms))


def _login(row: Row[tuple[object, ...]]) -> Login:
    return Login(
        id=row.id,
        account_id=row.account_id,
        remember=row.remember,
        user_agent=row.user_agent,
        ip=row.ip,
        created_at_ms=row.created_at_ms,
        used_at_ms=row.used_at_ms,
        expires_at_ms=row.expires_at_ms,
    )
