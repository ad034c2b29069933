"""GET /o/<organization>/settings/members and its forms: who is in, who may come in, and what they may see."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import invitations, limits, members
from vemetric.clock import Clock
from vemetric.database import projects as stored_projects
from vemetric.mail import letters
from vemetric.model.organization import Invitation, Member, Organization, Role
from vemetric.model.project import Project
from vemetric.web import context, forms, render
from vemetric.web.context import Context
from vemetric.web.pages import confirm, shell
from vemetric.web.pages.confirm import Question

AREA = "members"


class Access(msgspec.Struct, frozen=True):
    """A role, and whether only some projects may be seen: `on` where restricted. email: whom to mail a new link."""

    role: str
    restricted: str
    email: str


class Shown(NamedTuple):
    """An invitation as it is listed."""

    invitation: Invitation
    has_run_out: bool


async def show(request: web.Request) -> web.Response:
    """Members and invitations."""
    organization = await context.organization_to_change(request)
    return await _page(request, organization, Access("member", "", ""), (), {})


async def invite(request: web.Request) -> web.Response:
    """Make an invitation; its link is on the page, and in a letter where an address was given."""
    page, organization = context.of(request), await context.organization_to_change(request)
    form, chosen = await _read(request)
    services = page.services
    try:
        made = await invitations.create(
            services.database,
            services.clock,
            organization.id,
            page.signed_in,
            _role(form),
            chosen if form.restricted else None,
            form.email,
        )
    except (errors.Invalid, errors.Conflict) as error:
        return await _page(request, organization, form, chosen, render.problems_of(error, "email"))
    is_sent = made.email is None or await _mail(page, organization, made, made.email)
    said = "invited" if is_sent else "unsent"
    return render.redirect(f"/o/{organization.id}/settings/members?{said}=1#invitations")


async def _mail(page: Context, organization: Organization, made: Invitation, email: str) -> bool:
    """Send the link, unless too many letters went there or came from this account: the address is anybody's."""
    services, by = page.services, page.signed_in
    if not await limits.allows(services.keys, services.clock, limits.INVITATIONS, by.id):
        return False
    if not await limits.allows(services.keys, services.clock, limits.LETTERS_TO_ADDRESS, f"invitation {email}"):
        return False
    url = f"{services.post.url}{invitations.PATH}/{made.token}"
    words = letters.invitation(organization.name, by.name, by.email, url, invitations.VALID_DAYS)
    await services.post.send(words, email)
    return True


async def revoke(request: web.Request) -> web.Response:
    """Take an invitation back."""
    organization = await context.organization_to_change(request)
    database = context.of(request).services.database
    if not await invitations.revoke(database, organization.id, request.match_info["token"]):
        raise errors.NotFound
    return render.redirect(f"/o/{organization.id}/settings/members#invitations")


async def show_member(request: web.Request) -> web.Response:
    """GET /o/<organization>/settings/members/<account>: role and projects of one member."""
    organization = await context.organization_to_change(request)
    member = await _member(request, organization)
    form = Access(member.role.value, "on" if member.project_ids is not None else "", "")
    return await _member_page(request, organization, member, form, member.project_ids or (), {})


async def change_member(request: web.Request) -> web.Response:
    """Store them. Nobody changes the own role: an admin who did by mistake could not undo it."""
    organization = await context.organization_to_change(request)
    member, (form, chosen) = await _member(request, organization), await _read(request)
    database = context.of(request).services.database
    try:
        if member.account_id == context.of(request).signed_in.id:
            raise errors.Invalid(None, {"role": "Another admin has to change your role."})
        only = chosen if form.restricted else None
        await members.change(database, organization.id, member.account_id, _role(form), only)
    except (errors.Invalid, errors.Conflict) as error:
        problems = render.problems_of(error, "role")
        return await _member_page(request, organization, member, form, chosen, problems)
    return render.redirect(f"/o/{organization.id}/settings/members?saved=1")


async def ask_to_remove(request: web.Request) -> web.Response:
    """GET /o/<organization>/settings/members/<account>/remove"""
    organization = await context.organization_to_change(request)
    member = await _member(request, organization)
    question = Question(
        f"Remove {member.name}",
        (f"{member.name} ({member.email}) loses sight of {organization.name} and its projects.",),
        "Remove",
        f"/o/{organization.id}/settings/members",
    )
    return confirm.ask(request, await _frame(request, organization), question)


async def remove(request: web.Request) -> web.Response:
    """Let a member out; oneself one leaves by another page."""
    organization = await context.organization_to_change(request)
    member = await _member(request, organization)
    if member.account_id == context.of(request).signed_in.id:
        raise errors.Invalid("Leave the organization on its settings' page instead.")
    await members.remove(context.of(request).services.database, organization.id, member.account_id)
    return render.redirect(f"/o/{organization.id}/settings/members?saved=1")


async def _read(request: web.Request) -> tuple[Access, list[int]]:
    """The form, and the ids of the projects that are ticked."""
    form = await forms.read(request, Access)
    ticked = await forms.choices(request, "project")
    return form, [int(text) for text in ticked if context.is_project_id(text)]


def _role(form: Access) -> Role:
    if form.role not in tuple(Role):
        raise errors.Invalid(None, {"role": "Choose a role."})
    return Role(form.role)


async def _member(request: web.Request, organization: Organization) -> Member:
    database, asked = context.of(request).services.database, request.match_info["account"]
    for member in await members.of_organization(database, organization.id):
        if member.account_id == asked:
            return member
    raise errors.NotFound


async def _projects(request: web.Request, organization: Organization) -> list[Project]:
    async with context.of(request).services.database.connect() as connection:
        return await stored_projects.of_organization(connection, organization.id)


async def _frame(request: web.Request, organization: Organization) -> dict[str, Any]:
    return await shell.organization_settings(request, organization, AREA)


async def _member_page(
    request: web.Request,
    organization: Organization,
    member: Member,
    form: Access,
    chosen: Sequence[int],
    problems: dict[str, str],
) -> web.Response:
    frame = await _frame(request, organization)
    return render.page(
        request,
        "pages/organization/member.html",
        status=400 if problems else 200,
        organization=organization,
        member=member,
        form=form,
        chosen=chosen,
        problems=problems,
        choices=await _projects(request, organization),
        **frame,
    )


async def _page(
    request: web.Request, organization: Organization, form: Access, chosen: Sequence[int], problems: dict[str, str]
) -> web.Response:
    services, frame = context.of(request).services, await _frame(request, organization)
    pending = await invitations.of_organization(services.database, organization.id)
    return render.page(
        request,
        "pages/organization/members.html",
        status=400 if problems else 200,
        organization=organization,
        members=await members.of_organization(services.database, organization.id),
        invitations=_shown(pending, services.clock),
        form=form,
        chosen=chosen,
        problems=problems,
        choices=await _projects(request, organization),
        is_saved=_saved(request, problems),
        **frame,
    )


def _saved(request: web.Request, problems: dict[str, str]) -> str:
    if problems:
        return ""
    if "invited" in request.query:
        return "The invitation is made: hand its link on."
    if "unsent" in request.query:
        return "The invitation is made, but not mailed: too many letters went out. Hand its link on yourself."
    return "Saved." if "saved" in request.query else ""


def _shown(pending: Sequence[Invitation], clock: Clock) -> list[Shown]:
    return [Shown(one, invitations.has_run_out(one, clock)) for one in pending]
