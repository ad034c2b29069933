"""Queue and Keys in Redis 7 or Valkey, for several processes on several machines.

Every method that changes jobs is one script in lua/, and a script is a transaction. A put is as durable as the
server's append-only file when it returns (docs/scaling.md says what that means). Times are those of the clock of who
asks, so the machines' clocks must agree to within a few seconds. How jobs are kept: docs/decisions/0005-redis.md.
"""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Self

import msgspec

from vemetric import errors
from vemetric.clock import Clock
from vemetric.model.redis_url import RedisUrl
from vemetric.model.store_facts import StoreFacts
from vemetric.queues import redis_client, redis_live
from vemetric.queues.job import CLAIM_BYTES_MAX, DeadJob, Job, ListedJob, LiveJob, QueueStats, State, Write
from vemetric.queues.queue import NONE
from vemetric.queues.redis_client import RedisClient
from vemetric.queues.redis_keys import RedisKeys, packed

JOBS_MAX = 1_000_000
# Delayed jobs that became due and leases that ran out are made ready in portions, so that no claim takes long.
DUE_JOBS_MAX = 5_000
LEASE_BITS = 52
ERROR_CHARS_MAX = 10_000
# A wait looks again at least this often: messages are not kept for who was not connected.
WAIT_SECONDS_MAX = 5.0
SUBSCRIBE_SECONDS, RESUBSCRIBE_SECONDS = 5.0, 1.0
CANCEL_SECONDS = 0.5
PAUSED = "paused"
# Jobs that wait for others stand in no list: of so many jobs of all queues those that do are found, so many at a time.
BLOCKED_LOOKED_AT_MAX, BLOCKED_LOOKED_AT = 50_000, 1_000

_encode = msgspec.msgpack.Encoder().encode
# Queue, key, lane, after, run at, put at, failures, bytes, error; a name that is not there is False.
_Name = str | bool
_entry = msgspec.msgpack.Decoder(tuple[str, _Name, _Name, _Name, int, int, int, int, str]).decode
_letter = msgspec.msgpack.Decoder(tuple[str, _Name, _Name, _Name, int, int, int, int, str]).decode
log = logging.getLogger(__name__)


