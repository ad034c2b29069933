"""Accounts and their password hashes. E-mail addresses come in lower case from accounts/."""

from typing import Any

import msgspec
import sqlalchemy
from sqlalchemy import select
from sqlalchemy.engine import Row

from vemetric.database.database import Connection
from vemetric.database.tables import account, password
from vemetric.model.account import Account

ACCOUNT_COLUMNS = tuple(account.c[field] for field in Account.__struct_fields__)


async def create(connection: Connection, new: Account, password_hash: str | None) -> None:
    """Keep a new account, with its password if it has one. Raises Conflict when the address is taken."""
    values = msgspec.structs.asdict(new) | {"updated_at_ms": new.created_at_ms}
    await connection.change(sqlalchemy.insert(account).values(values))
    if password_hash is not None:
        await set_password(connection, new.id, password_hash, new.created_at_ms)


async def update(connection: Connection, changed: Account, now_ms: int) -> None:
    """Store what may change of an account: name, address and its proof, picture, tips. Raises Conflict."""
    await connection.change(
        sqlalchemy.update(account)
        .where(account.c.id == changed.id)
        .values(
            name=changed.name,
            email=changed.email,
            email_verified_at_ms=changed.email_verified_at_ms,
            image=changed.image,
            receives_tips=changed.receives_tips,
            updated_at_ms=now_ms,
        )
    )


async def delete(connection: Connection, account_id: str) -> None:
    """Forget an account with its password, logins, memberships and letters."""
    await connection.change(sqlalchemy.delete(account).where(account.c.id == account_id))


async def by_id(connection: Connection, account_id: str) -> Account | None:
    """The account of an id."""
    row = await connection.row(select(*ACCOUNT_COLUMNS).where(account.c.id == account_id))
    return None if row is None else from_row(row)


async def by_email(connection: Connection, email: str) -> Account | None:
    """The account of an address in lower case."""
    row = await connection.row(select(*ACCOUNT_COLUMNS).where(account.c.email == email))
    return None if row is None else from_row(row)


async def everyone(connection: Connection) -> list[Account]:
    """All accounts, the oldest first."""
    rows = await connection.rows(select(*ACCOUNT_COLUMNS).order_by(account.c.created_at_ms, account.c.id))
    return [from_row(row) for row in rows]


async def operators(connection: Connection) -> list[Account]:
    """The accounts that run this instance."""
    rows = await connection.rows(select(*ACCOUNT_COLUMNS).where(account.c.is_operator).order_by(account.c.id))
    return [from_row(row) for row in rows]


async def exist(connection: Connection) -> bool:
    """Whether there is any account."""
    return await connection.value(select(account.c.id).limit(1)) is not None


async def password_hash(connection: Connection, account_id: str) -> str | None:
    """The hash of the account's password; None if it has none."""
    found: str | None = await connection.value(select(password.c.hash).where(password.c.account_id == account_id))
    return found


async def set_password(connection: Connection, account_id: str, new_hash: str, now_ms: int) -> None:
    """Give the account this password hash, in place of one it has."""
    values = {"hash": new_hash, "changed_at_ms": now_ms}
    if not await connection.insert_if_absent(password, {"account_id": account_id, **values}):
        await connection.change(sqlalchemy.update(password).where(password.c.account_id == account_id).values(values))


def from_row(row: Row[Any], prefix: str = "") -> Account:
    """The account in a row whose columns are ACCOUNT_COLUMNS, their names behind the prefix."""
    values = row._mapping
    return Account(**{column.name: values[f"{prefix}{column.name}"] for column in ACCOUNT_COLUMNS})
