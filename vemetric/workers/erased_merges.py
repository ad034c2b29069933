"""What an erasure means for merges that come after it: who was one of those erased goes with them. By merge_user.py."""

from collections.abc import Sequence

import msgspec

from vemetric.database import erasures, identities
from vemetric.database.user_merges import UserMerge
from vemetric.ingest import jobs
from vemetric.ingest.merged import job_again
from vemetric.model import erasure
from vemetric.model.erasure import Erasure
from vemetric.queues.job import NewJob
from vemetric.services import Services

# An erasure that was killed goes on soon after the next start.
UNDER_WAY_MS = 10_000


async def set_apart(services: Services, merges: Sequence[UserMerge]) -> tuple[list[UserMerge], list[NewJob]]:
    """Of merges of one project those to be carried out, and the jobs that take the place of the others.

    A merge that was asked for before its user was erased takes nothing there: the one who would come is erased too.
    What an erasure has counted and not yet removed stays where it is: merges of these users come again later.
    To be asked in the turn of visits, which an erasure has while it counts and removes.
    """
    project_id = merges[0].project_id
    users = {user_id for merge in merges for user_id in (merge.from_user_id, merge.into_user_id)}
    async with services.database.connect() as connection:
        under_way = await erasures.under_way(connection, project_id, sorted(users))
    wait = [merge for merge in merges if {merge.from_user_id, merge.into_user_id} & under_way]
    free = [merge for merge in merges if merge not in wait]
    asked = ((project_id, merge.into_user_id, merge.until_ms - jobs.MERGE_DELAY_MS) for merge in free)
    gone = await services.erased.among(asked)
    put = [
        *(_later(merge, services.clock.now_ms() + UNDER_WAY_MS) for merge in wait),
        *await _erased_too(services, project_id, {free[position].from_user_id for position in gone}),
    ]
    return [merge for position, merge in enumerate(free) if position not in gone], put


def _later(merge: UserMerge, run_at_ms: int) -> NewJob:
    return msgspec.structs.replace(job_again(merge), run_at_ms=run_at_ms)


async def _erased_too(services: Services, project_id: int, user_ids: set[int]) -> list[NewJob]:
    """Unless one has got another name since, as in workers/erase.py."""
    if not user_ids:
        return []
    async with services.database.connect() as connection:
        unnamed = user_ids - await identities.named(connection, project_id, user_ids)
    payload = erasure.encode(Erasure(project_id, tuple(sorted(unnamed))))
    return [NewJob(erasure.ERASE_QUEUE, payload)] if unnamed else []
