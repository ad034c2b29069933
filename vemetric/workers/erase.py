"""Erases from the analytics store what was deleted: whole projects, and single users. Put by accounts/removal.py.

Every step may be repeated. A project that still exists was not deleted in the end: nothing of it is erased.
"""

import logging
from collections.abc import Sequence

from vemetric.clickhouse import eraser
from vemetric.database import identities
from vemetric.database import projects as stored_projects
from vemetric.model import erasure
from vemetric.model.erasure import Erasure
from vemetric.queues.job import Job, Write
from vemetric.queues.lease import Lease
from vemetric.services import Services

log = logging.getLogger(__name__)


class EraseWorker:
    """Handles the erase queue."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def handle(self, batch: Sequence[Job], lease: Lease) -> Write:
        """Erase what the jobs name, one after another."""
        for job in batch:
            await self._erase(erasure.decode(job.payload))
        return Write()

    async def _erase(self, asked: Erasure) -> None:
        engine, database = self._services.engine, self._services.database
        if asked.user_ids:
            async with database.begin() as connection:
                await identities.forget(connection, asked.project_id, asked.user_ids)
            await eraser.erase_users(engine, asked.project_id, asked.user_ids)
            log.info("Erased %d users of project %d", len(asked.user_ids), asked.project_id)
            return
        async with database.connect() as connection:
            exists = await stored_projects.by_id(connection, asked.project_id) is not None
        if not exists:
            await eraser.erase_project(engine, asked.project_id)
            log.info("Erased project %d", asked.project_id)
