"""GET /public/<domain>: the dashboard of a project that is public, for everybody, without what is personal.

It is the dashboard's page with less: no properties of events, whose values sites choose, neither shown nor filtered by;
no filters by funnels, no conditions of their steps, no exports, no users. A project that is not public does not exist
here, nor does one with a secret link for those without it (GET /public/<domain>/<token>). One with a password asks for
that first.
"""

from typing import NamedTuple

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import public_access
from vemetric.database import projects as stored_projects
from vemetric.database import public_access as stored_access
from vemetric.model import filter_tree, filters
from vemetric.model.filters import Filter, Group
from vemetric.model.project import Project
from vemetric.model.public_access import PublicAccess
from vemetric.web import context, cookies, forms, render, view
from vemetric.web.pages import dashboard, panels
from vemetric.web.pages import filters as filter_pages
from vemetric.web.pages.dashboard import Asked
from vemetric.web.pages.filters import Desk
from vemetric.web.showcase import Showcase
from vemetric.web.view import View

SHOWCASE = web.AppKey("showcase", Showcase)
DOMAIN_LENGTH_MAX = 253
FORBIDDEN_FILTERS = ("funnel",)
INDEXED = {"X-Robots-Tag": "all"}


class Window(NamedTuple):
    """A public dashboard that somebody looks at. path: of its page."""

    project: Project
    access: PublicAccess
    path: str


class Locked(errors.Forbidden):
    """This dashboard asks for a password."""


class Form(msgspec.Struct, frozen=True):
    """What somebody types who knows the password."""

    password: str
    next: str


async def show(request: web.Request) -> web.Response:
    """The whole page, or the question for the password."""
    window = await _window_of(request)
    if not _is_admitted(request, window):
        return _question(request, window, Form("", request.path_qs), {})
    asked = await _asked(request, window, dict(request.query))
    # Only the plain address is for search engines: there are as many others as there are states.
    is_indexed = asked.project.public_indexed and window.access.is_open and not request.query_string
    response = await dashboard.page_of(request, asked, disabled=FORBIDDEN_FILTERS, is_indexed=is_indexed)
    if is_indexed:
        response.headers.update(INDEXED)
    return response


async def show_panel(request: web.Request) -> web.Response:
    """GET /public/<domain>/panels/<panel>"""
    window = await _open_window(request)
    return await panels.part_of(request, lambda query: _asked(request, window, query))


async def show_filter(request: web.Request) -> web.Response:
    """GET /public/<domain>/filter"""
    return await filter_pages.form_of(request, await _desk(request))


async def apply_filter(request: web.Request) -> web.Response:
    """GET /public/<domain>/filter/apply"""
    return await filter_pages.applied(request, await _desk(request))


async def unlock(request: web.Request) -> web.Response:
    """POST /public/<domain>/password: on to the page for who knows it."""
    window, form, page = await _window_of(request), await forms.read(request, Form), context.of(request)
    services = page.services
    if not window.access.password_hash:
        return render.redirect(window.path)
    try:
        ticket = await public_access.ticket_for(
            services.keys, services.clock, services.secret, window.project.id, window.access, form.password, page.ip
        )
    except errors.Invalid as error:
        return _question(request, window, form, error.fields)
    response = render.redirect(filter_pages.back_of(form.next, window.path))
    cookies.keep_ticket(response, window.project.domain, ticket, page.is_secure)
    return response


async def _asked(request: web.Request, window: Window, query: dict[str, str]) -> Asked:
    now_ms = context.of(request).services.clock.now_ms()
    state = harmless(view.parse(query, now_ms, window.project.time_zone))
    return await dashboard.ask(request, window.project, state, request.app[SHOWCASE], window.path)


async def _desk(request: web.Request) -> Desk:
    window = await _open_window(request)
    return Desk(window.project, window.path, request.app[SHOWCASE])


async def _open_window(request: web.Request) -> Window:
    """The public dashboard of the path. Raises Locked for those who have not given its password."""
    window = await _window_of(request)
    if not _is_admitted(request, window):
        raise Locked
    return window


async def _window_of(request: web.Request) -> Window:
    """The public dashboard of the path; NotFound alike for an unknown domain, a private one, and a wrong link."""
    domain = request.match_info["domain"].lower().removeprefix("www.")
    if len(domain) > DOMAIN_LENGTH_MAX:
        raise errors.NotFound
    services = context.of(request).services
    async with services.database.connect() as connection:
        project = await stored_projects.by_domain(connection, domain)
        if project is None or not project.public_dashboard:
            raise errors.NotFound
        access = await stored_access.of_project(connection, project.id)
    if not public_access.opens(services.secret, project.id, access, request.match_info.get("token", "")):
        raise errors.NotFound
    return Window(project, access, public_access.path_of(services.secret, project, access))


def _is_admitted(request: web.Request, window: Window) -> bool:
    page = context.of(request)
    ticket = cookies.ticket_of(request, window.project.domain, page.is_secure)
    services = page.services
    return public_access.admits(services.secret, window.project.id, window.access, ticket, services.clock.now_ms())


def _question(request: web.Request, window: Window, form: Form, problems: dict[str, str]) -> web.Response:
    return render.page(
        request,
        "pages/locked.html",
        status=400 if problems else 200,
        action=f"{window.path}/password",
        domain=window.project.domain,
        form=msgspec.structs.replace(form, password=""),
        problems=problems,
    )


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
