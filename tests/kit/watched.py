"""A relational store whose reads a test counts, holds up, or lets fail."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from vemetric.database.database import Connection, Database


class Watched(Database):
    """A database that counts how often it is read, holds look-ups up, and lets something happen at their end."""

    reads = 0
    held: asyncio.Event | None = None
    error: Exception | None = None
    then: Callable[[], None] | None = None

    @asynccontextmanager
    async def connect(self, *, may_lag: bool = False) -> AsyncIterator[Connection]:
        self.reads += 1
        if self.held is not None:
            await self.held.wait()
        if self.error is not None:
            raise self.error
        async with super().connect(may_lag=may_lag) as connection:
            yield connection
        if self.then is not None:
            self.then()
