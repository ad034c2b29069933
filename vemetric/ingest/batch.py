"""Accept many events at once, of now or of the last days: one durable write for all of a batch, each event once.

An event that bears an id of its sender's is taken once within so many hours: a batch may be sent again.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw

from vemetric import errors
from vemetric.clock import Clock
from vemetric.ingest import jobs, live_session, user_said
from vemetric.ingest.accept import EVENT_ID_LENGTH, event_job
from vemetric.ingest.hit import BatchHit
from vemetric.ingest.live_session import SESSION_ID_LENGTH, UNREAD, Extended, LiveSession, LiveSessions
from vemetric.ingest.turns import Turns
from vemetric.ingest.who import Resolver, Sender, Who
from vemetric.model import geo, ids
from vemetric.model.geo import Geo
from vemetric.model.project import Project
from vemetric.queues.job import KeySet, NewJob, Write
from vemetric.queues.keys import Keys
from vemetric.queues.queue import Queue

HOUR_MS = 3_600_000
TIMESTAMP_AGE_MS_MAX = 72 * HOUR_MS
# Clocks differ: so far ahead is now.
TIMESTAMP_AHEAD_MS_MAX = 5 * 60_000
# An event can be sent again for as long as its timestamp is taken, and a little longer.
ID_KEPT_MS = TIMESTAMP_AGE_MS_MAX + HOUR_MS
MILLISECONDS_MIN = 100_000_000_000
BATCH_TURN_PREFIX = "batch:"
# Another hub's batch takes milliseconds; one that died with its turn is not waited for.
TURN_SECONDS_MAX = 2.0
# A visit may begin while a batch waits for its turn, or by a clock a little ahead of its sender's: it is the same.
BEGUN_MEANWHILE_MS_MAX = 60_000

# Of one user: as many as fit into the hours that a batch may speak of, and some.
PAST_VISITS_MAX = 200
PAST_PREFIX = "past-visits:"

_past = msgspec.msgpack.Decoder(list[LiveSession])


class Dated(NamedTuple):
    """A hit of a batch that nothing speaks against, and when it happened. client_id: '' without one."""

    hit: BatchHit
    at_ms: int
    client_id: str


class Taken(NamedTuple):
    """What became of a batch. new_cookie_user_id: as in Prepared."""

    accepted: int
    repeated: int
    new_cookie_user_id: int | None


class OfSender(NamedTuple):
    """Whose a batch is: the request's project, sender, packed headers and place."""

    project: Project
    sender: Sender
    headers: Raw
    place: Geo


