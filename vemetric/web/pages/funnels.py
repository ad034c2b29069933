"""GET /p/<project>/funnels and /funnels/<funnel>: how many users get how far, all funnels or one, and as a file."""

from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import funnels as kept_funnels
from vemetric.model import filter_text, filters, timespan
from vemetric.model.dashboard import Range
from vemetric.model.filters import Group
from vemetric.model.funnel import Funnel
from vemetric.model.project import Project
from vemetric.model.timespan import Timespan
from vemetric.stats import funnels as stats
from vemetric.stats.filters import compile_filters
from vemetric.stats.funnels import Counted, rate
from vemetric.web import context, filter_bar, funnel_values, render, timespan_menu
from vemetric.web.filter_bar import Place
from vemetric.web.funnel_values import Links
from vemetric.web.pages import exports, shell
from vemetric.web.pages import filters as filter_pages

ACTIVE_PARAMETER, ORIENTATION_PARAMETER, ONLY_PARAMETER = "u", "o", "funnel"
VERTICAL = "vertical"
HEADS = ("Funnel", "Step", "Name", "Users", "% of the step before", "% of the first step", "% of active users")


class State(msgspec.Struct, frozen=True):
    """What the pages show, which is their address. with_active: rates are of all active users."""

    timespan: Timespan
    filters: Group = filters.NOTHING
    with_active: bool = False
    is_vertical: bool = False

    def values(self) -> dict[str, str]:
        """The query that leads back to it; what is as by default is left out."""
        values = timespan.url_values(self.timespan)
        if written := filter_text.write(self.filters):
            values[filter_bar.PARAMETER] = written
        if self.with_active:
            values[ACTIVE_PARAMETER] = "1"
        if self.is_vertical:
            values[ORIENTATION_PARAMETER] = VERTICAL
        return values


async def show(request: web.Request) -> web.Response:
    """All funnels of a project."""
    project = await context.project_of(request)
    known = await filter_pages.funnels_of(request, project)
    state = _state(request, project)
    counted = await _count(request, project, state, known, known)
    links = _links(project, state)
    cards = [
        {
            "funnel": funnel,
            "url": filter_bar.address(f"/p/{project.id}/funnels/{funnel.id}", state.values()),
            "drawn": None if one is None else funnel_values.draw(one, links, with_active=state.with_active),
        }
        for funnel, one in zip_longest(known, counted or [])
    ]
    return await _page(
        request,
        project,
        state,
        known,
        "pages/funnels.html",
        f"/p/{project.id}/funnels",
        cards=cards,
        is_full=len(known) >= kept_funnels.PER_PROJECT_MAX,
        limit=kept_funnels.PER_PROJECT_MAX,
        active_users=counted[0].active_users if counted else None,
        exports=_exports(project, state),
    )


async def show_one(request: web.Request) -> web.Response:
    """One funnel."""
    project = await context.project_of(request)
    known = await filter_pages.funnels_of(request, project)
    funnel = next((one for one in known if one.id == request.match_info["funnel"]), None)
    if funnel is None:
        raise errors.NotFound
    state = _state(request, project)
    counted = await _count(request, project, state, known, [funnel])
    path = f"/p/{project.id}/funnels/{funnel.id}"
    turned = msgspec.structs.replace(state, is_vertical=not state.is_vertical)
    return await _page(
        request,
        project,
        state,
        known,
        "pages/funnel.html",
        path,
        funnel=funnel,
        window=funnel_values.duration(funnel.window_seconds),
        drawn=None
        if counted is None
        else funnel_values.draw(counted[0], _links(project, state), with_active=state.with_active),
        active_users=None if counted is None else counted[0].active_users,
        turned_url=filter_bar.address(path, turned.values()),
        all_url=filter_bar.address(f"/p/{project.id}/funnels", state.values()),
        exports=_exports(project, state, funnel),
    )


async def export(request: web.Request) -> web.StreamResponse:
    """GET /p/<project>/export/funnels.<csv|json>: a line per step, of all funnels or of one."""
    project, format_ = await context.project_of(request), request.match_info["format"]
    if format_ not in exports.TYPES:
        raise errors.NotFound
    known, state = await filter_pages.funnels_of(request, project), _state(request, project)
    only = request.query.get(ONLY_PARAMETER, "")
    asked = [funnel for funnel in known if not only or funnel.id == only]
    conditions = compile_filters(state.filters, known)
    range_ = _range(request, project, state)
    counted = await stats.count(context.of(request).services.engine, project, range_, asked, conditions)

    async def pages() -> AsyncIterator[exports.Lines]:
        yield [line for one in counted for line in _lines(one)]

    return await exports.send_file(request, format_, f"{project.domain}-funnels-{range_.timespan}", HEADS, pages())


def _lines(counted: Counted) -> list[tuple[str | int | float, ...]]:
    return [
        (
            counted.funnel.name,
            number + 1,
            counted.funnel.step_name(number),
            users,
            counted.step_rate(number),
            rate(users, counted.users[0]),
            rate(users, counted.active_users),
        )
        for number, users in enumerate(counted.users)
    ]


def _state(request: web.Request, project: Project) -> State:
    query = request.query
    return State(
        timespan.parse(query, _now_ms(request), project.time_zone),
        filter_bar.read(query),
        query.get(ACTIVE_PARAMETER) == "1",
        query.get(ORIENTATION_PARAMETER) == VERTICAL,
    )


async def _count(
    request: web.Request, project: Project, state: State, known: Sequence[Funnel], asked: Sequence[Funnel]
) -> list[Counted] | None:
    """The figures; None when the store is busy. known: the project's funnels, which filters may refer to."""
    conditions = compile_filters(state.filters, known)
    engine, range_ = context.of(request).services.engine, _range(request, project, state)
    try:
        return await stats.count(engine, project, range_, asked, conditions)
    except (errors.StoreError, errors.Unavailable):
        return None


def _links(project: Project, state: State) -> Links:
    return Links(f"/p/{project.id}", state.timespan, state.filters)


def _exports(project: Project, state: State, funnel: Funnel | None = None) -> dict[str, str]:
    values = state.values() | ({} if funnel is None else {ONLY_PARAMETER: funnel.id})
    return {kind: filter_bar.address(f"/p/{project.id}/export/funnels.{kind}", values) for kind in exports.TYPES}


async def _page(
    request: web.Request,
    project: Project,
    state: State,
    known: Sequence[Funnel],
    template: str,
    path: str,
    **values: Any,
) -> web.Response:
    kept, saved = state.values(), await filter_pages.saved_of(request, project)
    toggled = msgspec.structs.replace(state, with_active=not state.with_active)
    return render.page(
        request,
        template,
        bar=filter_bar.bar(Place(f"/p/{project.id}", path, kept), state.filters, known, saved),
        state=state,
        base_path=f"/p/{project.id}/funnels",
        active_url=filter_bar.address(path, toggled.values()),
        here=filter_bar.address(path, kept),
        is_saved="saved" in request.query,
        **values,
        **timespan_menu.values(path, state.timespan, _range(request, project, state), _without_timespan(kept)),
        **await shell.values(request, project, "funnels"),
    )


def _without_timespan(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if name not in ("t", "sd", "ed")}


def _range(request: web.Request, project: Project, state: State) -> Range:
    return timespan.resolve(state.timespan, _now_ms(request), project.time_zone)


def _now_ms(request: web.Request) -> int:
    return context.of(request).services.clock.now_ms()
