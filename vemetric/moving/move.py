"""`vemetric move`: copy the stores of this data directory to servers, compare, and say what to set from then on.

It runs without the server, under the same lock, so nothing is accepted meanwhile. The files stay as they are.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from vemetric import config, errors, services, workers
from vemetric.clock import SystemClock
from vemetric.config import Config
from vemetric.model.data_directory import QUEUE_NAME
from vemetric.moving import analytics, queue, relational
from vemetric.moving.compared import Compared
from vemetric.queues.sqlite import SqliteQueue
from vemetric.services import Services

# The command's options with the settings that name the same.
TARGETS = {"database": "DATABASE_URL", "clickhouse": "CLICKHOUSE_URL", "queue": "REDIS_URL"}
# Jobs of an empty queue are done in moments; what takes longer than this waits for something.
DRAIN_LOOKS_MAX, DRAIN_LOOK_SECONDS = 1_500, 0.2
# How long one question about a piece, or its insert, may take at least: the settings' bounds are for people who look.
STATEMENT_SECONDS = 600

Tell = Callable[[str], None]


def settings_after(environ: Mapping[str, str], to: Mapping[str, str | None]) -> Config:
    """The settings with the servers to move to. `to`: addresses by the keys of TARGETS.

    Raises Invalid when nothing is to be moved, Misconfigured for an address that is none.
    """
    named = {TARGETS[name]: address for name, address in to.items() if address}
    if not named:
        raise errors.Invalid("Say where to: --to-database, --to-clickhouse, --to-queue, or several of them.")
    return config.load({**environ, **named})[0]


async def move(before: Config, after: Config, tell: Tell) -> dict[str, Any]:
    """Copy what `after` has on servers and `before` has in files. `tell` gets lines for a person who waits.

    Raises Conflict, with both sides as they were or half copied, when a comparison fails; it can be run again.
    """
    to_queue = after.redis_url is not None and before.redis_url is None
    to_database = bool(after.database_url) and not before.database_url
    to_analytics = after.clickhouse is not None and before.clickhouse is None
    if not (to_queue or to_database or to_analytics):
        raise errors.Invalid("The settings name these servers already; there is nothing to move.")
    if to_queue:
        await _drain(before, tell)
    before, after = unhurried(before), unhurried(after)
    clock = SystemClock()
    compared: list[Compared] = []
    async with services.open_services(before, clock) as opened, AsyncExitStack() as stack:
        if to_analytics:
            tell("Copying the analytics:")
            engine = await services.open_engine(after, stack)
            await services.bring_up(engine, opened.database)
            compared += await analytics.copy(opened.engine, engine, tell)
        if to_queue:
            tell("Copying what the queue keeps.")
            target = await services.open_queue(after, clock, stack)
            compared += await queue.copy(_both(opened), before.data_dir / QUEUE_NAME, target, clock)
        if to_database:
            tell("Copying the accounts.")
            database = await services.open_database(after, stack)
            compared += await relational.copy(opened.database, database)
    return {"compared": [msgspec.to_builtins(one) for one in compared]}


def unhurried(settings: Config) -> Config:
    """The settings with time for the engines, for a process in which nobody waits for a page and no worker runs."""
    return msgspec.structs.replace(
        settings,
        engine_query_seconds=max(settings.engine_query_seconds, STATEMENT_SECONDS),
        engine_insert_seconds=max(settings.engine_insert_seconds, STATEMENT_SECONDS),
    )


async def _drain(before: Config, tell: Tell) -> None:
    """Let the workers finish what was accepted; what they cannot is told by the copying."""
    async with services.open_services(before, SystemClock()) as opened, workers.running(opened):
        await queue.refuse_paused(opened.queue)
        if jobs := await queue.waiting(opened.queue):
            tell(f"Finishing {sum(jobs.values()):,} jobs.")
        for _ in range(DRAIN_LOOKS_MAX):
            if not await queue.waiting(opened.queue):
                return
            await asyncio.sleep(DRAIN_LOOK_SECONDS)


def _both(opened: Services) -> queue.Both:
    source = opened.queue
    assert isinstance(source, SqliteQueue)
    return source
