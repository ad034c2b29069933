"""One at a time, in one process or in all that share the Keys. Held by workers that read rows to write them changed."""

import asyncio
import contextlib
import secrets
from types import TracebackType
from typing import Final

from vemetric import errors
from vemetric.clock import Clock
from vemetric.queues.job import KeySet
from vemetric.queues.keys import Keys

# A holder that was killed is waited for so long; one that lives says so three times as often.
HELD_SECONDS: Final = 60
POLL_SECONDS: Final = 0.05
KEY_PREFIX: Final = "turn:"


class Turn:
    """`async with turn:` waits until nobody else holds the turn of this name. Not reentrant.

    keys: what the processes share; None when this one is alone. Waiting raises Unavailable when they are.
    """

    def __init__(self, name: str, clock: Clock, keys: Keys | None) -> None:
        self._key = KEY_PREFIX + name
        self._clock = clock
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
                await self._keys.delete(self._key, self._owner)
        finally:
            self._here.release()

    async def _take(self, keys: Keys) -> None:
        self._owner = secrets.token_bytes(16)
        while not await keys.set_if_absent(self._key, self._owner, self._until_ms()):  # noqa: ASYNC110 - keys tell nobody
            await asyncio.sleep(POLL_SECONDS)
        self._keeping = asyncio.create_task(self._keep(keys))

    async def _keep(self, keys: Keys) -> None:
        while True:
            await asyncio.sleep(HELD_SECONDS / 3)
            # An outage of the keys is no reason to stop: nobody else can take the turn then either.
            with contextlib.suppress(errors.Unavailable):
                if await keys.get(self._key) == self._owner:
                    await keys.set([KeySet(self._key, self._owner, self._until_ms())])

    def _until_ms(self) -> int:
        return self._clock.now_ms() + HELD_SECONDS * 1000
