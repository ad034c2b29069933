"""The forms of filters, which lead back to the page they were opened from, and what a project keeps of them.

GET /p/<project>/filter shows the types, or the form of one; GET .../filter/apply goes back with the filter; POST
/p/<project>/filters keeps, renames, overwrites and forgets saved filters. Each works without scripts.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import saved_filters
from vemetric.database import funnels as stored_funnels
from vemetric.database import saved_filters as stored_saved_filters
from vemetric.enrich import countries
from vemetric.model import filter_text, filter_tree, filters, timespan
from vemetric.model.dashboard import Range
from vemetric.model.filters import Filter, Group
from vemetric.model.funnel import Funnel
from vemetric.model.project import Project
from vemetric.model.saved_filter import SavedFilter
from vemetric.stats import suggestions
from vemetric.web import cards, context, filter_bar, filter_forms, forms, render
from vemetric.web.context import Context
from vemetric.web.filter_bar import Place
from vemetric.web.filter_forms import TYPES, Type
from vemetric.web.pages import shell
from vemetric.web.showcase import Showcase

# A page's address with as many filters as there may be.
BACK_CHARACTERS_MAX = 12_000
NEW_GROUP = "new"


class Desk(NamedTuple):
    """Where forms of filters are filled in. base: the path that theirs and those of their pages begin with.

    showcase: of a public dashboard, whose forms ask nothing about what it keeps to itself.
    """

    project: Project
    base: str
    showcase: Showcase | None = None

    @property
    def types(self) -> dict[str, Type]:
        return TYPES if self.showcase is None else filter_forms.PUBLIC_TYPES


class Saving(msgspec.Struct, frozen=True):
    """A button of the saved filters: what to do with which one. f: the filters in use, where they are kept."""

    action: str
    id: str
    name: str
    icon: str
    back: str
    f: str


async def show(request: web.Request) -> web.Response:
    """GET /p/<project>/filter: the types to choose from, or the form of one."""
    return await form_of(request, await _desk(request))


async def apply(request: web.Request) -> web.Response:
    """GET /p/<project>/filter/apply"""
    return await applied(request, await _desk(request))


async def form_of(request: web.Request, desk: Desk) -> web.Response:
    """The types to choose from, or the form of one."""
    kind = request.query.get("type", "")
    if kind not in desk.types:
        return await _page(request, desk, "panels/filter_types.html", title="Add a filter", **_types(request, desk))
    known = await funnels_of(request, desk.project)
    group = _group(request, desk)
    path = filter_tree.read_path(request.query.get("at", ""))
    edited = filter_tree.at(group, path) if path else None
    if edited is None or filters.type_of(edited) != kind:
        edited = filter_forms.blank(kind, known)
    return await _form(request, desk, edited, known, {})


async def applied(request: web.Request, desk: Desk) -> web.Response:
    """Back to the page with the filter of the form; the form again, saying what is wrong with it."""
    kind = request.query.get("type", "")
    if kind not in desk.types:
        raise errors.NotFound
    group = _group(request, desk)
    path = filter_tree.read_path(request.query.get("at", ""))
    try:
        one = filter_forms.read(kind, request.query)
        changed = filter_tree.replaced(group, path, one) if path else _added(request, group, one)
        if not filters.is_bounded(changed) or len(filter_text.write(changed)) > filter_text.CHARACTERS_MAX:
            raise errors.Invalid(None, {"filter": "There are too many filters."})
    except errors.Invalid as error:
        known = await funnels_of(request, desk.project)
        return await _form(request, desk, filter_forms.blank(kind, known), known, error.fields)
    return _go(request, filter_bar.with_filters(back_of(request.query.get("back", ""), desk.base), changed))


async def change_saved(request: web.Request) -> web.Response:
    """Keep, rename, overwrite or forget a saved filter, and go back."""
    project, form = await context.project_of(request), await forms.read(request, Saving)
    services = context.of(request).services
    database, clock = services.database, services.clock
    group = filter_text.read(form.f) or filters.NOTHING
    match form.action:
        case "keep":
            await saved_filters.keep(database, clock, project.id, form.name, form.icon, group)
        case "rename":
            await saved_filters.rename(database, clock, project.id, form.id, form.name, form.icon)
        case "overwrite":
            await saved_filters.overwrite(database, clock, project.id, form.id, group)
        case "forget":
            await saved_filters.forget(database, project.id, form.id)
        case _:
            raise errors.Invalid("This form asks for something that does not exist.")
    return render.redirect(back_of(form.back, f"/p/{project.id}"))


async def funnels_of(request: web.Request, project: Project) -> list[Funnel]:
    """The project's funnels, which filters may refer to."""
    async with context.of(request).services.database.connect() as connection:
        return await stored_funnels.of_project(connection, project.id)


async def saved_of(request: web.Request, project: Project) -> list[SavedFilter]:
    """The project's saved filters."""
    async with context.of(request).services.database.connect() as connection:
        return await stored_saved_filters.of_project(connection, project.id)


