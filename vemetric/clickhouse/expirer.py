"""Removes rows that are older than their project keeps them, whole months where nobody needs one. Asked by
workers/retention.py.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from vemetric.clickhouse.engine import Engine

# By project, since when its rows are kept (ms). A project that is not named keeps all of them.
Cutoffs = Mapping[int, int]

# The tables that are kept by the month, with the time by which they are, and the time by which a row is old: a visit is
# as old as its end.
BY_MONTH = {"event": ("createdAt", "createdAt"), "session": ("startedAt", "endedAt")}
USERS_PER_CHANGE = 20_000

CUTOFF = "transform(projectId, {projects:Array(UInt64)}, {cutoffs:Array(Int64)}, toInt64(0))"
NEWEST = "fromUnixTimestamp64Milli({newest:Int64}, 'UTC')"
# Events as verify counts them.
COUNTED = "sign = 1 AND importSource = ''"
# Rows of a user of whom no event is left.
LEFT_ALONE = """
SELECT DISTINCT projectId, {whose} FROM {table} FINAL
WHERE projectId IN {{projects:Array(UInt64)}} AND toUnixTimestamp64Milli({time}) < {cutoff} AND {is_there}
  AND (projectId, {whose}) NOT IN (SELECT projectId, userId FROM event WHERE projectId IN {{projects:Array(UInt64)}})
"""


async def months(engine: Engine, table: str, cutoffs: Cutoffs) -> list[int]:
    """The months (202603) of which no row is kept by any project."""
    by, old_by = BY_MONTH[table]
    newest = max(cutoffs.values(), default=0)
    statement = f"""
    SELECT toYYYYMM({by}) AS month, projectId, toUnixTimestamp64Milli(max({old_by})) FROM {table}
    WHERE {by} < {NEWEST} GROUP BY month, projectId
    """  # noqa: S608 - names of ours
    last: defaultdict[int, list[bool]] = defaultdict(list)
    for month, project_id, last_ms in await engine.lookup(statement, {"newest": newest}):
        last[month].append(last_ms < cutoffs.get(project_id, 0))
    return sorted(month for month, is_old in last.items() if _end_ms(month) <= newest and all(is_old))


async def drop_month(engine: Engine, table: str, month: int) -> None:
    """Remove every row of a month at once."""
    await engine.command(f"ALTER TABLE {table} DROP PARTITION ID '{month:06d}'")


async def count_events(engine: Engine, cutoffs: Cutoffs) -> dict[int, int]:
    """The events that are older than kept, by project: each once, also those that a merge under way has copied."""
    statement = f"SELECT projectId, count() FROM event FINAL WHERE {_old('event')} AND {COUNTED} GROUP BY projectId"  # noqa: S608
    return dict(await engine.query(statement, _values(cutoffs)))


async def begin_removing_events(engine: Engine, cutoffs: Cutoffs) -> bool:
    """Remove the events that are older than kept and are stored now; `end_removing_events` waits for the end of it.

    False when there are none.
    """
    values = _values(cutoffs)
    if not await engine.lookup(f"SELECT 1 FROM event WHERE {_old('event')} LIMIT 1", values):  # noqa: S608
        return False
    await engine.command(f"ALTER TABLE event DELETE WHERE {_old('event')}", values)
    return True


async def end_removing_events(engine: Engine) -> None:
    """Return when what was begun to be removed is gone: changes of a table come one after the other."""
    await engine.command("ALTER TABLE event DELETE WHERE sign = 0 SETTINGS mutations_sync = 2")


async def remove_sessions(engine: Engine, cutoffs: Cutoffs) -> None:
    """Remove the visits that ended before what is kept."""
    values = _values(cutoffs)
    if await engine.lookup(f"SELECT 1 FROM session WHERE {_old('session')} LIMIT 1", values):  # noqa: S608
        await engine.command(f"ALTER TABLE session DELETE WHERE {_old('session')} SETTINGS mutations_sync = 2", values)


async def remove_devices(engine: Engine, cutoffs: Cutoffs) -> None:
    """Remove the devices of users of whom no event is kept."""
    statement = LEFT_ALONE.format(table="device", whose="userId", time="createdAt", cutoff=CUTOFF, is_there="sign = 1")
    users = [user_id for _, user_id in await engine.lookup(statement, _values(cutoffs))]
    for start in range(0, len(users), USERS_PER_CHANGE):
        await engine.command(
            "ALTER TABLE device DELETE WHERE projectId IN {projects:Array(UInt64)} AND userId IN {users:Array(UInt64)} "
            "SETTINGS mutations_sync = 2",
            {"projects": sorted(cutoffs), "users": users[start : start + USERS_PER_CHANGE]},
        )


async def users_left_alone(engine: Engine, cutoffs: Cutoffs) -> dict[int, list[int]]:
    """By project, known users of whom no event is kept and nothing was said since."""
    statement = LEFT_ALONE.format(table="user", whose="id", time="updatedAt", cutoff=CUTOFF, is_there="deleted = 0")
    found: defaultdict[int, list[int]] = defaultdict(list)
    for project_id, user_id in await engine.lookup(statement, _values(cutoffs)):
        found[project_id].append(user_id)
    return dict(found)


async def heard_of(engine: Engine, project_id: int, user_ids: Sequence[int], since_ms: int) -> set[int]:
    """Those of the users of whom an event is kept or something was said since."""
    statement = """
    SELECT id FROM user FINAL WHERE projectId = {project:UInt64} AND id IN {users:Array(UInt64)}
      AND toUnixTimestamp64Milli(updatedAt) >= {since:Int64}
    UNION DISTINCT SELECT userId FROM event WHERE projectId = {project:UInt64} AND userId IN {users:Array(UInt64)}
    """
    values = {"project": project_id, "users": list(user_ids), "since": since_ms}
    return {user_id for (user_id,) in await engine.lookup(statement, values)}


def _old(table: str) -> str:
    by, old_by = BY_MONTH[table]
    # The second condition lets the engine pass over the months that are kept.
    return f"toUnixTimestamp64Milli({old_by}) < {CUTOFF} AND {by} < {NEWEST}"


def _values(cutoffs: Cutoffs) -> dict[str, Any]:
    projects: Sequence[int] = sorted(cutoffs)
    return {
        "projects": projects,
        "cutoffs": [cutoffs[project_id] for project_id in projects],
        "newest": max(cutoffs.values(), default=0),
    }


def _end_ms(month: int) -> int:
    year, number = divmod(month, 100)
    following = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return int(following.timestamp() * 1000)
