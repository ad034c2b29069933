"""/p/<project>/delete: the project goes, with everything that was counted for it.

Once its domain was typed; where mail is set up, by the link of a letter that goes to who typed it.
"""

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import deletion, removal
from vemetric.model.project import Project
from vemetric.web import context, forms, render
from vemetric.web.pages import confirm, shell
from vemetric.web.pages.confirm import Question

SECTION = "settings"


class Typed(msgspec.Struct, frozen=True):
    """What was typed to confirm."""

    typed: str


async def ask(request: web.Request) -> web.Response:
    """GET /p/<project>/delete"""
    project = await context.project_to_change(request)
    frame = await shell.values(request, project, SECTION)
    if "mailed" in request.query:
        email = context.of(request).signed_in.email
        return render.page(
            request, "pages/project/deletion_mailed.html", email=email, hours=deletion.LINK_HOURS, **frame
        )
    return confirm.ask(request, frame, _question(request, project))


async def take(request: web.Request) -> web.Response:
    """Delete it, or write the letter that the link for it is in."""
    project, form = await context.project_to_change(request), await forms.read(request, Typed)
    page, question = context.of(request), _question(request, project)
    services = page.services
    if not confirm.is_typed(question, form.typed):
        frame = await shell.values(request, project, SECTION)
        return confirm.ask(request, frame, question, "This is not the domain of the project.")
    if not services.post.is_set_up:
        return await _delete(request, project)
    await deletion.ask(services.keys, services.clock, services.post, services.secret, page.signed_in, project)
    return render.redirect(f"/p/{project.id}/delete?mailed=1")


async def remove_demo(request: web.Request) -> web.Response:
    """POST /p/<project>/demo/remove: made-up visits are asked nothing about."""
    project = await context.project_to_change(request)
    if not project.is_demo:
        raise errors.NotFound
    return await _delete(request, project)


async def ask_by_link(request: web.Request) -> web.Response:
    """GET /p/<project>/delete/<token>: changes nothing, because programs that look through mail open links too."""
    project = await _of_link(request)
    question = Question(
        f"Delete {project.name}", _sentences(project), "Delete the project", f"/p/{project.id}/settings"
    )
    return confirm.ask(request, await shell.values(request, project, SECTION), question)


async def delete_by_link(request: web.Request) -> web.Response:
    """POST /p/<project>/delete/<token>"""
    return await _delete(request, await _of_link(request))


async def _of_link(request: web.Request) -> Project:
    """The project of a link that works for this account. Raises NotFound."""
    project, page = await context.project_to_change(request), context.of(request)
    services, token = page.services, request.match_info["token"]
    if not deletion.is_open(services.secret, services.clock, token, page.signed_in.id, project.id):
        raise errors.NotFound
    return project


async def _delete(request: web.Request, project: Project) -> web.Response:
    services = context.of(request).services
    await removal.delete_project(services.database, services.queue, services.clock, project.id)
    services.projects.forget()
    return render.redirect(f"/o/{project.organization_id}")


def _sentences(project: Project) -> tuple[str, ...]:
    return (
        f"Everything that was counted for {project.domain} is erased: events, visits, users, funnels, API keys.",
        "What its sites go on sending is refused. This cannot be undone.",
    )


def _question(request: web.Request, project: Project) -> Question:
    by_letter = "A letter with a link that does it goes to your address."
    is_mailed = context.of(request).services.post.is_set_up
    return Question(
        f"Delete {project.name}",
        (*_sentences(project), *([by_letter] if is_mailed else [])),
        "Send the letter" if is_mailed else "Delete the project",
        f"/p/{project.id}/settings",
        typed=project.domain,
        label="Domain of the project",
    )
