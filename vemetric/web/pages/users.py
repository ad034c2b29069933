"""GET /p/<project>/users: who used the site in a timespan, found, ordered and paged; the same as a file."""

from collections.abc import AsyncIterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.database import identities
from vemetric.model import calendar, filter_text, filters, timespan
from vemetric.model import text as shown_text
from vemetric.model.dashboard import Range
from vemetric.model.filters import Group
from vemetric.model.project import Project
from vemetric.model.timespan import Timespan
from vemetric.stats import dashboard as counted
from vemetric.stats import text, users
from vemetric.stats.filters import compile_filters
from vemetric.stats.users import Listed, Mark, Page, Sort, Wanted
from vemetric.web import context, filter_bar, render, timespan_menu, user_values
from vemetric.web.filter_bar import Place
from vemetric.web.pages import exports, install, shell
from vemetric.web.pages import filters as filter_pages

IDENTIFIER_LENGTH_MAX = 1000
AFTER_LENGTH_MAX = 1500
LABELS = {Sort.SEEN: "Last seen", Sort.NAME: "Name", Sort.EVENT: "Last event"}
HEADS = ("Id", "Name", "Identifier", "Country", "City", "Last seen")


class State(msgspec.Struct, frozen=True):
    """What the list shows, which is its address."""

    timespan: Timespan
    wanted: Wanted
    filters: Group = filters.NOTHING


async def show(request: web.Request) -> web.Response:
    """The list, or the install page while no event has come."""
    project = await context.project_of(request)
    if project.first_event_at_ms is None:
        return await install.show(request, project)
    state = parse(request.query, _now_ms(request), project.time_zone)
    range_ = timespan.resolve(state.timespan, _now_ms(request), project.time_zone)
    found, online = await _load(request, project, range_, state), await _online(request, project)
    funnels, saved = await filter_pages.funnels_of(request, project), await filter_pages.saved_of(request, project)
    path, kept = f"/p/{project.id}/users", parameters(state)
    first = {name: value for name, value in kept.items() if name != "after"}
    tz = calendar.zone(project.time_zone)
    return render.page(
        request,
        "pages/users.html",
        bar=filter_bar.bar(Place(f"/p/{project.id}", path, first), state.filters, funnels, saved),
        state=state,
        found=found,
        online=online,
        lines=[] if found is None else [_line(user, path, range_.now_ms, tz) for user in found.users],
        known=await _known(request, project, state.wanted.search),
        label=LABELS[state.wanted.sort],
        sorts=_sorts(path, state),
        sort_kept=_without(first, "by", "dir", "ev"),
        search_kept=_without(first, "q"),
        all_url=filter_bar.address(path, _without(first, "q")),
        first_url=filter_bar.address(path, first),
        next_url=None if found is None or found.next is None else filter_bar.address(path, _next(first, found.next)),
        exports={kind: filter_bar.address(f"/p/{project.id}/export/users.{kind}", first) for kind in exports.TYPES},
        **timespan_menu.values(path, state.timespan, range_, _without(first, "t", "sd", "ed")),
        **await shell.values(request, project, "users"),
    )


async def export(request: web.Request) -> web.StreamResponse:
    """GET /p/<project>/export/users.<csv|json>: the same users in the same order, without pages."""
    project, format_ = await context.project_of(request), request.match_info["format"]
    if format_ not in exports.TYPES:
        raise errors.NotFound
    state = parse(request.query, _now_ms(request), project.time_zone)
    state = msgspec.structs.replace(state, wanted=msgspec.structs.replace(state.wanted, after=None))
    range_ = timespan.resolve(state.timespan, _now_ms(request), project.time_zone)
    conditions = compile_filters(state.filters, await filter_pages.funnels_of(request, project))
    engine = context.of(request).services.engine
    tz = calendar.zone(project.time_zone)

    async def pages() -> AsyncIterator[exports.Lines]:
        async for page in users.pages(engine, project, range_, state.wanted, conditions):
            yield [_exported(user, tz) for user in page]

    return await exports.send_file(request, format_, f"{project.domain}-users-{range_.timespan}", HEADS, pages())


def _exported(user: Listed, tz: ZoneInfo) -> tuple[str, ...]:
    """A line of the file, by HEADS."""
    seen = calendar.local(user.last_seen_ms, tz).isoformat(timespec="seconds")
    return str(user.id), user.display_name, user.identifier, user.country, user.city, seen


async def jump(request: web.Request) -> web.Response:
    """GET /p/<project>/user/<identifier>: on to the page of the user that a site calls so."""
    project = await context.project_of(request)
    identifier = request.match_info["identifier"]
    user_id = await _by_identifier(request, project, identifier)
    if user_id is None:
        raise errors.NotFound
    return render.redirect(f"/p/{project.id}/users/{user_id}")


