"""Rows of known users, and where users came from, as the user workers read them. Written by sink.py."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from vemetric.clickhouse.engine import Engine
from vemetric.clickhouse.rows import milliseconds
from vemetric.clickhouse.sink import LOOKUP_KEYS_MAX, UserKey
from vemetric.clickhouse.user_row import USER_COLUMNS, UserRow

USERS = f"""
SELECT {", ".join(USER_COLUMNS)} FROM user FINAL
WHERE projectId IN {{projects:Array(UInt64)}} AND id IN {{users:Array(UInt64)}}
"""  # noqa: S608 - the text holds column names of ours only

# The first page view of each user, by the columns that say which it is; the row itself is read in a second step, so
# that a long history costs only these.
FIRST_PAGE_VIEWS = """
SELECT projectId, userId, id, toString(min(createdAt)) AS at FROM event
WHERE projectId IN {projects:Array(UInt64)} AND userId IN {users:Array(UInt64)} AND isPageView = 1
GROUP BY projectId, userId, id HAVING sum(sign) > 0
ORDER BY at, id LIMIT 1 BY projectId, userId
"""
PAGE_VIEW_COLUMNS = (
    "createdAt", "countryCode", "city", "latitude", "longitude", "deviceId", "userAgent", "referrer", "referrerUrl",
    "referrerType", "origin", "pathname", "queryParams", "urlHash", "utmSource", "utmMedium", "utmCampaign",
    "utmContent", "utmTerm",
)  # fmt: skip
PAGE_VIEWS = f"""
SELECT projectId, userId, {", ".join(PAGE_VIEW_COLUMNS)} FROM event
WHERE projectId IN {{projects:Array(UInt64)}} AND userId IN {{users:Array(UInt64)}} AND id IN {{ids:Array(String)}}
  AND createdAt IN {{times:Array(DateTime64(3, 'UTC'))}} AND sign = 1
LIMIT 1 BY projectId, userId
"""  # noqa: S608

FIRST_EVENTS = """
SELECT projectId, toString(min(createdAt)) FROM event WHERE projectId IN {projects:Array(UInt64)} GROUP BY projectId
"""


async def rows(engine: Engine, keys: Collection[UserKey]) -> dict[UserKey, UserRow]:
    """The current row of each of the users that has one, deleted ones included."""
    found: dict[UserKey, UserRow] = {}
    for chunk in _chunks(keys):
        for values in await engine.lookup(USERS, _parameters(chunk)):
            row = UserRow.from_list(values)
            if (key := UserKey(row.projectId, row.id)) in chunk:
                found[key] = row
    return found


async def first_page_views(engine: Engine, keys: Collection[UserKey]) -> dict[UserKey, tuple[Any, ...]]:
    """Of each user that has seen a page: the first one's values, in the order of PAGE_VIEW_COLUMNS."""
    views: dict[UserKey, tuple[Any, ...]] = {}
    for chunk in _chunks(keys):
        first = await engine.lookup(FIRST_PAGE_VIEWS, _parameters(chunk))
        if not first:
            continue
        parameters = _parameters(chunk) | {"ids": [row[2] for row in first], "times": [row[3] for row in first]}
        for project_id, user_id, *values in await engine.lookup(PAGE_VIEWS, parameters):
            key = UserKey(project_id, user_id)
            if key in chunk:
                values[1] = values[1].rstrip("\0")
                views[key] = tuple(values)
    return views


async def first_events(engine: Engine, project_ids: Sequence[int]) -> dict[int, int]:
    """When the first event of each project happened, in ms; those without one are missing."""
    found = await engine.lookup(FIRST_EVENTS, {"projects": project_ids})
    return {project_id: milliseconds(at) for project_id, at in found}


def _parameters(keys: Collection[UserKey]) -> dict[str, Any]:
    return {"projects": sorted({key.project_id for key in keys}), "users": [key.id for key in keys]}


def _chunks(keys: Collection[UserKey]) -> Iterator[set[UserKey]]:
    ordered = sorted(set(keys))
    return (set(ordered[start : start + LOOKUP_KEYS_MAX]) for start in range(0, len(ordered), LOOKUP_KEYS_MAX))
