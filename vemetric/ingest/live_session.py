"""Visits that go on: a sliding session per user, kept in Keys with its job's write; memory is a cache of it."""

from collections import OrderedDict
from enum import Enum, auto
from typing import Final, Literal, NamedTuple

import msgspec

from vemetric.model import ids
from vemetric.queues.job import KeySet
from vemetric.queues.keys import Keys

SESSION_ID_LENGTH = 12
CACHED_SESSIONS_MAX = 100_000
KEY_PREFIX = "session:"
FOR_EVER_MS = 1 << 62
# A clock that was set back leaves visits that begin later than now: by so much they go on, beyond that it was wrong.
AHEAD_MS_MAX = 2 * 3_600_000


class Unread(Enum):
    """Nothing can be said without reading from a store."""

    UNREAD = auto()


UNREAD: Final = Unread.UNREAD


class LiveSession(msgspec.Struct, array_like=True, gc=False):
    """A session that hits still extend. Times in ms; it has ended once `expires_ms` has passed.

    hits: of this process, written or being written; not stored. One that was read from the store has one more.
    """

    session_id: str
    started_ms: int
    expires_ms: int
    hits: int = 1

    def is_live(self, now_ms: int) -> bool:
        return now_ms < self.expires_ms and self.started_ms <= now_ms + AHEAD_MS_MAX


class Extended(msgspec.Struct, frozen=True, gc=False):
    """A session that a hit belongs to, the key of the hit's job if it opens the session, and what to write with it."""

    session: LiveSession
    opening_key: str | None
    write: KeySet

    @property
    def is_new(self) -> bool:
        return self.opening_key is not None


class Begun(NamedTuple):
    """A session that was opened for all processes, and the key that the job of its first event is to have."""

    session_id: str
    opening_key: str


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(LiveSession)


def encoded(session: LiveSession) -> bytes:
    """A session as it is stored."""
    return _encoder.encode((session.session_id, session.started_ms, session.expires_ms))


def key(project_id: int, user_id: int) -> str:
    return f"{KEY_PREFIX}{project_id}:{user_id}"