def back_of(text: str, base: str) -> str:
    """The page that a form goes back to: one below the base; that itself for anything else."""
    is_own = re.fullmatch(rf"{re.escape(base)}(/[a-z0-9/_-]*)?(\?[!-~]*)?", text) is not None
    return text if is_own and len(text) <= BACK_CHARACTERS_MAX else base


async def _desk(request: web.Request) -> Desk:
    project = await context.project_of(request)
    return Desk(project, f"/p/{project.id}")


def _group(request: web.Request, desk: Desk) -> Group:
    """The filters of the page that a form goes back to."""
    back = urlsplit(back_of(request.query.get("back", ""), desk.base))
    group = filter_bar.read(dict(parse_qsl(back.query)))
    # A list of single events shows what fits any of them, unless somebody has said otherwise of two.
    is_any = back.path == f"{desk.base}/events" and len(group.filters) < 2
    return Group(filters.Joined.OR, group.filters) if is_any else group


def _added(request: web.Request, group: Group, one: Filter) -> Group:
    into = request.query.get("into", "")
    if into == NEW_GROUP:
        return filter_tree.added(group, (), Group(filters.Joined.OR, (one,)))
    return filter_tree.added(group, filter_tree.read_path(into) or (), one)


def _types(request: web.Request, desk: Desk) -> dict[str, Any]:
    back = back_of(request.query.get("back", ""), desk.base)
    place = Place(desk.base, urlsplit(back).path, dict(parse_qsl(urlsplit(back).query)))
    into = request.query.get("into", "")
    return {
        "types": [(one.label, one.icon, place.form(type=one.kind, into=into)) for one in desk.types.values()],
        "back": back,
    }


async def _form(
    request: web.Request, desk: Desk, edited: Filter, known: Sequence[Funnel], problems: dict[str, str]
) -> web.Response:
    query = request.query
    kind = desk.types[filters.type_of(edited)]
    return await _page(
        request,
        desk,
        "panels/filter_form.html",
        title=f"Filter by {kind.label.lower()}",
        status=400 if problems else 200,
        kind=kind,
        edited=edited,
        at=query.get("at", ""),
        into=query.get("into", ""),
        back=back_of(query.get("back", ""), desk.base),
        funnels=known,
        problems=problems,
        properties=filter_forms.property_rows(edited),
        suggested=await _suggested(request, desk, kind, edited),
        named=_named,
        text_operators=filter_forms.TEXT_OPERATORS,
        list_operators=filter_forms.LIST_OPERATORS,
        property_operators=filter_forms.PROPERTY_OPERATORS,
    )


async def _suggested(request: web.Request, desk: Desk, kind: Type, edited: Filter) -> dict[str, list[str]]:
    """Values by field; none while the store is busy: a person may type them."""
    page, project, showcase = context.of(request), desk.project, desk.showcase
    query = dict(parse_qsl(urlsplit(back_of(request.query.get("back", ""), desk.base)).query))
    now_ms = page.services.clock.now_ms() if showcase is None else showcase.moment(is_live=False)
    range_ = timespan.resolve(timespan.parse(query, now_ms, project.time_zone), now_ms, project.time_zone)
    names = [field.suggested for field in kind.fields if field.suggested]
    if showcase is None:
        event = edited.name.value if isinstance(edited, filters.EventFilter) and edited.name else ""
        names += ["property"] * (kind.kind == "event")
        return await _values(page, project, range_, names, event) or {}
    key = ("suggestions", project.id, range_, tuple(names))
    return await showcase.shared(key, page.ip, lambda: _values(page, project, range_, names)) or {}


async def _values(
    page: Context, project: Project, range_: Range, names: Sequence[str], event: str = ""
) -> dict[str, list[str]] | None:
    try:
        return await suggestions.of_fields(page.services.engine, project, range_, names, event=event)
    except (errors.StoreError, errors.Unavailable):
        return None


def _named(field: str, value: str) -> str:
    """A value as people know it."""
    if field == "country":
        return countries.name(value)
    if field == "referrerType":
        return cards.REFERRER_TYPES.get(value, value)
    return value


async def _page(request: web.Request, desk: Desk, part: str, *, status: int = 200, **values: Any) -> web.Response:
    """The part alone for a script that puts it into the page, else a page of its own."""
    is_public = desk.showcase is not None
    common = {"project": desk.project, "forms": desk.base, "is_public": is_public} | values
    if context.of(request).is_fragment:
        return render.page(request, part, status=200, **common)
    frame = {"is_indexed": False} if is_public else await shell.values(request, desk.project, "dashboard")
    return render.page(request, "pages/filter.html", status=status, part=part, **(common | frame))


def _go(request: web.Request, address: str) -> web.Response:
    """On to a page; a script that asked is told to load it."""
    if context.of(request).is_fragment:
        return web.Response(status=204, headers={"HX-Redirect": address})
    return render.redirect(address)
