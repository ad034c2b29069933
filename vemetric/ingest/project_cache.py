"""Projects by token, as every hit needs them: a bounded cache over the relational store."""

import asyncio
import logging
from collections import OrderedDict

import msgspec

from vemetric.clock import Clock
from vemetric.database import projects
from vemetric.database.database import Database
from vemetric.model.project import Project

CACHED_TOKENS_MAX = 10_000
# Changes made in this process drop the entry at once; this bounds how long one made elsewhere can go unseen.
CACHE_SECONDS = 1
# An entry with less than this share of its time left is renewed while it is still believed.
RENEWED_SHARE = 1 / 2
TOKEN_LENGTH_MAX = 64

log = logging.getLogger(__name__)


class Entry(msgspec.Struct):
    """What a token stands for, and until when that is believed. None: there is no such project."""

    project: Project | None
    fresh_until_ms: int


NO_TOKEN = Entry(None, 0)


class ProjectCache:
    """Look-ups of projects by their public token."""

    def __init__(self, database: Database, clock: Clock, cache_seconds: float = CACHE_SECONDS) -> None:
        self._database = database
        self._clock = clock
        self._cache_ms = int(cache_seconds * 1000)
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._turn_of_known = asyncio.Lock()
        self._turn_of_strangers = asyncio.Lock()
        self._renewing: dict[str, asyncio.Task[None]] = {}

    async def by_token(self, token: object) -> Project | None:
        """The project of a token; anything but a short text belongs to none."""
        entry = self.at_once(token)
        if entry is None and isinstance(token, str):
            # One look-up at a time: of many hits that find the entry stale, the first renews it for all.
            async with self._turn(token):
                entry = self._fresh(token) or await self._read(token)
        return None if entry is None else entry.project

    def at_once(self, token: object) -> Entry | None:
        """What is known of a token without reading, None if nothing is.

        What a project's hits ask for is read again before it is old, so that none of them has to wait for it.
        """
        if not isinstance(token, str) or not token.isascii() or not 0 < len(token) <= TOKEN_LENGTH_MAX:
            return NO_TOKEN
        entry, now_ms = self._entries.get(token), self._clock.now_ms()
        if entry is None or entry.fresh_until_ms <= now_ms:
            return None
        is_ageing = entry.fresh_until_ms - now_ms < self._cache_ms * RENEWED_SHARE
        if is_ageing and entry.project is not None and token not in self._renewing:
            self._renewing[token] = asyncio.create_task(self._renew(token))
        return entry

    def forget(self) -> None:
        """Believe nothing any more: a project was made or changed."""
        # A look-up that is under way goes on with the old entries, which nobody looks into any more.
        self._entries = OrderedDict()

    def _turn(self, token: str) -> asyncio.Lock:
        """Tokens that are known do not wait behind a crowd of made-up ones."""
        entry = self._entries.get(token)
        return self._turn_of_strangers if entry is None or entry.project is None else self._turn_of_known

    def _fresh(self, token: str) -> Entry | None:
        entry = self._entries.get(token)
        return entry if entry is not None and entry.fresh_until_ms > self._clock.now_ms() else None

    async def _renew(self, token: str) -> None:
        try:
            await self._read(token)
        except Exception as error:
            # Whoever asks once the entry is too old reads it, and is told.
            log.debug("A project could not be read again: %s", error)
        finally:
            del self._renewing[token]

    async def _read(self, token: str) -> Entry:
        entries, fresh_until_ms = self._entries, self._clock.now_ms() + self._cache_ms
        async with self._database.connect() as connection:
            entry = Entry(await projects.by_token(connection, token), fresh_until_ms)
        entries[token] = entry
        entries.move_to_end(token)
        while len(entries) > CACHED_TOKENS_MAX:
            entries.popitem(last=False)
        return entry