class LiveSessions:
    """The live sessions of all projects.

    `exclusive` says that no other process writes these keys: then a session that is not in the cache does not exist,
    and the look-up of a new visitor costs no read. Where live ones had to be dropped that holds again once they ended.
    """

    def __init__(
        self, keys: Keys, idle_minutes: int, *, exclusive: bool, cached_max: int = CACHED_SESSIONS_MAX
    ) -> None:
        self._keys = keys
        self._idle_ms = idle_minutes * 60_000
        self._exclusive = exclusive
        self._cached_max = cached_max
        self._cache: OrderedDict[str, LiveSession] = OrderedDict()
        # From when on the cache holds every session that is live.
        self._complete_from_ms = FOR_EVER_MS
        # By key the sessions that this process has opened for all and not yet put an event of.
        self._begun: dict[str, Begun] = {}
        # Before then the one that was used longest ago goes on, unless a clock was set back.
        self._oldest_ends_ms = 0

    async def load(self) -> None:
        """Fill the cache from the store, so that a restart splits no visit and needs no reads afterwards."""
        if not self._exclusive:
            return
        rows = await self._keys.scan(KEY_PREFIX, self._cached_max + 1)
        self._complete_from_ms = 0 if len(rows) <= self._cached_max else FOR_EVER_MS
        for name, value in rows[: self._cached_max]:
            self._cache.setdefault(name, _decoder.decode(value))

    async def find(self, name: str, now_ms: int) -> LiveSession | None:
        """The session under this key that is live now."""
        session = self.known(name, now_ms)
        if session is not UNREAD:
            return session
        stored = await self._read(name)
        return stored if stored is not None and stored.is_live(now_ms) else None

    def known(self, name: str, now_ms: int) -> LiveSession | Literal[Unread.UNREAD] | None:
        """As `find`, without reading; UNREAD when the memory cannot tell."""
        session = self._cache.get(name)
        if session is None:
            return UNREAD if now_ms < self._complete_from_ms else None
        if session.is_live(now_ms):
            return session
        # Another process may have prolonged what has ended as far as this one knows.
        return None if self._exclusive else UNREAD

    async def open(self, name: str, now_ms: int) -> LiveSession | None:
        """Open a session where there is none, or find the one another process opened in the meantime.

        None where no other process writes: then `extend` opens it. Call it for a hit only that will be written.
        """
        if self._exclusive:
            return None
        session = LiveSession(ids.random_id(SESSION_ID_LENGTH), now_ms, now_ms + self._idle_ms)
        if await self._keys.set_if_absent(name, encoded(session), session.expires_ms):
            self._begun[name] = Begun(session.session_id, session.session_id)
        elif (stored := await self._read(name)) is not None:
            if stored.is_live(now_ms):
                session = stored
            else:
                await self._keys.set([KeySet(name, encoded(session), session.expires_ms)])
                self._begun[name] = Begun(session.session_id, session.session_id)
        cached = self._cache.get(name)
        if cached is not None and cached.is_live(now_ms):
            return cached
        self._remember(name, session, now_ms)
        return session

    def extend(self, name: str, session: LiveSession | None, now_ms: int) -> Extended:
        """Prolong a session, or open one, and say what has to be written with the hit's job.

        Runs without a pause between look and write, so two hits at once of one new visitor share a session.
        """
        opening_key = None
        cached = self._cache.get(name)
        if cached is not None and cached is not session and cached.is_live(now_ms):
            session = cached
        if session is None:
            session = LiveSession(ids.random_id(SESSION_ID_LENGTH), now_ms, 0, hits=0)
            opening_key = session.session_id
        elif (begun := self._begun.get(name)) is not None and begun.session_id == session.session_id:
            opening_key = begun.opening_key
            del self._begun[name]
        session.hits += 1
        session.expires_ms = max(session.expires_ms, now_ms + self._idle_ms)
        self._remember(name, session, now_ms)
        return Extended(session, opening_key, KeySet(name, encoded(session), session.expires_ms))

    def forget(self, name: str, extended: Extended) -> None:
        """Undo a hit that was not written: a session that no other hit belongs to was never opened."""
        cached = self._cache.get(name)
        extended.session.hits -= 1
        if cached is not extended.session:
            return
        if not self._exclusive:
            if extended.is_new:
                # It is opened for all; the next event of it opens its row. Perhaps the refused one was written after
                # all: of two jobs with one key the second would be left out.
                again = f"{cached.session_id}:{ids.random_id(SESSION_ID_LENGTH)}"
                self._begun[name] = Begun(cached.session_id, again)
        elif not cached.hits:
            del self._cache[name]

    async def _read(self, name: str) -> LiveSession | None:
        value = await self._keys.get(name)
        cached, stored = self._cache.get(name), None if value is None else _decoder.decode(value)
        if cached is None or stored is None:
            return cached or stored
        return cached if self._exclusive or cached.expires_ms >= stored.expires_ms else stored

    def _remember(self, name: str, session: LiveSession, now_ms: int) -> None:
        self._cache[name] = session
        self._cache.move_to_end(name)
        if now_ms >= self._oldest_ends_ms or len(self._cache) > self._cached_max:
            self._drop(now_ms)

    def _drop(self, now_ms: int) -> None:
        """Forget those that have ended, and of too many those that were used longest ago."""
        while self._cache:
            oldest_name, oldest = next(iter(self._cache.items()))
            if oldest.expires_ms > now_ms:
                if len(self._cache) <= self._cached_max:
                    self._oldest_ends_ms = oldest.expires_ms
                    return
                self._complete_from_ms = max(self._complete_from_ms, oldest.expires_ms)
            del self._cache[oldest_name]
            self._begun.pop(oldest_name, None)
