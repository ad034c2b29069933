"""How large the analytics store is, and what part of it each project has. For the operator; nothing of it is exact to
the row, because rows that were replaced count until they are merged away.
"""

import time
from typing import NamedTuple

from vemetric.clickhouse.engine import Engine
from vemetric.clock import Clock

TABLES = """
SELECT table, sum(rows), sum(bytes_on_disk) FROM system.parts
WHERE active AND database = currentDatabase() GROUP BY table ORDER BY sum(bytes_on_disk) DESC
"""
PROJECTS = """
SELECT projectId, count(), countIf(createdAt >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')) FROM event
GROUP BY projectId
"""
VERSION = "SELECT version()"
# Counting reads a column of every event: what was found is shown for a while.
BELIEVED_SECONDS = 60.0
DAYS = 7
DAY_MS = 86_400_000


class Table(NamedTuple):
    """A table's rows and its bytes on disk."""

    name: str
    rows: int
    size: int


class Sizes(NamedTuple):
    """events: by project, all there are and those of the last week."""

    version: str
    tables: list[Table]
    events: dict[int, tuple[int, int]]

    @property
    def total(self) -> int:
        """Bytes on disk."""
        return sum(table.size for table in self.tables)

    @property
    def bytes_per_day(self) -> float:
        """What a day adds, as the last week was."""
        events = sum(count for count, _ in self.events.values())
        lately = sum(count for _, count in self.events.values())
        return self.total / events * lately / DAYS if events else 0.0

    def of_project(self, project_id: int) -> float:
        """A project's part of the bytes, by its events."""
        events = sum(count for count, _ in self.events.values())
        return self.total * self.events.get(project_id, (0, 0))[0] / events if events else 0.0


class Measure:
    """Measures, and remembers what was found for a minute."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._found: Sizes | None = None
        self._found_at = 0.0

    async def sizes(self) -> Sizes:
        """Raises StoreError, Unavailable."""
        if self._found is None or time.monotonic() - self._found_at > BELIEVED_SECONDS:
            [[version]] = await self._engine.query(VERSION)
            tables = [Table(name, int(rows), int(size)) for name, rows, size in await self._engine.query(TABLES)]
            asked = {"since": self._clock.now_ms() - DAYS * DAY_MS}
            rows = await self._engine.query(PROJECTS, asked)
            events = {int(id_): (int(all_), int(lately)) for id_, all_, lately in rows}
            self._found, self._found_at = Sizes(version, tables, events), time.monotonic()
        return self._found
