"""The `session` queue: fold what batches of events say into the sessions' rows."""

from collections import OrderedDict
from collections.abc import Container, Iterable, Sequence

from vemetric.clickhouse.rows import SessionRow
from vemetric.clickhouse.sink import SessionKey
from vemetric.database import projects
from vemetric.ingest import jobs
from vemetric.ingest.jobs import SessionPart
from vemetric.queues.job import Job, NewJob, Write
from vemetric.queues.lease import Lease
from vemetric.services import Services
from vemetric.workers import apart, holding, session_rows, slices

REMEMBERED_ROWS_MAX = 20_000


class SessionWorker:
    """Handles batches of session jobs. Folding is idempotent, so a batch that comes again changes nothing.

    Where no other process writes the rows, those written last are remembered and not read again.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._remembered_max = REMEMBERED_ROWS_MAX if services.owns_stores else 0
        self._remembered: OrderedDict[SessionKey, SessionRow] = OrderedDict()
        # The earliest start of a visit this process has seen, by project.
        self._begun_ms: dict[int, int] = {}
        services.merged.on_moved(self._forget)

    async def handle(self, claimed: Sequence[Job], lease: Lease) -> Write:
        """Read the sessions' rows, fold, and store those that changed with a higher version."""
        parts = [part async for job in slices.each(claimed, 1) for part in jobs.decode_sessions(job.payload)]
        # A merge of users reads and writes the same rows, an erasure takes them away.
        async with self._services.merged.session_turn:
            erased = await self._services.erased.among((part.project_id, part.user_id, part.ended_ms) for part in parts)
            parts = [part for position, part in enumerate(parts) if position not in erased]
            keys = [session_rows.key_of(part) async for part in slices.each(parts)]
            refused = await self._fold(keys, parts, lease, may_part=len(claimed) == 1)
        await self._note_first_events(parts)
        await slices.pause()
        merges = await self._services.merged.again((part.project_id, part.user_id, part.ended_ms) for part in parts)
        alone = [_alone(part) for key, part in zip(keys, parts, strict=True) if key in refused]
        return Write(jobs=[*alone, *merges])

    async def _fold(
        self, keys: Sequence[SessionKey], parts: Sequence[SessionPart], lease: Lease, *, may_part: bool
    ) -> set[SessionKey]:
        """Read, fold and write; returns which the store refuses."""
        rows = await self._rows(keys)
        changed: dict[SessionKey, SessionRow] = {}
        async for key, part in slices.each(list(zip(keys, parts, strict=True))):
            row = session_rows.fold(rows.get(key), part)
            if row is not None:
                rows[key] = changed[key] = row
        await slices.pause()
        refused = await self._insert(changed, lease, may_part=may_part)
        self._remember({key: row for key, row in changed.items() if key not in refused})
        return refused

    async def _insert(self, changed: dict[SessionKey, SessionRow], lease: Lease, *, may_part: bool) -> set[SessionKey]:
        """Write the rows; returns which the store refuses, when those of a single job may part."""

        async def write(some: Sequence[tuple[SessionKey, SessionRow]]) -> None:
            await self._services.sink.insert_sessions(
                [row for _, row in some],
                may_insert=holding.still_held(self._services, lease),
            )

        return {key for key, _ in await apart.insert(write, list(changed.items()), may_part=may_part)}

    async def _rows(self, keys: Iterable[SessionKey]) -> dict[SessionKey, SessionRow]:
        rows = {key: self._remembered[key] for key in keys if key in self._remembered}
        return rows | await self._services.sink.sessions([key for key in keys if key not in rows])

    def _forget(self, users: Container[tuple[int, int]]) -> None:
        for key in [key for key in self._remembered if key[:2] in users]:
            del self._remembered[key]

    def _remember(self, rows: dict[SessionKey, SessionRow]) -> None:
        self._remembered |= rows
        for key in rows:
            self._remembered.move_to_end(key)
        while len(self._remembered) > self._remembered_max:
            self._remembered.popitem(last=False)

    async def _note_first_events(self, parts: Sequence[SessionPart]) -> None:
        """Tell a project that it has begun, which ends the waiting of its page.

        Here and not with the events: only now does its dashboard show everything, sources and places too.
        """
        earlier: dict[int, int] = {}
        for part in parts:
            known_ms = earlier.get(part.project_id) or self._begun_ms.get(part.project_id)
            if known_ms is None or part.started_ms < known_ms:
                earlier[part.project_id] = part.started_ms
        for project_id, first_ms in earlier.items():
            async with self._services.database.begin() as connection:
                if await projects.set_first_event_at(connection, project_id, first_ms):
                    self._services.projects.forget()
            self._begun_ms[project_id] = first_ms


def _alone(part: SessionPart) -> NewJob:
    return NewJob(jobs.SESSION_QUEUE, jobs.encode([part]), order_key=str(jobs.session_line(part.session_id)))
