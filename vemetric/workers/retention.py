"""Removes daily what is older than its project keeps it, counted as expired for verify. Run by the schedule.

What is to go is noted before the first row goes, and nothing of it is stored from then on: a run that was killed is
finished as it was meant, then a new one begins.
"""

import asyncio
import logging
from contextlib import AsyncExitStack

import msgspec

from vemetric.accounts import removal
from vemetric.backup import before
from vemetric.clickhouse import expirer
from vemetric.database import logins, verifications
from vemetric.database import projects as stored_projects
from vemetric.ingest import accounted, counts, expired, jobs
from vemetric.model.project import Project
from vemetric.queues.job import KeySet
from vemetric.queues.turn import Turn
from vemetric.services import Services

DAY_MS = 86_400_000
PLAN_KEY = "retention:plan"
USERS_PER_JOB = 500
REVIVED_MAX = 500

log = logging.getLogger(__name__)


class Plan(msgspec.Struct, frozen=True):
    """What goes: of each project what is older than its time (ms). day: names the run.

    has_begun: rows may be gone already.
    """

    day: int
    cutoffs: dict[int, int]
    has_begun: bool = False

    @property
    def rows(self) -> str:
        """The name under which its events are counted."""
        return f"{self.day}:rows"


async def run(services: Services) -> None:
    """Remove what is older than is kept. Raises StoreError and Unavailable; to be run again then."""
    # Beside the schedule's lock, which a clock set forward can end: what two count at once is counted twice.
    async with Turn("retention", None if services.owns_stores else services.keys):
        await _run(services)


async def recover(services: Services) -> None:
    """Settle what a killed run had noted by a clock that was ahead and is right again, before anything is stored.

    What is stored now is older than that run's times too, and would go with what it had counted. Where other processes
    store, they do so meanwhile.
    """
    plan = await _noted(services)
    if plan is not None and _is_ahead(services, plan):
        async with Turn("retention", None if services.owns_stores else services.keys):
            await _finish(services)


async def _run(services: Services) -> None:
    await _finish(services)
    plan = await _plan(services)
    if plan.cutoffs:
        await _note(services, plan)
        await _carry_out(services, plan)
    await asyncio.to_thread(before.forget_old, services.config.data_dir)
    now_ms = services.clock.now_ms()
    async with services.database.begin() as connection:
        await logins.delete_expired(connection, now_ms)
        await verifications.delete_expired(connection, now_ms)


async def _finish(services: Services) -> None:
    """End what a killed run had noted: as it was meant, or, where a clock ahead had meant it and nothing has gone yet,
    by keeping everything.
    """
    plan = await _noted(services)
    if plan is None:
        return
    if plan.has_begun or not _is_ahead(services, plan):
        await _carry_out(services, plan)
        return
    await services.keys.delete(PLAN_KEY)
    await counts.keep(services.keys, plan.rows)
    log.warning("Kept what was to be removed by a clock that was ahead.")


def _is_ahead(services: Services, plan: Plan) -> bool:
    return plan.day > services.clock.now_ms() // DAY_MS


async def _noted(services: Services) -> Plan | None:
    noted = await services.keys.get(PLAN_KEY)
    return None if noted is None else msgspec.msgpack.decode(noted, type=Plan)


async def _note(services: Services, plan: Plan) -> None:
    await services.keys.set([KeySet(PLAN_KEY, msgspec.msgpack.encode(plan))])


def cutoff_ms(project: Project, default_days: int, now_ms: int) -> int:
    """Since when the project keeps its rows: the start of a UTC day. 0: for ever."""
    days = default_days if project.retention_days is None else project.retention_days
    return 0 if days == 0 else max(0, (now_ms // DAY_MS - days) * DAY_MS)


async def _plan(services: Services) -> Plan:
    now_ms = services.clock.now_ms()
    async with services.database.connect() as connection:
        found = await stored_projects.everything(connection)
    cutoffs = {project.id: cutoff_ms(project, services.config.retention_days, now_ms) for project in found}
    cutoffs = {project_id: since_ms for project_id, since_ms in cutoffs.items() if since_ms}
    return Plan(now_ms // DAY_MS, cutoffs)


async def _carry_out(services: Services, plan: Plan) -> None:
    engine = services.engine
    await _draw_lines(services, plan)
    expired_events = await _remove_events(services, plan)
    await _revive_old(services, plan)
    # A backup waits for the end of it.
    async with services.gate.passing():
        for month in await expirer.months(engine, "session", plan.cutoffs):
            await expirer.drop_month(engine, "session", month)
        await expirer.remove_sessions(engine, plan.cutoffs)
        await expirer.remove_devices(engine, plan.cutoffs)
    for project_id, users in (await expirer.users_left_alone(engine, plan.cutoffs)).items():
        for start in range(0, len(users), USERS_PER_JOB):
            some, since_ms = users[start : start + USERS_PER_JOB], plan.cutoffs[project_id]
            await removal.erase_users(services.queue, services.clock, project_id, some, since_ms)
    await services.keys.delete(PLAN_KEY)
    if expired_events:
        log.info("Removed %d events that were older than is kept.", expired_events)


async def _draw_lines(services: Services, plan: Plan) -> None:
    """Have nothing stored any more that is about to go: what is counted then stays the same until it is gone."""
    # In the turn, so that whoever asked before has stored what it asked about.
    async with services.erased.turn:
        await expired.draw(services.keys, plan.cutoffs)
    if not services.owns_stores:
        await asyncio.sleep(services.erased.wait_seconds(services.config.engine_insert_seconds))
    services.probe("retention:drawn")


async def _remove_events(services: Services, plan: Plan) -> int:
    """The gate is closed until the removing has begun, and no users are merged: rows are counted as they lie."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(services.gate.closed())
        await stack.enter_async_context(services.merged.session_turn)

        async def count() -> dict[int, int]:
            await _note_undecided(services, plan)
            return await expirer.count_events(services.engine, plan.cutoffs)

        async def remove() -> None:
            services.probe("retention:counted")
            await _note(services, msgspec.structs.replace(plan, has_begun=True))
            # Other processes may be storing into such a month what its project keeps.
            for month in await expirer.months(services.engine, "event", plan.cutoffs) if services.owns_stores else ():
                await expirer.drop_month(services.engine, "event", month)
                services.probe("retention:dropped")
            has_begun = await expirer.begin_removing_events(services.engine, plan.cutoffs)
            await stack.aclose()
            services.probe("retention:begun")
            if has_begun:
                async with services.gate.passing():
                    await expirer.end_removing_events(services.engine)
            services.probe("retention:removed")

        return await counts.expire(services.queue, services.keys, services.clock, plan.rows, count, remove)


async def _note_undecided(services: Services, plan: Plan) -> None:
    def is_taken(event: jobs.EventHead) -> bool:
        return event.created_ms < plan.cutoffs.get(event.project_id, 0)

    await accounted.note_undecided(services.engine, services.queue, services.keys, services.clock, is_taken)


async def _revive_old(services: Services, plan: Plan) -> None:
    """Put dead letters that are older than is kept back in line, where they are dropped as expired."""
    old = [
        id_
        async for id_, event in accounted.dead(services.queue)
        if event.created_ms < plan.cutoffs.get(event.project_id, 0)
    ]
    for start in range(0, len(old), REVIVED_MAX):
        await services.queue.revive(old[start : start + REVIVED_MAX])
