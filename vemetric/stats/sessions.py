"""The visits of a project, listed. Called by the API.

Lists are bounded pages; where one ends, the next begins after a Mark.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec

from vemetric.clickhouse.engine import Engine
from vemetric.stats.query import Query, Reader

# Filters of these types pick visits; all others pick the users whose visits are listed.
TYPES = ("location", "referrer", "referrerUrl", "referrerType", "utmTags")
UTM = ("source", "medium", "campaign", "content", "term")


class Sort(StrEnum):
    """What a list of visits goes by."""

    STARTED = "started"
    DURATION = "duration"


SORTS = {Sort.STARTED: "toUnixTimestamp64Milli(startedAt)", Sort.DURATION: "duration"}


class Mark(msgspec.Struct, frozen=True):
    """Where a page of visits ends: the last one's place in the order, its id and its user."""

    sort: int
    id: str
    user_id: int


class Wanted(msgspec.Struct, frozen=True):
    """Which visits, in which order. user_id: of one user alone. offset: how many to leave out instead of `after`."""

    user_id: int | None = None
    sort: Sort = Sort.STARTED
    is_descending: bool = True
    after: Mark | None = None
    offset: int = 0


class Visit(msgspec.Struct, frozen=True):
    """A visit. Instants in milliseconds; identifier and name are the user's of today, where there are any.

    page_views, events: over its whole life; browser, os, device: of its first event, '' where none is stored.
    """

    id: str
    user_id: int
    started_ms: int
    ended_ms: int
    seconds: int
    identifier: str
    display_name: str
    country: str
    city: str
    referrer: str
    referrer_url: str
    referrer_type: str
    utm: dict[str, str]
    origin: str
    path: str
    page_views: int
    events: int
    browser: str
    os: str
    device: str


class Page(msgspec.Struct, frozen=True):
    """A page of visits. next: where the following page begins, None for the last one."""

    visits: list[Visit]
    next: Mark | None


async def load_page(engine: Engine, query: Query, wanted: Wanted, limit: int) -> Page:
    """A page of the visits that began in the range. Raises StoreBusy."""
    reader = Reader(engine)
    expressions, bound = _expressions(query, wanted)
    asked = query.parameters() | {"limit": limit + 1, "offset": wanted.offset} | bound
    rows = await reader.rows("sessions", asked, expressions)
    shown = rows[:limit]
    names = await _names(reader, query.project_id, shown)
    happened = await _happened(reader, query.project_id, shown)
    visits = [_visit(row, names, happened) for row in shown]
    if len(rows) <= limit:
        return Page(visits, None)
    last = visits[-1]
    sort = last.started_ms if wanted.sort is Sort.STARTED else last.seconds
    return Page(visits, Mark(sort, last.id, last.user_id))


def _expressions(query: Query, wanted: Wanted) -> tuple[dict[str, str], dict[str, Any]]:
    """The places of the statement that differ, and what they bind."""
    sort = SORTS[wanted.sort]
    expressions = {"sort": sort, "direction": "DESC" if wanted.is_descending else "ASC"}
    expressions["rows"] = query.conditions.rows(*TYPES)
    expressions["users"] = query.conditions.users("startedAt")
    bound: dict[str, Any] = {}
    if wanted.user_id is not None:
        expressions["users"] += " AND userId = {user:UInt64}"
        bound["user"] = wanted.user_id
    if wanted.after is not None:
        compared = "<" if wanted.is_descending else ">"
        expressions["after"] = (
            f"({sort} {compared} {{afterSort:Int64}} OR {sort} = {{afterSort:Int64}}"
            " AND (id, userId) > ({afterId:String}, {afterUser:UInt64}))"
        )
        bound |= {"afterSort": wanted.after.sort, "afterId": wanted.after.id, "afterUser": wanted.after.user_id}
    return expressions, bound


async def _names(reader: Reader, project_id: int, rows: Sequence[list[Any]]) -> dict[int, tuple[str, str]]:
    """Identifiers and names of users as they are now: a visit has those of its time."""
    if not rows:
        return {}
    asked = {"project": project_id, "users": sorted({row[1] for row in rows})}
    return {id_: (identifier, name) for id_, identifier, name in await reader.rows("user_names", asked)}


async def _happened(reader: Reader, project_id: int, rows: Sequence[list[Any]]) -> dict[tuple[str, int], list[Any]]:
    """What happened in visits, by id and user."""
    if not rows:
        return {}
    asked = {
        "project": project_id,
        "start": min(row[2] for row in rows),
        "end": max(row[3] for row in rows) + 1,
        "users": sorted({row[1] for row in rows}),
        "sessions": [row[0] for row in rows],
    }
    return {(row[0], row[1]): row[2:] for row in await reader.rows("session_events", asked)}


def _visit(row: list[Any], names: dict[int, tuple[str, str]], happened: dict[tuple[str, int], list[Any]]) -> Visit:
    id_, user_id, started_ms, ended_ms, seconds, identifier, name, country, city, *source = row
    referrer, referrer_url, referrer_type, *utm, origin, path = source
    now_identifier, now_name = names.get(user_id, ("", ""))
    page_views, events, client = happened.get((id_, user_id), (0, 0, ("", "", "")))
    return Visit(
        id_,
        user_id,
        started_ms,
        ended_ms,
        seconds,
        now_identifier or identifier,
        now_name or name,
        country,
        city,
        referrer,
        referrer_url,
        referrer_type,
        dict(zip(UTM, utm, strict=True)),
        origin,
        path,
        page_views,
        events,
        *client,
    )
