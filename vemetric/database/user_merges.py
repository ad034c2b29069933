"""Who was merged into whom, and until when: what tells a late event whose it is. Written by workers/merge_user.py."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select

from vemetric.database.database import Connection
from vemetric.database.tables import user_merge

USERS_PER_STATEMENT = 500


class UserMerge(NamedTuple):
    """What a user did before `until_ms` is another user's. Merges compare in the order in which they count."""

    until_ms: int
    from_user_id: int
    into_user_id: int
    project_id: int


async def insert(connection: Connection, merges: Sequence[UserMerge]) -> None:
    """Note merges; one that is noted already stays as it is. Raises Conflict when a project does not exist."""
    for merge in merges:
        await connection.insert_if_absent(user_merge, merge._asdict())


async def of_users(connection: Connection, project_id: int, user_ids: Sequence[int]) -> list[UserMerge]:
    """The merges of these users into others, in order."""
    found: list[UserMerge] = []
    for start in range(0, len(user_ids), USERS_PER_STATEMENT):
        some = user_ids[start : start + USERS_PER_STATEMENT]
        rows = await connection.rows(
            _COLUMNS.where(user_merge.c.project_id == project_id, user_merge.c.from_user_id.in_(some))
        )
        found += [UserMerge._make(row) for row in rows]
    return sorted(found)


async def into_user(connection: Connection, project_id: int, user_id: int) -> list[int]:
    """The users that were merged into this one, directly or over others."""
    found: set[int] = set()
    asked = [user_id]
    while asked:
        where = (user_merge.c.project_id == project_id, user_merge.c.into_user_id.in_(asked[:USERS_PER_STATEMENT]))
        rows = await connection.rows(select(user_merge.c.from_user_id).where(*where))
        new = {row.from_user_id for row in rows} - found - {user_id}
        found |= new
        asked = asked[USERS_PER_STATEMENT:] + sorted(new)
    return sorted(found)


async def since(connection: Connection, until_ms: int) -> list[UserMerge]:
    """The merges of all projects that hold until later than this, in order."""
    rows = await connection.rows(_COLUMNS.where(user_merge.c.until_ms > until_ms))
    return sorted(UserMerge._make(row) for row in rows)


_COLUMNS = select(user_merge.c.until_ms, user_merge.c.from_user_id, user_merge.c.into_user_id, user_merge.c.project_id)
