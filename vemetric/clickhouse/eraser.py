"""Erases rows for good, of a whole project or of some of its users. Asked by workers/erase.py."""

from collections.abc import Mapping, Sequence

from vemetric.clickhouse.engine import Engine

# Tables with the columns that say whose a row is, and since when there is what it tells of.
TABLES = {
    "event": ("userId", "createdAt"),
    "session": ("userId", "startedAt"),
    "device": ("userId", "createdAt"),
    "user": ("id", "createdAt"),
}
BEFORE = "< fromUnixTimestamp64Milli({until:Int64}, 'UTC')"

# As verify counts what is stored.
EVENTS_OF_PROJECT = """
SELECT 0 AS user, count() FROM event FINAL WHERE sign = 1 AND importSource = '' AND projectId = {project:UInt64}
"""
EVENTS_OF_USERS = f"""
SELECT userId, count() FROM event FINAL
WHERE sign = 1 AND importSource = '' AND projectId = {{project:UInt64}} AND userId IN {{users:Array(UInt64)}}
  AND createdAt {BEFORE}
GROUP BY userId
"""  # noqa: S608 - the text holds conditions of ours only


STORED = """
SELECT DISTINCT id FROM event FINAL
WHERE sign = 1 AND projectId = {project:UInt64} AND id IN {ids:Array(String)}
  AND createdAt BETWEEN fromUnixTimestamp64Milli({first:Int64}, 'UTC') AND fromUnixTimestamp64Milli({last:Int64}, 'UTC')
"""
STORED_ASKED_MAX = 1_000


async def count_events(engine: Engine, project_id: int, user_ids: Sequence[int], until_ms: int) -> dict[int, int]:
    """How many accepted events of each of the users are stored from before that time.

    Of the whole project, under 0 and of any time, without users.
    """
    statement = EVENTS_OF_USERS if user_ids else EVENTS_OF_PROJECT
    of_users = {"users": list(user_ids), "until": until_ms} if user_ids else {}
    found = await engine.query(statement, {"project": project_id, **of_users})
    return dict(found)


async def newest_ms(engine: Engine, project_id: int, user_ids: Sequence[int]) -> int:
    """The time of the newest row of these users; 0 without any."""
    newest = 0
    for table, (whose, since) in TABLES.items() if user_ids else ():
        sql = f"""
        SELECT toUnixTimestamp64Milli(max({since})) FROM {table}
        WHERE projectId = {{project:UInt64}} AND {whose} IN {{users:Array(UInt64)}}
        """  # noqa: S608 - names of ours
        [[found]] = await engine.lookup(sql, {"project": project_id, "users": list(user_ids)})
        newest = max(newest, found)
    return newest


async def stored_events(engine: Engine, project_id: int, events: Mapping[str, int]) -> list[str]:
    """Those of the events that are stored, under any user. events: their times (ms) by id."""
    # In order of time, so that each question covers a short range.
    ids, stored = sorted(events, key=lambda id_: events[id_]), []
    for start in range(0, len(ids), STORED_ASKED_MAX):
        some = ids[start : start + STORED_ASKED_MAX]
        values = {"project": project_id, "ids": some, "first": events[some[0]], "last": events[some[-1]]}
        stored += [id_ for (id_,) in await engine.query(STORED, values)]
    return stored


async def erase_project(engine: Engine, project_id: int) -> None:
    """Erase every row of the project; on disk they are gone when this returns. Raises StoreError."""
    for table in TABLES:
        await _erase(engine, table, "projectId = {project:UInt64}", {"project": project_id})


async def erase_users(engine: Engine, project_id: int, user_ids: Sequence[int], until_ms: int) -> None:
    """Erase every row of these users of the project from before that time, as erase_project.

    Nothing of that time is stored any more, so that what goes is what was counted, however often this is begun.
    """
    for table, (whose, since) in TABLES.items():
        condition = f"projectId = {{project:UInt64}} AND {whose} IN {{users:Array(UInt64)}} AND {since} {BEFORE}"
        parameters = {"project": project_id, "users": list(user_ids), "until": until_ms}
        await _erase(engine, table, condition, parameters)


async def _erase(engine: Engine, table: str, condition: str, parameters: dict[str, object]) -> None:
    # Not the lighter DELETE, which only hides rows until a merge happens upon them.
    await engine.command(f"ALTER TABLE {table} DELETE WHERE {condition} SETTINGS mutations_sync = 2", parameters)
