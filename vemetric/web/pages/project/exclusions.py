"""GET and POST /p/<project>/settings/exclusions: whose visits do not count."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import exclusions
from vemetric.enrich import countries
from vemetric.model import text
from vemetric.model.project import Project
from vemetric.web import context, forms, render
from vemetric.web.pages import shell

AREA = "exclusions"
ACTIONS = {"exclude": exclusions.exclude, "include": exclusions.include}


class Form(msgspec.Struct, frozen=True):
    """A button of the lists: what to do (a key of ACTIONS) on which list (of exclusions.KINDS) with what."""

    action: str
    kind: str
    value: str


class Listing(NamedTuple):
    """A list as it is shown. values: each with its name."""

    kind: str
    title: str
    hint: str
    placeholder: str
    values: Sequence[tuple[str, str]]


async def show(request: web.Request) -> web.Response:
    return await _page(request, await context.project_of(request), {})


async def change(request: web.Request) -> web.Response:
    """Put something on a list, or take it off."""
    project, form = await context.project_to_change(request), await forms.read(request, Form)
    services = context.of(request).services
    action = ACTIONS.get(form.action)
    if action is None or form.kind not in exclusions.KINDS:
        raise errors.Invalid("This form asks for something that does not exist.")
    try:
        await action(services.database, services.clock, project.id, form.kind, form.value)
    except errors.Invalid as error:
        return await _page(request, project, error.fields, typed=form.value)
    services.projects.forget()
    return render.redirect(f"/p/{project.id}/settings/exclusions#{form.kind}s")


async def _page(request: web.Request, project: Project, problems: dict[str, str], typed: str = "") -> web.Response:
    page, frame = context.of(request), await shell.project_settings(request, project, AREA)
    excluded = set(project.excluded_countries)
    names = sorted(countries.names().items(), key=lambda pair: pair[1])
    return render.page(
        request,
        "pages/project/exclusions.html",
        status=400 if problems else 200,
        problems=problems,
        typed=typed,
        listings=_listings(project),
        own_ip=page.ip if page.ip not in project.excluded_ips else "",
        countries=[(code, name) for code, name in names if code not in excluded],
        **frame,
    )


def _listings(project: Project) -> list[Listing]:
    return [
        Listing(
            "ip",
            "Addresses",
            "An address, or a network such as 203.0.113.0/24.",
            "203.0.113.7",
            [(ip, ip) for ip in project.excluded_ips],
        ),
        Listing(
            "country",
            "Countries",
            "By the address a visit comes from.",
            "",
            [(code, countries.name(code)) for code in project.excluded_countries],
        ),
        Listing(
            "path",
            "Paths",
            "Of the page an event happened on; * stands for any text.",
            "/admin/*",
            [(path, text.readable(path)) for path in project.excluded_paths],
        ),
        Listing(
            "host",
            "Host names",
            "Such as the one of a staging site; * stands for any text.",
            "staging.example.com",
            [(host, host) for host in project.excluded_hosts],
        ),
    ]
