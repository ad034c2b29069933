"""What the frame around every page of a signed-in account shows: where it is, and where one can go from there.

The links of the frame and the areas of the settings are the tables below; shell.html and areas.html draw them.
"""

from typing import Any, NamedTuple

from aiohttp import web

from vemetric.accounts import access
from vemetric.model.organization import Organization, Role
from vemetric.model.project import Project
from vemetric.web import context


class Link(NamedTuple):
    """A page of a project, and an entry of the frame.

    section: what the page calls itself. path: below the project's. keeps_timespan: whether the chosen timespan goes
    along. in_bar: whether a phone's lower bar has it; the others are under More.
    """

    section: str
    label: str
    icon: str
    path: str
    keeps_timespan: bool = True
    in_bar: bool = True


# Choosing another project keeps the section.
PROJECT_LINKS = (
    Link("dashboard", "Dashboard", "dashboard", ""),
    Link("users", "Users", "users", "/users"),
    Link("events", "Events", "bolt", "/events", in_bar=False),
    Link("funnels", "Funnels", "funnel", "/funnels"),
    Link("settings", "Settings", "settings", "/settings", keeps_timespan=False),
)


class Area(NamedTuple):
    """A part of the settings, a page of its own. path: below the settings'. needs: whom it is shown to."""

    key: str
    label: str
    path: str
    needs: Role | None = None
    operator_only: bool = False


PROJECT_AREAS = (
    Area("general", "General", ""),
    Area("installation", "Installation", "/installation"),
    Area("exclusions", "Exclusions", "/exclusions"),
    Area("icons", "Event icons", "/icons"),
    Area("keys", "API keys", "/keys", Role.ADMIN),
    Area("people", "People", "/people", Role.ADMIN),
)
ORGANIZATION_AREAS = (
    Area("general", "General", ""),
    Area("members", "Members", "/members", Role.ADMIN),
    Area("usage", "Usage", "/usage", Role.ADMIN),
    Area("features", "Features", "/features", Role.ADMIN, operator_only=True),
)

ACCOUNT_AREAS = (
    Area("general", "General", ""),
    Area("sign-in", "Sign-in", "/sign-in"),
    Area("notifications", "Notifications", "/notifications"),
    Area("letters", "Letters", "/letters", operator_only=True),
)


async def values(request: web.Request, project: Project | None, section: str) -> dict[str, Any]:
    """section: which link of the frame is the current one."""
    page = context.of(request)
    database, account = page.services.database, page.signed_in
    projects = await access.projects_of(database, account)
    organizations = await access.organizations_of(database, account)
    current = _current(request, project, organizations)
    return {
        "project": project,
        "projects": [one for one in projects if current is None or one.organization_id == current.id],
        "organizations": organizations,
        "organization_now": current,
        "may_change": current is not None and await context.may_change(request, current.id),
        "section": section,
        "project_links": PROJECT_LINKS,
        # Where the switcher leads in another project: to the same section, where projects have it.
        "same_section": next((link for link in PROJECT_LINKS if link.section == section), PROJECT_LINKS[0]),
    }


async def project_settings(request: web.Request, project: Project, area: str) -> dict[str, Any]:
    """What a page of a project's settings needs around it."""
    frame = await values(request, project, "settings")
    return frame | _areas(request, frame, PROJECT_AREAS, f"/p/{project.id}/settings", area, "Settings", project.name)


async def organization_settings(request: web.Request, organization: Organization, area: str) -> dict[str, Any]:
    """What a page of an organization's settings needs around it."""
    frame = await values(request, None, "organization")
    base, name = f"/o/{organization.id}/settings", organization.name
    return frame | _areas(request, frame, ORGANIZATION_AREAS, base, area, "Organization", name)


async def account_settings(request: web.Request, area: str) -> dict[str, Any]:
    """What a page of one's own settings needs around it."""
    frame = await values(request, None, "account")
    return frame | _areas(
        request, frame, ACCOUNT_AREAS, "/account", area, "Your account", context.of(request).signed_in.name
    )


def _current(request: web.Request, project: Project | None, organizations: list[Organization]) -> Organization | None:
    """The organization of the page; on pages of none the first one."""
    asked = project.organization_id if project is not None else request.match_info.get("organization", "")
    first = organizations[0] if organizations else None
    return next((one for one in organizations if one.id == asked), first)


def _areas(
    request: web.Request, frame: dict[str, Any], areas: tuple[Area, ...], base: str, area: str, title: str, name: str
) -> dict[str, Any]:
    is_operator = context.of(request).signed_in.is_operator
    shown = [
        one for one in areas if (one.needs is None or frame["may_change"]) and (is_operator or not one.operator_only)
    ]
    return {"areas": shown, "area": area, "areas_base": base, "settings_title": title, "settings_name": name}
