"""How many events an organization stored, by monthly cycle: what its limit is compared with. Asked by a page."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from vemetric.clickhouse.engine import Engine
from vemetric.clock import Clock
from vemetric.model.cycle import Cycle
from vemetric.stats.statements import statement

STATEMENTS_AT_ONCE_MAX = 2
# Counting reads months of events: what was found is shown for a while.
CACHE_SECONDS = 300
CACHED_PROJECTS_MAX = 10_000


class Counted(NamedTuple):
    """What was found of a project, and for which cycles."""

    cycles: tuple[Cycle, ...]
    events: tuple[int, ...]
    at_ms: int


class Usage:
    """Counts events and remembers the numbers for a few minutes."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._counted: dict[int, Counted] = {}

    async def events(self, project_ids: Sequence[int], cycles: Sequence[Cycle]) -> dict[int, tuple[int, ...]]:
        """Events by project, one number per cycle in the order asked. Raises StoreError, Unavailable."""
        turns = asyncio.Semaphore(STATEMENTS_AT_ONCE_MAX)

        async def one(project_id: int) -> tuple[int, ...]:
            async with turns:
                return await self._of_project(project_id, tuple(cycles))

        return dict(zip(project_ids, await asyncio.gather(*map(one, project_ids)), strict=True))

    async def _of_project(self, project_id: int, cycles: tuple[Cycle, ...]) -> tuple[int, ...]:
        now_ms = self._clock.now_ms()
        known = self._counted.get(project_id)
        if known is not None and known.cycles == cycles and now_ms - known.at_ms < CACHE_SECONDS * 1000:
            return known.events
        starts = sorted(cycle.start_ms for cycle in cycles)
        asked = {"project": project_id, "starts": starts, "from": starts[0], "to": max(one.end_ms for one in cycles)}
        rows = await self._engine.query(statement("usage"), asked)
        found = {int(start): int(events) for start, events in rows}
        events = tuple(found.get(cycle.start_ms, 0) for cycle in cycles)
        if len(self._counted) >= CACHED_PROJECTS_MAX:
            self._counted.clear()
        self._counted[project_id] = Counted(cycles, events, now_ms)
        return events
