"""Everything that runs in the background, in two tables: the pools of the queues and the schedule."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import msgspec

from vemetric import errors
from vemetric.accounts import errands, post
from vemetric.ingest import counts, jobs
from vemetric.model import erasure
from vemetric.model.meters import OfQueue
from vemetric.queues.history import History
from vemetric.queues.job import Job, Write
from vemetric.queues.lease import Lease
from vemetric.queues.pool import Pool, PoolSpec
from vemetric.queues.schedule import Entry, Schedule, daily, hourly
from vemetric.services import Services
from vemetric.workers import canary, demo, first_event, report, retention
from vemetric.workers.create_user import CreateUserWorker
from vemetric.workers.device import DeviceWorker
from vemetric.workers.email import EmailWorker
from vemetric.workers.enrich_user import EnrichUserWorker
from vemetric.workers.erase import EraseWorker
from vemetric.workers.event import EventWorker
from vemetric.workers.merge_user import MergeUserWorker
from vemetric.workers.session import SessionWorker
from vemetric.workers.update_user import UpdateUserWorker

log = logging.getLogger(__name__)

Handler = Callable[[Sequence[Job], Lease], Awaitable[Write]]


def handlers(services: Services) -> dict[str, Handler]:
    """Who handles the jobs of which queue."""
    return {
        jobs.EVENT_QUEUE: EventWorker(services).handle,
        jobs.SESSION_QUEUE: SessionWorker(services).handle,
        jobs.DEVICE_QUEUE: DeviceWorker(services).handle,
        jobs.CREATE_USER_QUEUE: CreateUserWorker(services).handle,
        jobs.UPDATE_USER_QUEUE: UpdateUserWorker(services).handle,
        jobs.ENRICH_USER_QUEUE: EnrichUserWorker(services).handle,
        erasure.ERASE_QUEUE: EraseWorker(services).handle,
        jobs.MERGE_USER_QUEUE: MergeUserWorker(services).handle,
        errands.QUEUE: EmailWorker(services).handle,
    }


# How often workers that wait for the analytics store look whether it is back.
SETTLE_PAUSE_SECONDS = 2.0

# Letters take seconds each, and a mail server that puts one off wants to be left alone for a while: a batch would be
# tried again in halves at once. A letter that was put off too often ends by itself, before its job is buried.
EMAIL = {
    "batch_jobs_max": 1,
    "lease_seconds": 900,
    "linger_seconds": 0.0,
    "attempts_max": post.ATTEMPTS_MAX + 1,
    "backoff_base_seconds": 60.0,
}


def schedule(services: Services) -> tuple[Entry, ...]:
    """What recurs. The salts of the day change at midnight UTC; what was missed is caught up at the start."""
    return (
        Entry("salt-rotation", daily, services.salts.rotate),
        Entry("first-event", first_event.quarterly, partial(first_event.note, services)),
        Entry("demo", demo.minutely, partial(demo.go_on, services)),
        Entry("retention", daily, partial(retention.run, services)),
        Entry("counts", daily, partial(counts.add_up, services.keys, services.clock)),
        Entry("mail", hourly, services.post.sweep),
        Entry("canary-sweep", daily, partial(canary.sweep, services)),
        Entry("tips", hourly, services.tips.put_due),
    )


@asynccontextmanager
async def running(services: Services) -> AsyncIterator[None]:
    """The pools and the schedule, while the block runs; at its end running batches are finished.

    The pools begin once what a killed process left half done is settled, which takes an analytics store that answers.
    """
    async with AsyncExitStack() as stack:
        if not await _settled(services):
            stack.push_async_callback(_cancel, asyncio.create_task(_start_later(services, stack)))
        else:
            _start_pools(services, stack)
        timetable = Schedule(services.keys, services.clock, schedule(services))
        timetable.start()
        stack.push_async_callback(timetable.stop)
        if services.config.canary:
            stack.push_async_callback(_cancel, asyncio.create_task(canary.watch(services)))
        stack.push_async_callback(_cancel, asyncio.create_task(report.keep(services)))
        yield


async def _settled(services: Services) -> bool:
    try:
        await retention.recover(services)
        await MergeUserWorker(services).recover()
    except (errors.Unavailable, errors.StoreError) as error:
        log.warning("The workers wait for the analytics store: %s", error)
        return False
    return True


async def _start_later(services: Services, stack: AsyncExitStack) -> None:
    while True:
        await asyncio.sleep(SETTLE_PAUSE_SECONDS)
        try:
            if await _settled(services):
                break
        except Exception:
            # Nobody waits for this task: a surprise must not leave the queues without workers.
            log.exception("The workers could not begin")
    _start_pools(services, stack)


def counted(handler: Handler, of: OfQueue) -> Handler:
    """The same handler, its work counted."""

    async def handle(batch: Sequence[Job], lease: Lease) -> Write:
        try:
            write = await handler(batch, lease)
        except Exception:
            of.failed += 1
            raise
        of.done += len(batch)
        of.batches.observe(len(batch))
        return write

    return handle


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _start_pools(services: Services, stack: AsyncExitStack) -> None:
    config = services.config
    for queue, handler in handlers(services).items():
        spec = PoolSpec(
            queue,
            counted(handler, services.meters.of_queue(queue)),
            batch_jobs_max=config.batch_jobs_max,
            lease_seconds=config.queue_lease_seconds,
            linger_seconds=config.batch_linger_ms / 1000,
            attempts_max=config.queue_retries + 1,
            backoff_base_seconds=config.queue_backoff_seconds,
        )
        if queue == errands.QUEUE:
            spec = msgspec.structs.replace(spec, **EMAIL)

        async def probe(point: str, _: str) -> None:
            services.probe(point)

        # Letters are nothing that other stores have to agree with, and one may take minutes.
        gate = None if queue == errands.QUEUE else services.gate
        pool = Pool(services.queue, services.clock, spec, probe, gate, History(services.keys, services.clock))
        pool.start()
        stack.push_async_callback(pool.stop, config.drain_seconds)
