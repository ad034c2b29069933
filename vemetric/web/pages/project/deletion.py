"""GET and POST /p/<project>/delete: the project goes, with everything that was counted for it."""

import msgspec
from aiohttp import web

from vemetric.accounts import removal
from vemetric.model.project import Project
from vemetric.web import context, forms, render
from vemetric.web.pages import confirm, shell
from vemetric.web.pages.confirm import Question


class Typed(msgspec.Struct, frozen=True):
    """What was typed to confirm."""

    typed: str


async def ask(request: web.Request) -> web.Response:
    project = await context.project_to_change(request)
    return confirm.ask(request, await shell.values(request, project, "settings"), _question(project))


async def delete(request: web.Request) -> web.Response:
    """Delete it, once its domain was typed."""
    project, form = await context.project_to_change(request), await forms.read(request, Typed)
    question, services = _question(project), context.of(request).services
    if not confirm.is_typed(question, form.typed):
        frame = await shell.values(request, project, "settings")
        return confirm.ask(request, frame, question, "This is not the domain of the project.")
    await removal.delete_project(services.database, services.queue, services.clock, project.id)
    services.projects.forget()
    return render.redirect(f"/o/{project.organization_id}")


def _question(project: Project) -> Question:
    return Question(
        f"Delete {project.name}",
        (
            f"Everything that was counted for {project.domain} is erased: events, visits, users, funnels, API keys.",
            "What its sites go on sending is refused. This cannot be undone.",
        ),
        "Delete the project",
        f"/p/{project.id}/settings",
        typed=project.domain,
        label="Domain of the project",
    )
