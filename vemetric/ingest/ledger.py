"""Where every accepted event is by now: what `vemetric verify` shows, counted beside running traffic."""

from collections import Counter
from typing import NamedTuple

from vemetric.clickhouse.engine import Engine
from vemetric.database import erasures
from vemetric.database.database import Database
from vemetric.ingest import counts, jobs
from vemetric.model import canary
from vemetric.queues.keys import Keys
from vemetric.queues.queue import Queue

DEAD_PAGE = 1_000
# A longer line is read only for the answer about one project; about all of them its length tells nearly as much.
LINE_READ_MAX = 20_000
# Months, and the rows of one day, that a run of retention was about to drop.
EXPIRING_MAX = 10_000
# What was put as an event and cannot be read is nobody's.
NOBODY = -1

# By project, what came through the hub.
STORED_EVENTS = "SELECT projectId, count() FROM event FINAL WHERE sign = 1 AND importSource = '' GROUP BY projectId"


class Ledger(NamedTuple):
    """Events by what became of them. difference: those of which nothing is known, and those that nobody accepted.

    accepted: answered as taken, those included that were sent once more under an id that had been taken: `repeated`.
    spilled: always 0, since nothing is ever put aside: what the queue cannot take is refused.
    expired: dropped because they were older than is kept. leaves: page leaves in the events' line.
    """

    accepted: int
    stored: int
    in_queue: int
    dead: int
    expired: int
    erased: int
    repeated: int
    missing: int
    surplus: int
    leaves: int
    spilled: int = 0

    @property
    def difference(self) -> int:
        return self.missing + self.surplus


class Line(NamedTuple):
    """What waits in the events' line. events: by project, or all under NOBODY, leaves too, where it is not read."""

    events: Counter[int]
    leaves: int


class Books:
    """Reads the stores' sides of it. only: a project's id, None for all."""

    def __init__(self, database: Database, engine: Engine, queue: Queue, keys: Keys, only: int | None) -> None:
        self._database = database
        self._engine = engine
        self._queue = queue
        self._keys = keys
        self._only = only

    async def read(self) -> Ledger:
        """In the order in which an event moves on: one that moves meanwhile is seen twice rather than never.

        What may be one too many is reckoned the other way round, so that nobody is accused of what is under way.
        """
        gone_before = await self._gone()
        taken = await self._counted(jobs.ACCEPTED_PREFIX)
        # Twice, since one that is revived moves the other way.
        dead_before = await self._dead()
        line = await self._line()
        dead = await self._dead()
        stored = self._of(Counter(dict(await self._engine.query(STORED_EVENTS))))
        leaving = await self._leaving()
        expired, erased = await self._counted(jobs.EXPIRED_PREFIX), await self._erased()
        repeated = (await self._counted(jobs.REPEATED_PREFIX)).total()
        missing = sum((taken - stored - leaving - expired - erased - line.events - (dead_before | dead)).values())
        by_now = await self._counted(jobs.ACCEPTED_PREFIX)
        surplus = sum(
            max(0, stored[project_id] + gone_before[project_id] - count) for project_id, count in by_now.items()
        )
        return Ledger(
            accepted=taken.total() + repeated,
            stored=sum(stored[project_id] for project_id in by_now),
            in_queue=line.events.total(),
            dead=dead.total(),
            expired=expired.total(),
            erased=erased.total(),
            repeated=repeated,
            missing=max(0, missing - line.events[NOBODY] - dead[NOBODY]),
            surplus=surplus,
            leaves=line.leaves,
        )

    async def _gone(self) -> Counter[int]:
        return await self._counted(jobs.EXPIRED_PREFIX) + await self._erased()

    async def _leaving(self) -> Counter[int]:
        """Events of which it is noted that they are being removed; to be asked before those that are."""
        found = Counter[int]()
        for _, noted in await self._keys.scan(counts.EXPIRING_PREFIX, EXPIRING_MAX):
            found.update(counts.noted_counts(noted))
        async with self._database.connect() as connection:
            found.update(await erasures.leaving_by_project(connection))
        return self._of(found)

    async def _line(self) -> Line:
        [length] = [
            one.ready + one.delayed + one.claimed for one in await self._queue.stats() if one.queue == jobs.EVENT_QUEUE
        ] or [0]
        if self._only is None and length > LINE_READ_MAX:
            return Line(Counter({NOBODY: length}), 0)
        events, leaves = Counter[int](), 0
        async for page in self._queue.live(jobs.EVENT_QUEUE):
            for job in page:
                head = _head(job.payload)
                if isinstance(head, jobs.LeaveHead):
                    leaves += self._is_meant(head.project_id)
                else:
                    events[NOBODY if head is None else head.project_id] += 1
        return Line(self._of(events), leaves)

    async def _dead(self) -> Counter[int]:
        found, before_id = Counter[int](), None
        while page := await self._queue.dead(jobs.EVENT_QUEUE, DEAD_PAGE, before_id):
            heads = [_head(letter.payload) for letter in page]
            found.update(
                NOBODY if head is None else head.project_id for head in heads if not isinstance(head, jobs.LeaveHead)
            )
            before_id = page[-1].id
        return self._of(found)

    async def _erased(self) -> Counter[int]:
        """Events that were removed, and those that were dropped because they came later."""
        async with self._database.connect() as connection:
            removed = Counter(await erasures.events_by_project(connection))
        return self._of(removed) + await self._counted(jobs.ERASED_PREFIX)

    async def _counted(self, prefix: str) -> Counter[int]:
        """Counters since ever, by project."""
        found = Counter[int]()
        for name, count in (await self._keys.counters(prefix)).items():
            found[int(name.removeprefix(prefix).partition(":")[0])] += count
        return self._of(found)

    def _of(self, counts: Counter[int]) -> Counter[int]:
        return Counter({project_id: count for project_id, count in counts.items() if self._is_meant(project_id)})

    def _is_meant(self, project_id: int) -> bool:
        return project_id == NOBODY or (self._only in (None, project_id) and project_id != canary.PROJECT_ID)


def _head(payload: bytes) -> jobs.EventHead | jobs.LeaveHead | None:
    try:
        return jobs.decode_head(payload)
    except ValueError:
        return None
