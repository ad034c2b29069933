"""Projects by token, as every hit needs them: a bounded cache over the relational store."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Collection

import msgspec

from vemetric import errors
from vemetric.clock import Clock
from vemetric.database import projects
from vemetric.database.database import Database
from vemetric.ingest.patience import HELD_MS, PATIENCE_SECONDS
from vemetric.model.project import Project

CACHED_TOKENS_MAX = 10_000
# Changes made in this process drop the entry at once; this bounds how long one made elsewhere can go unseen. It is half
# of the second that is promised: a busy machine needs some of it to answer what was decided.
CACHE_SECONDS = 0.5
# An entry with less than this share of its time left is renewed while it is still believed.
RENEWED_SHARE = 1 / 2
# What is to be renewed while a reading is under way is one reading, of so many at most.
RENEWED_TOGETHER_MAX = 1_000
TOKEN_LENGTH_MAX = 64

log = logging.getLogger(__name__)


class Entry(msgspec.Struct):
    """What a token stands for, when that was read, and until when it is believed. None: there is no such project.

    is_held: it could not be read again in time.
    """

    project: Project | None
    read_ms: int
    until_ms: int
    is_held: bool = False


NO_TOKEN = Entry(None, 0, 0)


class ProjectCache:
    """Look-ups of projects by their public token."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        cache_seconds: float = CACHE_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._database = database
        self._clock = clock
        self._cache_ms = int(cache_seconds * 1000)
        self._patience_seconds = patience_seconds
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._turn_of_strangers = asyncio.Lock()
        self._failures = 0
        self._renewing: dict[str, asyncio.Future[Entry | None]] = {}
        self._to_renew: list[str] = []
        self._renewer: asyncio.Task[None] | None = None

    async def by_token(self, token: object) -> Project | None:
        """The project of a token; anything but a short text belongs to none.

        Raises Unavailable when the database cannot be asked and nothing is known of the token.
        """
        entry = self.at_once(token)
        if entry is None and isinstance(token, str):
            known = self._entries.get(token)
            is_known = known is not None and known.project is not None
            entry = (await self._renewed(token) if is_known else None) or await self._of_stranger(token)
        return None if entry is None else entry.project

    def at_once(self, token: object) -> Entry | None:
        """What is known of a token without reading, None if nothing is.

        What a project's hits ask for is read again before it is old, so that none of them has to wait for it.
        """
        if not isinstance(token, str):
            return NO_TOKEN
        entry = self._entries.get(token)
        if entry is not None:
            left_ms = entry.until_ms - self._clock.now_ms()
            if 0 < left_ms <= self._cache_ms <= left_ms / RENEWED_SHARE:
                # As of nearly every hit.
                return entry
        elif not token.isascii() or not 0 < len(token) <= TOKEN_LENGTH_MAX:
            return NO_TOKEN
        entry = self._believed(token)
        if entry is None:
            return None
        is_ageing = entry.until_ms - self._clock.now_ms() < self._cache_ms * RENEWED_SHARE
        if is_ageing and entry.project is not None:
            self._renewal(token)
        return entry

    def last(self, token: object) -> Project | None:
        """The project as it was read last, however long ago: for naming whose hit it was, not for taking it."""
        entry = self._entries.get(token) if isinstance(token, str) else None
        return None if entry is None else entry.project

    def forget(self) -> None:
        """Believe nothing any more: a project was made or changed."""
        # A look-up that is under way goes on with the old entries, which nobody looks into any more.
        self._entries = OrderedDict()

    def _believed(self, token: str) -> Entry | None:
        entry = self._entries.get(token)
        if entry is None:
            return None
        now_ms = self._clock.now_ms()
        # A clock that was set back makes nothing believed for longer.
        is_fresh = 0 < entry.until_ms - now_ms <= self._cache_ms
        is_asked_for = entry.is_held and token in self._renewing and 0 <= now_ms - entry.read_ms < HELD_MS
        return entry if is_fresh or is_asked_for else None

    async def _renewed(self, token: str) -> Entry | None:
        """A known token's entry, read again; as it was read last while that cannot be done; None if that is too old."""
        # One look-up at a time: of many hits that find the entry stale, the first renews it for all.
        renewal, last = self._renewal(token), self._entries[token]
        await asyncio.wait({renewal}, timeout=self._patience_seconds)
        if not renewal.done():
            last.is_held = True
            return self._believed(token)
        entry = renewal.result()
        # Whatever has gone from the entries was forgotten meanwhile.
        return entry if entry is not None and self._entries.get(token) is entry else self._believed(token)

    async def _of_stranger(self, token: str) -> Entry:
        """Read what is behind a token of which nothing is known; in a line of their own, however many are made up."""
        failures = self._failures
        async with self._turn_of_strangers:
            if failures != self._failures:
                # Whoever was before has waited for the database long enough for all.
                raise errors.Unavailable("The accounts database cannot be used right now.")
            try:
                return self._believed(token) or (await self._read([token]))[token]
            except errors.Unavailable:
                self._failures += 1
                raise

    def _renewal(self, token: str) -> "asyncio.Future[Entry | None]":
        """What will be read of a known token; None if that fails."""
        if token not in self._renewing:
            self._renewing[token] = asyncio.get_running_loop().create_future()
            self._to_renew.append(token)
            if self._renewer is None:
                self._renewer = asyncio.create_task(self._renew())
        return self._renewing[token]

    async def _renew(self) -> None:
        try:
            while self._to_renew:
                tokens, self._to_renew = self._to_renew[:RENEWED_TOGETHER_MAX], self._to_renew[RENEWED_TOGETHER_MAX:]
                for token, entry in (await self._read_or_hold(tokens)).items():
                    self._renewing.pop(token).set_result(entry)
        finally:
            self._renewer = None

    async def _read_or_hold(self, tokens: Collection[str]) -> dict[str, Entry | None]:
        try:
            return {**await self._read(tokens)}
        except Exception as error:
            for token in tokens:
                self._hold(token, error)
            return dict.fromkeys(tokens)

    def _hold(self, token: str, error: Exception) -> None:
        """Let a known token's entry hold for another while, unless it is too old: it could not be read again."""
        entry, now_ms = self._entries.get(token), self._clock.now_ms()
        if entry is None or not 0 <= now_ms - entry.read_ms < HELD_MS:
            return
        if not entry.is_held:
            log.warning("A project cannot be read again, its hits go on with what was read last: %s", error)
        entry.is_held, entry.until_ms = True, now_ms + self._cache_ms

    async def _read(self, tokens: Collection[str]) -> dict[str, Entry]:
        # The time before it is read: whatever is changed from now on is seen once that is too old.
        entries, now_ms = self._entries, self._clock.now_ms()
        async with self._database.connect() as connection:
            found = await projects.by_tokens(connection, tokens)
        read = {token: Entry(found.get(token), now_ms, now_ms + self._cache_ms) for token in tokens}
        for token, entry in read.items():
            entries[token] = entry
            entries.move_to_end(token)
        while len(entries) > CACHED_TOKENS_MAX:
            entries.popitem(last=False)
        return read
