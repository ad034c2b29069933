"""What was erased, so that whatever was accepted before and comes late is dropped and counted. Used by the workers."""

import asyncio
import time
from collections.abc import Iterable

from vemetric.clock import Clock
from vemetric.database import erasures
from vemetric.database.database import Database
from vemetric.database.erasures import WHOLE_PROJECT
from vemetric.database.erasures import Erased as Erasure

# Clocks of several machines differ; what they noted so long ago is looked up again.
CLOCKS_DIFFER_MS = 60_000
# Where others erase too, an insert begins so long after its question at most; who erases waits for it.
ASKED_SECONDS_MAX = 10.0


class Erased:
    """All erasures.

    `exclusive` says that nobody else erases; otherwise what is new is looked up at each question.
    turn: held between asking and storing, and while an erasure is noted: afterwards nothing of it can be stored by this
    process, and by others only for `wait_seconds`.
    """

    def __init__(self, database: Database, clock: Clock, *, exclusive: bool) -> None:
        self.turn = asyncio.Lock()
        self._database = database
        self._clock = clock
        self._exclusive = exclusive
        self._until_ms: dict[tuple[int, int], int] = {}
        self._newest_ms = 0
        self._has_projects = False
        self._asked_at = 0.0

    async def load(self) -> None:
        """Learn of the erasures that are new, at the start of all."""
        # The newest may bear a time to come: what is noted until then is new all the same.
        since_ms = min(self._newest_ms, self._clock.now_ms()) - CLOCKS_DIFFER_MS
        async with self._database.connect() as connection:
            self.learn(await erasures.since(connection, since_ms if self._newest_ms else 0))

    def wait_seconds(self, insert_seconds: float) -> float:
        """How long after an erasure was noted others may still store what they asked for before.

        insert_seconds: how long one insert may take.
        """
        return 0.0 if self._exclusive else ASKED_SECONDS_MAX + insert_seconds

    async def ask(self, accepted: Iterable[tuple[int, int, int]], earliest_ms: int = 0) -> set[int]:
        """As `among`, by whoever has the turn and is about to store the others; see `may_store`."""
        self._asked_at = time.monotonic()
        return await self.among(accepted, earliest_ms)

    def may_store(self) -> bool:
        """Whether the last answer of `ask` is new enough to begin an insert."""
        return self._exclusive or time.monotonic() - self._asked_at < ASKED_SECONDS_MAX

    async def among(self, accepted: Iterable[tuple[int, int, int]], earliest_ms: int = 0) -> set[int]:
        """Which of these were erased, by their position. accepted: (project, user, time in ms).

        earliest_ms: none of them is earlier; they need no look where all that was erased was so before.
        """
        if not self._exclusive:
            await self.load()
        if not self._has_projects and earliest_ms >= self._newest_ms:
            return set()
        return {
            position
            for position, (project_id, user_id, at_ms) in enumerate(accepted)
            if self._is_erased(project_id, user_id, at_ms)
        }

    def _is_erased(self, project_id: int, user_id: int, at_ms: int) -> bool:
        # A deleted project stays so, whatever the clock said; a user may come back.
        if (project_id, WHOLE_PROJECT) in self._until_ms:
            return True
        return at_ms < self._newest_ms and at_ms < self._until_ms.get((project_id, user_id), 0)

    def learn(self, erased: Iterable[Erasure]) -> None:
        """Know of erasures that are noted in the store."""
        for one in erased:
            key = (one.project_id, one.user_id)
            self._until_ms[key] = max(one.until_ms, self._until_ms.get(key, 0))
            self._newest_ms = max(self._newest_ms, one.until_ms)
            self._has_projects = self._has_projects or one.user_id == WHOLE_PROJECT
