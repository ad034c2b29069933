"""GET /p/<project>/events: what was sent besides page views, one by one as it came; the same as a file.

Without scripts pages follow one another by links. A script gets the next page, and what is new, as a part of the page;
it hears of new events by the stream of live.py, and whoever looks at the same list is answered by one question.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import event_icons
from vemetric.model import calendar, filter_text, timespan
from vemetric.model.dashboard import Range
from vemetric.model.project import Project
from vemetric.model.timespan import Timespan
from vemetric.stats import events
from vemetric.stats.events import Page, Sent, Wanted
from vemetric.stats.journey import LATEST
from vemetric.web import context, event_values, filter_bar, render, timespan_menu, user_values
from vemetric.web.filter_bar import Place
from vemetric.web.live import LIVE
from vemetric.web.pages import exports, install, shell
from vemetric.web.pages import filters as filter_pages

# Filters that say nothing of a single event that is no page view.
DISABLED = ("page", "referrer", "referrerUrl", "referrerType", "utmTags", "funnel")
HEADS = (
    "Time",
    "Event",
    "User id",
    "User",
    "Identifier",
    "Country",
    "City",
    "Browser",
    "System",
    "Device",
    "Address",
    "Properties",
)


class State(msgspec.Struct, frozen=True):
    """What the list shows, which is its address."""

    timespan: Timespan
    wanted: Wanted


async def show(request: web.Request) -> web.Response:
    """The page, or the part of it that a script asks for; the install page while no event has come."""
    project, page = await context.project_of(request), context.of(request)
    if project.first_event_at_ms is None:
        return await install.show(request, project)
    state = parse(request.query, page.services.clock.now_ms(), project.time_zone)
    is_first = state.wanted.before == LATEST
    # All that are told of something new look at the same instant, so that it is read once for all.
    now_ms = request.app[LIVE].moment(project.id) if is_first else page.services.clock.now_ms()
    range_ = timespan.resolve(state.timespan, now_ms, project.time_zone)
    found = await _load(request, project, range_, state)
    path, first = f"/p/{project.id}/events", _first_parameters(state)
    tz, icons = calendar.zone(project.time_zone), await event_icons.of_project(page.services.database, project.id)
    values: dict[str, Any] = {
        "project": project,
        "found": found,
        "days": [] if found is None else event_values.days(found.events, icons, tz, now_ms),
        "day_before": "" if is_first else calendar.local(state.wanted.before[0], tz).date().isoformat(),
        "next_url": None if found is None or found.next is None else filter_bar.address(path, _next(first, found.next)),
        "first_url": filter_bar.address(path, first),
        "users_path": f"/p/{project.id}/users",
        "icons_path": f"/p/{project.id}/settings/icons",
        "may_change": await context.may_change(request, project.organization_id),
    }
    if page.is_fragment:
        return render.page(request, "panels/events.html", **values)
    search_kept = {name: value for name, value in first.items() if name != "q"}
    saved = await filter_pages.saved_of(request, project)
    place = Place(f"/p/{project.id}", path, first)
    return render.page(
        request,
        "pages/events.html",
        bar=filter_bar.bar(place, state.wanted.group, (), saved, DISABLED),
        state=state,
        is_first=is_first,
        # What has ended gets no new events.
        live=f"/p/{project.id}/live" if is_first and range_.end_ms > now_ms else "",
        search_kept=search_kept,
        all_url=filter_bar.address(path, search_kept),
        exports={kind: filter_bar.address(f"{path}/export.{kind}", first) for kind in exports.TYPES},
        **timespan_menu.values(path, state.timespan, range_, _without_timespan(first)),
        **(await shell.values(request, project, "events") | values),
    )


async def export(request: web.Request) -> web.StreamResponse:
    """GET /p/<project>/events/export.<csv|json>: the same events in the same order, without pages."""
    project, format_ = await context.project_of(request), request.match_info["format"]
    if format_ not in exports.TYPES:
        raise errors.NotFound
    services = context.of(request).services
    now_ms = services.clock.now_ms()
    state = parse(request.query, now_ms, project.time_zone)
    range_ = timespan.resolve(state.timespan, now_ms, project.time_zone)
    wanted = msgspec.structs.replace(state.wanted, before=LATEST)
    tz = calendar.zone(project.time_zone)

    async def pages() -> AsyncIterator[exports.Lines]:
        async for page in events.pages(services.engine, project, range_, wanted):
            yield [_exported(event, tz, format_) for event in page]

    return await exports.send_file(request, format_, f"{project.domain}-events-{range_.timespan}", HEADS, pages())


def _exported(event: Sent, tz: ZoneInfo, format_: str) -> tuple[Any, ...]:
    """A line of the file, by HEADS."""
    return (
        calendar.local(event.at_ms, tz).isoformat(timespec="milliseconds"),
        event.name,
        str(event.user_id),
        event.display_name,
        event.identifier,
        event.country,
        event.city,
        event.browser,
        event.os,
        event.device,
        event.address,
        msgspec.json.encode(event.data).decode("utf-8", "replace") if format_ == "csv" else event.data,
    )


def parse(query: Mapping[str, str], now_ms: int, time_zone: str) -> State:
    """The state of an address. Never fails: what makes no sense falls back to the default."""
    wanted = Wanted(
        search=query.get("q", "").strip()[: events.SEARCH_CHARACTERS_MAX],
        group=filter_bar.read(query, DISABLED),
        before=user_values.mark_of(query.get("before", "")),
    )
    return State(timespan.parse(query, now_ms, time_zone), wanted)


def parameters(state: State) -> dict[str, str]:
    """The query that leads back to a state; what is as by default is left out."""
    values = _first_parameters(state)
    return values if state.wanted.before == LATEST else _next(values, state.wanted.before)


def _first_parameters(state: State) -> dict[str, str]:
    values = timespan.url_values(state.timespan)
    if state.wanted.search:
        values["q"] = state.wanted.search
    if written := filter_text.write(state.wanted.group):
        values[filter_bar.PARAMETER] = written
    return values


def _next(values: Mapping[str, str], mark: tuple[int, str]) -> dict[str, str]:
    return dict(values) | {"before": event_values.order(*mark)}


def _without_timespan(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if name not in ("t", "sd", "ed")}


async def _load(request: web.Request, project: Project, range_: Range, state: State) -> Page | None:
    """The page, read once for all who ask for the same at the same moment; None when the store is busy."""
    engine, wanted = context.of(request).services.engine, state.wanted

    async def read() -> Page | None:
        try:
            return await events.load_page(engine, project, range_, wanted)
        except (errors.StoreError, errors.Unavailable):
            return None

    if wanted.before != LATEST:
        return await read()
    key = ("events", project.id, range_, wanted.search, filter_text.write(wanted.group))
    return await request.app[LIVE].shared(key, read)
