"""Erases rows for good, of a whole project or of some of its users. Asked by workers/erase.py."""

from collections.abc import Sequence

from vemetric.clickhouse.engine import Engine

# Tables with the column that says whose a row is.
TABLES = {"event": "userId", "session": "userId", "device": "userId", "user": "id"}

# As verify counts what is stored.
EVENTS_OF_PROJECT = """
SELECT 0 AS user, count() FROM event FINAL WHERE sign = 1 AND importSource = '' AND projectId = {project:UInt64}
"""
EVENTS_OF_USERS = """
SELECT userId, count() FROM event FINAL
WHERE sign = 1 AND importSource = '' AND projectId = {project:UInt64} AND userId IN {users:Array(UInt64)}
GROUP BY userId
"""


async def count_events(engine: Engine, project_id: int, user_ids: Sequence[int]) -> dict[int, int]:
    """How many accepted events of each of the users are stored; of the whole project, under 0, without users."""
    statement = EVENTS_OF_USERS if user_ids else EVENTS_OF_PROJECT
    found = await engine.query(statement, {"project": project_id, "users": list(user_ids)})
    return dict(found)


async def erase_project(engine: Engine, project_id: int) -> None:
    """Erase every row of the project; on disk they are gone when this returns. Raises StoreError."""
    for table in TABLES:
        await _erase(engine, table, "projectId = {project:UInt64}", {"project": project_id})


async def erase_users(engine: Engine, project_id: int, user_ids: Sequence[int]) -> None:
    """Erase every row of these users of the project, as erase_project."""
    for table, column in TABLES.items():
        condition = f"projectId = {{project:UInt64}} AND {column} IN {{users:Array(UInt64)}}"
        await _erase(engine, table, condition, {"project": project_id, "users": list(user_ids)})


async def _erase(engine: Engine, table: str, condition: str, parameters: dict[str, object]) -> None:
    # Not the lighter DELETE, which only hides rows until a merge happens upon them.
    await engine.command(f"ALTER TABLE {table} DELETE WHERE {condition} SETTINGS mutations_sync = 2", parameters)
