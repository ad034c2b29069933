"""The gate that pools pass with every batch. Whoever needs the stores at rest closes it: a backup, the end of a month.

Hits are accepted all the while; what they put waits in line.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from vemetric import errors

# A batch that erases much may take minutes; what takes longer will not be over soon.
CLOSING_SECONDS_MAX = 600.0


class Gate:
    """Any number may be inside while it is open; while it is closed nobody is, of this process."""

    def __init__(self) -> None:
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._is_empty = asyncio.Event()
        self._is_empty.set()
        self._inside = 0
        self._closing = asyncio.Lock()

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Wait until it is open, and be inside during the block."""
        await self._is_open.wait()
        self._inside += 1
        self._is_empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._is_empty.set()

    @asynccontextmanager
    async def closed(self, seconds_max: float = CLOSING_SECONDS_MAX) -> AsyncIterator[None]:
        """Let nobody in, wait for those inside, and keep it so during the block; one at a time.

        Raises Unavailable, and opens it, when somebody stays inside for longer than the time.
        """
        async with self._closing:
            self._is_open.clear()
            try:
                try:
                    await asyncio.wait_for(self._is_empty.wait(), seconds_max)
                except TimeoutError:
                    raise errors.Unavailable("The workers are in the middle of something long; try later.") from None
                yield
            finally:
                self._is_open.set()
