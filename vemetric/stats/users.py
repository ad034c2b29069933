"""The users of a project, listed and found. Called by web/pages/users.py.

Lists are bounded pages; where one ends, the next begins after a Mark.
"""

from collections.abc import AsyncIterator, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from vemetric.clickhouse.engine import Engine
from vemetric.model.dashboard import Range
from vemetric.model.filters import EventFilter
from vemetric.model.project import Project
from vemetric.stats import filters
from vemetric.stats.dashboard import online_since
from vemetric.stats.filters import Conditions
from vemetric.stats.predicates import Binder, conditions
from vemetric.stats.query import Query, Reader

USERS_ROWS = 50
SEARCH_CHARACTERS_MAX = 200
EVENT_CHARACTERS_MAX = 1000
# An export is read in pages of so many users.
EXPORT_PAGE_ROWS = 20_000
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
    IDENTIFIER = "identifier"
    COUNTRY = "country"
    EVENT = "event"


# So many characters of a name say where its user stands; then the id does. A page's mark must not be as long as a name.
SORT_CHARACTERS_MAX = 200
# The expression, its type, and which users it says nothing of.
SORTS = {
    Sort.SEEN: ("lastSeen", "Int64", "0"),
    Sort.NAME: (f"leftUTF8(name, {SORT_CHARACTERS_MAX})", "String", "name = ''"),
    Sort.IDENTIFIER: (f"leftUTF8(identifier, {SORT_CHARACTERS_MAX})", "String", "identifier = ''"),
    Sort.COUNTRY: ("country", "String", "country = ''"),
    Sort.EVENT: ("fired", "Int64", "fired = 0"),
}


class Mark(msgspec.Struct, frozen=True):
    """Where a page of users ends: the last one's place in the order, and its id."""

    is_last: int
    sort: str
    id: int


class Wanted(msgspec.Struct, frozen=True):
    """Which users, in which order. event: a name for Sort.EVENT, '' for any; fires: the same as a filter, with more
    than a name. after: where the page before ends; offset: how many to leave out instead.
    """

    search: str = ""
    sort: Sort = Sort.SEEN
    is_descending: bool = True
    event: str = ""
    after: Mark | None = None
    fires: EventFilter | None = None
    offset: int = 0


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
    parameters = query.parameters() | {"limit": limit + 1, "offset": wanted.offset}
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


async def pages(
    engine: Engine, project: Project, range_: Range, wanted: Wanted, conditions_: Conditions = filters.NONE
) -> AsyncIterator[list[Listed]]:
    """All users of a list from its mark on, by pages. Raises StoreBusy."""
    mark = wanted.after
    while True:
        asked = msgspec.structs.replace(wanted, after=mark)
        page = await load_page(engine, project, range_, asked, conditions_, EXPORT_PAGE_ROWS)
        yield page.users
        if (mark := page.next) is None:
            return


async def load_told(engine: Engine, project: Project, ids: Sequence[int]) -> dict[int, tuple[dict[str, Any], str]]:
    """What a site told of some users, by id: attributes and the address of a picture. Raises StoreBusy."""
    rows = await Reader(engine).rows("users_told", {"project": project.id, "users": list(ids)}) if ids else []
    return {id_: (_attributes(data), avatar_url) for id_, data, avatar_url in rows}


def _attributes(data: str) -> dict[str, Any]:
    attributes = msgspec.json.decode(data or "{}")
    return attributes if isinstance(attributes, dict) else {}


def _expressions(wanted: Wanted) -> tuple[dict[str, str], dict[str, Any]]:
    """The places of the statement that differ, and what they bind."""
    sort, kind, is_last = SORTS[wanted.sort]
    expressions = {"sort": sort, "last": f"toUInt8({is_last})", "direction": "DESC" if wanted.is_descending else "ASC"}
    bound: dict[str, Any] = {}
    if wanted.sort is Sort.EVENT and wanted.event:
        expressions["fires"], bound["fires"] = "name = {fires:String}", wanted.event[:EVENT_CHARACTERS_MAX]
    if wanted.sort is Sort.EVENT and wanted.fires is not None:
        binder = Binder("w")
        expressions["fires"] = conditions(wanted.fires, binder).row()
        bound |= binder.values
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
