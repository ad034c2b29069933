"""Data through the front door: hits go in as the hub hands them over, and the workers do the rest."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec

from vemetric import workers
from vemetric.accounts import projects
from vemetric.ingest import jobs
from vemetric.ingest.accept import Left, Prepared
from vemetric.ingest.hit import PAGE_VIEW, EventHit
from vemetric.ingest.who import Sender
from vemetric.model import geo, ids
from vemetric.model.geo import Geo
from vemetric.model.project import Project
from vemetric.queues.lease import Lease
from vemetric.services import Services

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36"
)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)
CLAIM_JOBS = 10_000

T = TypeVar("T")


async def a_project(services: Services, domain: str | None = None, time_zone: str = "UTC") -> Project:
    """A project of its own for a test, in the only organization."""
    name = domain or f"{ids.random_id(10).lower()}.example.com"
    return await projects.create_by_operator(services.database, services.clock, name, name, time_zone)


def sender(project: Project, ip: str = "203.0.113.7", user_agent: str | None = CHROME, **changes: Any) -> Sender:
    """A visitor without cookies, known by address and browser."""
    visitor = Sender(project.id, ip, user_agent, None, None, None, allow_cookies=False)
    return msgspec.structs.replace(visitor, **changes)


async def event(
    services: Services,
    project: Project,
    name: str = PAGE_VIEW,
    *,
    path: str = "/",
    who: Sender | None = None,
    place: Geo = geo.UNKNOWN,
    referrer: str | None = None,
    data: dict[str, Any] | None = None,
    url: str | None = None,
) -> Prepared:
    """One event at the clock's time, accepted and queued."""
    who = who or sender(project)
    hit = EventHit(
        name=name,
        url=url or f"https://{project.domain}{path}",
        custom_data=msgspec.UNSET if data is None else msgspec.Raw(msgspec.json.encode(data)),
    )
    headers = {"v-sdk": "script"}
    if who.user_agent is not None:
        headers["user-agent"] = who.user_agent
    if referrer is not None:
        headers["v-referrer"] = referrer
    return await services.intake.event(hit, project, who, jobs.pack_headers(headers), place)


async def leave(services: Services, project: Project, who: Sender | None = None) -> Left:
    """A page is left at the clock's time."""
    return await services.intake.leave(project, who or sender(project))


async def settle(services: Services) -> None:
    """Let the workers do everything that is queued and what follows from it."""
    handlers = workers.handlers(services)
    busy = True
    while busy:
        busy = False
        for queue, handler in handlers.items():
            claimed = await services.queue.claim(queue, CLAIM_JOBS, 60)
            if claimed:
                busy = True
                write = await handler(claimed, Lease(services.clock, claimed[0].lease_until_ms))
                await services.queue.ack(claimed, write)


async def while_working(services: Services, waiting: Coroutine[Any, Any, T]) -> T:
    """Wait for something that needs the workers, and let them work meanwhile."""
    task = asyncio.ensure_future(waiting)
    while not task.done():
        await settle(services)
        await asyncio.wait((task,), timeout=0.01)
    return await task
