"""The page of a project without any event: snippets for this server, and live what the hub sees of them."""

import asyncio
import json

from aiohttp import web

from vemetric import errors
from vemetric.database import projects as stored_projects
from vemetric.model.project import Project
from vemetric.web import context, headers, render
from vemetric.web import seen as tapped
from vemetric.web.context import Context
from vemetric.web.live import LIVE
from vemetric.web.pages import shell

CLOSING = web.AppKey("closing", asyncio.Event)

LOOK_SECONDS = 0.5
# A stream ends after so long; browsers open it again, and are recognized anew.
STREAM_SECONDS_MAX = 600


async def show(request: web.Request, project: Project) -> web.Response:
    """Snippets and what was seen so far."""
    page = context.of(request)
    frame = await shell.values(request, project, "dashboard")
    return render.page(request, "pages/install.html", seen=await seen(page, project), **frame)


async def seen(page: Context, project: Project) -> list[tapped.Line]:
    """What the hub saw lately. Others than the operator see of no project's requests what may be this one's only."""
    services = page.services
    await services.tap.watch(project.id)
    found = await tapped.entries(services.keys, project, page.signed_in.is_operator, services.clock.now_ms())
    return tapped.lines(found, project)


async def watch(request: web.Request) -> web.StreamResponse:
    """GET /p/<project>/waiting: server-sent events, `seen` with the list whenever it changes, `ready` at the end."""
    project = await context.project_of(request)
    response = web.StreamResponse(
        headers={**headers.SECURITY, **headers.NO_STORE, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
    )
    page = context.of(request)
    with request.app[LIVE].stream(page.signed_in.id, page.ip):
        await response.prepare(request)
        if request.method != "HEAD":
            await _tell(request, project, response)
    return response


async def _tell(request: web.Request, project: Project, response: web.StreamResponse) -> None:
    """Write what changes until there is an event, the page is gone, the process ends, or the stream is old."""
    shown = ""
    try:
        for _ in range(int(STREAM_SECONDS_MAX / LOOK_SECONDS)):
            if await _has_event(request, project):
                await response.write(b"event: ready\ndata: 1\n\n")
                break
            html = render.text(request, "panels/seen.html", seen=await seen(context.of(request), project))
            changed = f"event: seen\ndata: {json.dumps(html)}\n\n" if html != shown else ": still waiting\n\n"
            await response.write(changed.encode())
            shown = html
            if await _is_closing(request):
                break
        await response.write_eof()
    except (ConnectionResetError, errors.Unavailable):
        # The page is gone, or opens the stream again later.
        pass


async def _has_event(request: web.Request, project: Project) -> bool:
    async with context.of(request).services.database.connect() as connection:
        now = await stored_projects.by_id(connection, project.id)
    return now is None or now.first_event_at_ms is not None


async def _is_closing(request: web.Request) -> bool:
    """Wait until it is time to look again; True when the process ends."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            return await request.app[CLOSING].wait()
    except TimeoutError:
        return False
