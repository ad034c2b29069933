"""GET and POST /organizations/new: an organization and its admin; the first step of those who are in none."""

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import organizations
from vemetric.web import context, forms, render
from vemetric.web.pages import shell


class Form(msgspec.Struct, frozen=True):
    """The form of a new organization."""

    name: str


async def show(request: web.Request) -> web.Response:
    return await _page(request, Form(""), {})


async def create(request: web.Request) -> web.Response:
    """Make it; the next step is its first project."""
    page, form = context.of(request), await forms.read(request, Form)
    services = page.services
    try:
        made = await organizations.create(services.database, services.clock, page.signed_in, form.name)
    except (errors.Invalid, errors.Conflict) as error:
        return await _page(request, form, render.problems_of(error, "name"))
    return render.redirect(f"/o/{made.id}/projects/new")


async def _page(request: web.Request, form: Form, problems: dict[str, str]) -> web.Response:
    frame = await shell.values(request, None, "organization")
    return render.page(
        request,
        "pages/organization/new.html",
        status=400 if problems else 200,
        form=form,
        problems=problems,
        **frame,
    )
