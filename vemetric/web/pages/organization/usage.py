"""GET and POST /o/<organization>/settings/usage: events by monthly cycle, and the limit above which one is warned."""

from typing import NamedTuple

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import billing, organizations
from vemetric.database import projects as stored_projects
from vemetric.model import cycle
from vemetric.model.cycle import Cycle
from vemetric.model.organization import Organization
from vemetric.model.project import Project
from vemetric.stats.usage import Usage
from vemetric.web import context, forms, render
from vemetric.web.pages import shell

AREA = "usage"
USAGE = web.AppKey("usage", Usage)
# So many of the shown cycles above the limit call for a warning, or the one of now.
EXCEEDED_MIN = 2


class Form(msgspec.Struct, frozen=True):
    """The form of the limit; '' for none."""

    limit: str


class Month(NamedTuple):
    """A cycle as it is shown. percent: of the limit, at most 100; None where there is no limit."""

    cycle: Cycle
    total: int
    percent: int | None
    is_exceeded: bool
    by_project: list[tuple[Project, int]]


async def show(request: web.Request) -> web.Response:
    organization = await context.organization_to_change(request)
    limit = organization.events_per_month_max
    return await _page(request, organization, Form("" if limit is None else str(limit)), {})


async def save(request: web.Request) -> web.Response:
    """Store the limit."""
    organization, form = await context.organization_to_change(request), await forms.read(request, Form)
    try:
        await organizations.limit_events(context.of(request).services.database, organization.id, form.limit)
    except errors.Invalid as error:
        return await _page(request, organization, form, error.fields)
    return render.redirect(f"/o/{organization.id}/settings/usage?saved=1")


async def _page(request: web.Request, organization: Organization, form: Form, problems: dict[str, str]) -> web.Response:
    frame = await shell.organization_settings(request, organization, AREA)
    months = await _months(request, organization)
    services = context.of(request).services
    is_billed = bool(services.config.paddle_webhook_secret_key)
    return render.page(
        request,
        "pages/organization/usage.html",
        status=400 if problems else 200,
        organization=organization,
        months=months,
        is_warned=is_warned(months),
        is_billed=is_billed,
        is_sold=services.paddle is not None,
        plans=sorted(services.config.paddle_plans.items(), key=lambda plan: plan[1]),
        subscription=await billing.of_organization(services.database, organization.id) if is_billed else None,
        form=form,
        problems=problems,
        is_saved=_said(request, problems),
        **frame,
    )


def _said(request: web.Request, problems: dict[str, str]) -> str:
    if problems:
        return ""
    if "asked" in request.query:
        return "Paddle was told: it shows here within a minute."
    return "Saved." if "saved" in request.query else ""


async def calls_for_warning(request: web.Request, organization: Organization) -> bool:
    """Whether more events were stored than the organization's limit allows; counted only where it has one."""
    if organization.events_per_month_max is None:
        return False
    return is_warned(await _months(request, organization))


def is_warned(months: list[Month]) -> bool:
    """Whether the limit was exceeded in the cycle of now, or in most of the shown ones."""
    exceeded = [month.is_exceeded for month in months]
    return bool(exceeded) and (exceeded[0] or sum(exceeded) >= EXCEEDED_MIN)


async def _months(request: web.Request, organization: Organization) -> list[Month]:
    """The newest first; none where they cannot be counted right now."""
    services = context.of(request).services
    cycles = cycle.latest(organization.created_at_ms, services.clock.now_ms())
    async with services.database.connect() as connection:
        projects = await stored_projects.of_organization(connection, organization.id)
    try:
        counted = await request.app[USAGE].events([project.id for project in projects], cycles)
    except (errors.StoreError, errors.Unavailable):
        return []
    limit = organization.events_per_month_max
    months = []
    for number, one in enumerate(cycles):
        by_project = sorted(((project, counted[project.id][number]) for project in projects), key=lambda pair: -pair[1])
        total = sum(events for _, events in by_project)
        percent = None if limit is None else min(100, total * 100 // limit)
        months.append(Month(one, total, percent, limit is not None and total > limit, by_project))
    return months
