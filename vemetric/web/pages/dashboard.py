"""GET /p/<project>: the dashboard, or the install page while no event has come."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, NamedTuple, TypeVar

from aiohttp import web

from vemetric import errors
from vemetric.accounts import event_icons
from vemetric.model import filter_text, timespan
from vemetric.model.dashboard import Card as CardRows
from vemetric.model.dashboard import Dashboard, Range
from vemetric.model.funnel import Funnel
from vemetric.model.project import Project
from vemetric.model.saved_filter import SavedFilter
from vemetric.model.timespan import Timespan
from vemetric.stats import dashboard as stats
from vemetric.stats import funnel_users, funnels
from vemetric.stats.filters import Conditions, compile_filters
from vemetric.stats.funnels import Counted
from vemetric.web import context, dashboard_values, filter_bar, funnel_card, render, timespan_menu, view
from vemetric.web.cards import KINDS, MAP, Kind
from vemetric.web.context import Context
from vemetric.web.filter_bar import Place
from vemetric.web.live import LIVE, Live
from vemetric.web.once import Once
from vemetric.web.pages import filters, install, shell
from vemetric.web.showcase import Showcase
from vemetric.web.unfinished import UNFINISHED, Unfinished
from vemetric.web.view import View

# How many panels of a page are counted at once; the chart alone takes three statements.
PANELS_AT_ONCE_MAX = 3
# A page waits so long for its panels; those that are not counted by then come by themselves when they are.
PATIENCE_SECONDS = 0.4
# Without scripts they come by a link, whose page waits for all of them.
PATIENT_PARAMETER = "wait"

Found = TypeVar("Found")


class Asked(NamedTuple):
    """What a page or a part of it is about. path: of the page. icons: emoji by the names of events.

    showcase: of a public dashboard. settled: the conditions with what all panels of the page need to know once.
    """

    page: Context
    project: Project
    path: str
    state: View
    range: Range
    funnels: list[Funnel]
    conditions: Conditions
    icons: dict[str, str]
    live: Live
    unfinished: Unfinished
    showcase: Showcase | None = None
    settled: Once[Conditions] | None = None

    @property
    def is_public(self) -> bool:
        return self.showcase is not None


class Late:
    """Stands for a panel that the page does not wait for."""


LATE = Late()
LIVE_KEY = "live"


async def show(request: web.Request) -> web.Response:
    """The whole page."""
    project = await context.project_of(request)
    if project.first_event_at_ms is None:
        return await install.show(request, project)
    asked = await ask(request, project, view.parse(request.query, _now_ms(request), project.time_zone))
    saved = await filters.saved_of(request, project)
    return await page_of(request, asked, saved, **await shell.values(request, project, "dashboard"))


async def page_of(
    request: web.Request,
    asked: Asked,
    saved: list[SavedFilter] | None = None,
    disabled: Sequence[str] = (),
    **frame: Any,
) -> web.Response:
    """The page of what is asked, in its frame; the frame of a public one needs no values.

    saved: the saved filters. disabled: types of filters that there are none of.
    """
    patience = None if PATIENT_PARAMETER in request.query else PATIENCE_SECONDS
    values = await panels(asked, patience)
    place = Place(asked.path, asked.path, view.parameters(asked.state))
    return render.page(
        request,
        "pages/dashboard.html",
        bar=filter_bar.bar(place, asked.state.filters, asked.funnels, saved, disabled),
        **(values | tools_values(asked) | frame),
    )


async def ask(
    request: web.Request, project: Project, state: View, showcase: Showcase | None = None, path: str = ""
) -> Asked:
    """What a request is about: its state with everything that this refers to.

    showcase, path: of a public dashboard, and where it is.
    """
    page = context.of(request)
    known = await filters.funnels_of(request, project)
    live = request.app[LIVE]
    # Whoever watches live looks at the same instants, so that what is counted for one is counted for all.
    is_live = state.timespan.key == LIVE_KEY
    now_ms = live.moment(project.id) if is_live else _now_ms(request)
    if showcase is not None:
        now_ms = showcase.moment(is_live=is_live)
    range_ = timespan.resolve(state.timespan, now_ms, project.time_zone)
    icons = await event_icons.of_project(page.services.database, project.id)
    conditions, at = compile_filters(state.filters, known), path or f"/p/{project.id}"
    unfinished = request.app[UNFINISHED]
    return Asked(page, project, at, state, range_, known, conditions, icons, live, unfinished, showcase)


async def panels(asked: Asked, patience_seconds: float | None = None) -> dict[str, Any]:
    """What the template of all panels needs. A panel that cannot be counted says so in its place; one that is not
    counted in time is fetched by the page, or by a link of it.
    """
    turns = asyncio.Semaphore(PANELS_AT_ONCE_MAX)
    asked = _with_settled(asked)

    async def head() -> Dashboard | None:
        async with turns:
            return await load_chart(asked)

    async def card(kind: Kind) -> CardRows | None:
        async with turns:
            return await load_card(asked, kind)

    async def card_of_funnels() -> list[Counted] | None:
        async with turns:
            return await load_funnels(asked)

    chart, last = asyncio.create_task(head()), asyncio.create_task(card_of_funnels())
    rows = {kind.name: asyncio.create_task(card(kind)) for kind in KINDS.values()}
    _, late = await asyncio.wait([chart, *rows.values(), last], timeout=patience_seconds)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return {
        **chart_values(asked, LATE if chart in late else chart.result()),
        "cards": [
            card_values(asked, kind, LATE if rows[kind.name] in late else rows[kind.name].result())
            for kind in KINDS.values()
        ],
        "funnels_card": funnel_values(asked, LATE if last in late else last.result()),
    }


async def load_chart(asked: Asked) -> Dashboard | None:
    """Tiles and chart; None when they cannot be counted."""

    async def count() -> Dashboard | None:
        try:
            conditions = await _conditions(asked)
            return await stats.load_chart(asked.page.services.engine, asked.project, asked.range, conditions)
        except (errors.StoreError, errors.Unavailable):
            return None

    return await _shared(asked, view.CHART, count)


async def load_card(asked: Asked, kind: Kind) -> CardRows | None:
    """The page of a card; None when it cannot be counted."""
    engine, wanted = asked.page.services.engine, asked.state.wanted(kind)
    is_map = asked.state.choice(kind).value == MAP

    async def count() -> CardRows | None:
        try:
            conditions = await _conditions(asked)
            if is_map:
                return await stats.load_map(engine, asked.project, asked.range, conditions)
            return await stats.load_card(engine, asked.project, asked.range, kind.name, wanted, conditions)
        except (errors.StoreError, errors.Unavailable):
            return None

    return await _shared(asked, (kind.name, wanted, is_map), count)


async def load_funnels(asked: Asked) -> list[Counted] | None:
    """The funnels of the card; None when they cannot be counted."""
    wanted = funnel_card.asked(asked.state, asked.funnels)

    async def count() -> list[Counted] | None:
        try:
            engine = asked.page.services.engine
            return await funnels.count(engine, asked.project, asked.range, wanted, await _conditions(asked))
        except (errors.StoreError, errors.Unavailable):
            return None

    return await _shared(asked, (view.FUNNELS, tuple(wanted)), count) if wanted else []


def _with_settled(asked: Asked) -> Asked:
    """The same for several panels: who its funnel filters pick is found for all of them together."""
    engine = asked.page.services.engine
    settled = Once(lambda: funnel_users.settle(engine, asked.project, asked.range, asked.conditions))
    return asked._replace(settled=settled)


async def _conditions(asked: Asked) -> Conditions:
    return asked.conditions if asked.settled is None else await asked.settled.get()


async def _shared(asked: Asked, panel: Hashable, count: Callable[[], Awaitable[Found | None]]) -> Found | None:
    """Count a panel; in Live and in public, once for all who look at the same one. One that is left while it is counted
    is had by who asks for it next, which is the page that did not wait.
    """
    if asked.showcase is not None:
        project = asked.project
        shown = (project.id, project.events_prevent_bounce, asked.range, filter_text.write(asked.state.filters), panel)
        return await asked.showcase.shared(shown, asked.page.ip, count)
    of, text = (asked.project.id, asked.project.events_prevent_bounce), filter_text.write(asked.state.filters)
    if asked.state.timespan.key != LIVE_KEY:
        left = (*of, asked.project.time_zone, asked.state.timespan, text, panel)
        return await asked.unfinished.counted(left, count)
    return await asked.live.shared((*of, asked.range.now_ms, text, panel), count)


def chart_values(asked: Asked, loaded: Dashboard | Late | None) -> dict[str, Any]:
    """What the template of tiles and chart needs."""
    is_late = isinstance(loaded, Late)
    return dashboard_values.chart(
        asked.project,
        asked.path,
        asked.state,
        None if isinstance(loaded, Late) else loaded,
        is_late=is_late,
        is_public=asked.is_public,
    )


def card_values(asked: Asked, kind: Kind, card: CardRows | Late | None) -> dict[str, Any]:
    """What the template of a card needs."""
    is_late = isinstance(card, Late)
    rows = None if isinstance(card, Late) else card
    return dashboard_values.card(
        asked.project,
        asked.path,
        asked.state,
        kind,
        rows,
        is_late=is_late,
        icons=asked.icons,
        is_public=asked.is_public,
    )


def funnel_values(asked: Asked, counted: list[Counted] | Late | None) -> dict[str, Any]:
    """What the template of the funnels card needs."""
    is_late = isinstance(counted, Late)
    found = None if isinstance(counted, Late) else counted
    return funnel_card.values(asked.path, asked.state, asked.funnels, found, is_late=is_late, is_public=asked.is_public)


def tools_values(asked: Asked) -> dict[str, Any]:
    """What the timespan menu and the range picker need. Days are those of the project's time zone."""
    path, state = asked.path, asked.state
    kept = view.parameters(view.with_timespan(state, Timespan()))
    return timespan_menu.values(path, state.timespan, asked.range, kept)


def _now_ms(request: web.Request) -> int:
    return context.of(request).services.clock.now_ms()
