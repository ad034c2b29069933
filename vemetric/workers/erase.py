"""Erases from the stores what was deleted: whole projects, and single users. Put by accounts/removal.py.

Every step may be repeated. A project that still exists was not deleted in the end: nothing of it is erased.
What was accepted before and is still to be stored, in line or dead, is dropped and counted where it is stored.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Container, Sequence

import msgspec

from vemetric.clickhouse import eraser, expirer
from vemetric.database import erasures, identities, user_merges
from vemetric.database import projects as stored_projects
from vemetric.database.erasures import WHOLE_PROJECT
from vemetric.ingest import accounted, batch, expired, jobs, live_session, spoken_for, tap
from vemetric.model import erasure
from vemetric.model.erasure import Erasure
from vemetric.queues.job import DeadJob, Job, NewJob, Write
from vemetric.queues.lease import Lease
from vemetric.services import Services
from vemetric.workers import update_user

# The queues whose jobs speak of users.
OF_USERS = (
    jobs.EVENT_QUEUE,
    jobs.SESSION_QUEUE,
    jobs.DEVICE_QUEUE,
    jobs.CREATE_USER_QUEUE,
    jobs.UPDATE_USER_QUEUE,
)
DEAD_PAGE = 1_000
KEYS_PAGE = 1_000

log = logging.getLogger(__name__)


class OfProject:
    """All users of a project, as far as being among them goes."""

    def __init__(self, project_id: int) -> None:
        self._project_id = project_id

    def __contains__(self, user: object) -> bool:
        return isinstance(user, tuple) and user[0] == self._project_id


class EraseWorker:
    """Handles the erase queue."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def handle(self, claimed: Sequence[Job], lease: Lease) -> Write:
        """Erase what the jobs name, one after another; the returned write has others erased in a run of their own."""
        others = [await self._erase(erasure.decode(job.payload)) for job in claimed]
        return Write(jobs=[NewJob(erasure.ERASE_QUEUE, erasure.encode(one)) for one in others if one is not None])

    async def _erase(self, asked: Erasure) -> Erasure | None:
        until_ms = None
        async with self._services.database.connect() as connection:
            if asked.user_ids:
                until_ms = await erasures.begun(connection, asked.project_id, asked.user_ids)
            elif await stored_projects.by_id(connection, asked.project_id) is not None:
                return None
        if asked.unseen_since_ms and until_ms is None:
            asked = await self._without_who_came_back(asked)
            if not asked.user_ids:
                return None
        asked, others = await self._with_merged(asked), None
        if until_ms is None:
            until_ms = await self._begin(asked)
        else:
            asked, others = await self._as_begun(asked, until_ms)
        async with self._services.merged.session_turn:
            await self._erase_rows(asked.project_id, asked.user_ids, until_ms)
            self._services.merged.moved(users_of(asked))
        await self._drop_what_waits(asked)
        what = f"{len(asked.user_ids)} users" if asked.user_ids else "everything"
        log.info("Erased %s of project %d", what, asked.project_id)
        return others

    async def _as_begun(self, asked: Erasure, until_ms: int) -> tuple[Erasure, Erasure | None]:
        """What the run that was killed had begun with, and counted; and whom it has not, if there are any."""
        async with self._services.database.connect() as connection:
            begun = await erasures.noted(connection, asked.project_id, asked.user_ids, until_ms)
        others = tuple(user_id for user_id in asked.user_ids if user_id not in begun)
        left = msgspec.structs.replace(asked, user_ids=others) if others else None
        return msgspec.structs.replace(asked, user_ids=tuple(sorted(begun))), left

    async def _without_who_came_back(self, asked: Erasure) -> Erasure:
        """Of whom an event is stored or still in line, or of whom something was said, while the job waited, stays."""
        services, project_id = self._services, asked.project_id
        names = {live_session.key(project_id, user_id): user_id for user_id in asked.user_ids}
        present = {names[name] for name in await services.keys.get_many(list(names))}
        heard_of = await expirer.heard_of(services.engine, project_id, asked.user_ids, asked.unseen_since_ms)
        gone = set(asked.user_ids) - heard_of - present
        return msgspec.structs.replace(asked, user_ids=tuple(sorted(gone)))

    async def _with_merged(self, asked: Erasure) -> Erasure:
        """Who turned out to be one of these after the erasure was asked for is erased too: late events bear that id.

        Unless that one has got another name since.
        """
        found = set(asked.user_ids)
        async with self._services.database.connect() as connection:
            for user_id in asked.user_ids:
                found.update(await user_merges.into_user(connection, asked.project_id, user_id))
            named = await identities.named(connection, asked.project_id, found.difference(asked.user_ids))
        return msgspec.structs.replace(asked, user_ids=tuple(sorted(found - named)))

    async def _begin(self, asked: Erasure) -> int:
        """Have nothing stored any more of what was accepted until now; returns now, or the time of what is newest.

        A clock that was ahead leaves rows and jobs of times to come, which go too. A run that was killed goes on from
        where its time is noted: who comes back afterwards is a new user.
        """
        erased = self._services.erased
        # In this order, as what waits may be stored meanwhile.
        waiting_ms = await self._newest_waiting_ms(asked)
        stored_ms = await eraser.newest_ms(self._services.engine, asked.project_id, asked.user_ids)
        # In the turn, so that nobody is given a name between both.
        async with erased.turn:
            now_ms = self._services.clock.now_ms()
            until_ms = max(now_ms, waiting_ms + 1, stored_ms + 1)
            noted = [
                erasures.Erased(asked.project_id, user_id, until_ms) for user_id in asked.user_ids or (WHOLE_PROJECT,)
            ]
            # Before as well: a run that is killed after it is noted does not come by here again.
            await self._forget_names(asked)
            async with self._services.database.begin() as connection:
                await identities.forget(connection, asked.project_id, asked.user_ids, now_ms)
                await erasures.mark(connection, noted)
            self._services.probe("erase:noted")
            await self._forget_names(asked)
            erased.learn(noted)
        if not self._services.owns_stores:
            await asyncio.sleep(erased.wait_seconds(self._services.config.engine_insert_seconds))
            # Names that other processes gave meanwhile to whom they had asked about before.
            async with self._services.database.begin() as connection:
                await identities.forget(connection, asked.project_id, asked.user_ids, now_ms)
        return until_ms

    async def _forget_names(self, asked: Erasure) -> None:
        if asked.user_ids:
            await self._services.identities.forget(asked.project_id, asked.user_ids)

    async def _newest_waiting_ms(self, asked: Erasure) -> int:
        """The latest time of what any job says of these users, in line or dead; 0 without any. A project goes whole."""
        newest_ms = 0
        meant = users_of(asked)
        for queue in OF_USERS if asked.user_ids else ():
            async for payload in self._payloads(queue):
                newest_ms = max(newest_ms, _newest_said_ms(queue, payload, meant))
        return newest_ms

    async def _payloads(self, queue: str) -> AsyncIterator[bytes]:
        """Of all jobs. The dead ones first, and last: one may be buried, or revived, between two looks."""
        async for letter in self._dead(queue):
            yield letter.payload
        async for page in self._services.queue.live(queue):
            for job in page:
                yield job.payload
        async for letter in self._dead(queue):
            yield letter.payload

    async def _dead(self, queue: str) -> AsyncIterator[DeadJob]:
        before_id = None
        while page := await self._services.queue.dead(queue, DEAD_PAGE, before_id):
            before_id = page[-1].id
            for letter in page:
                yield letter

    async def _erase_rows(self, project_id: int, user_ids: Sequence[int], until_ms: int) -> None:
        """Count the events, then remove all rows. A run that was killed in between has counted them already."""
        engine, database = self._services.engine, self._services.database
        noted = user_ids or (WHOLE_PROJECT,)
        async with database.connect() as connection:
            was_counted = await erasures.leaving(connection, project_id, noted)
        if not was_counted:
            await self._note_undecided(Erasure(project_id, tuple(user_ids)))
            counts = await eraser.count_events(engine, project_id, user_ids, until_ms)
            async with database.begin() as connection:
                await erasures.set_leaving(connection, project_id, counts)
        self._services.probe("erase:counted")
        if user_ids:
            await eraser.erase_users(engine, project_id, user_ids, until_ms)
        else:
            await eraser.erase_project(engine, project_id)
        self._services.probe("erase:removed")
        async with database.begin() as connection:
            await erasures.settle(connection, project_id, noted)

    async def _note_undecided(self, asked: Erasure) -> None:
        """Of the events that go with this: dropped later, they are not counted again."""
        services, meant = self._services, users_of(asked)

        def is_taken(event: jobs.EventHead) -> bool:
            return (event.project_id, event.user_id) in meant

        await accounted.note_undecided(services.engine, services.queue, services.keys, services.clock, is_taken)

    async def _drop_what_waits(self, asked: Erasure) -> None:
        """Put dead letters back in line, where they are dropped as erased; delete live visits and the tap."""
        meant = users_of(asked)
        for queue in OF_USERS:
            found = [letter.id async for letter in self._dead(queue) if _newest_said_ms(queue, letter.payload, meant)]
            for start in range(0, len(found), DEAD_PAGE):
                await self._services.queue.revive(found[start : start + DEAD_PAGE])
        for user_id in asked.user_ids:
            await self._services.keys.delete(live_session.key(asked.project_id, user_id))
            await self._services.keys.delete(update_user.kept_key(asked.project_id, user_id))
            await self._services.keys.delete(batch.past_key(asked.project_id, user_id))
        if not asked.unseen_since_ms:
            # Its entries do not say whose they are, and addresses may tell of somebody.
            await self._forget(tap.key_prefix(asked.project_id))
        if not asked.user_ids:
            await self._services.keys.delete(expired.line_key(asked.project_id))
            await self._services.identities.forget(asked.project_id, ())
            for prefix in (
                f"{live_session.KEY_PREFIX}{asked.project_id}:",
                update_user.kept_prefix(asked.project_id),
                batch.id_prefix(asked.project_id),
                batch.past_prefix(asked.project_id),
                spoken_for.key_prefix(asked.project_id),
            ):
                await self._forget(prefix)

    async def _forget(self, prefix: str) -> None:
        """Delete the keys whose names begin so."""
        while keys := await self._services.keys.scan(prefix, KEYS_PAGE):
            for name, _ in keys:
                await self._services.keys.delete(name)


