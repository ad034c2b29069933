"""The users of a project, listed and found, and one of them: what is known, what was done, on which days.

Called by web/pages/users.py. Lists are bounded pages; where one ends, the next begins after a Mark.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

import msgspec

from vemetric.clickhouse.engine import Engine
from vemetric.model import filters as model
from vemetric.model.dashboard import Range
from vemetric.model.filters import Group
from vemetric.model.project import Project
from vemetric.stats import filters
from vemetric.stats.dashboard import online_since
from vemetric.stats.filters import Conditions
from vemetric.stats.query import Query, Reader

USERS_ROWS = 50
SEARCH_CHARACTERS_MAX = 200
EVENT_CHARACTERS_MAX = 1000
# The rows of an export.
EXPORT_ROWS_MAX = 100_000
USER_IDS = 1 << 64
# A user's name, identifier and number, and the values of what a site told about the user, whatever the case.
FOUND = (
    "(position(lowerUTF8(displayName), lowerUTF8({search:String})) > 0"
    " OR position(lowerUTF8(identifier), lowerUTF8({search:String})) > 0"
    " OR toString(id) = {search:String}"
    " OR arrayExists(one -> position(lowerUTF8(one.2), lowerUTF8({search:String})) > 0,"
    " JSONExtractKeysAndValues(known.customData, 'String')))"
)


class Sort(StrEnum):
    """What a list of users goes by. EVENT: when an event was last sent; who never did comes last."""

    SEEN = "seen"
    NAME = "name"
    EVENT = "event"


# The expression, its type, and which users it says nothing of.
SORTS = {
    Sort.SEEN: ("lastSeen", "Int64", "0"),
    Sort.NAME: ("name", "String", "name = ''"),
    Sort.EVENT: ("fired", "Int64", "fired = 0"),
}


class Mark(msgspec.Struct, frozen=True):
    """Where a page of users ends: the last one's place in the order, and its id."""

    is_last: int
    sort: str
    id: int


class Wanted(msgspec.Struct, frozen=True):
    """Which users, in which order. event: a name for Sort.EVENT, '' for any; after: where the page before ends."""

    search: str = ""
    sort: Sort = Sort.SEEN
    is_descending: bool = True
    event: str = ""
    after: Mark | None = None


class Listed(msgspec.Struct, frozen=True):
    """A user in a list. Instants in milliseconds; fired_ms: when the event was last sent, None for never."""

    id: int
    last_seen_ms: int
    identifier: str
    display_name: str
    country: str
    city: str
    is_online: bool
    fired_ms: int | None = None


class Page(msgspec.Struct, frozen=True):
    """A page of users. total: of all pages; next: where the following page begins, None for the last one."""

    users: list[Listed]
    total: int
    next: Mark | None


async def load_page(
    engine: Engine,
    project: Project,
    range_: Range,
    wanted: Wanted,
    conditions_: Conditions = filters.NONE,
    limit: int = USERS_ROWS,
) -> Page:
    """A page of the users who did anything in the range. Raises StoreBusy."""
    query = Query(project.id, range_, conditions_)
    parameters = query.parameters() | {"limit": limit + 1}
    expressions, bound = _expressions(wanted)
    expressions["users"] = conditions_.users()
    found = await Reader(engine).rows("users", parameters | bound, expressions)
    since_ms = online_since(range_.now_ms)
    users = [_listed(row, wanted, since_ms) for row in found[:limit]]
    total = found[0][8] if found else 0
    if len(found) <= limit:
        return Page(users, total, None)
    last = found[limit - 1]
    return Page(users, total, Mark(last[7], last[6], last[0]))


def _expressions(wanted: Wanted) -> tuple[dict[str, str], dict[str, Any]]:
    """The places of the statement that differ, and what they bind."""
    sort, kind, is_last = SORTS[wanted.sort]
    expressions = {"sort": sort, "last": f"toUInt8({is_last})", "direction": "DESC" if wanted.is_descending else "ASC"}
    bound: dict[str, Any] = {}
    if wanted.sort is Sort.EVENT and wanted.event:
        expressions["fires"], bound["fires"] = "name = {fires:String}", wanted.event[:EVENT_CHARACTERS_MAX]
    if wanted.search:
        expressions["found"], bound["search"] = FOUND, wanted.search[:SEARCH_CHARACTERS_MAX]
    if wanted.after is not None:
        compared = "<" if wanted.is_descending else ">"
        place = f"{{afterSort:{kind}}}"
        expressions["after"] = (
            f"(isLast > {{afterLast:UInt8}} OR isLast = {{afterLast:UInt8}}"
            f" AND (sort {compared} {place} OR sort = {place} AND id > {{afterId:UInt64}}))"
        )
        value: Any = wanted.after.sort if kind == "String" else int(wanted.after.sort)
        bound |= {"afterLast": wanted.after.is_last, "afterSort": value, "afterId": wanted.after.id}
    return expressions, bound


def _listed(row: list[Any], wanted: Wanted, since_ms: int) -> Listed:
    id_, last_seen_ms, identifier, name, country, city, sort, is_last, _ = row
    fired_ms = int(sort) if wanted.sort is Sort.EVENT and not is_last else None
    return Listed(id_, last_seen_ms, identifier, name, country, city, last_seen_ms >= since_ms, fired_ms)


class Known(msgspec.Struct, frozen=True):
    """What a site and the first visit told about a user. attributes: as the site named them, in order of names."""

    created_ms: int
    first_seen_ms: int
    avatar_url: str
    attributes: dict[str, Any]
    landing: str
    referrer: str
    utm: dict[str, str]


