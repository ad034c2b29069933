"""Which queries of pages may begin while memory is short. Stands before the engine (measured.py); what workers ask and
write is never held up by it.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

from vemetric import errors

# Of the limit: the engine's own bound, which it holds for all it does, the rest being the program's own.
ENGINE_SHARE = 0.85
# From here on one query runs at a time ...
TIGHT_SHARE = 0.75
# ... and from here on none begins, until memory was given back, or somebody has waited long enough.
FULL_SHARE = 0.9
WAIT_SECONDS_MAX = 5.0
# Those that run one at a time wait for their turn no longer than one may take.
TURN_SECONDS_MAX = 30.0
LOOK_SECONDS = 0.1
# What was short a moment ago is told for so long.
TOLD_SECONDS = 60.0
SHORT = "Memory is short; try a shorter timespan, or later."
STATM = Path("/proc/self/statm")
PAGE_BYTES = os.sysconf("SC_PAGESIZE")


def engine_bytes_max(limit_mb: int, engine_mb: int) -> int:
    """What the process may hold before the engine refuses work: its part of the process's limit, if there is one."""
    return int(limit_mb * 1_000_000 * ENGINE_SHARE) if limit_mb else engine_mb * 1_000_000


def resident_bytes() -> int:
    """The memory that this process holds; 0 where the system does not say."""
    try:
        return int(STATM.read_bytes().split()[1]) * PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0


class Admission:
    """Lets queries begin by the memory there is. limit_bytes: 0 for no limit."""

    def __init__(self, limit_bytes: int, resident: Callable[[], int] = resident_bytes) -> None:
        self._limit = limit_bytes
        self._resident = resident
        self._one = asyncio.Lock()
        self._short_at = -TOLD_SECONDS

    @property
    def is_degraded(self) -> bool:
        """Whether queries were held up or refused for memory a moment ago."""
        return time.monotonic() - self._short_at < TOLD_SECONDS

    @asynccontextmanager
    async def query(self) -> AsyncIterator[None]:
        """Wait until a query may begin. Raises StoreBusy when memory stays short."""
        alone = self._turn() if self._is_over(TIGHT_SHARE) else nullcontext()
        async with alone:
            await self._until_there_is_room()
            try:
                yield
            except errors.StoreBusy:
                # The engine's own bound, or its time, which is long when memory is short.
                if self._is_over(TIGHT_SHARE):
                    self._short_at = time.monotonic()
                raise

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(TURN_SECONDS_MAX):
                await self._one.acquire()
        except TimeoutError:
            raise errors.StoreBusy(SHORT) from None
        try:
            yield
        finally:
            self._one.release()

    async def _until_there_is_room(self) -> None:
        give_up_at = time.monotonic() + WAIT_SECONDS_MAX
        while self._is_over(FULL_SHARE):
            if time.monotonic() > give_up_at:
                raise errors.StoreBusy(SHORT)
            await asyncio.sleep(LOOK_SECONDS)

    def _is_over(self, share: float) -> bool:
        is_over = self._limit > 0 and self._resident() > self._limit * share
        if is_over:
            self._short_at = time.monotonic()
        return is_over