def users_of(asked: Erasure) -> Container[tuple[int, int]]:
    """Who goes, (project, user): asked of every job that waits, however many go at once."""
    return {(asked.project_id, user_id) for user_id in asked.user_ids} or OfProject(asked.project_id)


def _newest_said_ms(queue: str, payload: bytes, meant: Container[tuple[int, int]]) -> int:
    """The latest time of what a job says of who is to be erased; 0 if it says nothing of them."""
    try:
        said = _said(queue, payload)
    except ValueError:
        # Written by a newer program; nobody can tell.
        return 0
    return max((at_ms for project_id, user_id, at_ms in said if (project_id, user_id) in meant), default=0)


def _said(queue: str, payload: bytes) -> list[tuple[int, int, int]]:
    """Of whom a job speaks: (project, user, time in ms)."""
    if queue == jobs.EVENT_QUEUE:
        event = jobs.decode_event(payload)
        return [(event.project_id, event.user_id, jobs.accepted_ms(event))]
    if queue == jobs.CREATE_USER_QUEUE:
        made = jobs.decode_create(payload)
        return [(made.project_id, made.user_id, made.created_ms)]
    if queue == jobs.UPDATE_USER_QUEUE:
        update = jobs.decode_update(payload)
        return [(update.project_id, update.user_id, update.updated_ms)]
    if queue == jobs.SESSION_QUEUE:
        return [(part.project_id, part.user_id, part.ended_ms) for part in jobs.decode_sessions(payload)]
    return [(device.project_id, device.user_id, device.created_ms) for device in jobs.decode_devices(payload)]
