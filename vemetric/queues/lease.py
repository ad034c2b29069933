"""A claimed batch and the worker's hold on it. Made by pool.py, the hold is shown to the handlers."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable
from typing import Final

from vemetric import errors
from vemetric.clock import Clock
from vemetric.queues.job import Job
from vemetric.queues.queue import Queue

# A running batch's lease is prolonged each time this share of it is over.
EXTEND_AFTER: Final = 1 / 3

log = logging.getLogger(__name__)


class Lease:
    """A handler's hold on its batch. Ask it right before anything that cannot be undone."""

    def __init__(self, clock: Clock, until_ms: int) -> None:
        self._clock = clock
        self.until_ms = until_ms
        self.is_lost = False

    def remaining_seconds(self) -> float:
        """How long the batch is surely still this worker's; 0 when it no longer is."""
        return 0.0 if self.is_lost else max(0.0, (self.until_ms - self._clock.now_ms()) / 1000)

    def still_held(self, seconds: float = 0.0) -> bool:
        """Whether the lease lasts longer than `seconds` from now, such as a statement's time-out."""
        return self.remaining_seconds() > seconds

    def check(self, seconds: float = 0.0) -> None:
        """LeaseLost unless `still_held(seconds)`."""
        if not self.still_held(seconds):
            raise errors.LeaseLost


class Batch:
    """Claimed jobs that are neither done nor given back yet, and the lease on them.

    failed_lanes: order keys of which a job failed; later jobs of theirs must not overtake it.
    """

    def __init__(self, queue: Queue, clock: Clock, jobs: Iterable[Job]) -> None:
        self._queue = queue
        self._jobs = {job.id: job for job in jobs}
        self.lease = Lease(clock, min(job.lease_until_ms for job in self._jobs.values()))
        self.failed_lanes: set[str] = set()
        # Whoever changes what is claimed holds this, so that a lease is never prolonged for jobs just acknowledged.
        self.changing = asyncio.Lock()

    @property
    def jobs(self) -> list[Job]:
        return list(self._jobs.values())

    def remove(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self._jobs.pop(job.id, None)

    @contextlib.asynccontextmanager
    async def kept(self, lease_seconds: float) -> AsyncIterator[Lease]:
        """Prolong the lease in the background for as long as the block runs."""
        keeping = asyncio.create_task(self._keep(lease_seconds))
        try:
            yield self.lease
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    async def _keep(self, lease_seconds: float) -> None:
        while not self.lease.is_lost:
            await asyncio.sleep(lease_seconds * EXTEND_AFTER)
            async with self.changing:
                await self._extend(lease_seconds)

    async def _extend(self, lease_seconds: float) -> None:
        jobs = self.jobs
        if not jobs:
            return
        try:
            await self._queue.extend(jobs, lease_seconds)
            self.lease.until_ms = min(job.lease_until_ms for job in jobs)
        except errors.LeaseLost:
            self.lease.is_lost = True
        except errors.Unavailable as error:
            log.warning("A lease could not be prolonged: %s", error)
