"""Live pages: who watches which project, and one look at the store per project however many watch.

A page opens a stream and is told when something changed; it then asks for its panels, which are counted once for all
who look at the same ones (`shared`). Streams are bounded by account, by address and in all.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from aiohttp import web

from vemetric import errors
from vemetric.clickhouse.engine import Engine
from vemetric.clock import Clock
from vemetric.stats import dashboard
from vemetric.stats.dashboard import Pulse

LOOK_SECONDS = 5.0
# A busy store may miss so many looks before those who watch are told.
LOOKS_MISSED_MAX = 3
# What is counted for one page is the same for all that ask within so long.
SHARED_MS = 5000
# The running bucket of the Live timespan moves on also when nothing happens.
BUCKET_MS = 30_000

STREAMS_PER_ACCOUNT_MAX = 8
STREAMS_PER_ADDRESS_MAX = 24
STREAMS_MAX = 500
SHARED_RESULTS_MAX = 500

Found = TypeVar("Found")
log = logging.getLogger("vemetric.live")


class Watched:
    """A project that somebody watches. changes: how often there was something to tell; looked_at_ms: when it was looked
    at last; missed: looks that failed since then; is_blind: whether those who watch have to know.
    """

    def __init__(self) -> None:
        self.watchers = 0
        self.changes = 0
        self.looked_at_ms = 0
        self.missed = 0
        self.is_blind = False
        self.pulse: Pulse | None = None
        self.moved = asyncio.Condition()
        self.task: asyncio.Task[None] | None = None


class Live:
    """All live pages of this process."""

    def __init__(self, engine: Engine, clock: Clock, look_seconds: float = LOOK_SECONDS) -> None:
        self._engine = engine
        self._clock = clock
        self._look_seconds = look_seconds
        self._projects: dict[int, Watched] = {}
        self._streams: Counter[str] = Counter()
        self._shared: dict[Hashable, asyncio.Task[Any]] = {}
        self._shared_at = 0

    @property
    def looks(self) -> int:
        """How many projects are looked at."""
        return len(self._projects)

    @asynccontextmanager
    async def watch(self, project_id: int, account_id: str, ip: str) -> AsyncIterator[Watched]:
        """Watch a project for as long as the block runs. Raises TooManyRequests beyond the bounds."""
        with self.stream(account_id, ip):
            watched = self._projects.setdefault(project_id, Watched())
            watched.watchers += 1
            if watched.task is None:
                watched.task = asyncio.create_task(self._look(project_id, watched))
            try:
                yield watched
            finally:
                watched.watchers -= 1
                if not watched.watchers:
                    del self._projects[project_id]
                    watched.task.cancel()

    @contextmanager
    def stream(self, account_id: str, ip: str) -> Iterator[None]:
        """Hold a stream of any page for as long as the block runs. Raises TooManyRequests beyond the bounds."""
        keys = {
            "all": STREAMS_MAX,
            f"account {account_id}": STREAMS_PER_ACCOUNT_MAX,
            f"ip {ip}": STREAMS_PER_ADDRESS_MAX,
        }
        if any(self._streams[key] >= most for key, most in keys.items()):
            raise errors.TooManyRequests("Too many live pages are open.")
        self._streams.update(keys.keys())
        try:
            yield
        finally:
            self._streams.subtract(keys.keys())
            self._streams += Counter()

    async def shared(self, key: Hashable, count: Callable[[], Awaitable[Found]]) -> Found:
        """What `count` answers, counted once for all that ask by the same key within SHARED_MS."""
        at = self._clock.now_ms() // SHARED_MS
        if at != self._shared_at or len(self._shared) >= SHARED_RESULTS_MAX:
            self._shared, self._shared_at = {}, at
        task = self._shared.get(key)
        if task is None:
            task = self._shared[key] = asyncio.ensure_future(count())
        # One page that goes away must not take the figures of the others along.
        found: Found = await asyncio.shield(task)
        return found

    def moment(self, project_id: int) -> int:
        """The instant that live pages of a project are counted at, in milliseconds: that of the last look at it.

        So all that are told of a change ask for the same figures, and those hold what was seen.
        """
        now_ms, watched = self._clock.now_ms(), self._projects.get(project_id)
        is_fresh = watched is not None and now_ms - watched.looked_at_ms <= 2 * SHARED_MS
        return watched.looked_at_ms if watched is not None and is_fresh else now_ms

    async def _look(self, project_id: int, watched: Watched) -> None:
        """Look until nobody watches. Whatever fails is tried again the next time."""
        seen: tuple[Pulse, int] | None = None
        while True:
            now_ms = self._clock.now_ms()
            try:
                watched.pulse = await dashboard.pulse(self._engine, project_id, now_ms)
            except (errors.StoreError, errors.Unavailable):
                await self._missed(watched, at_once=False)
            except Exception:
                if not watched.missed:
                    log.exception("A live look at project %s failed; it is tried again.", project_id)
                await self._missed(watched, at_once=True)
            else:
                watched.looked_at_ms, watched.missed = now_ms, 0
                if watched.is_blind or (watched.pulse, now_ms // BUCKET_MS) != seen:
                    seen = watched.pulse, now_ms // BUCKET_MS
                    await self._tell(watched, is_blind=False)
            await asyncio.sleep(self._look_seconds)

    async def _missed(self, watched: Watched, *, at_once: bool) -> None:
        watched.missed += 1
        if not watched.is_blind and (at_once or watched.missed >= LOOKS_MISSED_MAX):
            await self._tell(watched, is_blind=True)

    async def _tell(self, watched: Watched, *, is_blind: bool) -> None:
        async with watched.moved:
            watched.is_blind = is_blind
            watched.changes += 1
            watched.moved.notify_all()


LIVE = web.AppKey("live", Live)