class Batches:
    """Takes batches of events."""

    def __init__(
        self, queue: Queue, keys: Keys, sessions: LiveSessions, resolver: Resolver, clock: Clock, idle_minutes: int
    ) -> None:
        self._queue = queue
        self._keys = keys
        self._sessions = sessions
        self._resolver = resolver
        self._clock = clock
        self._idle_ms = idle_minutes * 60_000
        self._turns = Turns(keys, clock)

    async def take(self, dated: Sequence[Dated], of: OfSender) -> Taken:
        """Queue the events that were not taken before; returns when they are on disk, all in one transaction.

        Raises Unavailable, with nothing taken, also when other processes take batches of the project for too long.
        """
        past_ms = self._clock.now_ms() - BEGUN_MEANWHILE_MS_MAX
        if not any(each.client_id or each.at_ms < past_ms for each in dated):
            return await self._take(dated, of, past_ms)
        async with self._turns.hold(f"{BATCH_TURN_PREFIX}{of.project.id}", TURN_SECONDS_MAX) as is_ours:
            if not is_ours:
                raise errors.Unavailable("Another process takes a batch of this project.")
            return await self._take(dated, of, past_ms)

    async def _take(self, dated: Sequence[Dated], of: OfSender, past_ms: int) -> Taken:
        """past_ms: what is older changes the past visits, for which the project's turn is needed."""
        names = {each.client_id: _id_key(of.project.id, each.client_id) for each in dated if each.client_id}
        known = await self._keys.get_many(list(names.values()))
        # By its id, or by its place, which is never equal to an id.
        fresh: dict[str | int, Dated] = {}
        for number, each in enumerate(dated):
            if names.get(each.client_id) not in known:
                fresh.setdefault(each.client_id or number, each)
        visits = Visits(self._keys, self._idle_ms, past_ms)
        return await self._put(list(fresh.values()), names, of, len(dated) - len(fresh), visits)

    async def _put(
        self, fresh: Sequence[Dated], names: dict[str, str], of: OfSender, repeated: int, visits: "Visits"
    ) -> Taken:
        now_ms = self._clock.now_ms()
        write, opened = Write(jobs=[], keys=[], counters={}), []
        sender, new_cookie_user_id = of.sender, None
        for each in sorted(fresh, key=lambda each: each.at_ms):
            sender_of_hit = _sender_of(each.hit, sender)
            who = await self._resolver.resolve(sender_of_hit, now_ms, may_create=True)
            if who is None:
                raise AssertionError("a user can always be made for an event")
            if who.is_new_cookie:
                # The visitor of this batch; the next events have it too.
                new_cookie_user_id = who.user_id
                sender = msgspec.structs.replace(sender, cookie_user_id=who.user_id)
            extended = await self._visit(who, each.at_ms, now_ms, visits)
            opened.append((who.key, extended))
            write.jobs += _jobs(each, of, sender_of_hit, who, extended)
            write.keys += [extended.write] if extended.write.expires_ms > now_ms else []
            if each.client_id:
                write.keys.append(KeySet(names[each.client_id], b"", now_ms + ID_KEPT_MS))
        write.keys += visits.kept(now_ms)
        counters = {
            jobs.accepted_counter(of.project.id, now_ms): len(fresh),
            jobs.repeated_counter(of.project.id, now_ms): repeated,
        }
        write.counters = {name: count for name, count in counters.items() if count}
        if not write.counters:
            return Taken(0, 0, None)
        try:
            await self._queue.put(write)
        except errors.Unavailable:
            for key, extended in opened:
                self._sessions.forget(key, extended)
            raise
        return Taken(len(fresh), repeated, new_cookie_user_id)

    async def _visit(self, who: Who, at_ms: int, now_ms: int, visits: "Visits") -> Extended:
        """The visit of that time: one that is known, one of this batch or an earlier one, or a new one."""
        session = await self._sessions.find(who.key, at_ms)
        if session is None:
            await visits.load(who.key)
            # A hit may have begun one meanwhile.
            known = self._sessions.known(who.key, at_ms)
            session = None if known is UNREAD else known
        is_past = at_ms < visits.past_ms
        if session is not None and (session.started_ms <= at_ms + BEGUN_MEANWHILE_MS_MAX or not is_past):
            return self._sessions.extend(who.key, session, at_ms)
        await visits.load(who.key)
        if not is_past:
            # It goes on in a visit of the past that reaches so far, as any hit would; only the live one is prolonged.
            session = visits.at(who.key, at_ms) or await self._sessions.open(who.key, at_ms)
            return self._sessions.extend(who.key, session, at_ms)
        if session is None and at_ms + self._idle_ms > now_ms and visits.at(who.key, at_ms) is None:
            return self._sessions.extend(who.key, await self._sessions.open(who.key, at_ms), at_ms)
        extended = visits.extend(who.key, at_ms)
        if session is None and extended.session.expires_ms > now_ms:
            # It reaches into the present: whatever the visitor sends next goes on in it.
            return self._sessions.extend(who.key, extended.session, at_ms)
        return extended


