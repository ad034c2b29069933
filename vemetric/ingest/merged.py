"""Which users were merged into others, so that what is stored of them later is merged too. Used by the workers.

An event that was accepted before its user was merged may be stored after it: it waited, was spilled, revived or
replayed. It is stored as it came; then `again` says which merge has to run once more.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import groupby

from vemetric.clock import Clock
from vemetric.database import user_merges
from vemetric.database.database import Database
from vemetric.database.user_merges import UserMerge
from vemetric.ingest import jobs
from vemetric.queues.job import NewJob
from vemetric.queues.keys import Keys
from vemetric.queues.turn import Turn

# How long merges are kept in memory; events accepted earlier are looked up.
REMEMBERED_MS = 3_600_000

User = tuple[int, int]
# The first and the last time in ms.
Span = tuple[int, int]


class Merged:
    """The merges of all projects.

    `exclusive` says that merges run in this process only: then an event accepted after the last one costs no look-up,
    and one of the last hour none in the store.
    session_turn: held by whoever reads visits' rows to write them changed.
    """

    def __init__(self, database: Database, clock: Clock, keys: Keys, *, exclusive: bool) -> None:
        self.session_turn = Turn("visits", None if exclusive else keys)
        self._database = database
        self._clock = clock
        self._exclusive = exclusive
        self._recent: dict[User, list[UserMerge]] = {}
        self._newest_until_ms = 0
        self._complete_from_ms = 0
        self._listeners: list[Callable[[Container[User]], None]] = []

    async def load(self) -> None:
        """Fill the memory from the store."""
        self._complete_from_ms = self._clock.now_ms() - REMEMBERED_MS
        async with self._database.connect() as connection:
            self._remember(await user_merges.since(connection, self._complete_from_ms))
        # What was accepted before the memory begins may have been merged since: it is looked up.
        self._newest_until_ms = max(self._newest_until_ms, self._complete_from_ms)

    async def record(self, merges: Sequence[UserMerge]) -> None:
        """Note merges durably, before their rows are read: whoever stores a row afterwards will see them.

        Raises Conflict when a project does not exist any more.
        """
        async with self._database.begin() as connection:
            await user_merges.insert(connection, merges)
        self._forget_old()
        self._remember(merges)

    @property
    def settled_from_ms(self) -> float:
        """What was accepted from this time on was surely not merged yet; infinity where others merge too."""
        return self._newest_until_ms if self._exclusive else math.inf

    async def again(self, stored: Iterable[tuple[int, int, int]]) -> list[NewJob]:
        """The merges to run once more. stored: (project, user, time in ms) of what has just been stored."""
        return await self.again_within((project_id, user_id, at_ms, at_ms) for project_id, user_id, at_ms in stored)

    async def again_within(self, stored: Iterable[tuple[int, int, int, int]]) -> list[NewJob]:
        """As `again`, for what was stored of a visit: (project, user, first and last time in ms)."""
        if self._exclusive:
            stored = [one for one in stored if one[2] < self._newest_until_ms]
        spans: defaultdict[User, set[Span]] = defaultdict(set)
        for project_id, user_id, first_ms, last_ms in stored:
            spans[project_id, user_id].add((first_ms, last_ms))
        if not spans:
            return []
        known = await self._merges_of(spans)
        late = {
            merge for user, of_user in spans.items() for span in of_user for merge in _of(known.get(user, ()), span)
        }
        return [job_again(merge) for merge in sorted(late)]

    async def next_after(self, merges: Sequence[UserMerge]) -> list[NewJob]:
        """What has to be merged further, because it now belongs to users who were merged into others in their turn."""
        further: set[UserMerge] = set()
        for project_id, of_project in groupby(
            sorted(merges, key=lambda merge: merge.project_id), lambda m: m.project_id
        ):
            done = list(of_project)
            async with self._database.connect() as connection:
                known = await user_merges.of_users(connection, project_id, sorted({one.into_user_id for one in done}))
            for one in done:
                later = (merge for merge in known if merge.from_user_id == one.into_user_id and merge > one)
                further.update(list(later)[:1])
        return [job_again(merge) for merge in sorted(further)]

    def on_moved(self, listener: Callable[[Container[User]], None]) -> None:
        """Have somebody told, by (project, user), whose rows were changed behind their back."""
        self._listeners.append(listener)

    def moved(self, users: Container[User]) -> None:
        for listener in self._listeners:
            listener(users)

    async def _merges_of(self, spans: dict[User, set[Span]]) -> dict[User, list[UserMerge]]:
        if self._exclusive and min(min(of_user) for of_user in spans.values())[0] >= self._complete_from_ms:
            return self._recent
        found: defaultdict[User, list[UserMerge]] = defaultdict(list)
        async with self._database.connect() as connection:
            for project_id, users in groupby(sorted(spans), lambda user: user[0]):
                for merge in await user_merges.of_users(connection, project_id, [user_id for _, user_id in users]):
                    found[project_id, merge.from_user_id].append(merge)
        return found

    def _remember(self, merges: Iterable[UserMerge]) -> None:
        for merge in merges:
            of_user = self._recent.setdefault((merge.project_id, merge.from_user_id), [])
            if merge not in of_user:
                of_user.append(merge)
                of_user.sort()
            self._newest_until_ms = max(self._newest_until_ms, merge.until_ms)

    def _forget_old(self) -> None:
        """Drop what is older than the memory goes back, once that is worth a walk through it."""
        from_ms = self._clock.now_ms() - REMEMBERED_MS
        if from_ms < self._complete_from_ms + REMEMBERED_MS:
            return
        self._recent = {
            user: kept
            for user, merges in self._recent.items()
            if (kept := [merge for merge in merges if merge.until_ms > from_ms])
        }
        self._complete_from_ms = from_ms


def _of(merges: Sequence[UserMerge], span: Span) -> Iterator[UserMerge]:
    """Those of a user's merges, which are in order, that something of a time belongs to."""
    first_ms, last_ms = span
    for merge in merges:
        if merge.until_ms > first_ms:
            yield merge
        if merge.until_ms > last_ms:
            return


def job_again(merge: UserMerge) -> NewJob:
    """The job that runs a merge once more. Without a key: one that is running may have looked already."""
    requested_ms = merge.until_ms - jobs.MERGE_DELAY_MS
    job = jobs.MergeUserJob(merge.project_id, merge.from_user_id, merge.into_user_id, requested_ms)
    return NewJob(jobs.MERGE_USER_QUEUE, jobs.encode(job))
