"""GET and POST /p/<project>/settings/icons: the icons of events."""

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import event_icons
from vemetric.model.project import Project
from vemetric.web import context, forms, render
from vemetric.web.pages import shell

AREA = "icons"


class Form(msgspec.Struct, frozen=True):
    """An event and its icon; without one the event is to have none."""

    event_name: str
    icon: str


async def show(request: web.Request) -> web.Response:
    form = Form(request.query.get("event", ""), "")
    return await _page(request, await context.project_of(request), form, {})


async def save(request: web.Request) -> web.Response:
    """Give an event an icon, or take it away."""
    project, form = await context.project_to_change(request), await forms.read(request, Form)
    database = context.of(request).services.database
    try:
        if form.icon:
            await event_icons.put(database, project.id, form.event_name, form.icon)
        else:
            await event_icons.remove(database, project.id, form.event_name)
    except (errors.Invalid, errors.Conflict) as error:
        return await _page(request, project, form, render.problems_of(error, "event_name"))
    return render.redirect(f"/p/{project.id}/settings/icons?saved=1")


async def _page(request: web.Request, project: Project, form: Form, problems: dict[str, str]) -> web.Response:
    frame = await shell.project_settings(request, project, AREA)
    return render.page(
        request,
        "pages/project/icons.html",
        status=400 if problems else 200,
        icons=await event_icons.of_project(context.of(request).services.database, project.id),
        form=form,
        problems=problems,
        is_saved="Saved." if "saved" in request.query and not problems else "",
        **frame,
    )
