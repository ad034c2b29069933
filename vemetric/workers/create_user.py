"""The `create-user` queue: write the identity and the first row of users who became known.

The job is the durable fact: whatever of both is missing is written. Who is known already is adopted.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from vemetric.clickhouse import users
from vemetric.clickhouse.sink import UserKey
from vemetric.database import identities, projects
from vemetric.database.database import Connection
from vemetric.ingest import jobs
from vemetric.ingest.identities import Claim
from vemetric.ingest.jobs import CreateUserJob, UpdateUserJob
from vemetric.model import geo, ids
from vemetric.queues.job import Job, NewJob, Write
from vemetric.queues.lease import Lease
from vemetric.services import Services
from vemetric.workers import holding, standing_users, update_user, user_rows
from vemetric.workers.holding import Question

# One transaction of the relational store writes so many identities; pages wait for it.
IDENTITIES_PER_WRITE_MAX = 500


class Settled(NamedTuple):
    """A job and the user who bears its identifier now: the one it names, or the one that was first.

    is_same_person: whether the user that the job names was nobody else, and so belongs to that one.
    """

    job: CreateUserJob
    user_id: int
    is_same_person: bool

    @property
    def key(self) -> UserKey:
        return UserKey(self.job.project_id, self.user_id)


class CreateUserWorker:
    """Handles batches of create-user jobs. A batch that comes again changes nothing."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def handle(self, claimed: Sequence[Job], lease: Lease) -> Write:
        """Write identities, then the rows that are missing; merges of users that turned out to be known follow."""
        asked = [jobs.decode_create(job.payload) for job in claimed]
        settled: list[Settled] = []

        async def ask() -> set[int]:
            return await self._services.erased.ask((job.project_id, job.user_id, job.created_ms) for job in asked)

        async with self._services.erased.turn:
            erased = await ask()
            wanted = await self._wanted(asked, erased)
            for start in range(0, len(wanted), IDENTITIES_PER_WRITE_MAX):
                settled += await self._identified(wanted[start : start + IDENTITIES_PER_WRITE_MAX])
            self._services.probe("create-user:identified")
            await self._insert_missing(settled, holding.may_insert(self._services, lease, ask, erased))
            # In the turn too: once somebody is erased, no claim names that user again.
            await self._settle(settled)
        said = await self._said_before(settled)
        return Write(jobs=[*self._merges(settled), *said])

    async def _settle(self, settled: Sequence[Settled]) -> None:
        # Those to be merged are noted before their claims end: in between they would seem to be nobody.
        given = [self._services.spoken_for.given(each.job.project_id, each.job.user_id) for each in _lost(settled)]
        if given:
            await self._services.keys.set(given)
        claims = [(Claim(each.job.project_id, each.job.user_id, each.job.identifier), each.user_id) for each in settled]
        sets = self._services.identities.settle(claims)
        if sets:
            await self._services.keys.set(sets)

    async def _wanted(self, asked: Sequence[CreateUserJob], erased: Collection[int]) -> list[CreateUserJob]:
        """What was not erased; and the name of who was, and has come back while the job waited.

        The job of the second time was not put, as the first one's key was still taken; only its claim was.
        """
        now_ms = self._services.clock.now_ms()
        wanted = [job for position, job in enumerate(asked) if position not in erased]
        for project_id, user_id in sorted({(asked[at].project_id, asked[at].user_id) for at in erased}):
            identifier = await self._services.identities.claim_of(project_id, user_id)
            if identifier is not None:
                wanted.append(CreateUserJob(project_id, user_id, identifier, now_ms, geo.UNKNOWN, "", ""))
        return wanted

    async def _identified(self, wanted: Sequence[CreateUserJob]) -> list[Settled]:
        """Identities of projects that were deleted meanwhile are none."""
        async with self._services.database.begin() as connection:
            existing = await projects.existing(connection, {job.project_id for job in wanted})
            return [await _identity(connection, job) for job in wanted if job.project_id in existing]

    async def _insert_missing(self, settled: Sequence[Settled], holds: Question) -> None:
        by_key = {each.key: each for each in reversed(settled)}
        stored = await standing_users.rows(self._services, by_key)
        missing = [key for key in by_key if key not in stored or stored[key].deleted]
        if not missing:
            return
        page_views = await users.first_page_views(self._services.engine, missing)
        rows = [
            user_rows.created(
                by_key[key].job,
                key.id,
                stored.get(key),
                user_rows.source_of(page_views[key]) if key in page_views else None,
            )
            for key in missing
        ]
        await self._services.sink.insert_users(rows, may_insert=holds)

    async def _said_before(self, settled: Sequence[Settled]) -> list[NewJob]:
        """What was said of those who are made now, while nobody knew them, is applied in the lane of their updates."""
        made = {
            update_user.kept_key(job.project_id, user_id): job for job, user_id, _ in settled if user_id == job.user_id
        }
        kept = await self._services.keys.get_many(list(made))
        asked = (made[name] for name in sorted(kept))
        return [jobs.update_job(UpdateUserJob(job.project_id, job.user_id, "", job.created_ms)) for job in asked]

    def _merges(self, settled: Sequence[Settled]) -> list[NewJob]:
        """Whoever lost the race for an identifier was the same person all along."""
        put = []
        for job, user_id, _ in _lost(settled):
            merge = jobs.merge_job(job.project_id, job.user_id, user_id, self._services.clock.now_ms())
            # What was said of the one who lost, and is kept, goes to the one who was first.
            said = UpdateUserJob(job.project_id, job.user_id, job.identifier, job.created_ms)
            put += [jobs.update_job(said), merge, jobs.enrich_job(job.project_id, user_id, after=merge.key)]
        return put


def _lost(settled: Iterable[Settled]) -> list[Settled]:
    return [each for each in settled if each.user_id != each.job.user_id and each.is_same_person]


async def _identity(connection: Connection, job: CreateUserJob) -> Settled:
    """Make the user of the job's identifier, if nobody is known by it."""
    named = await identities.by_user(connection, job.project_id, job.user_id)
    is_same_person = named is None or named == job.identifier
    # At one browser two people may have got names at once. Then the id is the same however often this comes.
    user_id = job.user_id if is_same_person else ids.siphash(ids.USER_KEY, f"{job.project_id}:{job.identifier}")
    user_id = await identities.insert_if_absent(connection, job.project_id, user_id, job.identifier, job.created_ms)
    return Settled(job, user_id, is_same_person)
