"""The workers of a queue, over the real SQLite queue and the machine's clock."""

import asyncio
import re
from contextlib import asynccontextmanager

import msgspec
import pytest

from vemetric import errors
from vemetric.clock import FrozenClock, SystemClock
from vemetric.queues.history import DAY_MS, PREFIX, TRIED_AGAIN_KEPT_DAYS, History, name_of, this_process
from vemetric.queues.job import CLAIM_BYTES_MAX, PAYLOAD_BYTES_MAX, NewJob, Write
from vemetric.queues.pool import UNAVAILABLE_SECONDS_MAX, Pool, PoolSpec


@pytest.fixture
def clock():
    return SystemClock()


class Shop:
    """A handler that writes down what it was given, and does to a job what its payload says."""

    def __init__(self):
        self.batches = []
        self.handled = asyncio.Event()
        self.trouble = {}

    async def handle(self, jobs, lease):
        names = [job.payload.decode() for job in jobs]
        self.batches.append(names)
        self.handled.set()
        for name in names:
            if self.trouble.get(name):
                raise self.trouble[name].pop()
        return Write(jobs=[NewJob("done", job.payload) for job in jobs])


@pytest.fixture
def shop():
    return Shop()


@pytest.fixture
def spec(shop):
    return PoolSpec("line", shop.handle, linger_seconds=0, backoff_base_seconds=0.001, lease_seconds=60)


@asynccontextmanager
async def running(queue, clock, spec, probe=None):
    pool = Pool(queue, clock, spec, probe) if probe else Pool(queue, clock, spec)
    pool.start()
    try:
        yield pool
    finally:
        await pool.stop(grace_seconds=30)


async def until(condition):
    """Look again and again until the condition holds; a test that waits for ever fails."""
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def the_end(queue):
    """Wait until nothing is left to do in `line`; the names done, in the order they were done."""

    async def is_drained():
        return not any(one.ready + one.claimed + one.delayed for one in await queue.stats() if one.queue == "line")

    await until(is_drained)
    return [job.payload.decode() for job in await queue.claim("done", 10_000, 60)]


async def test_does_what_is_there_and_what_comes(queue, clock, spec, put):
    await put("a", "b")
    async with running(queue, clock, spec):
        await put("c")
        assert await the_end(queue) == ["a", "b", "c"]


async def test_takes_a_backlog_in_full_batches(queue, clock, spec, shop, put, monkeypatch):
    # A batch of several claims, the last of them small.
    monkeypatch.setattr("vemetric.queues.pool.CLAIM_JOBS_MAX", 500)
    names = [f"{number:05d}" for number in range(2 * 500 + 700)]
    await put(*names)
    spec = msgspec.structs.replace(spec, batch_jobs_max=700, linger_seconds=3600)
    async with running(queue, clock, spec) as pool:
        assert await the_end(queue) == names
    assert [len(batch) for batch in shop.batches] == [700, 700, 300]
    assert pool.is_paused is False


async def test_batches_of_large_jobs_are_full_early_and_do_not_linger(queue, clock, spec):
    sizes = []

    async def handle(jobs, lease):
        sizes.append(sum(len(job.payload) for job in jobs))

    await queue.put(Write(jobs=[NewJob("line", bytes(PAYLOAD_BYTES_MAX)) for _ in range(6)]))
    spec = msgspec.structs.replace(spec, handler=handle, linger_seconds=3600)
    async with running(queue, clock, spec):
        await the_end(queue)
    assert sizes == [CLAIM_BYTES_MAX] * 3


async def test_the_first_job_is_taken_at_once_and_the_next_gather(queue, clock, spec, shop, put):
    async with running(queue, clock, msgspec.structs.replace(spec, linger_seconds=0.3)):
        await put("a")
        async with asyncio.timeout(60):
            await shop.handled.wait()
        for name in ("b", "c", "d"):
            await put(name)
        assert await the_end(queue) == ["a", "b", "c", "d"]
    assert shop.batches == [["a"], ["b", "c", "d"]]


