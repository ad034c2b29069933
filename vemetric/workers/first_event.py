"""Tell projects when their first event was, every quarter of an hour: for what the session worker could not tell."""

from vemetric.clickhouse import users
from vemetric.database import projects
from vemetric.services import Services

QUARTER_MS = 15 * 60_000


def quarterly(ms: int) -> int:
    """The next full quarter of an hour after `ms`."""
    return (ms // QUARTER_MS + 1) * QUARTER_MS


async def note(services: Services) -> None:
    """Note the first event of projects that have events and do not know it. Safe to run at any time."""
    async with services.database.connect() as connection:
        waiting = await projects.without_first_event(connection)
    if not waiting:
        return
    first = await users.first_events(services.engine, [project.id for project in waiting])
    for project_id, first_ms in first.items():
        async with services.database.begin() as connection:
            await projects.set_first_event_at(connection, project_id, first_ms)
    if first:
        services.projects.forget()
