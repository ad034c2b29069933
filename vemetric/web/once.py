"""What several parts of one page need, counted when the first asks. Called by pages/dashboard.py."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Found = TypeVar("Found")


class Once(Generic[Found]):
    """One answer, or one error, for all who wait; given up when nobody does any more, and counted for the next."""

    def __init__(self, count: Callable[[], Awaitable[Found]]) -> None:
        self._count = count
        self._task: asyncio.Future[Found] | None = None
        self._waiting = 0

    async def get(self) -> Found:
        """What `count` answers. Raises what it raises."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._count())
        task = self._task
        self._waiting += 1
        try:
            return await asyncio.shield(task)
        finally:
            self._waiting -= 1
            if not self._waiting and not task.done():
                self._task = None
                task.cancel()
