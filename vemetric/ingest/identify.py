"""Say who a visitor is (/i), what is known of a user (/u): decide by what is known, then queue durable jobs.

The decisions are pure (`decide`); `Users` performs them. Workers: create_user.py, update_user.py, enrich_user.py,
merge_user.py.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum, auto
from typing import NamedTuple

import msgspec

from vemetric.clock import Clock
from vemetric.ingest import identities, jobs, user_said
from vemetric.ingest.hit import IdentifyHit, UpdateHit
from vemetric.ingest.identities import Identities
from vemetric.ingest.jobs import UpdateUserJob
from vemetric.ingest.resets import Resets
from vemetric.ingest.spoken_for import SpokenFor, Standing
from vemetric.ingest.who import Resolver, Sender
from vemetric.model import ids
from vemetric.model.geo import Geo
from vemetric.model.project import Project
from vemetric.queues.job import Write
from vemetric.queues.queue import Queue

# So long a visitor whom another process gives a name is waited for, before it is given away all the same.
NAMING_SECONDS_MAX = 5.0


class Step(Enum):
    """What an identification comes to."""

    # The user is known by this identifier already.
    UPDATE = auto()
    # Nobody is known by this identifier: the visitor is from now on, with all history.
    CREATE = auto()
    # Somebody else is known by it: the visitor was that user all along.
    ADOPT = auto()


class Decision(NamedTuple):
    """user_id: whose it is, None if an id is still to be made. merged_id: the user who turns out to be that user."""

    step: Step
    user_id: int | None
    merged_id: int | None = None


class Identified(NamedTuple):
    """An identification that is on disk. new_cookie_user_id: as in Prepared.

    is_running: another process identifies the same user right now; a worker finishes this one behind that.
    """

    user_id: int
    new_cookie_user_id: int | None
    is_running: bool = False


def decide(visitor_id: int | None, identifier: str, visitors_identifier: str | None, known_id: int | None) -> Decision:
    """What becomes of an identification.

    visitor_id: who sent it, None for nobody yet; visitors_identifier: by which that one is known; known_id: who is
    known by the identifier.
    """
    if visitors_identifier == identifier:
        return Decision(Step.UPDATE, visitor_id)
    if visitors_identifier is not None:
        # Somebody else uses the same browser now; the one before stays untouched.
        visitor_id = None
    if known_id is None:
        return Decision(Step.CREATE, visitor_id)
    return Decision(Step.ADOPT, known_id, visitor_id if visitor_id != known_id else None)


class Users:
    """Takes identifications and updates of users."""

    def __init__(
        self, queue: Queue, resolver: Resolver, known: Identities, spoken_for: SpokenFor, resets: Resets, clock: Clock
    ) -> None:
        self._queue = queue
        self._resolver = resolver
        self._identities = known
        self._spoken_for = spoken_for
        self._resets = resets
        self._clock = clock

    async def identify(self, hit: IdentifyHit, project: Project, sender: Sender, place: Geo) -> Identified:
        """The visitor is known by an identifier from now on. Returns when that is on disk.

        The identifier in the hit never tells who sent it: that is the cookie or the address.
        """
        now_ms = self._clock.now_ms()
        sender = msgspec.structs.replace(sender, identifier=None)
        who = await self._resolver.resolve(sender, now_ms, may_create=False)
        visitor_id = None if who is None else who.user_id
        decision = await self._decide(project.id, visitor_id, hit.identifier)
        identified = await self._at_known(decision, hit, project.id, visitor_id, now_ms)
        if identified is None:
            async with self._alone(project.id, hit.identifier, visitor_id) as (is_ours, own_visitor_id):
                identified = await self._new(hit, project.id, own_visitor_id, place, now_ms, is_ours=is_ours)
        is_sent_back = sender.allow_cookies and not identified.is_running and decision.step is not Step.UPDATE
        return identified._replace(new_cookie_user_id=identified.user_id if is_sent_back else None)

    async def update(self, hit: UpdateHit, project: Project, sender: Sender) -> bool:
        """Something is said of a user; False when there is no user. Of nobody known it is kept for a while."""
        now_ms = self._clock.now_ms()
        who = await self._resolver.resolve(sender, now_ms, may_create=False)
        if who is None:
            return False
        job = user_said.update(hit, project.id, who.user_id, user_said.named_by(sender), now_ms)
        if job is not None:
            await self._queue.put(Write(jobs=[jobs.update_job(job)]))
        return True

    async def reset(self, project: Project, sender: Sender) -> None:
        """A visitor without cookies leaves: if it was identified, whoever comes from there next is somebody else."""
        stranger = msgspec.structs.replace(sender, identifier=None, user_identifier=None, cookie_user_id=None)
        fingerprints = self._resolver.fingerprints(stranger)
        standing = await self._resets.read(project.id, fingerprints)
        left = [
            visitor_id for visitor_id in fingerprints if await self._is_identified(project.id, standing[visitor_id])
        ]
        if left:
            await self._resets.reset(project.id, left, ids.new_user_id())

    async def _is_identified(self, project_id: int, visitor_id: int) -> bool:
        if await self._identities.by_user(project_id, visitor_id) is not None:
            return True
        return await self._spoken_for.is_anybody(project_id, visitor_id)

    async def _decide(self, project_id: int, visitor_id: int | None, identifier: str) -> Decision:
        of_visitor = None if visitor_id is None else await self._identities.by_user(project_id, visitor_id)
        known_id = await self._identities.by_identifier(project_id, identifier)
        return decide(visitor_id, identifier, of_visitor, known_id)

    async def _at_known(
        self, decision: Decision, hit: IdentifyHit, project_id: int, visitor_id: int | None, now_ms: int
    ) -> Identified | None:
        """Steps A and C; None where a user is to be made. A visitor is given away by one at a time, as a name is."""
        if decision.step is Step.CREATE:
            return None
        if decision.merged_id is None:
            return await self._known(decision, hit, project_id, now_ms)
        turn = identities.turn_of_user(project_id, decision.merged_id)
        # Whoever has another process's turn for so long has died.
        async with self._identities.turns.hold(turn, NAMING_SECONDS_MAX):
            decision = await self._decide(project_id, visitor_id, hit.identifier)
            return None if decision.step is Step.CREATE else await self._known(decision, hit, project_id, now_ms)

    async def _known(self, decision: Decision, hit: IdentifyHit, project_id: int, now_ms: int) -> Identified:
        """Steps A and C: the user exists. What is said comes first, then the history that turned out to be theirs."""
        user_id = decision.user_id
        if user_id is None:
            raise AssertionError("only a new user has no id yet")
        write = Write(jobs=[], keys=[])
        update = user_said.update(hit, project_id, user_id, hit.identifier, now_ms)
        if update is not None:
            write.jobs.append(jobs.update_job(update))
        given_id = decision.merged_id
        if given_id is not None and await self._spoken_for.may_give(project_id, given_id, hit.identifier):
            self._give(write, hit, project_id, given_id, user_id, now_ms)
        elif decision.step is Step.ADOPT:
            write.jobs.append(jobs.enrich_job(project_id, user_id))
        if write.jobs:
            await self._queue.put(write)
        return Identified(user_id, None)

    def _give(
        self, write: Write, hit: IdentifyHit, project_id: int, visitor_id: int, user_id: int, now_ms: int
    ) -> None:
        """Have the visitor merged into the user of the hit's identifier, and that one's source looked up behind it."""
        # What was said of the visitor while nobody was known goes to the user too.
        said = UpdateUserJob(project_id, visitor_id, hit.identifier, now_ms)
        merge = jobs.merge_job(project_id, visitor_id, user_id, now_ms)
        write.jobs += [jobs.update_job(said), merge, jobs.enrich_job(project_id, user_id, after=merge.key)]
        write.keys.append(self._spoken_for.given(project_id, visitor_id))

    async def _new(
        self, hit: IdentifyHit, project_id: int, visitor_id: int | None, place: Geo, now_ms: int, *, is_ours: bool
    ) -> Identified:
        """Step B; unless somebody has just made the user.

        Where another process has the identifier's turn a worker does the rest, and merges into whoever is first.
        """
        decision = await self._decide(project_id, visitor_id, hit.identifier)
        if decision.step is not Step.CREATE:
            return await self._known(decision, hit, project_id, now_ms)
        own_id, write = decision.user_id, Write(jobs=[], keys=[])
        standing = await self._standing(project_id, own_id, hit.identifier, is_ours=is_ours)
        user_id = own_id if own_id is not None and standing is Standing.FREE else ids.new_user_id()
        if own_id is not None and standing is Standing.GIVEN:
            # What it did since belongs to this user, as it would to one who is known already.
            self._give(write, hit, project_id, own_id, user_id, now_ms)
        creation = user_said.creation(hit, project_id, user_id, place, now_ms)
        update = user_said.update(hit, project_id, user_id, hit.identifier, now_ms)
        if update is not None:
            write.jobs.insert(0, jobs.update_job(update))
        if is_ours:
            await self._identities.create(creation, write)
        else:
            write.jobs.insert(0, jobs.create_job(creation))
            await self._queue.put(write)
        return Identified(user_id, None, is_running=not is_ours)

    async def _standing(self, project_id: int, visitor_id: int | None, identifier: str, *, is_ours: bool) -> Standing:
        """How it stands with a visitor who is to get this name; one that is free is from now on on the way to it."""
        if visitor_id is None:
            return Standing.FREE
        standing = await self._spoken_for.standing(project_id, visitor_id, identifier)
        if standing is not Standing.FREE:
            return standing
        take = self._spoken_for.may_name if is_ours else self._spoken_for.name
        return Standing.FREE if await take(project_id, visitor_id, identifier) else Standing.NAMED

    @asynccontextmanager
    async def _alone(
        self, project_id: int, identifier: str, visitor_id: int | None
    ) -> AsyncIterator[tuple[bool, int | None]]:
        """Whether the identifier's turn is ours, and the visitor, if no other process is giving it a name right now."""
        turns = self._identities.turns
        async with turns.hold(identities.turn_of_identifier(project_id, identifier)) as is_ours:
            if visitor_id is None:
                yield is_ours, None
                return
            async with turns.hold(identities.turn_of_user(project_id, visitor_id)) as is_free:
                yield is_ours, visitor_id if is_free else None
