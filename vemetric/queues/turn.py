"""One at a time, in one process or in all that share the Keys. Held by workers that read rows to write them changed.

Who holds a turn changes its key now and then. One that nobody changes for long was left by a process that was killed:
who waits tells that by watching, so that no clock of either, nor one that is set forward, ends a turn.
"""

import asyncio
import contextlib
import secrets
from types import TracebackType
from typing import Final

from vemetric import errors
from vemetric.queues.job import KeySet
from vemetric.queues.keys import Keys

# A holder that was killed is waited for so long; one that lives says so three times as often.
HELD_SECONDS: Final = 60
POLL_SECONDS: Final = 0.05
# Between two looks no more than this counts as watched: whoever stood still for long has seen nothing meanwhile.
WATCHED_SECONDS_MAX: Final = 1.0
KEY_PREFIX: Final = "turn:"
OWNER_BYTES: Final = 16


class Turn:
    """`async with turn:` waits until nobody else holds the turn of this name. Not reentrant.

    keys: what the processes share; None when this one is alone. Waiting raises Unavailable when they are.
    """

    def __init__(self, name: str, keys: Keys | None) -> None:
        self._key = KEY_PREFIX + name
        self._keys = keys
        self._here = asyncio.Lock()
        self._owner = b""
        self._keeping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        await self._here.acquire()
        try:
            if self._keys is not None:
                await self._take(self._keys)
        except BaseException:
            self._here.release()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._keeping is not None and self._keys is not None:
                self._keeping.cancel()
                await asyncio.gather(self._keeping, return_exceptions=True)
                self._keeping = None
                held = await self._keys.get(self._key)
                if held is not None and held.startswith(self._owner):
                    await self._keys.delete(self._key, held)
        finally:
            self._here.release()

    async def _take(self, keys: Keys) -> None:
        self._owner = secrets.token_bytes(OWNER_BYTES)
        loop = asyncio.get_running_loop()
        seen: bytes | None = None
        watched_seconds, looked_at = 0.0, loop.time()
        while not await keys.set_if_absent(self._key, self._owner, 0):
            held = await keys.get(self._key)
            before, looked_at = looked_at, loop.time()
            watched_seconds += min(looked_at - before, WATCHED_SECONDS_MAX)
            if held != seen:
                seen, watched_seconds = held, 0.0
            elif held is not None and watched_seconds >= HELD_SECONDS:
                await keys.delete(self._key, held)
                continue
            await asyncio.sleep(POLL_SECONDS)
        self._keeping = asyncio.create_task(self._keep(keys))

    async def _keep(self, keys: Keys) -> None:
        while True:
            await asyncio.sleep(HELD_SECONDS / 3)
            # An outage of the keys is no reason to stop: nobody else can take the turn then either.
            with contextlib.suppress(errors.Unavailable):
                held = await keys.get(self._key)
                if held is not None and held.startswith(self._owner):
                    await keys.set([KeySet(self._key, self._owner + secrets.token_bytes(OWNER_BYTES))])
