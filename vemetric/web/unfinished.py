"""Panels that a page did not wait for: they go on being counted, and whoever asks for the same one next is answered.

The page itself asks for each of them as soon as it is drawn. Without this each would be counted twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from aiohttp import web

# So long what nobody waits for is kept, counted or not; a page asks for it at once.
KEPT_SECONDS = 10
KEPT_MAX = 200

Found = TypeVar("Found")


class Unfinished:
    """The panels of this process that were left while they were counted."""

    def __init__(self) -> None:
        self._left: dict[Hashable, asyncio.Task[Any]] = {}

    async def counted(self, key: Hashable, count: Callable[[], Awaitable[Found]]) -> Found:
        """What `count` answers, or what is on its way under the same key. Cancelled, it is left to the next."""
        task = self._left.pop(key, None)
        if task is None:
            task = asyncio.ensure_future(count())
        try:
            found: Found = await asyncio.shield(task)
        except asyncio.CancelledError:
            self._leave(key, task)
            raise
        return found

    async def close(self) -> None:
        """Give up what is still counted."""
        tasks = list(self._left.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _leave(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        if key in self._left or len(self._left) >= KEPT_MAX:
            task.cancel()
            return
        self._left[key] = task
        asyncio.get_running_loop().call_later(KEPT_SECONDS, self._drop, key, task)

    def _drop(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        if self._left.get(key) is task:
            del self._left[key]
            task.cancel()


UNFINISHED = web.AppKey("unfinished", Unfinished)
