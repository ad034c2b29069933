"""What was erased, so that whatever was accepted before and comes late is dropped and counted. Used by the workers."""

import asyncio
from collections.abc import Iterable, Sequence

from vemetric.database import erasures
from vemetric.database.database import Database
from vemetric.database.erasures import WHOLE_PROJECT
from vemetric.database.erasures import Erased as Erasure

# Clocks of several machines differ; what they noted so long ago is looked up again.
CLOCKS_DIFFER_MS = 60_000


class Erased:
    """All erasures.

    `exclusive` says that nobody else erases; otherwise what is new is looked up at each question.
    turn: held between asking and storing, and while an erasure is noted: afterwards nothing of it can be stored.
    """

    def __init__(self, database: Database, *, exclusive: bool) -> None:
        self.turn = asyncio.Lock()
        self._database = database
        self._exclusive = exclusive
        self._until_ms: dict[tuple[int, int], int] = {}
        self._newest_ms = 0

    async def load(self) -> None:
        """Learn of the erasures that are new, at the start of all."""
        async with self._database.connect() as connection:
            self._learn(await erasures.since(connection, self._newest_ms - CLOCKS_DIFFER_MS))

    async def record(self, erased: Sequence[Erasure]) -> None:
        """Note erasures durably. When this returns nothing that they cover will be stored any more."""
        async with self.turn:
            async with self._database.begin() as connection:
                await erasures.mark(connection, erased)
            self._learn(erased)

    async def among(self, accepted: Iterable[tuple[int, int, int]]) -> set[int]:
        """Which of these were erased, by their position. accepted: (project, user, time in ms)."""
        if not self._exclusive:
            await self.load()
        return {
            position
            for position, (project_id, user_id, at_ms) in enumerate(accepted)
            if at_ms < self._newest_ms and self._is_erased(project_id, user_id, at_ms)
        }

    def _is_erased(self, project_id: int, user_id: int, at_ms: int) -> bool:
        of_user = self._until_ms.get((project_id, user_id), 0)
        return at_ms < max(of_user, self._until_ms.get((project_id, WHOLE_PROJECT), 0))

    def _learn(self, erased: Iterable[Erasure]) -> None:
        for one in erased:
            key = (one.project_id, one.user_id)
            self._until_ms[key] = max(one.until_ms, self._until_ms.get(key, 0))
            self._newest_ms = max(self._newest_ms, one.until_ms)
