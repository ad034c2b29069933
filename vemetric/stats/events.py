"""The events of a project as they came, one by one: all but page views. Called by web/pages/events.py.

A list is read in bounded pages, the latest event first; where one ends, the next begins.
"""

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from vemetric.clickhouse.engine import Engine
from vemetric.model import filters as model
from vemetric.model.dashboard import Range
from vemetric.model.filters import Group
from vemetric.model.project import Project
from vemetric.stats import filters
from vemetric.stats.journey import LATEST
from vemetric.stats.query import Reader

EVENTS_ROWS = 50
# An export is read in pages of so many events.
EXPORT_PAGE_ROWS = 5_000
SEARCH_CHARACTERS_MAX = 200
# The latest events are looked for in so much time first, then in ever longer pieces of the range.
FIRST_PIECE_MS = 6 * 3_600_000
PIECE_GROWTH = 8
# What an event is called, who sent it, and the values of its properties, whatever the case.
SEARCH = (
    "(position(lowerUTF8(name), lowerUTF8({search:String})) > 0"
    " OR position(lowerUTF8(userIdentifier), lowerUTF8({search:String})) > 0"
    " OR position(lowerUTF8(userDisplayName), lowerUTF8({search:String})) > 0"
    " OR toString(userId) = {search:String}"
    " OR arrayExists(one -> position(lowerUTF8(one.2), lowerUTF8({search:String})) > 0,"
    " JSONExtractKeysAndValues(customData, 'String'))"
    " OR userId IN (SELECT id FROM user FINAL WHERE projectId = {project:UInt64} AND deleted = 0"
    " AND (position(lowerUTF8(displayName), lowerUTF8({search:String})) > 0"
    " OR position(lowerUTF8(identifier), lowerUTF8({search:String})) > 0)))"
)


class Wanted(msgspec.Struct, frozen=True):
    """Which events. group: filters on the single events; before: (at_ms, id) where the page before ends."""

    search: str = ""
    group: Group = model.NOTHING
    before: tuple[int, str] = LATEST


class Sent(msgspec.Struct, frozen=True):
    """One event and who sent it. address: of the page it was sent from, '' where none is known."""

    id: str
    at_ms: int
    user_id: int
    name: str
    address: str
    data: dict[str, Any]
    identifier: str
    display_name: str
    country: str
    city: str
    browser: str
    os: str
    device: str


class Page(msgspec.Struct, frozen=True):
    """A page of events. next: (at_ms, id) where the rest begins, None for the last page."""

    events: list[Sent]
    next: tuple[int, str] | None


async def load_page(engine: Engine, project: Project, range_: Range, wanted: Wanted, limit: int = EVENTS_ROWS) -> Page:
    """The latest events of a range, before a mark. Raises StoreBusy."""
    reader, rows = Reader(engine), list[list[Any]]()
    piece_ms, end_ms = FIRST_PIECE_MS, min(range_.end_ms, wanted.before[0] + 1)
    while end_ms > range_.start_ms and len(rows) <= limit:
        start_ms = max(range_.start_ms, end_ms - piece_ms)
        rows += await _rows(reader, project, (start_ms, end_ms), wanted, limit + 1 - len(rows))
        piece_ms, end_ms = piece_ms * PIECE_GROWTH, start_ms
    shown = rows[:limit]
    names = await _names(reader, project, sorted({row[2] for row in shown}))
    events = [_sent(row, names) for row in shown]
    return Page(events, (events[-1].at_ms, events[-1].id) if len(rows) > limit else None)


async def pages(engine: Engine, project: Project, range_: Range, wanted: Wanted) -> AsyncIterator[list[Sent]]:
    """All events of a range before a mark, by pages. Raises StoreBusy."""
    mark = wanted.before
    while True:
        asked = msgspec.structs.replace(wanted, before=mark)
        page = await load_page(engine, project, range_, asked, EXPORT_PAGE_ROWS)
        yield page.events
        if page.next is None:
            return
        mark = page.next


async def _rows(
    reader: Reader, project: Project, window_ms: tuple[int, int], wanted: Wanted, limit: int
) -> list[list[Any]]:
    compiled = filters.compile_filters(wanted.group)
    asked: dict[str, Any] = {"project": project.id, "start": window_ms[0], "end": window_ms[1], "limit": limit}
    asked |= {"beforeAt": wanted.before[0], "beforeId": wanted.before[1]} | compiled.parameters
    expressions = {"event": compiled.single_events()}
    if wanted.search:
        expressions["found"], asked["search"] = SEARCH, wanted.search[:SEARCH_CHARACTERS_MAX]
    return await reader.rows("events", asked, expressions)


async def _names(reader: Reader, project: Project, ids: list[int]) -> dict[int, tuple[str, str]]:
    """Identifiers and names of users as they are now: an event has those of its time."""
    if not ids:
        return {}
    rows = await reader.rows("user_names", {"project": project.id, "users": ids})
    return {id_: (identifier, name) for id_, identifier, name in rows}


def _sent(row: list[Any], names: dict[int, tuple[str, str]]) -> Sent:
    id_, at_ms, user, name, origin, path, data, client, version, os, os_version, device, *who = row
    identifier, called, country, city = who
    now_identifier, now_called = names.get(user, ("", ""))
    decoded = msgspec.json.decode(data or "{}")
    return Sent(
        id_,
        at_ms,
        user,
        name,
        origin + path,
        dict(sorted(decoded.items())) if isinstance(decoded, dict) else {},
        now_identifier or identifier,
        now_called or called,
        country,
        city,
        " ".join(filter(None, (client, version))),
        " ".join(filter(None, (os, os_version))),
        device,
    )