async def test_a_guilty_job_is_found_retried_and_buried_and_the_innocent_are_done(queue, clock, spec, shop, put):
    names = [f"job{number}" for number in range(10)]
    shop.trouble = {"job3": [ValueError("boom")] * 100, "job7": [ValueError("once")] * 2}
    await put(*names)
    async with running(queue, clock, msgspec.structs.replace(spec, attempts_max=3)):
        done = await the_end(queue)
    assert sorted(done) == [name for name in names if name != "job3"]
    [dead] = await queue.dead("line", 10)
    assert (dead.payload, dead.failures) == (b"job3", 3)
    assert dead.error.startswith("Traceback")
    assert "ValueError: boom" in dead.error


@pytest.mark.parametrize(("failures", "seconds"), [(0, 1), (1, 2), (2, 4), (3, 8), (4, 16), (11, 2_048), (12, 3_600)])
async def test_the_delay_doubles_with_each_failure(opener, tmp_path, shop, failures, seconds, clock):
    async with opener(tmp_path, clock) as queue:
        await queue.put(Write(jobs=[NewJob("line", b"a")]))
        for _ in range(failures):
            await queue.retry(await queue.claim("line", 1, 60), 0, "no")
        shop.trouble = {"a": [ValueError("boom")]}
        told_seconds = asyncio.get_running_loop().create_future()
        retry = queue.retry

        async def retried(jobs, delay_seconds, error):
            told_seconds.set_result(delay_seconds)
            await retry(jobs, delay_seconds, error)

        queue.retry = retried
        async with running(queue, clock, PoolSpec("line", shop.handle, attempts_max=99)), asyncio.timeout(60):
            assert await told_seconds == seconds


async def test_later_jobs_of_a_lane_do_not_overtake_one_that_failed(queue, clock, spec, shop, put):
    await put("a1", "a2", "a3", order_key="a")
    await put("b1", "b2", order_key="b")
    shop.trouble = {"a2": [ValueError("boom")] * 4}
    async with running(queue, clock, spec):
        done = await the_end(queue)
    assert [name for name in done if name[0] == "a"] == ["a1", "a2", "a3"]
    assert [name for name in done if name[0] == "b"] == ["b1", "b2"]


@pytest.mark.parametrize(
    "error", [errors.StoreBusy("down"), errors.StoreError("code 40, whatever that is"), errors.Unavailable("down")]
)
async def test_a_store_that_is_down_pauses_without_counting(queue, clock, spec, shop, put, error, monkeypatch):
    monkeypatch.setattr("vemetric.queues.pool.PAUSE_SECONDS_MIN", 0.01)
    await put("a", "b")
    shop.trouble = {"a": [error] * 3}
    seen = []
    async with running(queue, clock, spec, probe=_collect(seen)):
        assert await the_end(queue) == ["a", "b"]
    assert shop.batches == [["a", "b"]] * 4
    assert await queue.dead(None, 10) == []


def _collect(seen):
    async def probe(point, queue):
        seen.append((point, queue))

    return probe


async def test_deliveries_rise_while_failures_do_not(queue, clock, put, monkeypatch):
    monkeypatch.setattr("vemetric.queues.pool.PAUSE_SECONDS_MIN", 0.01)
    await put("a")
    seen = []

    async def handle(jobs, lease):
        seen.extend((job.deliveries, job.failures) for job in jobs)
        if len(seen) == 1:
            raise errors.StoreBusy
        if len(seen) == 2:
            raise ValueError("boom")

    async with running(queue, clock, PoolSpec("line", handle, backoff_base_seconds=0.001)):
        await the_end(queue)
    assert seen == [(1, 0), (2, 0), (3, 1)]


async def test_the_pause_grows_up_to_its_bound_and_ends_with_success(queue, clock, spec):
    pool = Pool(queue, clock, spec)
    seconds = []
    for _ in range(7):
        pool._pause(errors.StoreBusy())
        seconds.append(pool._pause_seconds)
    assert seconds == [1, 2, 4, 8, 16, 30, 30]
    assert pool.is_paused


async def test_a_queue_that_cannot_be_written_is_looked_at_again_soon(queue, clock, spec):
    pool = Pool(queue, clock, spec)
    for _ in range(7):
        pool._pause(errors.Unavailable("The disk is full."))
    assert pool._pause_seconds == UNAVAILABLE_SECONDS_MAX


