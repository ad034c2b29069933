"""The workers of one queue: claim a batch, hand it to its handler, acknowledge it together with what it wrote.

The handlers and their PoolSpecs are the table in workers/__init__.py, which starts and drains the pools too.
"""

import asyncio
import contextlib
import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from vemetric import errors
from vemetric.clock import Clock
from vemetric.queues import history
from vemetric.queues.gate import Gate
from vemetric.queues.history import History
from vemetric.queues.job import CLAIM_BYTES_MAX, PAYLOAD_BYTES_MAX, Job, Write
from vemetric.queues.lease import Batch, Lease
from vemetric.queues.queue import Queue

# One claim takes at most this many jobs: a usual batch. A crowd's hits do not wait for it, they are in a journal first.
CLAIM_JOBS_MAX = 5_000
# A batch with more than this share of the most it may hold is full: jobs come together and are not torn apart for it.
BATCH_FULL_SHARE = 0.9
# A claim of fewer than this share of what was asked for has emptied the queue; what came since can wait for a batch.
CLAIMED_SHARE_MIN = 0.5
# A batch with so many bytes of payload is full, whatever the number of its jobs. A claim that was cut for its size has
# at least as much, because the next job would not have fitted.
BATCH_BYTES_FULL = CLAIM_BYTES_MAX - PAYLOAD_BYTES_MAX
# An idle pool looks again at least this often.
WAIT_SECONDS = 30.0
# While a store is down the pool pauses 1, 2, 4 ... seconds.
PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX = 1.0, 30.0
# Whether the queue can be written again, after a full disk, is seen by trying, and trying costs it nothing.
UNAVAILABLE_SECONDS_MAX = 2.0
BACKOFF_SECONDS_MAX = 3_600.0
# So long a wait for new jobs may take to end when it is no longer wanted, before that is said again.
CANCEL_SECONDS = 0.5
ERROR_CHARS_MAX = 10_000

T = TypeVar("T")
log = logging.getLogger(__name__)

# Does the jobs and returns what is to be written in the same transaction that acknowledges them, if anything.
# StoreError (but RowRejected) and Unavailable pause the pool; LeaseLost gives the batch up; any other exception counts
# as a failure of a job: the batch is split until the guilty one is found, so a handler must be repeatable for jobs it
# has done.
Handler = Callable[[list[Job], Lease], Awaitable[Write | None]]
# Called with "claimed", "handled", "before-ack" or "after-ack" and the queue's name; crash tests kill there.
Probe = Callable[[str, str], Awaitable[None]]


class PoolSpec(msgspec.Struct, frozen=True):
    """How one queue is worked.

    linger_seconds: the least time between two batches unless the queue holds full ones; the first job after a quiet
    time is taken at once. attempts_max: failures after which a job is buried. backoff_base_seconds: delay after the
    first failure, doubled with each further one.
    """

    queue: str
    handler: Handler
    batch_jobs_max: int = 5_000
    workers: int = 1
    lease_seconds: float = 60.0
    linger_seconds: float = 0.2
    attempts_max: int = 6
    backoff_base_seconds: float = 1.0


async def no_probe(point: str, queue: str) -> None:
    """The default probe: does nothing."""


