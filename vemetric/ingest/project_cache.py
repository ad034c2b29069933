"""Projects by token, as every hit needs them: a bounded cache over the relational store."""

from collections import OrderedDict

import msgspec

from vemetric.clock import Clock
from vemetric.database import projects
from vemetric.database.database import Database
from vemetric.model.project import Project

CACHED_TOKENS_MAX = 10_000
# Changes made in this process drop the entry at once; this bounds how long one made elsewhere can go unseen.
CACHE_SECONDS = 1
TOKEN_LENGTH_MAX = 64


class Entry(msgspec.Struct):
    """What a token stands for, and until when that is believed. None: there is no such project."""

    project: Project | None
    fresh_until_ms: int


class ProjectCache:
    """Look-ups of projects by their public token."""

    def __init__(self, database: Database, clock: Clock, cache_seconds: float = CACHE_SECONDS) -> None:
        self._database = database
        self._clock = clock
        self._cache_ms = int(cache_seconds * 1000)
        self._entries: OrderedDict[str, Entry] = OrderedDict()

    async def by_token(self, token: object) -> Project | None:
        """The project of a token; anything but a short text belongs to none."""
        if not isinstance(token, str) or not 0 < len(token) <= TOKEN_LENGTH_MAX:
            return None
        now_ms = self._clock.now_ms()
        entry = self._entries.get(token)
        if entry is not None and entry.fresh_until_ms > now_ms:
            return entry.project
        async with self._database.connect() as connection:
            project = await projects.by_token(connection, token)
        self._entries[token] = Entry(project, now_ms + self._cache_ms)
        self._entries.move_to_end(token)
        while len(self._entries) > CACHED_TOKENS_MAX:
            self._entries.popitem(last=False)
        return project

    def forget(self) -> None:
        """Believe nothing any more: a project was made or changed."""
        self._entries.clear()
