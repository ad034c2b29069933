"""GET and POST /p/<project>/settings: name, domain, time zone and token, and whether everybody sees the dashboard."""

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import project_settings, public_access
from vemetric.model import calendar
from vemetric.model.project import Project
from vemetric.model.public_access import PublicAccess
from vemetric.web import context, forms, render
from vemetric.web.pages import confirm, shell
from vemetric.web.pages.confirm import Question

AREA = "general"


class Details(msgspec.Struct, frozen=True):
    """The form of name, domain and time zone."""

    name: str
    domain: str
    time_zone: str


class Publicity(msgspec.Struct, frozen=True):
    """The form of the public dashboard; `on` where a box is ticked. password: a new one, '' for that there is."""

    is_public: str
    is_indexed: str
    needs_link: str
    needs_password: str
    password: str


class Counting(msgspec.Struct, frozen=True):
    """The form of what counts how; `on` where a box is ticked."""

    events_prevent_bounce: str


class Keeping(msgspec.Struct, frozen=True):
    """The form of how long rows are kept."""

    retention_days: str


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


async def publish(request: web.Request) -> web.Response:
    """Show the dashboard to everybody, or no longer."""
    project, form = await context.project_to_change(request), await forms.read(request, Publicity)
    services = context.of(request).services
    try:
        access = await public_access.change(
            services.database,
            project.id,
            needs_link=form.needs_link == "on",
            needs_password=form.needs_password == "on",  # noqa: S105 - a box that is ticked
            password=form.password,
        )
    except errors.Invalid as error:
        details = Details(project.name, project.domain, project.time_zone)
        return await _page(request, project, details, render.problems_of(error, "password"), publicity=form)
    # What not everybody may see search engines may not list.
    is_indexed = form.is_indexed == "on" and access.is_open
    await project_settings.publish(services.database, services.clock, project.id, form.is_public == "on", is_indexed)
    services.projects.forget()
    return render.redirect(f"/p/{project.id}/settings?saved=1#public")


async def renew_link(request: web.Request) -> web.Response:
    """Make another secret link; whoever has the old one sees nothing any more."""
    project = await context.project_to_change(request)
    await public_access.renew_link(context.of(request).services.database, project.id)
    return render.redirect(f"/p/{project.id}/settings?saved=1#public")


async def count(request: web.Request) -> web.Response:
    """Change what counts as a bounce, from now on and for all that was."""
    project, form = await context.project_to_change(request), await forms.read(request, Counting)
    services = context.of(request).services
    await project_settings.count_bounces(
        services.database, services.clock, project.id, events_prevent=form.events_prevent_bounce == "on"
    )
    services.projects.forget()
    return render.redirect(f"/p/{project.id}/settings?saved=1#counting")


async def keep(request: web.Request) -> web.Response:
    """Change how long rows are kept; what is older goes the next night."""
    project, form = await context.project_to_change(request), await forms.read(request, Keeping)
    services = context.of(request).services
    try:
        await project_settings.keep(services.database, services.clock, project.id, form.retention_days)
    except errors.Invalid as error:
        details = Details(project.name, project.domain, project.time_zone)
        return await _page(request, project, details, dict(error.fields), form)
    services.projects.forget()
    return render.redirect(f"/p/{project.id}/settings?saved=1#retention")


async def ask_for_token(request: web.Request) -> web.Response:
    """GET /p/<project>/settings/token: what a new token means."""
    project = await context.project_to_change(request)
    question = Question(
        f"New token for {project.name}",
        (
            "The token of now stops working at once: everything that is sent with it is refused.",
            "Put the new one into the snippet of every page and into every server that sends events.",
        ),
        "Make a new token",
        f"/p/{project.id}/settings",
    )
    return confirm.ask(request, await shell.values(request, project, "settings"), question)


async def rotate_token(request: web.Request) -> web.Response:
    """Give the project a new token."""
    project, services = await context.project_to_change(request), context.of(request).services
    await project_settings.rotate_token(services.database, services.clock, project.id)
    services.projects.forget()
    return render.redirect(f"/p/{project.id}/settings?saved=1#token")


def _publicity_of(project: Project, access: PublicAccess) -> Publicity:
    def box(is_ticked: bool) -> str:
        return "on" if is_ticked else ""

    return Publicity(
        box(project.public_dashboard),
        box(project.public_indexed),
        box(bool(access.link_salt)),
        box(bool(access.password_hash)),
        "",
    )


async def _page(
    request: web.Request,
    project: Project,
    form: Details,
    problems: dict[str, str],
    keeping: Keeping | None = None,
    publicity: Publicity | None = None,
) -> web.Response:
    frame, services = await shell.project_settings(request, project, AREA), context.of(request).services
    access = await public_access.of_project(services.database, project.id)
    return render.page(
        request,
        "pages/project/general.html",
        access=access,
        publicity=publicity or _publicity_of(project, access),
        public_path=public_access.path_of(services.secret, project, access),
        status=400 if problems else 200,
        form=form,
        keeping=keeping or Keeping("" if project.retention_days is None else str(project.retention_days)),
        kept_otherwise=context.of(request).services.config.retention_days,
        problems=problems,
        is_saved="Saved." if "saved" in request.query and not problems else "",
        time_zones=sorted(calendar.zone_names()),
        **frame,
    )
