"""Removes daily what is older than its project keeps it, counted as expired for verify. Run by the schedule.

What is to go is noted before the first row goes: a run that was killed is finished as it was meant, then a new one
begins.
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
from vemetric.ingest import counts
from vemetric.model.project import Project
from vemetric.queues.job import KeySet
from vemetric.services import Services

DAY_MS = 86_400_000
PLAN_KEY = "retention:plan"
USERS_PER_JOB = 500

log = logging.getLogger(__name__)


class Plan(msgspec.Struct, frozen=True):
    """What goes: months of tables that nobody needs, and of each project what is older than its time (ms)."""

    day: int
    months: dict[str, list[int]]
    cutoffs: dict[int, int]


async def run(services: Services) -> None:
    """Remove what is older than is kept. Raises StoreError and Unavailable; to be run again then."""
    if (noted := await services.keys.get(PLAN_KEY)) is not None:
        await _carry_out(services, msgspec.msgpack.decode(noted, type=Plan))
    plan = await _plan(services)
    if plan.cutoffs:
        await services.keys.set([KeySet(PLAN_KEY, msgspec.msgpack.encode(plan))])
        await _carry_out(services, plan)
    await asyncio.to_thread(before.forget_old, services.config.data_dir)
    now_ms = services.clock.now_ms()
    async with services.database.begin() as connection:
        await logins.delete_expired(connection, now_ms)
        await verifications.delete_expired(connection, now_ms)


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
    months = {table: await expirer.months(services.engine, table, cutoffs) for table in expirer.BY_MONTH if cutoffs}
    return Plan(now_ms // DAY_MS, months, cutoffs)


async def _carry_out(services: Services, plan: Plan) -> None:
    engine = services.engine
    expired = 0
    for month in plan.months.get("event", []):
        expired += await _drop_month(services, plan, month)
    expired += await _remove_events(services, plan)
    # A backup waits for the end of it.
    async with services.gate.passing():
        for month in plan.months.get("session", []):
            await expirer.drop_month(engine, "session", month)
        await expirer.remove_sessions(engine, plan.cutoffs)
        await expirer.remove_devices(engine, plan.cutoffs)
    for project_id, users in (await expirer.users_left_alone(engine, plan.cutoffs)).items():
        for start in range(0, len(users), USERS_PER_JOB):
            some, since_ms = users[start : start + USERS_PER_JOB], plan.cutoffs[project_id]
            await removal.erase_users(services.queue, services.clock, project_id, some, since_ms)
    await services.keys.delete(PLAN_KEY)
    if expired:
        log.info("Removed %d events that were older than is kept.", expired)


async def _drop_month(services: Services, plan: Plan, month: int) -> int:
    async def count() -> dict[int, int]:
        return await expirer.count_month(services.engine, month)

    async def drop() -> None:
        await expirer.drop_month(services.engine, "event", month)

    # Nothing is stored between the counting and the removing.
    async with services.gate.closed():
        return await counts.expire(
            services.queue, services.keys, services.clock, f"{plan.day}:month:{month}", count, drop
        )


async def _remove_events(services: Services, plan: Plan) -> int:
    """The gate is closed until the removing has begun, which takes what is stored then and nothing that comes later."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(services.gate.closed())

        async def count() -> dict[int, int]:
            return await expirer.count_events(services.engine, plan.cutoffs)

        async def remove() -> None:
            has_begun = await expirer.begin_removing_events(services.engine, plan.cutoffs)
            await stack.aclose()
            if has_begun:
                async with services.gate.passing():
                    await expirer.end_removing_events(services.engine)

        return await counts.expire(services.queue, services.keys, services.clock, f"{plan.day}:rows", count, remove)
