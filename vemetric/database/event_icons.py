"""The icons of a project's events."""

import sqlalchemy
from sqlalchemy import select

from vemetric.database.database import Connection
from vemetric.database.tables import event_icon


async def of_project(connection: Connection, project_id: int) -> dict[str, str]:
    """Icons by the names of events, in the order of the names."""
    rows = await connection.rows(
        select(event_icon.c.event_name, event_icon.c.icon)
        .where(event_icon.c.project_id == project_id)
        .order_by(event_icon.c.event_name)
    )
    return {row.event_name: row.icon for row in rows}


async def put(connection: Connection, project_id: int, event_name: str, icon: str) -> None:
    """Give an event an icon, in place of one it has."""
    values = {"project_id": project_id, "event_name": event_name, "icon": icon}
    if not await connection.insert_if_absent(event_icon, values):
        where = (event_icon.c.project_id == project_id, event_icon.c.event_name == event_name)
        await connection.change(sqlalchemy.update(event_icon).where(*where).values(icon=icon))


async def delete(connection: Connection, project_id: int, event_name: str) -> bool:
    """Take an event's icon away; False if it has none."""
    where = (event_icon.c.project_id == project_id, event_icon.c.event_name == event_name)
    return await connection.change(sqlalchemy.delete(event_icon).where(*where)) == 1
