"""GET and POST /o/<organization>/settings: its name, and the ways out: leaving it, deleting it."""

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import members, organizations, removal
from vemetric.model.organization import Organization
from vemetric.web import context, forms, render
from vemetric.web.pages import confirm, shell
from vemetric.web.pages.confirm import Question

AREA = "general"


class Name(msgspec.Struct, frozen=True):
    """The form of the name."""

    name: str


class Typed(msgspec.Struct, frozen=True):
    """What was typed to confirm."""

    typed: str


async def show(request: web.Request) -> web.Response:
    organization = await context.organization_of(request)
    return await _page(request, organization, Name(organization.name), {})


async def save(request: web.Request) -> web.Response:
    """Rename it."""
    organization, form = await context.organization_to_change(request), await forms.read(request, Name)
    try:
        await organizations.rename(context.of(request).services.database, organization.id, form.name)
    except errors.Invalid as error:
        return await _page(request, organization, form, error.fields)
    return render.redirect(f"/o/{organization.id}/settings?saved=1")


async def ask_to_leave(request: web.Request) -> web.Response:
    """GET /o/<organization>/leave"""
    return await _leave_page(request, await context.organization_of(request))


async def leave(request: web.Request) -> web.Response:
    """Go; the last admin cannot."""
    page, organization = context.of(request), await context.organization_of(request)
    try:
        await members.remove(page.services.database, organization.id, page.signed_in.id)
    except errors.Conflict as error:
        return await _leave_page(request, organization, error.message)
    return render.redirect("/")


async def ask_to_delete(request: web.Request) -> web.Response:
    """GET /o/<organization>/delete"""
    organization = await context.organization_to_change(request)
    return confirm.ask(request, await _frame(request, organization), _deletion(organization))


async def delete(request: web.Request) -> web.Response:
    """Delete it with its projects and all their data, once its name was typed."""
    organization, form = await context.organization_to_change(request), await forms.read(request, Typed)
    question, services = _deletion(organization), context.of(request).services
    if not confirm.is_typed(question, form.typed):
        frame = await _frame(request, organization)
        return confirm.ask(request, frame, question, "This is not the name of the organization.")
    await removal.delete_organization(services.database, services.queue, services.clock, organization.id)
    services.projects.forget()
    return render.redirect("/")


def _deletion(organization: Organization) -> Question:
    return Question(
        f"Delete {organization.name}",
        (
            "Its projects are deleted, with everything that was ever counted for them, and so are its members’ "
            "access, its invitations and its API keys.",
            "This cannot be undone.",
        ),
        "Delete the organization",
        f"/o/{organization.id}/settings",
        typed=organization.name,
        label="Name of the organization",
    )


async def _leave_page(request: web.Request, organization: Organization, problem: str = "") -> web.Response:
    question = Question(
        f"Leave {organization.name}",
        (*([problem] if problem else []), "You lose sight of its projects; an admin can invite you again."),
        "Leave",
        f"/o/{organization.id}/settings",
    )
    response = confirm.ask(request, await _frame(request, organization), question)
    if problem:
        response.set_status(409)
    return response


async def _frame(request: web.Request, organization: Organization) -> dict[str, object]:
    return await shell.organization_settings(request, organization, AREA)


async def _page(request: web.Request, organization: Organization, form: Name, problems: dict[str, str]) -> web.Response:
    page, frame = context.of(request), await _frame(request, organization)
    ids = [one.account_id for one in await members.of_organization(page.services.database, organization.id)]
    return render.page(
        request,
        "pages/organization/general.html",
        status=400 if problems else 200,
        organization=organization,
        form=form,
        problems=problems,
        is_member=page.signed_in.id in ids,
        is_saved="Saved." if "saved" in request.query and not problems else "",
        **frame,
    )
