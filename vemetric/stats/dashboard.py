"""Everything a dashboard shows, counted. Called by the dashboard's page, its cards' fragments and the command line.

The chart and the tiles are two statements, a card is one, online users are one; a page runs a few of them at a time.
"""

import asyncio
from collections.abc import Mapping

import msgspec

from vemetric.clickhouse.engine import Engine
from vemetric.model import timespan
from vemetric.model.calendar import SECOND_MS
from vemetric.model.dashboard import Card, Dashboard, Range, Row
from vemetric.model.project import Project
from vemetric.stats import dimensions, metrics, series
from vemetric.stats.query import Query, Reader

CARD_ROWS = 7
CARD_PAGE_MAX = 1_000_000

# A user is online for as long as an event lies in the running half minute or the nine before it.
ONLINE_STEP_MS = 30 * SECOND_MS
ONLINE_STEPS_BEFORE = 9


class Choice(msgspec.Struct, frozen=True):
    """What a person looks at in a card: a key of dimensions.CARDS[card], '' for the default; pages count from 1."""

    dimension: str = ""
    page: int = 1


DEFAULT_CHOICE = Choice()


async def load(
    engine: Engine, project: Project, range_: Range, *, cards: Mapping[str, Choice] | None = None
) -> Dashboard:
    """Count a dashboard. cards: the choices that differ from the default, by card.

    Raises errors.Invalid for an unknown card or dimension, StoreBusy when the store has too much to do.
    """
    return await _load(engine, project, range_, dict.fromkeys(dimensions.CARDS, DEFAULT_CHOICE) | dict(cards or {}))


async def load_chart(engine: Engine, project: Project, range_: Range) -> Dashboard:
    """Count a dashboard without its cards: tiles, chart and who is online. Raises as `load`."""
    return await _load(engine, project, range_, {})


async def _load(engine: Engine, project: Project, range_: Range, choices: Mapping[str, Choice]) -> Dashboard:
    query = Query(project.id, range_)
    previous = timespan.previous(range_)
    windows: series.Windows = {}
    reader = Reader(engine)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(series.count_events(reader, query, previous, windows))
            group.create_task(series.count_visits(reader, query, previous, windows))
            panels = {card: group.create_task(_card(reader, query, card, choice)) for card, choice in choices.items()}
            people = group.create_task(_online(reader, project.id, range_.now_ms))
    except ExceptionGroup as failures:
        # The others were cancelled because of the first.
        raise failures.exceptions[0] from None
    current = series.whole(windows, series.CURRENT)
    return Dashboard(
        range=range_,
        tiles=metrics.tiles(current, series.whole(windows, series.PREVIOUS)),
        buckets=series.buckets(range_, previous, windows),
        cards={card: panel.result() for card, panel in panels.items()},
        online=people.result(),
        events_total=current.events,
        has_data=current.users > 0,
    )


async def load_card(
    engine: Engine, project: Project, range_: Range, card: str, choice: Choice = DEFAULT_CHOICE
) -> Card:
    """One page of one card. Raises as `load`."""
    return await _card(Reader(engine), Query(project.id, range_), card, choice)


async def online(engine: Engine, project_id: int, now_ms: int) -> int:
    """How many users did anything within the last four and a half to five minutes."""
    return await _online(Reader(engine), project_id, now_ms)


async def _online(reader: Reader, project_id: int, now_ms: int) -> int:
    start_ms = now_ms // ONLINE_STEP_MS * ONLINE_STEP_MS - ONLINE_STEPS_BEFORE * ONLINE_STEP_MS
    rows = await reader.rows("online", {"project": project_id, "start": start_ms, "end": now_ms + 1})
    return int(rows[0][0])


async def _card(reader: Reader, query: Query, card: str, choice: Choice) -> Card:
    """A page of rows. A page beyond the last one is the first one: rows may have become fewer since it was linked."""
    name, dimension = dimensions.find(card, choice.dimension)
    page = min(max(choice.page, 1), CARD_PAGE_MAX)
    window = {"limit": CARD_ROWS, "offset": (page - 1) * CARD_ROWS}
    rows = await reader.rows(dimension.statement, query.parameters() | window, dimension.expressions())
    if not rows and page > 1:
        return await _card(reader, query, card, Choice(name))
    return Card(
        dimension=name,
        rows=[Row(key, users, count if dimension.counts else None, detail) for key, detail, users, count, *_ in rows],
        total_rows=rows[0][4] if rows else 0,
        page=page,
        users_max=rows[0][5] if rows else 0,
    )
