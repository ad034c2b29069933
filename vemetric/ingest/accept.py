"""Accept a hit: give it a user and a session, and queue one durable job that workers/event.py picks up."""

from enum import Enum, auto

import msgspec
from msgspec import Raw, UnsetType

from vemetric import errors
from vemetric.clock import Clock
from vemetric.ingest import jobs, user_said
from vemetric.ingest.hit import EventHit
from vemetric.ingest.live_session import UNREAD, Extended, LiveSession, LiveSessions
from vemetric.ingest.who import Resolver, Sender, Who
from vemetric.model import ids
from vemetric.model.geo import Geo
from vemetric.model.project import Project
from vemetric.queues.job import NewJob, Write
from vemetric.queues.queue import Queue, Told

# 71 random bits; longer ones are most of what an event takes on disk (docs/decisions/0001-sort-keys.md).
EVENT_ID_LENGTH = 12


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """A hit decided on: what is written of it, and the session it extends.

    event_id: '' for a page leave. new_cookie_user_id: the id to send back as a cookie, if there is one to send.
    """

    write: Write
    session_key: str
    extended: Extended
    event_id: str = ""
    new_cookie_user_id: int | None = None


class Left(Enum):
    """What became of a page leave."""

    EXTENDED = auto()
    NO_USER = auto()
    NO_SESSION = auto()


class Intake:
    """Takes events and page leaves that nothing speaks against."""

    def __init__(self, queue: Queue, sessions: LiveSessions, resolver: Resolver, clock: Clock) -> None:
        self._queue = queue
        self._sessions = sessions
        self._resolver = resolver
        self._clock = clock

    async def event(self, hit: EventHit, project: Project, sender: Sender, headers: Raw, geo: Geo) -> Prepared:
        """Queue an event. Returns when its job, its session and its count are on disk, in one transaction.

        headers: packed, as the job has them.
        """
        now_ms = self._clock.now_ms()
        who = await self._resolver.resolve(sender, now_ms, may_create=True)
        if who is None:
            raise AssertionError("a user can always be made for an event")
        if who.session is None:
            who = msgspec.structs.replace(who, session=await self._sessions.open(who.key, now_ms))
        prepared = self._event(hit, project, sender, headers, geo, who, now_ms)
        await self._put(prepared)
        return prepared

    def event_at_once(self, hit: EventHit, project: Project, sender: Sender, headers: Raw, geo: Geo) -> Prepared | None:
        """An event ready to `submit`; None when something has to be read to tell whose it is."""
        now_ms = self._clock.now_ms()
        who = self._resolver.at_once(sender, now_ms, may_create=True)
        return self._event(hit, project, sender, headers, geo, who, now_ms) if isinstance(who, Who) else None

    async def leave(self, project: Project, sender: Sender) -> Left:
        """Extend the live session of a user who leaves a page; says so when there is no user or no session."""
        now_ms = self._clock.now_ms()
        prepared = self._leave(project, await self._resolver.resolve(sender, now_ms, may_create=False), now_ms)
        if isinstance(prepared, Left):
            return prepared
        await self._put(prepared)
        return Left.EXTENDED

    def leave_at_once(self, project: Project, sender: Sender) -> Prepared | Left | None:
        """A page leave ready to `submit`, or why it is none; None when something has to be read to tell whose it is."""
        now_ms = self._clock.now_ms()
        who = self._resolver.at_once(sender, now_ms, may_create=False)
        return None if who is UNREAD else self._leave(project, who, now_ms)

    def submit(self, prepared: Prepared, told: Told) -> None:
        """Write what was prepared, as Queue.submit. told, if it hears of an error, has to call `undo`."""
        try:
            self._queue.submit(prepared.write, told)
        except errors.Unavailable:
            self.undo(prepared)
            raise

    def undo(self, prepared: Prepared) -> None:
        """Forget a session that would have been opened by what could not be written."""
        self._sessions.forget(prepared.session_key, prepared.extended)

    async def _put(self, prepared: Prepared) -> None:
        try:
            await self._queue.put(prepared.write)
        except errors.Unavailable:
            self.undo(prepared)
            raise

    def _event(
        self, hit: EventHit, project: Project, sender: Sender, headers: Raw, geo: Geo, who: Who, now_ms: int
    ) -> Prepared:
        extended = self._sessions.extend(who.key, who.session, now_ms)
        session = extended.session
        event_id = ids.random_id(EVENT_ID_LENGTH)
        job = event_job(hit, project, sender, headers, geo, who, session, event_id, now_ms)
        # The job that opens a session has a key, mostly the session's name: page leaves wait for it.
        put = [NewJob(jobs.EVENT_QUEUE, jobs.encode(job), key=extended.opening_key)]
        update = user_said.with_event(hit, sender, who.user_id, now_ms)
        if update is not None:
            put.append(jobs.update_job(update))
        write = Write(put, [extended.write], {jobs.accepted_counter(project.id, now_ms): 1})
        return Prepared(write, who.key, extended, event_id, who.user_id if who.is_new_cookie else None)

    def _leave(self, project: Project, who: Who | None, now_ms: int) -> Prepared | Left:
        if who is None:
            return Left.NO_USER
        if who.session is None:
            return Left.NO_SESSION
        extended = self._sessions.extend(who.key, who.session, now_ms)
        session = extended.session
        leave = jobs.LeaveJob(project.id, who.user_id, session.session_id, session.started_ms, now_ms)
        job = NewJob(jobs.EVENT_QUEUE, jobs.encode(leave), after=session.session_id)
        return Prepared(Write(jobs=[job], keys=[extended.write]), who.key, extended)


def event_job(
    hit: EventHit,
    project: Project,
    sender: Sender,
    headers: Raw,
    geo: Geo,
    who: Who,
    session: LiveSession,
    event_id: str,
    created_ms: int,
) -> jobs.EventJob:
    """The job of an event that has its user and its session. headers: packed."""
    # In their order, because names cost as much as the rest of it.
    return jobs.EventJob(
        project.id,
        project.domain,
        who.user_id,
        session.session_id,
        session.started_ms,
        event_id,
        created_ms,
        hit.name,
        _text_or_none(hit.url),
        _text_or_none(hit.context_id) or "",
        sender.user_identifier or sender.identifier or "",
        _text_or_none(hit.display_name) or "",
        "" if isinstance(hit.custom_data, UnsetType) else str(hit.custom_data, "utf-8"),
        headers,
        geo,
    )


def _text_or_none(value: str | UnsetType) -> str | None:
    return value if isinstance(value, str) else None
