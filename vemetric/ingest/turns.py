"""One at a time, by name: within this process in the order they came, and against other processes by a lock in Keys."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from vemetric import errors
from vemetric.clock import Clock
from vemetric.queues.keys import Keys

# A process that died with a lock holds others up for at most so long.
LOCK_MS = 60_000
# Keys tell nobody that a lock is free.
POLL_SECONDS = 0.02
SCANNED_MAX = 1_000


class Turns:
    """Hands out turns. Nobody may wait for a second turn of the same kind while having one."""

    def __init__(self, keys: Keys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._locks: dict[str, asyncio.Lock] = {}
        self._wanting: dict[str, int] = {}

    @asynccontextmanager
    async def hold(self, name: str, wait_seconds: float = 0.0) -> AsyncIterator[bool]:
        """Wait for this process's turn at the name. False: another process has its turn, and kept it for so long."""
        owner = secrets.token_bytes(16)
        async with self._waited_for(name):
            is_ours = await self._taken(name, owner, wait_seconds)
            try:
                yield is_ours
            finally:
                if is_ours:
                    # Where it cannot be given back it ends by itself; what was done in the turn is done.
                    with suppress(errors.Unavailable):
                        await asyncio.shield(self._keys.delete(name, owner))

    async def _taken(self, name: str, owner: bytes, wait_seconds: float) -> bool:
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_seconds
        while not await self._keys.set_if_absent(name, owner, self._clock.now_ms() + LOCK_MS):
            if loop.time() >= until:
                return False
            await asyncio.sleep(POLL_SECONDS)
        return True

    @asynccontextmanager
    async def _waited_for(self, name: str) -> AsyncIterator[None]:
        lock = self._locks.setdefault(name, asyncio.Lock())
        self._wanting[name] = self._wanting.get(name, 0) + 1
        try:
            async with lock:
                yield
        finally:
            self._wanting[name] -= 1
            if not self._wanting[name]:
                del self._wanting[name], self._locks[name]


async def end_all(keys: Keys, prefix: str) -> None:
    """End the turns whose names begin so, which a killed process left; only where nobody else can have one."""
    while found := await keys.scan(prefix, SCANNED_MAX):
        for name, _ in found:
            await keys.delete(name)
