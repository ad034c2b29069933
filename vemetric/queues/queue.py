"""The queue as its users see it. Backends: sqlite.py and redis.py. One contract suite runs over all of them."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol

from vemetric.model.store_facts import StoreFacts
from vemetric.queues.job import DeadJob, Job, ListedJob, LiveJob, QueueStats, State, Write

# No counter is raised.
NONE: Final[Mapping[int, str]] = MappingProxyType({})

# Hears what a write came to: None once it is on disk, else the error.
Told = Callable[[BaseException | None], None]


class Queue(Protocol):
    """A durable queue. Delivery is at least once; every method may raise errors.Unavailable."""

    async def put(self, write: Write) -> None:
        """Store the whole write durably (on disk when this returns) or raise: QueueFull past the bound, Unavailable."""

    def submit(self, write: Write, told: Told) -> None:
        """`put` for callers that go on meanwhile. told: called on the loop, once and after this has returned; it must
        not raise. What can be known at once, as that the queue is full, is raised instead.
        """

    async def claim(self, queue: str, limit: int, lease_seconds: float) -> list[Job]:
        """Take up to `limit` runnable jobs, oldest first; raises their `deliveries` in the same statement.

        Their payloads are at most CLAIM_BYTES_MAX together, and jobs put together may only be taken together: fewer
        than `limit` need not be all there are. None means that there are none.

        If the caller is cancelled meanwhile, the jobs are given back.
        """

    async def wait(self, queue: str, timeout_seconds: float) -> None:
        """Return when a job of `queue` may have become runnable, or after the time-out."""

    async def ack(self, jobs: Sequence[Job], write: Write | None = None) -> None:
        """Remove the jobs and apply `write`, in one transaction. LeaseLost (nothing done) if any lease is not current.

        A lease is current until its time is over or the job was given back, whoever else has noticed.
        The write of an ack is never refused for the queue's bound: what is under way must be able to finish.
        """

    async def extend(self, jobs: Sequence[Job], lease_seconds: float) -> None:
        """Prolong the leases and note the new end in the jobs; LeaseLost (nothing done) if any is not current."""

    async def retry(self, jobs: Sequence[Job], delay_seconds: float, error: str) -> None:
        """Give the jobs back to run after the delay; raises `failures`. Jobs whose lease is lost are passed over."""

    async def release(self, jobs: Sequence[Job], delay_seconds: float = 0) -> None:
        """Give the jobs back without counting a failure (a store was down, the process stops)."""

    async def bury(self, jobs: Sequence[Job], error: str) -> None:
        """Move the jobs to the dead letters, counting the failure that led here. Lost leases are passed over."""

    async def dead(self, queue: str | None, limit: int, before_id: int | None = None) -> list[DeadJob]:
        """Dead letters, newest first."""

    async def revive(self, ids: Sequence[int]) -> int:
        """Put dead letters back at the end of the line, failures at zero, deliveries kept. Returns how many.

        One whose key is live again stays dead: its work has been put anew.
        """

    async def pause(self, queue: str) -> None:
        """Let nobody claim of this queue until `resume`, across restarts. It takes puts; what is claimed is finished.

        Holds for claims that begin after this returns, in every process.
        """

    async def resume(self, queue: str) -> None:
        """Let the queue be claimed again; who waits for it is woken, in every process within a second."""

    async def paused(self) -> list[str]:
        """The queues that are paused, by name."""

    async def listed(
        self, queue: str, state: State, limit: int, before_id: int | None = None, *, with_payloads: bool = False
    ) -> list[ListedJob]:
        """Jobs that are READY (those BLOCKED included), DELAYED or CLAIMED, newest first."""

    async def look(self, id_: int) -> ListedJob | None:
        """A job with its payload, claimed by nobody through that; None if it is done or dead."""

    async def promote(self, ids: Sequence[int]) -> int:
        """Let delayed jobs run now. Returns how many were delayed."""

    async def discard(self, jobs: Sequence[ListedJob], counters: Mapping[int, str] = NONE) -> list[ListedJob]:
        """Remove jobs that nobody holds, nor has held since they were seen: nobody will do them, and what waited for
        them may run. In the same transaction raise the counter that `counters` names for the id of each. Returns them.
        """

    async def discard_dead(self, ids: Sequence[int], counters: Mapping[int, str] = NONE) -> list[int]:
        """Remove dead letters and count them as `discard` does. Returns the ids of those that there were."""

    def live(self, queue: str) -> AsyncIterator[list[LiveJob]]:
        """The jobs of a queue that are neither done nor dead, in pages and in no order; nothing is claimed.

        Each that is live all the while is told once; of those put, done or buried meanwhile any may be.
        """

    async def stats(self) -> list[QueueStats]:
        """Counts of every queue that has or had jobs."""

    async def facts(self) -> StoreFacts:
        """What the queue is kept in."""

    async def catch_up(self) -> None:
        """Bring what was told before this call to where the jobs are kept: whoever then copies that has it."""

    async def close(self) -> None:
        """Finish what is being written and close."""