async def test_a_lasting_trouble_is_told_once_and_so_is_its_end(queue, clock, spec, shop, put, caplog, monkeypatch):
    monkeypatch.setattr("vemetric.queues.pool.PAUSE_SECONDS_MIN", 0.01)
    await put("a")
    shop.trouble = {"a": [errors.StoreBusy("down")] * 3}
    async with running(queue, clock, spec):
        await the_end(queue)
    told = [record.getMessage() for record in caplog.records if record.name == "vemetric.queues.pool"]
    assert told == ["The pool of line pauses: down", "The pool of line goes on."]


async def test_leases_that_are_always_too_short_cause_no_hot_loop(queue, clock, spec, shop, put, monkeypatch):
    monkeypatch.setattr("vemetric.queues.pool.PAUSE_SECONDS_MIN", 0.01)
    await put("a")
    shop.trouble = {"a": [errors.LeaseLost()] * 3}
    pauses = []
    pause = Pool._pause

    def noted(pool, *why):
        pause(pool, *why)
        pauses.append(pool._pause_seconds)

    monkeypatch.setattr(Pool, "_pause", noted)
    async with running(queue, clock, spec):
        assert await the_end(queue) == ["a"]
    assert pauses == [0.01, 0.02, 0.04]


async def test_what_happens_to_a_failing_job_is_noted_with_its_stack(queue, clock, spec, shop, caplog):
    shop.trouble["a"] = [ValueError("the second"), ValueError("the first")]
    told = History(queue, clock)
    await queue.put(Write([NewJob("line", b"a")]))
    pool = Pool(queue, clock, msgspec.structs.replace(spec, attempts_max=2), told=told)
    pool.start()
    await until(lambda: queue.dead("line", 9))
    await pool.stop(grace_seconds=30)
    [letter] = await queue.dead("line", 9)
    happened = await told.of(letter)
    assert [one.what for one in happened] == ["failed, attempt 1", "buried, attempt 2"]
    assert [one.error.splitlines()[-1] for one in happened] == ["ValueError: the first", "ValueError: the second"]
    assert {one.by for one in happened} == {this_process()}
    assert re.findall(r"Job \d+ of line (failed|is buried)", caplog.text) == ["failed", "is buried"]


async def test_what_went_well_at_last_is_noted_for_a_short_time_only(queue, clock, spec, shop):
    """Many may fail at once, and nobody can look at what is done."""
    shop.trouble |= {"a": [ValueError("once")], "b": [ValueError("again"), ValueError("once")]}
    days_ago = FrozenClock(clock.now_ms() - (TRIED_AGAIN_KEPT_DAYS * DAY_MS + 60_000))
    told = History(queue, days_ago)
    await queue.put(Write([NewJob("line", b"a"), NewJob("line", b"b")]))
    pool = Pool(queue, clock, msgspec.structs.replace(spec, attempts_max=2), told=told)
    pool.start()
    assert await the_end(queue) == ["a"]
    await until(lambda: queue.dead("line", 9))
    await pool.stop(grace_seconds=30)
    [letter] = await queue.dead("line", 9)
    assert [one.what for one in await told.of(letter)] == ["buried, attempt 2"]
    assert [name for name, _ in await queue.scan(PREFIX, 9)] == [name_of(letter)]


async def test_the_probe_sees_each_point_in_order(queue, clock, spec, put):
    seen = []
    await put("a")
    async with running(queue, clock, spec, probe=_collect(seen)):
        await the_end(queue)
    assert seen == [(point, "line") for point in ("claimed", "handled", "before-ack", "after-ack")]


async def test_a_stop_lets_the_running_batch_finish(queue, clock, put):
    entered, leave = asyncio.Event(), asyncio.Event()

    async def handle(jobs, lease):
        entered.set()
        await leave.wait()
        return Write(jobs=[NewJob("done", job.payload) for job in jobs])

    await put("a")
    pool = Pool(queue, clock, PoolSpec("line", handle))
    pool.start()
    await entered.wait()
    await put("b")
    stopping = asyncio.create_task(pool.stop(grace_seconds=60))
    await asyncio.sleep(0)
    leave.set()
    await stopping
    assert [job.payload for job in await queue.claim("done", 10, 60)] == [b"a"]
    assert [job.payload for job in await queue.claim("line", 10, 60)] == [b"b"]


async def test_a_stop_gives_back_what_takes_longer_than_the_grace(queue, clock, put):
    entered = asyncio.Event()

    async def handle(jobs, lease):
        entered.set()
        await asyncio.Event().wait()

    await put("a")
    pool = Pool(queue, clock, PoolSpec("line", handle))
    pool.start()
    await entered.wait()
    await pool.stop(grace_seconds=0)
    [job] = await queue.claim("line", 10, 60)
    assert (job.deliveries, job.failures) == (2, 0)


