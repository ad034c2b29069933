"""API keys, found by their hash."""

from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement, select

from vemetric.database.database import Connection
from vemetric.database.tables import account, api_key
from vemetric.model.api_key import ApiKey, Scope

KEPT_COLUMNS = (
    api_key.c.id,
    api_key.c.project_id,
    api_key.c.name,
    api_key.c.key_prefix.label("prefix"),
    api_key.c.created_at_ms,
    api_key.c.revoked_at_ms,
    api_key.c.last_used_at_ms,
    api_key.c.scope,
)


async def create(connection: Connection, new: ApiKey, key_hash: str, account_id: str) -> None:
    """Keep a new key."""
    values = {
        "id": new.id,
        "project_id": new.project_id,
        "name": new.name,
        "key_hash": key_hash,
        "key_prefix": new.prefix,
        "created_at_ms": new.created_at_ms,
        "created_by_id": account_id,
        "scope": new.scope.value,
    }
    await connection.change(sqlalchemy.insert(api_key).values(values))


async def by_hash(connection: Connection, key_hash: str) -> ApiKey | None:
    """The key of a hash, if it was not revoked."""
    found = await _all(connection, (api_key.c.key_hash == key_hash) & api_key.c.revoked_at_ms.is_(None))
    return found[0] if found else None


async def of_project(connection: Connection, project_id: int) -> list[ApiKey]:
    """The project's keys, revoked ones included, the newest first."""
    return await _all(connection, api_key.c.project_id == project_id)


async def revoke(connection: Connection, project_id: int, key_id: str, account_id: str, now_ms: int) -> bool:
    """Revoke one of the project's keys; False if it has no such key that works."""
    where = (api_key.c.project_id == project_id, api_key.c.id == key_id, api_key.c.revoked_at_ms.is_(None))
    values = {"revoked_at_ms": now_ms, "revoked_by_id": account_id}
    return await connection.change(sqlalchemy.update(api_key).where(*where).values(values)) == 1


async def note_use(connection: Connection, key_id: str, now_ms: int) -> None:
    """Note that the key was used."""
    await connection.change(sqlalchemy.update(api_key).where(api_key.c.id == key_id).values(last_used_at_ms=now_ms))


async def _all(connection: Connection, condition: ColumnElement[bool]) -> list[ApiKey]:
    maker, revoker = account.alias("maker"), account.alias("revoker")
    names: tuple[Any, ...] = (maker.c.name.label("created_by"), revoker.c.name.label("revoked_by"))
    rows = await connection.rows(
        select(*KEPT_COLUMNS, *names)
        .outerjoin(maker, maker.c.id == api_key.c.created_by_id)
        .outerjoin(revoker, revoker.c.id == api_key.c.revoked_by_id)
        .where(condition)
        .order_by(api_key.c.created_at_ms.desc(), api_key.c.id)
    )
    blank = {"created_by": "", "revoked_by": ""}
    return [
        ApiKey(
            **{
                **row._mapping,
                **{name: row._mapping[name] or empty for name, empty in blank.items()},
                "scope": Scope(row.scope),
            }
        )
        for row in rows
    ]
