"""GET /p/<project>: the dashboard, or the install page while no event has come."""

import asyncio
from datetime import datetime
from typing import Any

from aiohttp import web

from vemetric import errors
from vemetric.model import calendar, timespan
from vemetric.model.dashboard import Card as CardRows
from vemetric.model.dashboard import Dashboard, Range
from vemetric.model.project import Project
from vemetric.model.timespan import PRESETS, Timespan
from vemetric.stats import dashboard as stats
from vemetric.web import cards, chart, context, render, view
from vemetric.web.context import Context
from vemetric.web.pages import install, shell
from vemetric.web.view import View

# How many panels of a page are counted at once; the chart alone takes three statements.
PANELS_AT_ONCE_MAX = 3


async def show(request: web.Request) -> web.Response:
    """The whole page."""
    project = await context.project_of(request)
    if project.first_event_at_ms is None:
        return await install.show(request, project)
    page = context.of(request)
    state = view.parse(request.query, page.services.clock.now_ms(), project.time_zone)
    values = await panels(page, project, state)
    frame = await shell.values(request, project, "dashboard")
    return render.page(request, "pages/dashboard.html", **(values | frame))


async def panels(page: Context, project: Project, state: View) -> dict[str, Any]:
    """What the template of all panels needs. A panel that cannot be counted is None and says so in its place."""
    range_ = timespan.resolve(state.timespan, page.services.clock.now_ms(), project.time_zone)
    turns = asyncio.Semaphore(PANELS_AT_ONCE_MAX)

    async def head() -> Dashboard | None:
        async with turns:
            return await load_chart(page, project, range_)

    async def card(kind: cards.Kind) -> CardRows | None:
        async with turns:
            return await load_card(page, project, range_, kind, state)

    async with asyncio.TaskGroup() as group:
        loaded = group.create_task(head())
        rows = [(kind, group.create_task(card(kind))) for kind in cards.KINDS.values()]
    return {
        **chart_values(project, state, range_, loaded.result()),
        "cards": [card_values(project, state, kind, found.result()) for kind, found in rows],
        **tools_values(project, state, range_),
    }


async def load_chart(page: Context, project: Project, range_: Range) -> Dashboard | None:
    try:
        return await stats.load_chart(page.services.engine, project, range_)
    except (errors.StoreError, errors.Unavailable):
        return None


async def load_card(page: Context, project: Project, range_: Range, kind: cards.Kind, state: View) -> CardRows | None:
    try:
        return await stats.load_card(page.services.engine, project, range_, kind.name, state.wanted(kind))
    except (errors.StoreError, errors.Unavailable):
        return None


def chart_values(project: Project, state: View, range_: Range, loaded: Dashboard | None) -> dict[str, Any]:
    """What the template of tiles and chart needs."""
    path = f"/p/{project.id}"
    return {
        "project": project,
        "path": path,
        "state": state,
        "dashboard": loaded,
        "chart": None if loaded is None else chart.draw(loaded, state.series, state.timespan),
        "labels": chart.LABELS,
        "colours": chart.COLOURS,
        "series_urls": {key: view.url(path, view.toggled(state, key)) for key in view.SERIES},
        "series_fragments": {key: fragment_url(path, view.CHART, view.toggled(state, key)) for key in view.SERIES},
        "here": view.url(path, state),
        "in_chart": in_chart(path, state),
        "wider_url": view.url(path, view.with_timespan(state, Timespan("30days"))),
        "refresh_seconds": PRESETS[state.timespan.key].refresh_seconds if state.timespan.key in PRESETS else None,
    }


def card_values(project: Project, state: View, kind: cards.Kind, card: CardRows | None) -> dict[str, Any]:
    """What the template of a card needs."""
    path = f"/p/{project.id}"
    choice = kind.choice(state.choices.get(kind.name, ""))

    def link(changed: View) -> dict[str, str]:
        return {"page": view.url(path, changed), "fragment": fragment_url(path, kind.name, changed)}

    return {
        "kind": kind,
        "choice": choice,
        "rows": card,
        "lines": [] if card is None else cards.lines(kind, choice, card, project.domain),
        "choice_links": {one.value: link(view.with_choice(state, kind.name, one.value)) for one in kind.choices},
        "pages": [] if card is None else paging(card),
        "page_links": lambda number: link(view.with_page(state, kind.name, number)),
        "here": link(state),
        "in_chart": in_chart(path, state),
    }


def in_chart(path: str, state: View) -> dict[str, Any]:
    """The button of the events card that shows them in the chart."""
    changed = view.toggled(state, "events")
    return {
        "is_on": "events" in state.series,
        "page": view.url(path, changed),
        "fragment": fragment_url(path, view.CHART, changed),
    }


def tools_values(project: Project, state: View, range_: Range) -> dict[str, Any]:
    """What the timespan menu and the range picker need. Days are those of the project's time zone."""
    path, tz = f"/p/{project.id}", calendar.zone(range_.time_zone)
    today = calendar.local(range_.now_ms, tz)
    first = range_.start_date or calendar.local(range_.start_ms, tz).date().isoformat()
    kept = view.with_timespan(state, Timespan())
    return {
        "timespan_label": timespan.label(state.timespan, today.date()),
        "timespans": [
            (preset, view.url(path, view.with_timespan(state, Timespan(preset.key)))) for preset in PRESETS.values()
        ],
        "live_url": view.url(path, view.with_timespan(state, Timespan("live"))),
        "picker": {
            "first": first,
            "last": range_.end_date or today.date().isoformat(),
            "earliest": timespan.FIRST_DAY.isoformat(),
            "latest": calendar.month_end(today.date()).isoformat(),
            "today": today.date().isoformat(),
            "kept": view.parameters(kept),
        },
        "zone_label": zone_label(project.time_zone, today),
    }


def fragment_url(path: str, panel: str, state: View) -> str:
    """The address of a panel in a state: its own parameters only, the rest is that of the page it stands in."""
    own = view.own_parameters(panel)
    wanted = {name: value for name, value in view.parameters(state).items() if name in own}
    return view.with_query(f"{path}/panels/{panel}", wanted)


def paging(card: CardRows) -> list[int | None]:
    """The numbers below a card: the first, the last, those around the current one, None for a gap."""
    last = max(1, -(-card.total_rows // stats.CARD_ROWS))
    near = {1, last, *range(card.page - 1, card.page + 2)}
    if card.page <= 3:
        near |= {2, 3, 4}
    if card.page >= last - 2:
        near |= {last - 3, last - 2, last - 1}
    numbers: list[int | None] = []
    for number in sorted(number for number in near if 1 <= number <= last):
        if numbers and number - (numbers[-1] or number) > 1:
            numbers.append(None)
        numbers.append(number)
    return numbers


def zone_label(name: str, now: datetime) -> str:
    """`Europe/Vienna, 14:05` as a hint at whose days these are."""
    return f"{name}, {now:%H:%M}"
