"""Funnels of projects."""

from typing import Any

import msgspec
from sqlalchemy import select

from vemetric.database.database import Connection
from vemetric.database.tables import funnel
from vemetric.model.funnel import Funnel, Step


async def of_project(connection: Connection, project_id: int) -> list[Funnel]:
    """Those of a project, the oldest first; without any whose steps can no longer be read."""
    rows = await connection.rows(
        select(funnel).where(funnel.c.project_id == project_id).order_by(funnel.c.created_at_ms, funnel.c.id)
    )
    return [found for row in rows if (found := _funnel(row)) is not None]


def _funnel(row: Any) -> Funnel | None:
    try:
        steps = msgspec.convert(row.steps, tuple[Step, ...])
    except msgspec.ValidationError:
        return None
    return Funnel(row.id, row.name, steps, row.icon, created_at_ms=row.created_at_ms, updated_at_ms=row.updated_at_ms)
