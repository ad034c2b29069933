"""The secrets of the day in the hash of visitors without cookies: today's and yesterday's, nothing older.

Only text made here is ever a salt; with no previous one there is none to try, so an empty salt is never used.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from vemetric.clock import Clock
from vemetric.database import salts as stored_salts
from vemetric.database.database import Connection, Database
from vemetric.model import ids
from vemetric.model.salt import Salt

DAY_MS = 86_400_000
SALT_LENGTH = 21
# Clocks of several machines differ; a salt that is further ahead was made by one that was wrong.
AHEAD_MS_MAX = DAY_MS


class SaltPair(msgspec.Struct, frozen=True):
    """The salt in use and the one before it (None on the first day)."""

    current: str
    previous: str | None


def day_of(now_ms: int) -> int:
    """The number of the UTC day."""
    return now_ms // DAY_MS


class Salts:
    """The salts in force. `pair` is read by every hit; `rotate` runs at midnight UTC and at the start.

    A process beside others calls `refresh` four times a second.
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
                newest = await self._redated(connection, await stored_salts.newest(connection, 2), now_ms)
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
        now_ms = self._clock.now_ms()
        if not newest or day_of(newest[0].created_at_ms) < day_of(now_ms) or is_ahead(newest[0], now_ms):
            await self.rotate()
            return
        self._pair = SaltPair(newest[0].id, newest[1].id if len(newest) > 1 else None)

    async def _redated(self, connection: Connection, newest: Sequence[Salt], now_ms: int) -> list[Salt]:
        """As they are, or in their order as if of now where a clock was ahead: else they are the newest until then."""
        if not newest or not is_ahead(newest[0], now_ms):
            return list(newest)
        redated, at_ms = [], now_ms
        for salt in newest:
            at_ms = min(salt.created_at_ms, at_ms)
            await stored_salts.redate(connection, salt.id, at_ms)
            redated.append(Salt(salt.id, at_ms))
            at_ms -= 1
        return redated


def is_ahead(salt: Salt, now_ms: int) -> bool:
    """Whether it was made by a clock that was wrong."""
    return salt.created_at_ms > now_ms + AHEAD_MS_MAX
