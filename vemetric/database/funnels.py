"""Funnels of projects."""

from typing import Any

import msgspec
import sqlalchemy
from sqlalchemy import func, select

from vemetric.database.database import Connection
from vemetric.database.tables import funnel
from vemetric.model.funnel import Funnel, Step


async def create(connection: Connection, project_id: int, new: Funnel) -> None:
    """Keep a new one."""
    times = {"created_at_ms": new.created_at_ms, "updated_at_ms": new.updated_at_ms}
    values = {"id": new.id, "project_id": project_id} | _values(new) | times
    await connection.change(sqlalchemy.insert(funnel).values(**values))


async def of_project(connection: Connection, project_id: int) -> list[Funnel]:
    """Those of a project, the oldest first; without any whose steps can no longer be read."""
    rows = await connection.rows(
        select(funnel).where(funnel.c.project_id == project_id).order_by(funnel.c.created_at_ms, funnel.c.id)
    )
    return [found for row in rows if (found := _funnel(row)) is not None]


async def by_id(connection: Connection, project_id: int, id_: str) -> Funnel | None:
    """The project's funnel of an id."""
    rows = await connection.rows(select(funnel).where(*_is(project_id, id_)))
    return _funnel(rows[0]) if rows else None


async def count(connection: Connection, project_id: int) -> int:
    """How many a project has."""
    found: int = await connection.value(
        select(func.count()).select_from(funnel).where(funnel.c.project_id == project_id)
    )
    return found


async def change(connection: Connection, project_id: int, changed: Funnel) -> bool:
    """Store all but the id and the time of creation; False if the project has none of that id."""
    values = _values(changed) | {"updated_at_ms": changed.updated_at_ms}
    return bool(await connection.change(sqlalchemy.update(funnel).where(*_is(project_id, changed.id)).values(**values)))


async def delete(connection: Connection, project_id: int, id_: str) -> bool:
    """Forget one; False if the project has none of that id."""
    return bool(await connection.change(sqlalchemy.delete(funnel).where(*_is(project_id, id_))))


def _is(project_id: int, id_: str) -> tuple[Any, Any]:
    return funnel.c.project_id == project_id, funnel.c.id == id_


def _values(one: Funnel) -> dict[str, Any]:
    return {
        "name": one.name,
        "icon": one.icon,
        "steps": msgspec.to_builtins(one.steps),
        "window_seconds": one.window_seconds,
    }


def _funnel(row: Any) -> Funnel | None:
    try:
        steps = msgspec.convert(row.steps, tuple[Step, ...])
    except msgspec.ValidationError:
        return None
    return Funnel(row.id, row.name, steps, row.icon, row.window_seconds, row.created_at_ms, row.updated_at_ms)
