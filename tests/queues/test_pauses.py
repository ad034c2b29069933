"""A queue that a human stopped: on every backend, across restarts and processes, with nothing lost."""

import asyncio

from vemetric.clock import SystemClock
from vemetric.queues.job import NewJob, Write
from vemetric.queues.pool import Pool, PoolSpec
from vemetric.queues.redis import RedisQueue


async def test_a_paused_queue_takes_jobs_and_gives_none_away(queue, put, claim):
    await put("a")
    await queue.pause("line")
    await put("b")
    await put("c", line="other")
    assert await claim() == []
    assert await claim(line="other") == ["c"]
    assert [(one.queue, one.ready) for one in await queue.stats()] == [("line", 2), ("other", 0)]
    await queue.resume("line")
    assert await claim() == ["a", "b"]


async def test_what_is_claimed_when_a_queue_is_paused_is_finished(queue, put, claim, clock):
    await put("done", "again", "late")
    await claim(3, lease_seconds=60)
    await queue.pause("line")
    await queue.ack([claim.jobs["done"]], Write(jobs=[NewJob("line", b"follows")]))
    await queue.release([claim.jobs["again"]])
    clock.advance(60_000)
    assert await claim() == []
    await queue.resume("line")
    assert await claim() == ["again", "late", "follows"]


async def test_which_queues_are_paused_is_kept_and_can_be_said_twice(opener, tmp_path, clock):
    async with opener(tmp_path, clock) as queue:
        assert await queue.paused() == []
        for name in ("two", "one", "two", "three"):
            await queue.pause(name)
        await queue.resume("three")
        await queue.resume("three")
    async with opener(tmp_path, clock) as queue:
        assert await queue.paused() == ["one", "two"]


async def test_a_wait_for_a_paused_queue_lasts_until_another_process_resumes_it(opener, tmp_path):
    clock = SystemClock()
    async with opener(tmp_path, clock) as here:
        await here.pause("line")
        await here.put(Write(jobs=[NewJob("line", b"a"), NewJob("line", b"b", run_at_ms=clock.now_ms() + 1)]))
        waiting = asyncio.create_task(here.wait("line", 3600))
        # Its second look, after the job that is due, must not end it either.
        await here.wait("line", 0.05)
        assert not waiting.done()
        # A file has one process; a server has many.
        async with opener(tmp_path, clock) as there:
            assert await there.paused() == ["line"]
            await (there if isinstance(here, RedisQueue) else here).resume("line")
            async with asyncio.timeout(30):
                await waiting
        assert len(await here.claim("line", 9, 60)) == 2


async def test_the_workers_of_a_paused_queue_rest_and_go_on(opener, tmp_path):
    clock = SystemClock()
    done = asyncio.Queue()

    async def handle(jobs, lease) -> None:
        for job in jobs:
            done.put_nowait(job.payload)

    async with opener(tmp_path, clock) as queue:
        await queue.pause("line")
        pool = Pool(queue, clock, PoolSpec("line", handle, linger_seconds=0))
        pool.start()
        await queue.put(Write(jobs=[NewJob("line", b"a")]))
        await queue.wait("line", 0.1)
        assert done.empty()
        await queue.resume("line")
        async with asyncio.timeout(30):
            assert await done.get() == b"a"
        await pool.stop(10)
