"""Looking at the jobs of a queue without taking any: on every backend, whatever state they are in."""

from vemetric.queues.job import NewJob, Write
from vemetric.queues.sqlite_live import PAGE_JOBS


async def live(queue, line="line") -> list[tuple[bytes, int]]:
    return sorted([(job.payload, job.deliveries) async for page in queue.live(line) for job in page])


async def test_tells_each_job_that_is_neither_done_nor_dead_once(queue, clock):
    jobs = [
        NewJob("line", b"plain-1"),
        NewJob("line", b"plain-2"),
        NewJob("line", b"delayed", run_at_ms=clock.now_ms() + 60_000),
        NewJob("line", b"first", key="first"),
        NewJob("line", b"after", after="first"),
        NewJob("line", b"lane-1", order_key="lane"),
        NewJob("line", b"lane-2", order_key="lane"),
        NewJob("other", b"elsewhere"),
    ]
    await queue.put(Write(jobs=jobs))
    everything = {job.payload for job in jobs if job.queue == "line"}
    assert await live(queue) == sorted((payload, 0) for payload in everything)
    claimed = {job.payload: job for job in await queue.claim("line", 100, 60)}
    delivered = {payload: 1 if payload in claimed else 0 for payload in everything}
    assert await live(queue) == sorted(delivered.items())
    await queue.ack([claimed.pop(b"plain-1")])
    await queue.bury([claimed.pop(b"first")], "broken")
    await queue.release(list(claimed.values()))
    del delivered[b"plain-1"], delivered[b"first"]
    assert await live(queue) == sorted(delivered.items())
    assert await live(queue, "other") == [(b"elsewhere", 0)]
    assert await live(queue, "nothing") == []


async def test_a_page_follows_the_other_while_jobs_move(queue):
    names = [str(number).encode() for number in range(2 * PAGE_JOBS + 1)]
    for start in (0, PAGE_JOBS):
        await queue.put(Write(jobs=[NewJob("line", name) for name in names[start : start + PAGE_JOBS]]))
    await queue.put(Write(jobs=[NewJob("line", names[-1], key="last")]))
    seen = []
    async for page in queue.live("line"):
        seen += [job.payload for job in page]
        # Takes bundles apart that were told already, and one that was not.
        await queue.release(await queue.claim("line", 3, 60))
        await queue.retry(await queue.claim("line", 2, 60), 60, "not now")
    assert sorted(seen) == sorted(names)
