"""The `merge-user` queue: give what a user did to another user, as a plan that is killed anywhere and run again.

The statements are in clickhouse/user_merges.py, the assignment of visits in merge_sessions.py; docs/decisions has why.
"""

import logging
import secrets
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Iterator, Sequence

from vemetric import errors
from vemetric.clickhouse import user_merge_sql, user_merges
from vemetric.clickhouse.rows import SessionRow, milliseconds, timestamp
from vemetric.clickhouse.sink import UserKey
from vemetric.clickhouse.user_merges import Plan, Replaced, Target, UserMerges
from vemetric.database import identities
from vemetric.database.user_merges import UserMerge
from vemetric.ingest import jobs, spoken_for
from vemetric.queues.job import Job, NewJob, Write
from vemetric.queues.lease import Lease
from vemetric.services import Services
from vemetric.workers import erased_merges
from vemetric.workers.merge_rows import Rows, cut, times_of
from vemetric.workers.merge_sessions import NEAR_MS, Reassigned, reassign

# Users merged by one plan: a plan takes a dozen statements, however many users it has.
USERS_PER_PLAN_MAX = 200
# How often a plan is made anew because events came while it was carried out; then the job is tried again later.
ATTEMPTS_MAX = 5
MERGE_ID_BITS = 63

log = logging.getLogger(__name__)


