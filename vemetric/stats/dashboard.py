"""Everything a dashboard shows, counted. Called by the dashboard's page, its cards' fragments and the command line.

The chart and the tiles are two statements, a card is one, online users are one; a page runs a few of them at a time.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping

import msgspec

from vemetric.clickhouse.engine import Engine
from vemetric.model import timespan
from vemetric.model.calendar import SECOND_MS
from vemetric.model.dashboard import Card, Dashboard, Interval, Range, Row
from vemetric.model.project import Project
from vemetric.stats import cards as cards_
from vemetric.stats import dimensions, filters, funnel_users, metrics, series
from vemetric.stats.cards import CARD_PAGE_MAX, CARD_ROWS, Choice
from vemetric.stats.filters import Conditions
from vemetric.stats.query import Query, Reader

# A user is online for as long as an event lies in the running half minute or the nine before it.
ONLINE_STEP_MS = 30 * SECOND_MS
ONLINE_STEPS_BEFORE = 9


__all__ = ["CARD_PAGE_MAX", "CARD_ROWS", "Choice", "load", "load_card", "load_chart", "load_map", "online", "pages"]

DEFAULT_CHOICE = Choice()


async def load(
    engine: Engine,
    project: Project,
    range_: Range,
    *,
    cards: Mapping[str, Choice] | None = None,
    conditions: Conditions = filters.NONE,
) -> Dashboard:
    """Count a dashboard. cards: the choices that differ from the default, by card.

    Raises errors.Invalid for an unknown card or dimension, StoreBusy when the store has too much to do.
    """
    choices = dict.fromkeys(dimensions.CARDS, DEFAULT_CHOICE) | dict(cards or {})
    return await _load(Reader(engine), _query(project, range_, conditions), choices)


async def load_chart(
    engine: Engine, project: Project, range_: Range, conditions: Conditions = filters.NONE
) -> Dashboard:
    """Count a dashboard without its cards: tiles, chart and who is online. Raises as `load`."""
    return await _load(Reader(engine), _query(project, range_, conditions), {})


async def load_card(
    engine: Engine,
    project: Project,
    range_: Range,
    card: str,
    choice: Choice = DEFAULT_CHOICE,
    conditions: Conditions = filters.NONE,
) -> Card:
    """One page of one card. Raises as `load`."""
    return await cards_.count_page(Reader(engine), _query(project, range_, conditions), card, choice)


async def load_map(engine: Engine, project: Project, range_: Range, conditions: Conditions = filters.NONE) -> Card:
    """The world by users, as a card of all countries. Raises as `load`."""
    return await cards_.count_map(Reader(engine), _query(project, range_, conditions))


def pages(
    engine: Engine,
    project: Project,
    range_: Range,
    card: str,
    choice: Choice = DEFAULT_CHOICE,
    conditions: Conditions = filters.NONE,
) -> AsyncIterator[list[Row]]:
    """All rows of one card by pages, for an export. Raises as `load`."""
    return cards_.pages(Reader(engine), _query(project, range_, conditions), card, choice)


async def online(engine: Engine, project_id: int, now_ms: int) -> int:
    """How many users did anything within the last four and a half to five minutes."""
    at = Range("", Interval.THIRTY_SECONDS, now_ms, now_ms + 1, (now_ms, now_ms + 1), now_ms, "UTC")
    return await _online(Reader(engine), Query(project_id, at))


class Pulse(msgspec.Struct, frozen=True):
    """What a live page has to notice: events of the last five minutes, the users they are of, and the latest one."""

    events: int
    users: int
    last_ms: int = 0


async def pulse(engine: Engine, project_id: int, now_ms: int) -> Pulse:
    """One cheap look at the last five minutes."""
    parameters = {"project": project_id, "from": online_since(now_ms), "to": now_ms + 1}
    [[events, users, last_ms]] = await Reader(engine).rows("pulse", parameters)
    return Pulse(events, users, last_ms)


def online_since(now_ms: int) -> int:
    """From when on an event makes its user be online."""
    return now_ms // ONLINE_STEP_MS * ONLINE_STEP_MS - ONLINE_STEPS_BEFORE * ONLINE_STEP_MS


def _query(project: Project, range_: Range, conditions: Conditions) -> Query:
    return Query(project.id, range_, conditions, project.events_prevent_bounce)


async def _load(reader: Reader, query: Query, choices: Mapping[str, Choice]) -> Dashboard:
    query = await funnel_users.settled(reader, query)
    previous = timespan.previous(query.range)
    windows: series.Windows = {}
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(series.count_events(reader, query, previous, windows))
            group.create_task(series.count_visits(reader, query, previous, windows))
            panels = {
                card: group.create_task(cards_.count_page(reader, query, card, choice))
                for card, choice in choices.items()
            }
            people = group.create_task(_online(reader, query))
    except ExceptionGroup as failures:
        # The others were cancelled because of the first.
        raise failures.exceptions[0] from None
    current = series.whole(windows, series.CURRENT)
    return Dashboard(
        range=query.range,
        tiles=metrics.tiles(current, series.whole(windows, series.PREVIOUS)),
        buckets=series.buckets(query.range, previous, windows),
        cards={card: panel.result() for card, panel in panels.items()},
        online=people.result(),
        events_total=current.events,
        has_data=current.users > 0,
    )


async def _online(reader: Reader, query: Query) -> int:
    """Users who are online; of those, with filters, the ones that the filters pick in the range."""
    now_ms = query.range.now_ms
    parameters = query.parameters() | {"from": online_since(now_ms), "to": now_ms + 1}
    rows = await reader.rows("online", parameters, {"users": query.conditions.users()})
    return int(rows[0][0])
