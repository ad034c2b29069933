"""GET /public/<domain>: the dashboard of a project that is public, for everybody, without what is personal.

It is the dashboard's page with less: no properties of events, whose values sites choose, neither shown nor filtered by;
no funnels, no exports, no users. A project that is not public does not exist here.
"""

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.database import projects as stored_projects
from vemetric.model import filter_tree, filters
from vemetric.model.filters import Filter, Group
from vemetric.model.project import Project
from vemetric.web import context, view
from vemetric.web.pages import dashboard, panels
from vemetric.web.pages.dashboard import Asked
from vemetric.web.showcase import Showcase
from vemetric.web.view import View

SHOWCASE = web.AppKey("showcase", Showcase)
DOMAIN_LENGTH_MAX = 253
FORBIDDEN_FILTERS = ("funnel",)
INDEXED = {"X-Robots-Tag": "all"}


async def show(request: web.Request) -> web.Response:
    """The whole page."""
    asked = await _ask(request, dict(request.query))
    # Only the plain address is for search engines: there are as many others as there are states.
    is_indexed = asked.project.public_indexed and not request.query_string
    response = await dashboard.page_of(request, asked, is_indexed=is_indexed)
    if is_indexed:
        response.headers.update(INDEXED)
    return response


async def show_panel(request: web.Request) -> web.Response:
    """GET /public/<domain>/panels/<panel>"""
    return await panels.part_of(request, lambda query: _ask(request, query))


async def _ask(request: web.Request, query: dict[str, str]) -> Asked:
    project = await _project_of(request)
    state = harmless(view.parse(query, context.of(request).services.clock.now_ms(), project.time_zone))
    return await dashboard.ask(request, project, state, request.app[SHOWCASE])


async def _project_of(request: web.Request) -> Project:
    """The public project of the path; NotFound alike for an unknown domain and for one that is not public."""
    domain = request.match_info["domain"].lower().removeprefix("www.")
    if len(domain) > DOMAIN_LENGTH_MAX:
        raise errors.NotFound
    async with context.of(request).services.database.connect() as connection:
        project = await stored_projects.by_domain(connection, domain)
    if project is None or not project.public_dashboard:
        raise errors.NotFound
    return project


def harmless(state: View) -> View:
    """A state without what the public may not ask: a count by guessed values would tell them."""
    group = _without_guesses(filter_tree.without_types(state.filters, FORBIDDEN_FILTERS))
    return msgspec.structs.replace(state, event="", property="", filters=group)


def _without_guesses(group: Group) -> Group:
    kept: list[Filter] = []
    for one in group.filters:
        if isinstance(one, Group):
            inner = _without_guesses(one)
            kept += [inner] if inner.filters else []
        elif isinstance(one, filters.EventFilter):
            kept += [msgspec.structs.replace(one, properties=())] if one.name else []
        elif isinstance(one, filters.PageFilter):
            kept += [msgspec.structs.replace(one, hash=None)] if one.path or one.origin else []
        else:
            kept.append(one)
    return Group(group.operator, tuple(kept))