class Facts(msgspec.Struct, frozen=True):
    """A user. known: None for one that was never identified; online by the last event."""

    id: int
    events: int
    first_ms: int
    last_ms: int
    identifier: str
    display_name: str
    country: str
    city: str
    browser: str
    os: str
    device: str
    is_online: bool
    known: Known | None


async def load_facts(engine: Engine, project: Project, user_id: int, now_ms: int) -> Facts | None:
    """What is known of a user; None where there is nothing. Raises StoreBusy."""
    reader, asked = Reader(engine), {"project": project.id, "user": user_id}
    [row] = await reader.rows("user_facts", asked)
    rows = await reader.rows("user", asked)
    events, first_ms, last_ms, identifier, name, country, city, client, os, device = row
    if not events and not rows:
        return None
    known, stored_identifier, stored_name = _known(rows[0]) if rows else (None, "", "")
    if known is not None and not events:
        first_ms = last_ms = known.first_seen_ms
    return Facts(
        user_id,
        events,
        first_ms,
        last_ms,
        stored_identifier or identifier,
        stored_name or name,
        country or (rows[0][-2] if rows else ""),
        city or (rows[0][-1] if rows else ""),
        " ".join(filter(None, client)),
        " ".join(filter(None, os)),
        device,
        bool(events) and last_ms >= online_since(now_ms),
        known,
    )


def _known(row: list[Any]) -> tuple[Known, str, str]:
    identifier, name, created_ms, first_seen_ms, data, avatar_url, referrer, landing, *utm, _, _ = row
    attributes = msgspec.json.decode(data or "{}")
    names = ("source", "medium", "campaign", "content", "term")
    known = Known(
        created_ms,
        first_seen_ms,
        avatar_url,
        dict(sorted(attributes.items())) if isinstance(attributes, dict) else {},
        "".join((landing[0], landing[1], query_text(landing[2]), landing[3])),
        referrer,
        {key: value for key, value in zip(names, utm, strict=True) if value},
    )
    return known, identifier, name


def query_text(stored: str) -> str:
    """The query of an address as people know it: it is stored as a JSON object. '' for none."""
    try:
        values = msgspec.json.decode(stored or "{}")
    except msgspec.DecodeError:
        return stored
    return f"?{urlencode(values, doseq=True)}" if isinstance(values, dict) and values else ""


async def count_days(engine: Engine, project: Project, user_id: int, edges_ms: list[int]) -> dict[int, int]:
    """How many events lie in each day, by its start; days without any are left out. The last edge ends the last day."""
    starts, end_ms = edges_ms[:-1], edges_ms[-1]
    asked = {"project": project.id, "user": user_id, "start": starts[0], "end": end_ms, "starts": starts}
    return dict(await Reader(engine).rows("user_days", asked))


class Step(msgspec.Struct, frozen=True):
    """One thing a user did. seconds: how long the page was looked at, None where nobody can know."""

    id: str
    at_ms: int
    session: str
    name: str
    is_page_view: bool
    origin: str
    path: str
    query: str
    hash: str
    data: dict[str, Any]
    browser: str
    os: str
    device: str
    seconds: int | None


class Session(msgspec.Struct, frozen=True):
    """A visit. Instants in milliseconds."""

    id: str
    started_ms: int
    ended_ms: int
    referrer: str
    referrer_url: str
    referrer_type: str


class Journey(msgspec.Struct, frozen=True):
    """A page of what a user did, the latest first, with its visits by id. next: (at_ms, id) where the rest begins."""

    steps: list[Step]
    sessions: Mapping[str, Session]
    next: tuple[int, str] | None


FOREVER_MS = 1 << 62
LATEST = (FOREVER_MS, "")


async def load_journey(
    engine: Engine,
    project: Project,
    user_id: int,
    *,
    window_ms: tuple[int, int] = (0, FOREVER_MS),
    before: tuple[int, str] = LATEST,
    group: Group = model.NOTHING,
    limit: int = USERS_ROWS,
) -> Journey:
    """What a user did within a window, before a mark; group: filters on the single events. Raises StoreBusy."""
    reader, compiled = Reader(engine), filters.compile_filters(group)
    asked: dict[str, Any] = {"project": project.id, "user": user_id, "limit": limit + 1}
    asked |= {"start": window_ms[0], "end": window_ms[1], "beforeAt": before[0], "beforeId": before[1]}
    asked |= compiled.parameters
    rows = await reader.rows("user_journey", asked, {"event": compiled.single_events()})
    shown = rows[:limit]
    sessions = await _sessions(reader, project.id, user_id, sorted({row[2] for row in shown if row[2]}))
    steps = [_step(row, sessions.get(row[2])) for row in shown]
    return Journey(steps, sessions, (steps[-1].at_ms, steps[-1].id) if len(rows) > limit else None)


async def _sessions(reader: Reader, project_id: int, user_id: int, ids: list[str]) -> dict[str, Session]:
    if not ids:
        return {}
    rows = await reader.rows("user_sessions", {"project": project_id, "user": user_id, "sessions": ids})
    return {row[0]: Session(*row) for row in rows}


def _step(row: list[Any], session: Session | None) -> Step:
    id_, at_ms, session_id, name, is_view, origin, path, query, hash_, data, client, version, os, os_version, device = (
        row[:15]
    )
    until_ms = row[15] or (session.ended_ms if session is not None else 0)
    seconds = (until_ms - at_ms) // 1000 if is_view and until_ms >= at_ms else None
    decoded = msgspec.json.decode(data or "{}")
    return Step(
        id_,
        at_ms,
        session_id,
        name,
        bool(is_view),
        origin,
        path,
        query_text(query),
        hash_,
        dict(sorted(decoded.items())) if isinstance(decoded, dict) else {},
        " ".join(filter(None, (client, version))),
        " ".join(filter(None, (os, os_version))),
        device,
        seconds,
    )
