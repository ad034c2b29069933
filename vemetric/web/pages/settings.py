"""GET and POST /p/<project>/settings: what the project is called, its snippets, and whose visits do not count."""

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import project_settings
from vemetric.enrich import countries
from vemetric.model import calendar
from vemetric.model.project import Project
from vemetric.web import context, forms, render
from vemetric.web.pages import shell


class Details(msgspec.Struct, frozen=True):
    """The form of name, domain and time zone."""

    name: str
    domain: str
    time_zone: str


class Exclusion(msgspec.Struct, frozen=True):
    """A button of the exclusions: what to do (a key of CHANGES) with which address or country."""

    action: str
    value: str


CHANGES = {
    "exclude-ip": project_settings.exclude_ip,
    "include-ip": project_settings.include_ip,
    "exclude-country": project_settings.exclude_country,
    "include-country": project_settings.include_country,
}


async def show(request: web.Request) -> web.Response:
    project = await context.project_of(request)
    return await _page(request, project, Details(project.name, project.domain, project.time_zone), {})


async def save(request: web.Request) -> web.Response:
    """Store name, domain and time zone."""
    project, form = await context.project_to_change(request), await forms.read(request, Details)
    services = context.of(request).services
    try:
        await project_settings.change_details(
            services.database, services.clock, project.id, form.name, form.domain, form.time_zone
        )
    except (errors.Invalid, errors.Conflict) as error:
        return await _page(request, project, form, render.problems_of(error, "domain"))
    services.projects.forget()
    return render.redirect(f"/p/{project.id}/settings?saved=1")


async def change_exclusions(request: web.Request) -> web.Response:
    """Add or remove an address or a country."""
    project, form = await context.project_to_change(request), await forms.read(request, Exclusion)
    services = context.of(request).services
    change = CHANGES.get(form.action)
    if change is None:
        raise errors.Invalid("This form asks for something that does not exist.")
    try:
        await change(services.database, services.clock, project.id, form.value)
    except errors.Invalid as error:
        details = Details(project.name, project.domain, project.time_zone)
        return await _page(request, project, details, error.fields, typed=form.value)
    services.projects.forget()
    return render.redirect(f"/p/{project.id}/settings#exclusions")


async def _page(
    request: web.Request, project: Project, form: Details, problems: dict[str, str], typed: str = ""
) -> web.Response:
    page = context.of(request)
    excluded = set(project.excluded_countries)
    frame = await shell.project_settings(request, project, "general")
    return render.page(
        request,
        "pages/settings.html",
        status=400 if problems else 200,
        form=form,
        problems=problems,
        typed=typed,
        is_saved="Saved." if "saved" in request.query and not problems else "",
        time_zones=sorted(calendar.zone_names()),
        own_ip=page.ip if page.ip not in project.excluded_ips else "",
        excluded_countries=[(code, countries.name(code)) for code in project.excluded_countries],
        countries=sorted(
            ((code, name) for code, name in countries.names().items() if code not in excluded),
            key=lambda pair: pair[1],
        ),
        **frame,
    )
