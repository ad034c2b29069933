"""What the public dashboards of projects ask of those who look; a project without a row asks nothing."""

import sqlalchemy
from sqlalchemy import select

from vemetric.database.database import Connection
from vemetric.database.tables import public_access
from vemetric.model.public_access import OPEN, PublicAccess


async def of_project(connection: Connection, project_id: int) -> PublicAccess:
    """What a project's asks."""
    columns = public_access.c
    rows = await connection.rows(
        select(columns.link_salt, columns.password_hash).where(columns.project_id == project_id)
    )
    return PublicAccess(rows[0].link_salt, rows[0].password_hash) if rows else OPEN


async def put(connection: Connection, project_id: int, access: PublicAccess) -> None:
    """Keep it instead of what was there."""
    await connection.change(sqlalchemy.delete(public_access).where(public_access.c.project_id == project_id))
    if not access.is_open:
        values = {"project_id": project_id, "link_salt": access.link_salt, "password_hash": access.password_hash}
        await connection.change(sqlalchemy.insert(public_access).values(**values))
