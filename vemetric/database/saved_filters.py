"""Sets of filters that projects keep under names."""

from typing import Any

import sqlalchemy
from sqlalchemy import func, select

from vemetric.database.database import Connection
from vemetric.database.tables import saved_filter
from vemetric.model import filters
from vemetric.model.saved_filter import SavedFilter


async def create(connection: Connection, new: SavedFilter) -> None:
    """Keep a new one."""
    values = {
        "id": new.id,
        "project_id": new.project_id,
        "name": new.name,
        "icon": new.icon,
        "filters": filters.to_json(new.filters),
        "created_at_ms": new.created_at_ms,
        "updated_at_ms": new.created_at_ms,
    }
    await connection.change(sqlalchemy.insert(saved_filter).values(**values))


async def of_project(connection: Connection, project_id: int) -> list[SavedFilter]:
    """Those of a project, the oldest first; without any whose filters can no longer be read."""
    columns = saved_filter.c
    rows = await connection.rows(
        select(columns.id, columns.name, columns.icon, columns.filters, columns.created_at_ms)
        .where(columns.project_id == project_id)
        .order_by(columns.created_at_ms, columns.id)
    )
    return [
        SavedFilter(row.id, project_id, row.name, group, row.icon, row.created_at_ms)
        for row in rows
        if (group := filters.from_json(row.filters)) is not None
    ]


async def count(connection: Connection, project_id: int) -> int:
    """How many a project has."""
    found: int = await connection.value(
        select(func.count()).select_from(saved_filter).where(saved_filter.c.project_id == project_id)
    )
    return found


async def change(connection: Connection, project_id: int, id_: str, values: dict[str, Any], now_ms: int) -> bool:
    """Store some of name, icon and filters (a Group); False if there is none of that id in the project."""
    stored = {name: filters.to_json(value) if name == "filters" else value for name, value in values.items()}
    return bool(
        await connection.change(
            sqlalchemy.update(saved_filter).where(*_is(project_id, id_)).values(**stored, updated_at_ms=now_ms)
        )
    )


async def delete(connection: Connection, project_id: int, id_: str) -> bool:
    """Forget one; False if there is none of that id in the project."""
    return bool(await connection.change(sqlalchemy.delete(saved_filter).where(*_is(project_id, id_))))


def _is(project_id: int, id_: str) -> tuple[Any, Any]:
    return saved_filter.c.project_id == project_id, saved_filter.c.id == id_
