"""GET /p/<project>/settings/installation: the snippets, and the live tap: what the hub saw and what became of it."""

from aiohttp import web

from vemetric.web import context, render
from vemetric.web import seen as tapped
from vemetric.web.pages import install, shell

AREA = "installation"


async def show(request: web.Request) -> web.Response:
    """Snippets and requests."""
    project = await context.project_of(request)
    page, frame = context.of(request), await shell.project_settings(request, project, AREA)
    return render.page(
        request,
        "pages/project/installation.html",
        seen=await install.seen(page, project),
        counts=await tapped.last_day(page.services.keys, project, page.services.clock.now_ms()),
        **frame,
    )
