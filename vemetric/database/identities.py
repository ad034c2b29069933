"""Which user id an identifier stands for within a project. An identity, once made, never changes until it is erased."""

from collections.abc import Iterable, Sequence

import sqlalchemy
from sqlalchemy import select

from vemetric import errors
from vemetric.database.database import Connection
from vemetric.database.tables import identity


async def by_identifier(connection: Connection, project_id: int, identifier: str) -> int | None:
    """The user id known by this identifier."""
    user_id: int | None = await connection.value(
        select(identity.c.user_id).where(identity.c.project_id == project_id, identity.c.identifier == identifier)
    )
    return user_id


async def by_user(connection: Connection, project_id: int, user_id: int) -> str | None:
    """The identifier of a user."""
    identifier: str | None = await connection.value(
        select(identity.c.identifier).where(identity.c.project_id == project_id, identity.c.user_id == user_id)
    )
    return identifier


async def named(connection: Connection, project_id: int, user_ids: Iterable[int]) -> set[int]:
    """Those of the users who are known by an identifier."""
    rows = await connection.rows(
        select(identity.c.user_id).where(identity.c.project_id == project_id, identity.c.user_id.in_(list(user_ids)))
    )
    return {row.user_id for row in rows}


async def insert_if_absent(connection: Connection, project_id: int, user_id: int, identifier: str, now_ms: int) -> int:
    """The user id of the identifier: `user_id` if this call made the identity, else the one that was first.

    Raises Conflict when the user id already stands for another identifier.
    """
    values = {"project_id": project_id, "user_id": user_id, "identifier": identifier, "created_at_ms": now_ms}
    if await connection.insert_if_absent(identity, values):
        return user_id
    known = await by_identifier(connection, project_id, identifier)
    if known is None:
        raise errors.Conflict("This user is already known by another identifier.")
    return known


async def forget(connection: Connection, project_id: int, user_ids: Sequence[int], before_ms: int) -> int:
    """Forget who these users of the project were before that time; returns how many were known."""
    where = (
        identity.c.project_id == project_id,
        identity.c.user_id.in_(user_ids),
        identity.c.created_at_ms < before_ms,
    )
    return await connection.change(sqlalchemy.delete(identity).where(*where))
