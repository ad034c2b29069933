"""/admin/schedule: what recurs, when it ran and runs next, and why it failed; each can be run now."""

from aiohttp import web

from vemetric import errors
from vemetric.queues import schedule
from vemetric.web import context, render
from vemetric.web.pages.admin import frame


async def show(request: web.Request) -> web.Response:
    """The entries that processes with workers know."""
    found = await schedule.statuses(context.of(request).services.keys)
    return frame.page(request, "schedule", "schedule", entries=sorted(found.items()))


async def run(request: web.Request) -> web.Response:
    """POST /admin/schedule/<entry>: let it be due now; a process with workers runs it."""
    services = context.of(request).services
    if not await schedule.run_soon(services.keys, services.clock, request.match_info["entry"]):
        raise errors.NotFound
    return render.redirect("/admin/schedule?said=asked")
