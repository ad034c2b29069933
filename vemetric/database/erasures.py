"""What was erased, and how many events: explains to verify what is no longer stored. Written by workers/erase.py.

User 0 stands for a whole project. The rows outlive the project.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, select

from vemetric.database.database import Connection
from vemetric.database.tables import erasure

WHOLE_PROJECT = 0
USERS_PER_STATEMENT = 500


class Erased(NamedTuple):
    """Everything of a user, or of a project, that was accepted before `until_ms`."""

    project_id: int
    user_id: int
    until_ms: int


async def mark(connection: Connection, erased: Iterable[Erased]) -> None:
    """Note what is being erased; of what is noted already the later time counts."""
    for one in erased:
        if not await connection.insert_if_absent(erasure, one._asdict()):
            await connection.change(
                erasure.update()
                .where(*_is(one.project_id, one.user_id), erasure.c.until_ms < one.until_ms)
                .values(until_ms=one.until_ms)
            )


async def since(connection: Connection, until_ms: int) -> list[Erased]:
    """What was erased until this time or a later one, of all projects."""
    columns = select(erasure.c.project_id, erasure.c.user_id, erasure.c.until_ms)
    rows = await connection.rows(columns.where(erasure.c.until_ms >= until_ms))
    return [Erased._make(row) for row in rows]


async def leaving(connection: Connection, project_id: int, user_ids: Iterable[int]) -> int:
    """How many events of these a run that did not end was about to remove."""
    where = (erasure.c.project_id == project_id, erasure.c.user_id.in_(list(user_ids)))
    count: int | None = await connection.value(select(func.sum(erasure.c.events_leaving)).where(*where))
    return int(count or 0)


async def begun(connection: Connection, project_id: int, user_ids: Iterable[int]) -> int | None:
    """Until when a run that did not end was about to remove what these did; None if there is no such run."""
    where = (erasure.c.project_id == project_id, erasure.c.user_id.in_(list(user_ids)), erasure.c.events_leaving > 0)
    until_ms: int | None = await connection.value(select(func.max(erasure.c.until_ms)).where(*where))
    return until_ms


async def noted(connection: Connection, project_id: int, user_ids: Iterable[int], until_ms: int) -> set[int]:
    """Those of the users of whom everything until that time, or a later one, is being erased or was."""
    where = (erasure.c.project_id == project_id, erasure.c.user_id.in_(list(user_ids)), erasure.c.until_ms >= until_ms)
    return {row.user_id for row in await connection.rows(select(erasure.c.user_id).where(*where))}


async def under_way(connection: Connection, project_id: int, user_ids: Sequence[int]) -> set[int]:
    """Those of the users whose events a run that did not end was about to remove."""
    found: set[int] = set()
    for start in range(0, len(user_ids), USERS_PER_STATEMENT):
        some = user_ids[start : start + USERS_PER_STATEMENT]
        where = (erasure.c.project_id == project_id, erasure.c.user_id.in_(some), erasure.c.events_leaving > 0)
        found.update(row.user_id for row in await connection.rows(select(erasure.c.user_id).where(*where)))
    return found


async def set_leaving(connection: Connection, project_id: int, events: Mapping[int, int]) -> None:
    """Note how many events of each are about to be removed."""
    for user_id, count in events.items():
        await connection.change(erasure.update().where(*_is(project_id, user_id)).values(events_leaving=count))


async def settle(connection: Connection, project_id: int, user_ids: Iterable[int]) -> None:
    """Those that were about to be removed are."""
    for user_id in user_ids:
        await connection.change(
            erasure.update()
            .where(*_is(project_id, user_id))
            .values(events=erasure.c.events + erasure.c.events_leaving, events_leaving=0)
        )


async def leaving_by_project(connection: Connection) -> dict[int, int]:
    """How many events runs that did not end yet are about to remove, by project."""
    columns = select(erasure.c.project_id, func.sum(erasure.c.events_leaving)).group_by(erasure.c.project_id)
    rows: Sequence[Any] = await connection.rows(columns)
    return {project_id: int(count) for project_id, count in rows if count}


async def events_by_project(connection: Connection) -> dict[int, int]:
    """How many events were removed from the store, by project."""
    columns = select(erasure.c.project_id, func.sum(erasure.c.events)).group_by(erasure.c.project_id)
    rows: Sequence[Any] = await connection.rows(columns)
    return {project_id: int(count) for project_id, count in rows}


def _is(project_id: int, user_id: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return erasure.c.project_id == project_id, erasure.c.user_id == user_id
