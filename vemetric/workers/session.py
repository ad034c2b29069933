"""The `session` queue: fold what batches of events say into the sessions' rows."""

import math
from collections import OrderedDict
from collections.abc import Container, Sequence

from vemetric.clickhouse.sink import SessionKey
from vemetric.database import projects
from vemetric.ingest import jobs
from vemetric.ingest.jobs import SessionPart
from vemetric.queues.job import Job, NewJob, Write
from vemetric.queues.lease import Lease
from vemetric.services import Services
from vemetric.workers import apart, holding, session_rows, slices
from vemetric.workers.session_rows import KeptRow, Visit

REMEMBERED_ROWS_MAX = 20_000
# A longer one, which some addresses make it, is read again.
REMEMBERED_BYTES_MAX = 4_096
# So many rows are looked for, and so many remembered, at a time.
LOOKED_FOR_ITEMS = 400
REMEMBERED_ITEMS = 150
# So many parts are folded at a time.
FOLDED_ITEMS = 200


class SessionWorker:
    """Handles batches of session jobs. Folding is idempotent, so a batch that comes again changes nothing.

    Where no other process writes the rows, those written last are remembered and not read again.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._remembered_max = REMEMBERED_ROWS_MAX if services.owns_stores else 0
        self._remembered: OrderedDict[Visit, KeptRow] = OrderedDict()
        # The earliest start of a visit this process has seen, by project.
        self._begun_ms: dict[int, int] = {}
        services.merged.on_moved(self._forget)

    async def handle(self, claimed: Sequence[Job], lease: Lease) -> Write:
        """Read the sessions' rows, fold, and store those that changed with a higher version."""
        parts: list[SessionPart] = []
        async for some in slices.of(claimed, 1):
            parts += [part for job in some for part in jobs.decode_sessions(job.payload)]
        # A merge of users reads and writes the same rows, an erasure takes them away.
        async with self._services.merged.session_turn:
            erased = await self._services.erased.among(
                ((part.project_id, part.user_id, part.ended_ms) for part in parts),
                min((part.ended_ms for part in parts), default=0),
            )
            if erased:
                parts = [part for position, part in enumerate(parts) if position not in erased]
            refused = await self._fold(parts, lease, may_part=len(claimed) == 1)
        await self._note_first_events(parts)
        await slices.pause()
        settled_from_ms = self._services.merged.settled_from_ms
        merges = await self._services.merged.again_within(
            (part.project_id, part.user_id, first_ms, part.ended_ms)
            for part in parts
            if (first_ms := part.first_ms or part.ended_ms) < settled_from_ms
        )
        alone = [_alone(part) for part in parts if refused and session_rows.visit_of(part) in refused]
        await slices.drop(parts)
        return Write(jobs=[*alone, *merges])

    async def _fold(self, parts: Sequence[SessionPart], lease: Lease, *, may_part: bool) -> set[Visit]:
        """Read, fold and write; returns which the store refuses."""
        visits, rows = await self._rows(parts)
        changed: dict[Visit, KeptRow] = {}
        async for some in slices.of(list(zip(visits, parts, strict=True)), FOLDED_ITEMS):
            for visit, part in some:
                row = session_rows.next_row(rows.get(visit), part)
                if row is not None:
                    rows[visit] = changed[visit] = row
        refused = await self._insert(changed, lease, may_part=may_part)
        await self._remember([(visit, row) for visit, row in changed.items() if visit not in refused])
        return refused

    async def _insert(self, changed: dict[Visit, KeptRow], lease: Lease, *, may_part: bool) -> set[Visit]:
        """Write the rows; returns which the store refuses, when those of a single job may part."""

        async def write(some: Sequence[tuple[Visit, KeptRow]]) -> None:
            await self._services.sink.insert_sessions(
                [row for _, row in some],
                may_insert=holding.still_held(self._services, lease),
            )

        return {visit for visit, _ in await apart.insert(write, list(changed.items()), may_part=may_part)}

    async def _rows(self, parts: Sequence[SessionPart]) -> tuple[list[Visit], dict[Visit, KeptRow]]:
        """The visit of each part, and the rows there are: of memory, else of the store."""
        visits: list[Visit] = []
        rows: dict[Visit, KeptRow] = {}
        unknown: dict[SessionKey, Visit] = {}
        async for some in slices.of(parts, LOOKED_FOR_ITEMS):
            for part in some:
                visit = session_rows.visit_of(part)
                visits.append(visit)
                row = self._remembered.get(visit)
                if row is not None:
                    rows[visit] = row
                else:
                    unknown[session_rows.key_of(part)] = visit
        for key, stored in (await self._services.sink.sessions(unknown)).items():
            rows[unknown[key]] = KeptRow.of(stored)
        return visits, rows

    def _forget(self, users: Container[tuple[int, int]]) -> None:
        for key in [key for key in self._remembered if key[:2] in users]:
            del self._remembered[key]

    async def _remember(self, rows: Sequence[tuple[Visit, KeptRow]]) -> None:
        async for some in slices.of(rows if self._remembered_max else (), REMEMBERED_ITEMS):
            for visit, row in some:
                if len(bytes(row.head)) + len(bytes(row.rest)) > REMEMBERED_BYTES_MAX:
                    # Nor what it was before.
                    self._remembered.pop(visit, None)
                    continue
                self._remembered[visit] = row
                self._remembered.move_to_end(visit)
            while len(self._remembered) > self._remembered_max:
                self._remembered.popitem(last=False)

    async def _note_first_events(self, parts: Sequence[SessionPart]) -> None:
        """Tell a project that it has begun, which ends the waiting of its page.

        Here and not with the events: only now does its dashboard show everything, sources and places too.
        """
        earlier: dict[int, int] = {}
        for part in [part for part in parts if part.started_ms < self._begun_ms.get(part.project_id, math.inf)]:
            known_ms = earlier.get(part.project_id)
            if known_ms is None or part.started_ms < known_ms:
                earlier[part.project_id] = part.started_ms
        for project_id, first_ms in earlier.items():
            async with self._services.database.begin() as connection:
                if await projects.set_first_event_at(connection, project_id, first_ms):
                    self._services.projects.forget()
            self._begun_ms[project_id] = first_ms


def _alone(part: SessionPart) -> NewJob:
    return NewJob(jobs.SESSION_QUEUE, jobs.encode([part]), order_key=str(jobs.session_line(part.session_id)))
