"""GET /p/<project>/settings/installation: the snippets, and the live tap: what the hub saw in the last 15 minutes."""

from aiohttp import web

from vemetric.web import context, render
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
        **frame,
    )
