"""/p/<project>/funnels/new, and .../<funnel>/edit and /delete: admins draw up, change and delete funnels."""

from typing import Any

from aiohttp import web

from vemetric import errors
from vemetric.accounts import funnels
from vemetric.model import timespan
from vemetric.model.funnel import Funnel
from vemetric.model.project import Project
from vemetric.model.timespan import Timespan
from vemetric.stats import suggestions
from vemetric.web import context, filter_forms, forms, funnel_form, render
from vemetric.web.funnel_form import Form
from vemetric.web.pages import confirm, shell
from vemetric.web.pages.confirm import Question

# The button that keeps the funnel; the others change the form.
SAVE = "save"
SUGGESTED = ("path", "origin", "event", "property")
SUGGESTED_DAYS = Timespan("30days")


async def show_new(request: web.Request) -> web.Response:
    """An empty form."""
    return await _page(request, await context.project_to_change(request), None, funnel_form.blank(), {})


async def create(request: web.Request) -> web.Response:
    """Make a funnel, or change the form as one of its buttons says."""
    return await _take(request, await context.project_to_change(request), None)


async def show(request: web.Request) -> web.Response:
    """The form of a funnel."""
    project = await context.project_to_change(request)
    funnel = await _funnel(request, project)
    return await _page(request, project, funnel, funnel_form.of_funnel(funnel), {})


async def change(request: web.Request) -> web.Response:
    """Change a funnel, or the form as one of its buttons says."""
    project = await context.project_to_change(request)
    return await _take(request, project, await _funnel(request, project))


async def ask_to_delete(request: web.Request) -> web.Response:
    """GET /p/<project>/funnels/<funnel>/delete"""
    project = await context.project_to_change(request)
    funnel = await _funnel(request, project)
    question = Question(
        f"Delete the funnel {funnel.name}",
        (
            "Its steps are forgotten. What users did stays as it is.",
            "Filters that name this funnel, also saved ones, restrict nothing any more.",
        ),
        "Delete the funnel",
        f"/p/{project.id}/funnels/{funnel.id}",
    )
    return confirm.ask(request, await shell.values(request, project, "funnels"), question)


async def delete(request: web.Request) -> web.Response:
    """Delete it."""
    project = await context.project_to_change(request)
    await funnels.delete(context.of(request).services.database, project.id, request.match_info["funnel"])
    return render.redirect(f"/p/{project.id}/funnels?saved=deleted")


async def _take(request: web.Request, project: Project, funnel: Funnel | None) -> web.Response:
    typed = await forms.text_fields(request)
    form, button = funnel_form.read(typed), typed.get("do", SAVE)
    if button != SAVE:
        return await _page(request, project, funnel, funnel_form.acted(form, button), {})
    services = context.of(request).services
    try:
        drawn = funnel_form.drawn(form)
        if funnel is None:
            kept = await funnels.make(services.database, services.clock, project.id, drawn)
        else:
            kept = await funnels.change(services.database, services.clock, project.id, funnel.id, drawn)
    except (errors.Invalid, errors.Conflict) as error:
        return await _page(request, project, funnel, form, render.problems_of(error, "name"))
    return render.redirect(f"/p/{project.id}/funnels/{kept.id}?saved=1")


async def _funnel(request: web.Request, project: Project) -> Funnel:
    return await funnels.find(context.of(request).services.database, project.id, request.match_info["funnel"])


async def _page(
    request: web.Request, project: Project, funnel: Funnel | None, form: Form, problems: dict[str, str]
) -> web.Response:
    base = f"/p/{project.id}/funnels"
    return render.page(
        request,
        "pages/funnel_edit.html",
        status=400 if problems else 200,
        form=form,
        problems=problems,
        funnel=funnel,
        action=f"{base}/{funnel.id}/edit" if funnel is not None else f"{base}/new",
        back=f"{base}/{funnel.id}" if funnel is not None else base,
        steps_max=funnels.STEPS_MAX,
        units=funnel_form.UNITS,
        suggested=await _suggested(request, project),
        text_operators=filter_forms.TEXT_OPERATORS,
        property_operators=filter_forms.PROPERTY_OPERATORS,
        **await shell.values(request, project, "funnels"),
    )


async def _suggested(request: web.Request, project: Project) -> dict[str, Any]:
    """Values by field; none while the store is busy: a person may type them."""
    services = context.of(request).services
    range_ = timespan.resolve(SUGGESTED_DAYS, services.clock.now_ms(), project.time_zone)
    try:
        return dict(await suggestions.of_fields(services.engine, project, range_, list(SUGGESTED)))
    except (errors.StoreError, errors.Unavailable):
        return {name: [] for name in SUGGESTED}
