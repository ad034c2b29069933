"""GET and POST /o/<organization>/settings/features: what the operator has switched on for the organization."""

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import organizations
from vemetric.model.organization import Organization
from vemetric.web import context, forms, render
from vemetric.web.pages import shell

AREA = "features"


class Form(msgspec.Struct, frozen=True):
    """A comma list of names."""

    flags: str


async def show(request: web.Request) -> web.Response:
    context.for_operator(request)
    organization = await context.organization_to_change(request)
    flags = await organizations.feature_flags(context.of(request).services.database, organization.id)
    return await _page(request, organization, Form(", ".join(flags)), {})


async def save(request: web.Request) -> web.Response:
    """Switch on what is listed, and nothing else."""
    context.for_operator(request)
    organization, form = await context.organization_to_change(request), await forms.read(request, Form)
    try:
        await organizations.set_feature_flags(context.of(request).services.database, organization.id, form.flags)
    except errors.Invalid as error:
        return await _page(request, organization, form, error.fields)
    return render.redirect(f"/o/{organization.id}/settings/features?saved=1")


async def _page(request: web.Request, organization: Organization, form: Form, problems: dict[str, str]) -> web.Response:
    frame = await shell.organization_settings(request, organization, AREA)
    return render.page(
        request,
        "pages/organization/features.html",
        status=400 if problems else 200,
        organization=organization,
        form=form,
        problems=problems,
        is_saved="Saved." if "saved" in request.query and not problems else "",
        **frame,
    )
