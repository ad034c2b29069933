"""Deleting projects and organizations, and erasing a tracked person, with the analytics rows.

The job that erases them is put first: if the process ends in between, it finds the project still there and does
nothing; the other way round rows would stay that nobody can see or delete.
"""

from collections.abc import Sequence

from vemetric import errors
from vemetric.accounts.projects import DOMAIN_LOCK
from vemetric.clock import Clock
from vemetric.database import organizations as stored_organizations
from vemetric.database import projects as stored_projects
from vemetric.database.database import Database
from vemetric.model import erasure
from vemetric.model.erasure import Erasure
from vemetric.queues.job import NewJob, Write
from vemetric.queues.queue import Queue


async def delete_project(database: Database, queue: Queue, clock: Clock, project_id: int) -> None:
    """Delete the project; its rows follow within minutes. Raises NotFound, Unavailable."""
    await _put(queue, clock, [Erasure(project_id)])
    async with database.begin() as connection:
        if not await stored_projects.delete(connection, project_id):
            raise errors.NotFound


async def delete_organization(database: Database, queue: Queue, clock: Clock, organization_id: str) -> None:
    """Delete the organization with its projects, as delete_project. Raises NotFound, Unavailable."""
    async with database.connect() as connection:
        projects = await stored_projects.of_organization(connection, organization_id)
    await _put(queue, clock, [Erasure(project.id) for project in projects])
    async with database.begin() as connection:
        # No project comes while it goes: the rows of one would stay.
        await connection.lock(DOMAIN_LOCK)
        now = {project.id for project in await stored_projects.of_organization(connection, organization_id)}
        if now - {project.id for project in projects}:
            raise errors.Conflict("A project was added just now. Please try again.")
        if not await stored_organizations.delete(connection, organization_id):
            raise errors.NotFound


async def erase_users(
    queue: Queue, clock: Clock, project_id: int, user_ids: Sequence[int], unseen_since_ms: int = 0
) -> None:
    """Erase everything that is known of these users of the project, within minutes. unseen_since_ms: as in Erasure."""
    await _put(queue, clock, [Erasure(project_id, tuple(user_ids), unseen_since_ms)])


async def _put(queue: Queue, clock: Clock, erasures: Sequence[Erasure]) -> None:
    run_at_ms = clock.now_ms() + erasure.DELAY_MS
    jobs = [NewJob(erasure.ERASE_QUEUE, erasure.encode(one), run_at_ms=run_at_ms) for one in erasures]
    if jobs:
        await queue.put(Write(jobs=jobs))
