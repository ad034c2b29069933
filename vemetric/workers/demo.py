"""Lets the demo project live on, every minute. Run by the schedule; without a demo it costs one question."""

from vemetric.database import projects
from vemetric.ingest import demo
from vemetric.model.project import DEMO_DOMAIN
from vemetric.services import Services

MINUTE_MS = 60_000


def minutely(ms: int) -> int:
    """The next full minute after `ms`."""
    return (ms // MINUTE_MS + 1) * MINUTE_MS


async def go_on(services: Services) -> None:
    """Put what happened in the demo since the last time."""
    async with services.database.connect() as connection:
        project = await projects.by_domain(connection, DEMO_DOMAIN)
    if project is not None:
        await demo.fill(services.queue, services.keys, services.clock, project)