class MergeUserWorker:
    """Handles batches of merges, many users at a time: a plan is a dozen statements however many it has."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._engine = services.engine
        self._lease: Lease | None = None
        self._store = UserMerges(services.engine, self._insert_sessions, self._step)

    async def recover(self) -> None:
        """Finish or discard what a killed process has left, before other workers of this process begin.

        Where other processes work on the same stores one of them may be about it; then its job will be done again.
        """
        if not self._services.owns_stores:
            return
        await self._settle(await self._store.unfinished())
        await self._show_all()

    async def handle(self, claimed: Sequence[Job], lease: Lease) -> Write:
        """Merge; the returned write merges further what now belongs to users who were merged in their turn."""
        wanted = {merge_of(jobs.decode_merge(job.payload)) for job in claimed}
        self._lease = lease
        done: list[UserMerge] = []
        put: list[NewJob] = []
        try:
            for some in plans(wanted):
                async with self._services.merged.session_turn:
                    standing, instead = await erased_merges.set_apart(self._services, some)
                    put += instead
                    if standing and await self._known(standing):
                        try:
                            await self._merge(standing)
                        finally:
                            await self._show_all()
                        done += standing
        finally:
            self._lease = None
        noted = spoken_for.recorded((merge.project_id, merge.from_user_id) for merge in done)
        return Write(jobs=[*await self._services.merged.next_after(done), *put], keys=noted)

    async def _known(self, some: Sequence[UserMerge]) -> bool:
        """Note the merges; False when their project was deleted."""
        try:
            await self._services.merged.record(some)
        except errors.Conflict:
            return False
        return True

    async def _merge(self, some: Sequence[UserMerge]) -> None:
        project_id = some[0].project_id
        await self._settle([plan for plan in await self._store.unfinished() if plan.project_id == project_id])
        for _ in range(ATTEMPTS_MAX):
            plan = await self._plan(project_id, await self._targets(some))
            plan.named = await self._named(project_id, plan.users)
            if plan.is_empty and not await self._store.has_leftovers(project_id, plan.users, plan.named):
                return
            self._engine.leave_out(user_merge_sql.READER_FILTERS)
            if await self._store.copy(plan):
                await self._store.switch(plan)
                await self._settle([user_merges.unfinished_of(plan)])
                return
            await self._settle([user_merges.unfinished_of(plan)._replace(is_switched=False)])
        # Not the store's fault: other merges need not wait for this one, which a human hears of if it never ends.
        raise errors.Conflict("Events of a user keep coming while it is merged.")

    async def _show_all(self) -> None:
        """Spare readers the conditions once no plan is under way; other processes always have them."""
        if self._services.owns_stores and not await self._store.unfinished():
            self._engine.leave_out({})

    async def _settle(self, unfinished: Iterable[user_merges.Unfinished]) -> None:
        for plan in unfinished:
            if plan.is_switched:
                await self._store.finish(plan, await self._named(plan.project_id, plan.users))
            else:
                await self._store.discard(plan)
            users = {*plan.users, *plan.users.values()}
            self._services.merged.moved({(plan.project_id, user_id) for user_id in users})

    async def _named(self, project_id: int, users: Collection[int]) -> set[int]:
        async with self._services.database.connect() as connection:
            return await identities.named(connection, project_id, users)

    async def _targets(self, some: Sequence[UserMerge]) -> dict[int, Target]:
        project_id = some[0].project_id
        known = await self._services.sink.users(UserKey(project_id, merge.into_user_id) for merge in some)
        targets = {}
        async with self._services.database.connect() as connection:
            for merge in some:
                user = known.get(UserKey(project_id, merge.into_user_id))
                identifier = await identities.by_user(connection, project_id, merge.into_user_id)
                targets[merge.from_user_id] = Target(
                    merge.into_user_id,
                    merge.until_ms,
                    identifier or (user.identifier if user else ""),
                    user.display_name if user else "",
                )
        return targets

    async def _plan(self, project_id: int, targets: dict[int, Target]) -> Plan:
        """What there is of the old users, and whose visits it goes up in."""
        events: dict[int, list[tuple[str, int]]] = {user_id: [] for user_id in targets}
        staying: dict[int, set[str]] = {user_id: set() for user_id in targets}
        async for user_id, session_id, at_ms in self._store.events(project_id, sorted(targets)):
            if at_ms < targets[user_id].until_ms:
                events[user_id].append((session_id, at_ms))
            else:
                staying[user_id].add(session_id)
        times = [at_ms for of_user in events.values() for _, at_ms in of_user]
        plan = Plan(
            merge_id=secrets.randbits(MERGE_ID_BITS) or 1,
            project_id=project_id,
            users=targets,
            moved={},
            copies=[],
            replaced=[],
            events=len(times),
            first_ms=min(times, default=0),
            last_ms=max(times, default=0),
        )
        await self._assign_visits(plan, events, staying)
        return plan

    async def _assign_visits(
        self, plan: Plan, events: dict[int, list[tuple[str, int]]], staying: dict[int, set[str]]
    ) -> None:
        old_rows = await self._store.sessions(plan.project_id, sorted(plan.users))
        rows = Rows(plan, await self._visits_near(plan, events, old_rows))
        rows_of: defaultdict[int, list[SessionRow]] = defaultdict(list)
        for row in old_rows:
            rows_of[row.userId].append(row)
        for user_id, target in plan.users.items():
            times, of_user = times_of(events[user_id]), rows_of[user_id]
            # By a clock that was set back a visit may begin after the merge, and have events of the time before it.
            stay = staying[user_id] | {row.id for row in of_user if milliseconds(row.startedAt) >= target.until_ms}
            found = reassign(events[user_id], rows.visits(target.user_id))
            plan.moved |= {(user_id, old): new for old, new in found.moved.items() if old != new}
            moving = [cut(row, times[row.id]) if row.id in stay else row for row in of_user if row.id in times]
            rows.apply(target, found, moving)
            for session_id in found.kept:
                rows.cover(target.user_id, session_id, times[session_id])
            await self._follow(rows, target, [row for row in of_user if row.id not in times], stay)
            until = timestamp(target.until_ms)
            plan.replaced += [Replaced(row, until) for row in of_user if row.id not in stay]
        rows.finish()

    async def _follow(self, rows: Rows, target: Target, empty: Sequence[SessionRow], stay: Container[str]) -> None:
        """Visits without events that move: those they had went before the visit came. It follows them.

        If they kept its name; of a visit that stays, a part does where that has no row yet.
        """
        went = await self._went(rows.project_id, target.user_id, sorted(row.id for row in empty))
        follow = [
            cut(row, went[row.id]) if row.id in stay else row
            for row in empty
            if row.id in went and not (row.id in stay and rows.has(target.user_id, row.id))
        ]
        rows.apply(target, Reassigned({}, [row.id for row in follow], {}), follow)

    async def _visits_near(
        self, plan: Plan, events: dict[int, list[tuple[str, int]]], old_rows: Sequence[SessionRow]
    ) -> list[SessionRow]:
        since_ms, until_ms = (plan.first_ms - NEAR_MS, plan.last_ms + NEAR_MS) if plan.events else (0, -1)
        session_ids = {session_id for of_user in events.values() for session_id, _ in of_user}
        session_ids |= {row.id for row in old_rows}
        intos = sorted({target.user_id for target in plan.users.values()})
        found = await self._store.sessions_near(plan.project_id, intos, since_ms, until_ms, sorted(session_ids))
        return sorted(found, key=lambda row: (row.startedAt, row.id))

    async def _went(self, project_id: int, user_id: int, session_ids: Sequence[str]) -> dict[str, list[int]]:
        if not session_ids:
            return {}
        return await self._store.sessions_with_events(project_id, [user_id], session_ids)

    async def _insert_sessions(self, rows: Sequence[SessionRow]) -> None:
        await self._services.sink.insert_sessions(rows, may_insert=self._may_insert)

    async def _may_insert(self) -> bool:
        return self._is_ours()

    def _is_ours(self) -> bool:
        seconds = max(self._services.config.engine_insert_seconds, 0)
        return self._lease is None or self._lease.still_held(seconds)

    def _step(self, name: str) -> None:
        self._services.probe(f"merge:{name}")
        if not self._is_ours():
            raise errors.LeaseLost


def merge_of(job: jobs.MergeUserJob) -> UserMerge:
    return UserMerge(job.until_ms, job.from_user_id, job.into_user_id, job.project_id)


def plans(merges: Iterable[UserMerge]) -> Iterator[list[UserMerge]]:
    """Merges that can be done together: of one project, each user leaving once and none that another one comes into.

    In the order in which they count. A user merged into itself is nothing.
    """
    by_project: defaultdict[int, list[UserMerge]] = defaultdict(list)
    for merge in sorted(merges):
        if merge.from_user_id != merge.into_user_id:
            by_project[merge.project_id].append(merge)
    for of_project in by_project.values():
        some: list[UserMerge] = []
        leaving: set[int] = set()
        entered: set[int] = set()
        for merge in of_project:
            clashes = merge.from_user_id in leaving | entered or merge.into_user_id in leaving
            if clashes or len(some) == USERS_PER_PLAN_MAX:
                yield some
                some, leaving, entered = [], set(), set()
            some.append(merge)
            leaving.add(merge.from_user_id)
            entered.add(merge.into_user_id)
        yield some