class RedisQueue(RedisKeys):
    """Implements `Queue` and `Keys`. Made by `open`, on the loop that will use it; ended by `close`.

    jobs_max bounds the jobs of all processes that are neither done nor dead; a put beyond it raises QueueFull.
    """

    def __init__(self, client: RedisClient, clock: Clock, jobs_max: int) -> None:
        super().__init__(client, clock, jobs_max)
        self._is_closed = False
        # What could not be given back, or was perhaps claimed, while the server was away: a script with its arguments,
        # by queue. Done before the next claim, as else the jobs lie until their leases end.
        self._owed: defaultdict[str, list[tuple[str, tuple[Any, ...]]]] = defaultdict(list)
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def open(
        cls, url: RedisUrl, clock: Clock, *, prefix: str = "vemetric", jobs_max: int = JOBS_MAX, may_lose: bool = False
    ) -> Self:
        """Connect. Misconfigured for a server that may forget, Unavailable if it cannot be reached.

        prefix: what all keys begin with; instances that share a server need different ones. may_lose: take a server
        without an append-only file, or one that drops keys.
        """
        client = RedisClient(url, prefix)
        try:
            await redis_client.check(client, may_lose=may_lose)
        except BaseException:
            await client.close()
            raise
        queue = cls(client, clock, jobs_max)
        # Without messages it works too, only slower to wake.
        await asyncio.wait((queue._subscribed,), timeout=SUBSCRIBE_SECONDS)
        return queue

    async def catch_up(self) -> None:
        """Nothing to do: the server has all that was told."""

    async def close(self) -> None:
        """Finish what is being written and close."""
        self._is_closed = True
        await self._puts.close()
        await self._gets.close()
        await self._first_sets.close()
        # Again, because the library loses a cancellation that comes while it connects anew.
        while not self._listening.done():
            self._listening.cancel()
            await asyncio.wait((self._listening,), timeout=CANCEL_SECONDS)
        await self._client.close()
        self._wake_all()

    async def put(self, write: Write) -> None:
        await self._written(write)

    async def claim(self, queue: str, limit: int, lease_seconds: float) -> list[Job]:
        claiming = asyncio.ensure_future(self._claim(queue, limit, lease_seconds))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            # The claim happens all the same; nobody would do its jobs before their lease ran out.
            claiming.add_done_callback(self._return_unwanted)
            raise

    async def wait(self, queue: str, timeout_seconds: float) -> None:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + timeout_seconds
        while (left_seconds := ends_at - loop.time()) > 0:
            # Registered before looking, so that a put in between is not missed.
            woken = loop.create_future()
            self._waiting.setdefault(queue, set()).add(woken)
            try:
                at_ms = await self._run("next_at", queue)
                now_ms = self._clock.now_ms()
                if 0 <= at_ms <= now_ms:
                    return
                if at_ms > now_ms:
                    left_seconds = min(left_seconds, (at_ms - now_ms + 1) / 1000)
                await asyncio.wait((woken,), timeout=min(left_seconds, WAIT_SECONDS_MAX))
            finally:
                self._waiting[queue].discard(woken)

    async def ack(self, jobs: Sequence[Job], write: Write | None = None) -> None:
        if not jobs and write:
            # Not refused for the bound, as a put might be: what is under way must be able to finish.
            await self._run("ack", _encode([]), *packed(write))
        elif jobs and not await self._run("ack", _leases(jobs), *packed(write or Write())):
            raise errors.LeaseLost

    async def extend(self, jobs: Sequence[Job], lease_seconds: float) -> None:
        until_ms = self._clock.now_ms() + int(lease_seconds * 1000)
        if not await self._run("extend", _leases(jobs), until_ms):
            raise errors.LeaseLost
        for job in jobs:
            job.lease_until_ms = until_ms

    async def retry(self, jobs: Sequence[Job], delay_seconds: float, error: str) -> None:
        await self._give_back(jobs, delay_seconds, 1, _cut(error))

    async def release(self, jobs: Sequence[Job], delay_seconds: float = 0) -> None:
        if not jobs:
            return
        try:
            await self._give_back(jobs, delay_seconds, 0, b"")
        except errors.Unavailable:
            self._owed[jobs[0].queue].append(("give_back", (_leases(jobs), 0, 0, b"")))
            raise

    async def bury(self, jobs: Sequence[Job], error: str) -> None:
        await self._run("bury", _leases(jobs), _cut(error))

    async def dead(self, queue: str | None, limit: int, before_id: int | None = None) -> list[DeadJob]:
        before = "+inf" if before_id is None else f"({before_id}"
        found = await self._run("dead", queue or "", limit, before)
        return [_dead_job(*found[at : at + 3]) for at in range(0, len(found), 3)]

    async def revive(self, ids: Sequence[int]) -> int:
        return int(await self._run("revive", *ids)) if ids else 0

    async def pause(self, queue: str) -> None:
        await self._client.command("SADD", PAUSED, queue)

    async def resume(self, queue: str) -> None:
        await self._run("resume", queue)

    async def paused(self) -> list[str]:
        return sorted(bytes(name).decode() for name in await self._client.command("SMEMBERS", PAUSED))

    async def listed(
        self, queue: str, state: State, limit: int, before_id: int | None = None, *, with_payloads: bool = False
    ) -> list[ListedJob]:
        before = "+inf" if before_id is None else f"({before_id}"
        found = _listed_jobs(await self._run("listed", queue, state.value, limit, before))
        if state is State.READY:
            found += [job for job in await self._blocked(queue) if before_id is None or job.id < before_id]
        found = sorted(found, key=lambda job: -job.id)[:limit]
        if not (with_payloads and found):
            return found
        payloads = await self._client.command("HMGET", "payload", *(job.id for job in found))
        # Those without one were done meanwhile.
        told = ((job, payload) for job, payload in zip(found, payloads, strict=True) if payload is not None)
        return [msgspec.structs.replace(job, payload=bytes(payload)) for job, payload in told]

    async def _blocked(self, queue: str) -> list[ListedJob]:
        found: dict[int, ListedJob] = {}
        go_on = 0
        for _ in range(BLOCKED_LOOKED_AT_MAX // BLOCKED_LOOKED_AT):
            go_on, *answer = await self._run("blocked", queue, go_on, BLOCKED_LOOKED_AT)
            found |= {job.id: job for job in _listed_jobs(answer)}
            if not go_on:
                break
        return list(found.values())

    async def look(self, id_: int) -> ListedJob | None:
        found = await self._run("look", id_)
        return _listed_job(*found) if found else None

    async def promote(self, ids: Sequence[int]) -> int:
        return int(await self._run("promote", *ids)) if ids else 0

    async def discard(self, jobs: Sequence[ListedJob], counters: Mapping[int, str] = NONE) -> list[ListedJob]:
        seen = [one for job in jobs for one in (job.id, job.deliveries, counters.get(job.id, ""))]
        found = await self._run("discard", *seen) if seen else []
        return [_listed_job(*found[at : at + 6]) for at in range(0, len(found), 6)]

    async def discard_dead(self, ids: Sequence[int], counters: Mapping[int, str] = NONE) -> list[int]:
        seen = [one for id_ in ids for one in (id_, counters.get(id_, ""))]
        return [int(id_) for id_ in await self._run("discard_dead", *seen)] if seen else []

    def live(self, queue: str) -> AsyncIterator[list[LiveJob]]:
        return redis_live.pages(self._client, queue)

    async def stats(self) -> list[QueueStats]:
        return [
            QueueStats(bytes(name).decode(), ready, delayed, claimed, dead, None if oldest < 0 else oldest)
            for name, ready, delayed, claimed, dead, oldest in await self._run("stats")
        ]

    async def facts(self) -> StoreFacts:
        return redis_client.facts_of(await self._client.info())

    async def _claim(self, queue: str, limit: int, lease_seconds: float) -> list[Job]:
        await self._settle(queue)
        lease = random.getrandbits(LEASE_BITS) | 1
        until_ms = self._clock.now_ms() + int(lease_seconds * 1000)
        try:
            found = await self._run("claim", queue, limit, lease, until_ms, CLAIM_BYTES_MAX, DUE_JOBS_MAX)
        except errors.Unavailable:
            self._owed[queue].append(("unclaim", (queue, lease, until_ms)))
            raise
        return [_job(found[at : at + 4], lease, until_ms) for at in range(0, len(found), 4)]

    async def _settle(self, queue: str) -> None:
        while owed := self._owed[queue]:
            script, arguments = one = owed.pop(0)
            try:
                await self._run(script, *arguments)
            except errors.Unavailable:
                owed.insert(0, one)
                raise

    async def _give_back(self, jobs: Sequence[Job], delay_seconds: float, failures: int, error: bytes) -> None:
        run_at_ms = self._clock.now_ms() + int(delay_seconds * 1000) if delay_seconds > 0 else 0
        await self._run("give_back", _leases(jobs), run_at_ms, failures, error)

    def _return_unwanted(self, claimed: "asyncio.Task[list[Job]]") -> None:
        if claimed.cancelled() or claimed.exception() is not None or not claimed.result() or self._is_closed:
            return
        giving_back = asyncio.ensure_future(self._give_back(claimed.result(), 0, 0, b""))
        # Where it cannot be done the leases run out.
        giving_back.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _listen(self) -> None:
        """Wake who waits, as the scripts say."""
        while True:
            try:
                await self._pass_on_messages()
            except errors.Unavailable:
                pass
            except Exception:
                log.exception("Listening for new jobs stumbled")
            await asyncio.sleep(RESUBSCRIBE_SECONDS)

    async def _pass_on_messages(self) -> None:
        async with self._client.messages("wake") as message:
            if not self._subscribed.done():
                self._subscribed.set_result(None)
            # What was said while nobody listened is not said again.
            self._wake_all()
            while True:
                _wake(self._waiting.get((await message()).decode(), ()))

    def _wake_all(self) -> None:
        for waiting in self._waiting.values():
            _wake(waiting)


def _leases(jobs: Sequence[Job]) -> bytes:
    return _encode([number for job in jobs for number in (job.id, job.lease)])


def _job(found: Sequence[Any], lease: int, until_ms: int) -> Job:
    id_, deliveries, entry, payload = found
    queue, key, lane, _, _, put_at_ms, failures, _, _ = _entry(entry)
    return Job(id_, queue, payload, _name(key), _name(lane), put_at_ms, deliveries, failures, lease, until_ms)


def _listed_jobs(found: Sequence[Any]) -> list[ListedJob]:
    return [_listed_job(*found[at : at + 5]) for at in range(0, len(found), 5)]


def _listed_job(
    id_: int, state: bytes, deliveries: int, until_ms: int, entry: bytes, payload: bytes = b""
) -> ListedJob:
    queue, key, lane, after, run_at_ms, put_at_ms, failures, _, error = _entry(entry)
    return ListedJob(
        id=id_,
        queue=queue,
        state=State(bytes(state).decode()),
        key=_name(key),
        order_key=_name(lane),
        after=_name(after),
        run_at_ms=run_at_ms,
        put_at_ms=put_at_ms,
        deliveries=deliveries,
        failures=failures,
        lease_until_ms=until_ms,
        error=error,
        payload=payload,
    )


def _dead_job(id_: int, letter: bytes, payload: bytes) -> DeadJob:
    queue, key, _, _, put_at_ms, buried_at_ms, deliveries, failures, error = _letter(letter)
    return DeadJob(id_, queue, payload, _name(key), put_at_ms, buried_at_ms, deliveries, failures, error)


def _cut(error: str) -> bytes:
    return error[:ERROR_CHARS_MAX].encode(errors="replace")


def _name(stored: str | bool) -> str | None:
    return stored if isinstance(stored, str) else None


def _wake(waiting: "set[asyncio.Future[None]] | tuple[()]") -> None:
    for future in waiting:
        if not future.done():
            future.set_result(None)
