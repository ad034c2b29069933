"""The `enrich-user` queue: find out where users came from who were known before their first page view."""

from collections.abc import Sequence

from vemetric.clickhouse import users
from vemetric.clickhouse.sink import UserKey
from vemetric.ingest import jobs
from vemetric.ingest.jobs import UpdateUserJob
from vemetric.queues.job import Job, Write
from vemetric.queues.lease import Lease
from vemetric.services import Services
from vemetric.workers import user_rows


class EnrichUserWorker:
    """Handles batches of enrich-user jobs. It only looks; the row is changed in the lane of its updates."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def handle(self, claimed: Sequence[Job], lease: Lease) -> Write:
        """Pass on the source of each user who has none yet and has seen a page."""
        wanted = {UserKey(job.project_id, job.user_id) for job in (jobs.decode_enrich(job.payload) for job in claimed)}
        rows = await users.rows(self._services.engine, wanted)
        without = [key for key, row in rows.items() if not row.origin and not row.deleted]
        page_views = await users.first_page_views(self._services.engine, without)
        now_ms = self._services.clock.now_ms()
        return Write(
            jobs=[
                jobs.update_job(UpdateUserJob(*key, "", now_ms, source=user_rows.source_of(page_view)))
                for key, page_view in page_views.items()
            ]
        )
