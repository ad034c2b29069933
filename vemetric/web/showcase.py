"""What public dashboards show, counted once for all who look at the same, and never so much that it holds up the rest.

Anybody may ask for a public dashboard, in any state; so one panel is counted at a time, few wait, and an address has so
many a minute. The figures move on once a minute, in Live every five seconds.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from vemetric import errors
from vemetric.clock import Clock

MINUTE_MS = 60_000
LIVE_MS = 5_000
PANELS_KEPT_MAX = 1000
COUNTED_AT_ONCE_MAX = 1
WAITING_MAX = 60
COUNTS_PER_ADDRESS_AND_MINUTE_MAX = 240

Found = TypeVar("Found")


class Showcase:
    """The panels of this process's public dashboards."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._turns = asyncio.Semaphore(COUNTED_AT_ONCE_MAX)
        self._kept: OrderedDict[Hashable, asyncio.Task[Any]] = OrderedDict()
        self._waiting = 0
        self._minute = 0
        self._counts: Counter[str] = Counter()

    def moment(self, *, is_live: bool) -> int:
        """The instant that public dashboards are counted at, in milliseconds: the same for all who look by then."""
        step_ms = LIVE_MS if is_live else MINUTE_MS
        return self._clock.now_ms() // step_ms * step_ms

    async def shared(self, key: Hashable, ip: str, count: Callable[[], Awaitable[Found | None]]) -> Found | None:
        """What `count` answers, counted once for all that ask by the same key, which says its instant too.

        None, that it could not be counted, is not kept. Raises TooManyRequests beyond the bounds.
        """
        task = self._kept.get(key)
        if task is None:
            self._admit(ip)
            self._waiting += 1
            task = self._kept[key] = asyncio.create_task(self._counted(key, count))
            while len(self._kept) > PANELS_KEPT_MAX:
                self._kept.popitem(last=False)
        # One page that goes away must not take the figures of the others along.
        found: Found | None = await asyncio.shield(task)
        return found

    async def _counted(self, key: Hashable, count: Callable[[], Awaitable[Found | None]]) -> Found | None:
        found = None
        try:
            async with self._turns:
                found = await count()
            return found
        finally:
            self._waiting -= 1
            if found is None:
                self._kept.pop(key, None)

    def _admit(self, ip: str) -> None:
        minute = self._clock.now_ms() // MINUTE_MS
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()
        if self._waiting >= WAITING_MAX or self._counts[ip] >= COUNTS_PER_ADDRESS_AND_MINUTE_MAX:
            raise errors.TooManyRequests("Too many people look at public dashboards right now. Try again in a minute.")
        self._counts[ip] += 1
