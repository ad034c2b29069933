"""The `session` queue: fold what batches of events say into the sessions' rows."""

from collections.abc import Sequence

from vemetric.clickhouse.rows import SessionRow
from vemetric.clickhouse.sink import SessionKey
from vemetric.ingest import jobs
from vemetric.queues.job import Job, Write
from vemetric.queues.lease import Lease
from vemetric.services import Services
from vemetric.workers import session_rows


class SessionWorker:
    """Handles batches of session jobs. Folding is idempotent, so a batch that comes again changes nothing."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def handle(self, claimed: Sequence[Job], lease: Lease) -> Write:
        """Read the sessions' rows, fold, and store those that changed with a higher version."""
        parts = [jobs.decode_session(job.payload) for job in claimed]
        stored = await self._services.sink.sessions([session_rows.key_of(part) for part in parts])
        rows: dict[SessionKey, SessionRow] = dict(stored)
        changed: dict[SessionKey, SessionRow] = {}
        for part in parts:
            key = session_rows.key_of(part)
            row = session_rows.fold(rows.get(key), part)
            if row is not None:
                rows[key] = changed[key] = row
        await self._services.sink.insert_sessions(
            list(changed.values()), may_insert=lambda: lease.still_held(self._services.config.engine_insert_seconds)
        )
        return Write()