def parse(query: Mapping[str, str], now_ms: int, time_zone: str) -> State:
    """The state of an address. Never fails: what makes no sense falls back to the default."""
    # The other orders are the API's.
    sort = next((sort for sort in LABELS if sort == query.get("by", "")), Sort.SEEN)
    direction = query.get("dir", "asc" if sort is Sort.NAME else "desc")
    wanted = Wanted(
        search=query.get("q", "").strip()[: users.SEARCH_CHARACTERS_MAX],
        sort=sort,
        is_descending=direction != "asc",
        event=query.get("ev", "").strip()[: users.EVENT_CHARACTERS_MAX] if sort is Sort.EVENT else "",
        after=_mark(query.get("after", ""), sort),
    )
    return State(timespan.parse(query, now_ms, time_zone), wanted, filter_bar.read(query))


def parameters(state: State) -> dict[str, str]:
    """The query that leads back to a state; what is as by default is left out."""
    wanted, values = state.wanted, timespan.url_values(state.timespan)
    if wanted.search:
        values["q"] = wanted.search
    if wanted.sort is not Sort.SEEN:
        values["by"] = str(wanted.sort)
    if wanted.is_descending != (wanted.sort is not Sort.NAME):
        values["dir"] = "desc" if wanted.is_descending else "asc"
    if wanted.event:
        values["ev"] = wanted.event
    if written := filter_text.write(state.filters):
        values[filter_bar.PARAMETER] = written
    return values if wanted.after is None else _next(values, wanted.after)


def _next(values: Mapping[str, str], mark: Mark) -> dict[str, str]:
    return dict(values) | {"after": f"{mark.is_last}.{mark.id}.{mark.sort}"}


def _mark(value: str, sort: Sort) -> Mark | None:
    is_last, _, rest = value.partition(".")
    id_, _, place = rest.partition(".")
    is_number = id_.isascii() and id_.isdigit() and len(id_) <= 20 and int(id_) < users.USER_IDS
    if len(value) > AFTER_LENGTH_MAX or is_last not in ("0", "1") or not is_number:
        return None
    is_place = sort is Sort.NAME or (place.isascii() and place.isdigit() and len(place) <= 16)
    return Mark(int(is_last), place, int(id_)) if is_place else None


async def _load(request: web.Request, project: Project, range_: Range, state: State) -> Page | None:
    """The page; None when the store is busy."""
    conditions = compile_filters(state.filters, await filter_pages.funnels_of(request, project))
    try:
        return await users.load_page(context.of(request).services.engine, project, range_, state.wanted, conditions)
    except (errors.StoreError, errors.Unavailable):
        return None


async def _online(request: web.Request, project: Project) -> int | None:
    try:
        return await counted.online(context.of(request).services.engine, project.id, _now_ms(request))
    except (errors.StoreError, errors.Unavailable):
        return None


async def _known(request: web.Request, project: Project, search: str) -> str:
    """The address of a user of exactly this identifier, who may have done nothing in the timespan; '' for none."""
    user_id = await _by_identifier(request, project, search) if search else None
    return "" if user_id is None else f"/p/{project.id}/users/{user_id}"


async def _by_identifier(request: web.Request, project: Project, identifier: str) -> int | None:
    if len(identifier) > IDENTIFIER_LENGTH_MAX or "\0" in identifier:
        return None
    async with context.of(request).services.database.connect() as connection:
        return await identities.by_identifier(connection, project.id, identifier)


def _sorts(path: str, state: State) -> list[tuple[str, str, bool]]:
    """Label, address and whether it is the one in use."""
    made = []
    for sort, is_descending, label in (
        (Sort.SEEN, True, "Last seen, latest first"),
        (Sort.SEEN, False, "Last seen, earliest first"),
        (Sort.NAME, False, "Name, A to Z"),
        (Sort.NAME, True, "Name, Z to A"),
        (Sort.EVENT, True, "Last event, of any name"),
    ):
        wanted = msgspec.structs.replace(state.wanted, sort=sort, is_descending=is_descending, event="", after=None)
        is_on = (state.wanted.sort, state.wanted.is_descending, state.wanted.event) == (sort, is_descending, "")
        made.append((label, filter_bar.address(path, parameters(msgspec.structs.replace(state, wanted=wanted))), is_on))
    return made


def _line(user: Listed, path: str, now_ms: int, tz: Any) -> dict[str, Any]:
    """A user as it is drawn."""
    fired = None if user.fired_ms is None else f"{text.distance(now_ms - user.fired_ms)} ago"
    return {
        "id": str(user.id),
        "url": f"{path}/{user.id}",
        "name": user_values.name(user),
        "also": shown_text.shown(user.identifier) if user.display_name else "",
        "is_known": bool(user.display_name or user.identifier),
        "country": user.country,
        "place": user_values.place(user.country),
        "is_online": user.is_online,
        "seen": f"{text.distance(now_ms - user.last_seen_ms)} ago",
        "seen_at": user_values.moment(user.last_seen_ms, tz),
        "fired": fired,
        "fired_at": "" if user.fired_ms is None else user_values.moment(user.fired_ms, tz),
    }


def _without(values: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if name not in names}


def _now_ms(request: web.Request) -> int:
    return context.of(request).services.clock.now_ms()
