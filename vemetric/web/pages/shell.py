"""What the frame around every page of a signed-in account shows: its projects, and where it is."""

from typing import Any

from aiohttp import web

from vemetric.accounts import access
from vemetric.model.project import Project
from vemetric.web import context


async def values(request: web.Request, project: Project | None, section: str) -> dict[str, Any]:
    """section: which link of the frame is the current one."""
    page = context.of(request)
    database, account = page.services.database, page.signed_in
    projects = await access.projects_of(database, account)
    organizations = await access.organizations_of(database, account)
    asked = project.organization_id if project is not None else request.match_info.get("organization", "")
    current = asked or (organizations[0].id if organizations else "")
    return {
        "project": project,
        "projects": projects,
        "organizations": organizations,
        "organization_id": current,
        "may_add_projects": bool(current) and await context.may_change(request, current),
        "section": section,
    }
