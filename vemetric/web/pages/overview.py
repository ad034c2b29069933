"""GET / and /o/<organization>: the projects an account may see, and the form for a new one."""

import asyncio
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import access, projects
from vemetric.model import calendar, timespan
from vemetric.model.dashboard import Dashboard
from vemetric.model.organization import Organization
from vemetric.model.project import Project
from vemetric.model.timespan import Timespan
from vemetric.stats import dashboard as stats
from vemetric.web import chart_axes, context, forms, render
from vemetric.web.context import Context
from vemetric.web.pages import shell
from vemetric.web.pages.organization import usage

# Sparklines are counted for so many projects of a page, so many at once.
SPARKLINES_MAX = 24
SPARKLINES_AT_ONCE_MAX = 2
SPARK_WIDTH, SPARK_HEIGHT = 300, 64


class Form(msgspec.Struct, frozen=True):
    """The form of a new project."""

    name: str
    domain: str
    time_zone: str


class Tile(NamedTuple):
    """A project on the overview. line, area: data of SVG paths, '' where nothing was counted."""

    project: Project
    users: int | None
    online: int
    line: str
    area: str


async def home(request: web.Request) -> web.Response:
    """The only project, or the overview of the first organization; who is in none makes one."""
    page = context.of(request)
    database, account = page.services.database, page.signed_in
    found = await access.projects_of(database, account)
    if len(found) == 1:
        return render.redirect(f"/p/{found[0].id}")
    organizations = await access.organizations_of(database, account)
    if organizations:
        return render.redirect(f"/o/{organizations[0].id}")
    return render.redirect("/organizations/new")


async def show(request: web.Request) -> web.Response:
    """The organization's projects with the last 24 hours, the busiest first."""
    page, organization = context.of(request), await context.organization_of(request)
    found = await access.projects_of(page.services.database, page.signed_in)
    own = [project for project in found if project.organization_id == organization.id]
    if not own and await context.may_change(request, organization.id):
        return render.redirect(f"/o/{organization.id}/projects/new")
    turns = asyncio.Semaphore(SPARKLINES_AT_ONCE_MAX)
    tiles = await asyncio.gather(*(_tile(page, project, turns, n < SPARKLINES_MAX) for n, project in enumerate(own)))
    frame = await shell.values(request, None, "overview")
    return render.page(
        request,
        "pages/overview.html",
        organization=organization,
        is_over_limit=frame["may_change"] and await usage.calls_for_warning(request, organization),
        tiles=sorted(tiles, key=lambda tile: tile.users or 0, reverse=True),
        **frame,
    )


async def new_project(request: web.Request) -> web.Response:
    organization = await context.organization_to_change(request)
    time_zone = context.of(request).services.config.time_zone
    return await _form(request, organization, Form("", "", time_zone), {})


async def create_project(request: web.Request) -> web.Response:
    """Make the project and show its snippets."""
    organization, form = await context.organization_to_change(request), await forms.read(request, Form)
    services = context.of(request).services
    try:
        project = await projects.create(
            services.database, services.clock, organization.id, form.name, form.domain, form.time_zone
        )
    except (errors.Invalid, errors.Conflict) as error:
        return await _form(request, organization, form, render.problems_of(error, "domain"))
    services.projects.forget()
    return render.redirect(f"/p/{project.id}")


async def _form(request: web.Request, organization: Organization, form: Form, problems: dict[str, str]) -> web.Response:
    frame: dict[str, Any] = await shell.values(request, None, "overview")
    return render.page(
        request,
        "pages/new_project.html",
        status=400 if problems else 200,
        organization=organization,
        form=form,
        problems=problems,
        time_zones=sorted(calendar.zone_names()),
        **frame,
    )


async def _tile(page: Context, project: Project, turns: asyncio.Semaphore, is_counted: bool) -> Tile:
    """A project with its sparkline; without one where it cannot be counted now, or no event has come."""
    if not is_counted or project.first_event_at_ms is None:
        return Tile(project, None if is_counted is False else 0, 0, "", "")
    services = page.services
    range_ = timespan.resolve(Timespan(), services.clock.now_ms(), project.time_zone)
    try:
        async with turns:
            loaded = await stats.load_chart(services.engine, project, range_)
    except (errors.StoreError, errors.Unavailable):
        return Tile(project, None, 0, "", "")
    line, area = _sparkline(loaded)
    return Tile(project, int(loaded.tiles["users"].value or 0), loaded.online, line, area)


def _sparkline(loaded: Dashboard) -> tuple[str, str]:
    """A line from edge to edge and the area below it."""
    values = [bucket.users for bucket in loaded.buckets]
    top = chart_axes.count_axis(max(values, default=0)).top
    last = max(len(values) - 1, 1)
    points = [
        f"{position / last * SPARK_WIDTH:.1f} {SPARK_HEIGHT - value / top * (SPARK_HEIGHT - 4):.1f}"
        for position, value in enumerate(values)
    ]
    line = "M" + " ".join(points)
    return line, f"{line} {SPARK_WIDTH} {SPARK_HEIGHT} 0 {SPARK_HEIGHT}z"