class Visits:
    """Visits of the past that only batches know of: of this one and, as far as they are kept, of those before it.

    past_ms: events before that time change them, by who has the project's turn; later ones only look.
    """

    def __init__(self, keys: Keys, idle_ms: int, past_ms: int) -> None:
        self.past_ms = past_ms
        self._keys = keys
        self._idle_ms = idle_ms
        self._by_key: dict[str, list[LiveSession]] = {}
        self._changed: set[str] = set()

    async def load(self, key: str) -> None:
        """Learn of the visits that earlier batches have opened."""
        if key not in self._by_key:
            stored = await self._keys.get(_past_key(key))
            self._by_key[key] = [] if stored is None else _past.decode(stored)

    def at(self, key: str, at_ms: int) -> LiveSession | None:
        """The visit that was under way then; of several the one that began last."""
        under_way = (each for each in self._by_key.get(key, ()) if each.started_ms <= at_ms < each.expires_ms)
        return max(under_way, key=lambda each: each.started_ms, default=None)

    def extend(self, key: str, at_ms: int) -> Extended:
        """Prolong the visit of that time, or open one."""
        session = self.at(key, at_ms)
        opening_key = None
        if session is None:
            session = LiveSession(ids.random_id(SESSION_ID_LENGTH), at_ms, 0)
            opening_key = session.session_id
            self._by_key.setdefault(key, []).append(session)
        session.expires_ms = max(session.expires_ms, at_ms + self._idle_ms)
        self._changed.add(key)
        return Extended(session, opening_key, KeySet(key, b"", 1))

    def kept(self, now_ms: int) -> list[KeySet]:
        """What to write, so that the next batch finds these visits for as long as it may speak of their time."""
        sets = []
        for key in self._changed:
            latest = sorted(self._by_key[key], key=lambda each: each.expires_ms)[-PAST_VISITS_MAX:]
            told = [
                (each.session_id, each.started_ms, each.expires_ms)
                for each in latest
                if each.expires_ms > now_ms - TIMESTAMP_AGE_MS_MAX
            ]
            sets.append(KeySet(_past_key(key), msgspec.msgpack.encode(told), now_ms + ID_KEPT_MS))
        return sets


def when(timestamp: Any, now_ms: int) -> int | None:
    """The time of an event by its timestamp: milliseconds since 1970, ISO 8601 with its offset, or none for now.

    None if it is neither, or not within the last 72 hours.
    """
    if timestamp is UNSET or timestamp is None:
        return now_ms
    at_ms = _milliseconds(timestamp)
    if at_ms is None or not now_ms - TIMESTAMP_AGE_MS_MAX <= at_ms <= now_ms + TIMESTAMP_AHEAD_MS_MAX:
        return None
    return min(at_ms, now_ms)


def _milliseconds(timestamp: Any) -> int | None:
    if isinstance(timestamp, int | float) and not isinstance(timestamp, bool):
        # Smaller numbers are seconds, or a mistake; no guess is made.
        return int(timestamp) if timestamp >= MILLISECONDS_MIN else None
    if not isinstance(timestamp, str):
        return None
    try:
        parsed = datetime.fromisoformat(timestamp)
    except ValueError:
        return None
    if parsed.tzinfo is None:
        return None
    return int(parsed.timestamp() * 1000)


def _jobs(each: Dated, of: OfSender, sender: Sender, who: Who, extended: Extended) -> list[NewJob]:
    place = geo.UNKNOWN if sender.user_identifier is not None else of.place
    event_id, session = ids.random_id(EVENT_ID_LENGTH), extended.session
    job = event_job(each.hit, of.project, sender, of.headers, place, who, session, event_id, each.at_ms)
    put = [NewJob(jobs.EVENT_QUEUE, jobs.encode(job), key=extended.opening_key)]
    update = user_said.with_event(each.hit, sender, who.user_id, each.at_ms)
    return put if update is None else [*put, jobs.update_job(update)]


def _sender_of(hit: BatchHit, sender: Sender) -> Sender:
    """The sender of one event: a batch may speak of many users."""
    backend, identifier = hit.user_identifier, hit.identifier
    return msgspec.structs.replace(
        sender,
        user_identifier=backend if isinstance(backend, str) else None,
        identifier=identifier if isinstance(identifier, str) else None,
    )


def id_prefix(project_id: int) -> str:
    """What the keys of all ids begin with that a project's events have borne."""
    return f"batched:{project_id}:"


def past_prefix(project_id: int) -> str:
    """What the keys of all visits of the past begin with that batches of a project have opened."""
    return f"{PAST_PREFIX}{project_id}:"


def _past_key(key: str) -> str:
    """By the key of the user's live session."""
    return PAST_PREFIX + key.removeprefix(live_session.KEY_PREFIX)


def past_key(project_id: int, user_id: int) -> str:
    return _past_key(live_session.key(project_id, user_id))


def _id_key(project_id: int, client_id: str) -> str:
    """Ids can be long; a key is not."""
    return f"{id_prefix(project_id)}{hashlib.blake2b(client_id.encode(), digest_size=16).hexdigest()}"