async def test_an_idle_pool_stops_at_once(queue, clock, spec):
    pool = Pool(queue, clock, msgspec.structs.replace(spec, workers=3))
    pool.start()
    await asyncio.sleep(0.01)
    async with asyncio.timeout(20):
        await pool.stop(grace_seconds=3600)
    await Pool(queue, clock, spec).stop(grace_seconds=1)


async def test_a_pool_stops_although_a_wait_swallows_its_cancellation(queue, clock, spec, monkeypatch):
    monkeypatch.setattr("vemetric.queues.pool.CANCEL_SECONDS", 0.01)
    waiting = asyncio.Event()

    async def deaf_once(name, timeout_seconds):
        waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()

    monkeypatch.setattr(queue, "wait", deaf_once)
    pool = Pool(queue, clock, spec)
    pool.start()
    await waiting.wait()
    async with asyncio.timeout(20):
        await pool.stop(grace_seconds=3600)


async def test_workers_share_the_work_without_doing_it_twice(queue, clock, spec, put):
    names = [f"{number:03d}" for number in range(500)]
    await put(*names)
    async with running(queue, clock, msgspec.structs.replace(spec, workers=4, batch_jobs_max=7)):
        assert sorted(await the_end(queue)) == names


async def test_a_long_batch_keeps_its_lease(queue, clock, put):
    """The handler runs through several leases; the lease it holds moves on, and nobody else gets the job."""
    calls = []

    async def handle(jobs, lease):
        calls.append(jobs)
        first_ms = lease.until_ms

        async def is_prolonged():
            assert lease.still_held()
            return lease.until_ms >= first_ms + 300

        await until(is_prolonged)

    await put("a")
    async with running(queue, clock, PoolSpec("line", handle, lease_seconds=0.5)):
        await the_end(queue)
    assert len(calls) == 1


async def test_a_handler_learns_that_its_lease_is_gone(queue, clock, put):
    """Its jobs are taken by somebody else, as after a pause of the whole process: it stops and writes nothing."""
    seen = []

    async def handle(jobs, lease):
        if not seen:
            # Somebody who holds the same proof gives the jobs back.
            await queue.release(jobs)

            async def is_lost():
                return not lease.still_held()

            await until(is_lost)
            seen.append(lease.remaining_seconds())
            lease.check()
        seen.append("again")
        return Write(jobs=[NewJob("done", job.payload) for job in jobs])

    await put("a")
    async with running(queue, clock, PoolSpec("line", handle, lease_seconds=0.5, workers=1)):
        assert await the_end(queue) == ["a"]
    assert seen == [0.0, "again"]


async def test_a_lease_must_outlast_the_statement(queue, clock, put):
    asked = []

    async def handle(jobs, lease):
        asked.append((lease.still_held(10), lease.still_held(61)))
        with pytest.raises(errors.LeaseLost):
            lease.check(61)
        lease.check(10)

    await put("a")
    async with running(queue, clock, PoolSpec("line", handle, lease_seconds=60)):
        await the_end(queue)
    assert asked == [(True, False)]


async def test_an_ack_that_finds_no_lease_leaves_the_jobs_to_the_next(queue, clock, put):
    calls = []

    async def handle(jobs, lease):
        calls.append([job.deliveries for job in jobs])
        if len(calls) == 1:
            await queue.release(jobs)
        return Write(jobs=[NewJob("done", job.payload) for job in jobs])

    await put("a")
    async with running(queue, clock, PoolSpec("line", handle)):
        assert await the_end(queue) == ["a"]
    assert calls == [[1], [2]]


async def test_a_pool_outlives_a_queue_that_fails(queue, clock, spec, put, monkeypatch):
    monkeypatch.setattr("vemetric.queues.pool.PAUSE_SECONDS_MIN", 0.01)
    claim, failures = queue.claim, [errors.Unavailable("disk full"), RuntimeError("surprise")]

    async def failing(*arguments):
        if failures:
            raise failures.pop()
        return await claim(*arguments)

    queue.claim = failing
    await put("a")
    async with running(queue, clock, spec):
        assert await the_end(queue) == ["a"]
    assert not failures
