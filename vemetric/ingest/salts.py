"""The secrets of the day in the hash of visitors without cookies: today's and yesterday's, nothing older.

Only text made here is ever a salt; with no previous one there is none to try, so an empty salt is never used.
"""

import asyncio

import msgspec

from vemetric.clock import Clock
from vemetric.database import salts as stored_salts
from vemetric.database.database import Database
from vemetric.model import ids

DAY_MS = 86_400_000
SALT_LENGTH = 21


class SaltPair(msgspec.Struct, frozen=True):
    """The salt in use and the one before it (None on the first day)."""

    current: str
    previous: str | None


def day_of(now_ms: int) -> int:
    """The number of the UTC day."""
    return now_ms // DAY_MS


class Salts:
    """The salts in force. `pair` is read by every hit; `rotate` runs at midnight UTC and at the start.

    A process beside others calls `refresh` twice a second.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._pair: SaltPair | None = None
        self._turn = asyncio.Lock()

    @property
    def pair(self) -> SaltPair:
        if self._pair is None:
            raise RuntimeError("no salt was made before the first hit")
        return self._pair

    async def rotate(self) -> None:
        """Make today's salt if there is none, erase those older than the previous one. Safe to run at any time."""
        async with self._turn:
            async with self._database.begin() as connection:
                # Of several processes at midnight one makes the salt; the others find it.
                await connection.lock("salts")
                now_ms = self._clock.now_ms()
                newest = await stored_salts.newest(connection, 2)
                if not newest or day_of(newest[0].created_at_ms) < day_of(now_ms):
                    made = await stored_salts.insert(connection, ids.random_id(SALT_LENGTH), now_ms)
                    newest = [made, *newest[:1]]
                    await stored_salts.erase_all_but(connection, [salt.id for salt in newest])
            # Only a salt that is stored is used: after a failed commit the next attempt makes another one.
            self._pair = SaltPair(newest[0].id, newest[1].id if len(newest) > 1 else None)

    async def refresh(self) -> None:
        """Use the salts that are stored, whoever made them; make today's if nobody has."""
        async with self._database.connect() as connection:
            newest = await stored_salts.newest(connection, 2)
        if not newest or day_of(newest[0].created_at_ms) < day_of(self._clock.now_ms()):
            await self.rotate()
            return
        self._pair = SaltPair(newest[0].id, newest[1].id if len(newest) > 1 else None)