class Pool:
    """Runs the workers of one queue from `start` to `stop`. gate: what every batch passes, its own without one. told:
    where it is noted what happened to jobs that fail.
    """

    def __init__(
        self,
        queue: Queue,
        clock: Clock,
        spec: PoolSpec,
        probe: Probe = no_probe,
        gate: Gate | None = None,
        told: History | None = None,
    ) -> None:
        self.spec = spec
        self._gate = gate or Gate()
        self._told = told
        self._queue = queue
        self._clock = clock
        self._probe = probe
        self._stopping = asyncio.Event()
        self._turn = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._next_batch_at = 0.0
        self._paused_until = 0.0
        self._pause_seconds = 0.0
        self._paused_for = ""

    def start(self) -> None:
        """Start the workers on the running loop."""
        for number in range(self.spec.workers):
            self._tasks.append(asyncio.create_task(self._work(), name=f"{self.spec.queue}-worker-{number}"))

    async def stop(self, grace_seconds: float) -> None:
        """Claim nothing more, let running batches finish within the grace, then give back what is left."""
        self._stopping.set()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=grace_seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    @property
    def is_paused(self) -> bool:
        """Whether the pool waits for a store to come back."""
        return asyncio.get_running_loop().time() < self._paused_until

    async def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                jobs = await self._next_batch()
                if jobs:
                    await self._do(jobs)
            except errors.Unavailable as error:
                self._pause(error)
            except Exception:
                # The loop of a worker outlives every surprise; the batch comes back when its lease is over.
                log.exception("The pool of %s stumbled", self.spec.queue)
                self._pause()

    # Getting a batch

    async def _next_batch(self) -> list[Job]:
        """The next jobs, or none when the pool is stopping. One worker at a time, so that batches fill."""
        async with self._turn:
            while not self._stopping.is_set():
                await self._sleep_until(max(self._next_batch_at, self._paused_until))
                if self._stopping.is_set():
                    break
                jobs = await self._claim()
                if jobs:
                    return jobs
                await self._or_stopping(self._queue.wait(self.spec.queue, WAIT_SECONDS))
        return []

    async def _claim(self) -> list[Job]:
        """Fill a batch. A full one is followed by the next at once, anything less after the linger."""
        started_at = asyncio.get_running_loop().time()
        jobs: list[Job] = []
        size = 0
        try:
            while len(jobs) <= self.spec.batch_jobs_max * BATCH_FULL_SHARE and size < BATCH_BYTES_FULL:
                limit = min(CLAIM_JOBS_MAX, self.spec.batch_jobs_max - len(jobs))
                claimed = await self._queue.claim(self.spec.queue, limit, self.spec.lease_seconds)
                jobs += claimed
                size += sum(len(job.payload) for job in claimed)
                if len(claimed) < limit * CLAIMED_SHARE_MIN:
                    break
        except BaseException:
            await self._release(jobs)
            raise
        is_full = len(jobs) > self.spec.batch_jobs_max * BATCH_FULL_SHARE or size >= BATCH_BYTES_FULL
        if jobs:
            self._next_batch_at = 0.0 if is_full else started_at + self.spec.linger_seconds
            await self._probe("claimed", self.spec.queue)
        return jobs

    async def _sleep_until(self, at: float) -> None:
        left_seconds = at - asyncio.get_running_loop().time()
        if left_seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), left_seconds)

    async def _or_stopping(self, waiting: Awaitable[None]) -> None:
        tasks = [asyncio.ensure_future(waiting), asyncio.ensure_future(self._stopping.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            while pending := [task for task in tasks if not task.done()]:
                for task in pending:
                    task.cancel()
                # A driver can swallow a cancellation that meets its answer; it is asked again then.
                await asyncio.wait(pending, timeout=CANCEL_SECONDS)
        if not tasks[0].cancelled() and (error := tasks[0].exception()) is not None:
            raise error

    # Doing a batch

    async def _do(self, jobs: list[Job]) -> None:
        batch = Batch(self._queue, self._clock, jobs)
        async with batch.kept(self.spec.lease_seconds):
            try:
                async with self._gate.passing():
                    await self._do_pieces(batch)
            except errors.LeaseLost:
                log.warning("%d jobs of %s outlived their lease", len(batch.jobs), self.spec.queue)
                # Where every lease is too short, the same batch would come again and again without a rest.
                self._pause()
            except (errors.StoreError, errors.Unavailable) as error:
                self._pause(error)
            finally:
                async with batch.changing:
                    await self._release(batch.jobs)

    async def _do_pieces(self, batch: Batch) -> None:
        """Do the batch, halving what fails until the guilty job is alone."""
        pieces = [batch.jobs]
        while pieces:
            piece = [job for job in pieces.pop() if job.order_key is None or job.order_key not in batch.failed_lanes]
            if not piece:
                continue
            try:
                write = await self.spec.handler(piece, batch.lease)
            except Exception as error:
                if not _is_fault_of_a_job(error):
                    raise
                for job in piece:
                    # The handler may have applied part of it before it failed: no longer a first delivery.
                    job.deliveries += 1
                if len(piece) > 1:
                    middle = len(piece) // 2
                    pieces += [piece[middle:], piece[:middle]]
                else:
                    await self._fail(batch, piece[0], error)
                continue
            await self._acknowledge(batch, piece, write)

    async def _acknowledge(self, batch: Batch, piece: list[Job], write: Write | None) -> None:
        await self._probe("handled", self.spec.queue)
        async with batch.changing:
            await self._probe("before-ack", self.spec.queue)
            await _to_the_end(self._queue.ack(piece, write))
            batch.remove(piece)
        await self._probe("after-ack", self.spec.queue)
        self._go_on()

    async def _fail(self, batch: Batch, job: Job, error: Exception) -> None:
        text = "".join(traceback.format_exception(error))[-ERROR_CHARS_MAX:]
        failures = job.failures + 1
        is_last = failures >= self.spec.attempts_max
        if self._told is not None:
            what, kept_days = history.FAILED, history.TRIED_AGAIN_KEPT_DAYS
            if is_last:
                what, kept_days = history.BURIED, history.KEPT_DAYS
            await self._told.note(
                [job], f"{what}, attempt {failures}", history.this_process(), text, kept_days=kept_days
            )
        async with batch.changing:
            if is_last:
                log.error("Job %d of %s is buried after %d failures: %r", job.id, self.spec.queue, failures, error)
                await _to_the_end(self._queue.bury([job], text))
            else:
                delay_seconds = min(BACKOFF_SECONDS_MAX, self.spec.backoff_base_seconds * 2**job.failures)
                log.warning("Job %d of %s failed, again in %g s: %r", job.id, self.spec.queue, delay_seconds, error)
                await _to_the_end(self._queue.retry([job], delay_seconds, text))
                if job.order_key is not None:
                    batch.failed_lanes.add(job.order_key)
            batch.remove([job])

    async def _release(self, jobs: list[Job]) -> None:
        """Give jobs back without counting a failure. Where even that fails the queue does so when it is back, or their
        lease runs out.
        """
        if not jobs:
            return
        try:
            await _to_the_end(self._queue.release(jobs))
        except errors.Unavailable as error:
            log.warning("%d jobs of %s stay claimed until the queue is back: %s", len(jobs), self.spec.queue, error)

    def _pause(self, error: errors.StoreError | errors.Unavailable | None = None) -> None:
        """Rest, each time longer until a batch is done. error: why, told when it is news; None when it was told."""
        longest = UNAVAILABLE_SECONDS_MAX if isinstance(error, errors.Unavailable) else PAUSE_SECONDS_MAX
        self._pause_seconds = min(longest, max(PAUSE_SECONDS_MIN, self._pause_seconds * 2))
        self._paused_until = asyncio.get_running_loop().time() + self._pause_seconds
        if error is not None and error.message != self._paused_for:
            self._paused_for = error.message
            log.warning("The pool of %s pauses: %s", self.spec.queue, error)

    def _go_on(self) -> None:
        self._pause_seconds = 0.0
        if self._paused_for:
            self._paused_for = ""
            log.warning("The pool of %s goes on.", self.spec.queue)


async def _to_the_end(awaitable: Awaitable[T]) -> T:
    """Await something that, once begun, must not be left half known when the worker is cancelled."""
    task = asyncio.ensure_future(awaitable)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        if not task.cancelled():
            task.exception()
        raise


def _is_fault_of_a_job(error: Exception) -> bool:
    """Whether an error speaks against a job. A store that refuses for a reason nobody knows must not bury a backlog."""
    is_of_a_store = isinstance(error, errors.LeaseLost | errors.StoreError | errors.Unavailable)
    return isinstance(error, errors.RowRejected) or not is_of_a_store
