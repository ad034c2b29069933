"""What every backend of the queue promises."""

import asyncio

import pytest

from vemetric import errors
from vemetric.clock import SystemClock
from vemetric.queues.job import CLAIM_BYTES_MAX, PAYLOAD_BYTES_MAX, KeySet, NewJob, QueueStats, Write

SECOND_MS = 1_000


async def by_queue(queue) -> dict[str, QueueStats]:
    return {stats.queue: stats for stats in await queue.stats()}


async def test_claims_oldest_first_and_up_to_the_limit(put, claim):
    await put("a", "b")
    await put("c")
    assert await claim(2) == ["a", "b"]
    assert await claim(2) == ["c"]
    assert await claim(2) == []


@pytest.mark.parametrize("lane", [None, "lane"])
@pytest.mark.parametrize(("bytes_over", "taken"), [(0, 4), (1, 3)])
async def test_the_payloads_of_a_claim_are_bounded(queue, lane, bytes_over, taken):
    sizes = [CLAIM_BYTES_MAX // 4 + bytes_over] + [CLAIM_BYTES_MAX // 4] * 5
    jobs = [NewJob("line", bytes(size), order_key=lane) for size in sizes]
    await queue.put(Write(jobs=jobs))
    first = await queue.claim("line", 100, 60)
    assert [len(job.payload) for job in first] == sizes[:taken]
    await queue.ack(first)
    assert [len(job.payload) for job in await queue.claim("line", 100, 60)] == sizes[taken : taken + 4]


async def test_a_job_of_the_largest_size_can_be_claimed(queue):
    jobs = [NewJob("line", bytes(PAYLOAD_BYTES_MAX), order_key="lane") for _ in range(3)]
    await queue.put(Write(jobs=jobs))
    assert len(await queue.claim("line", 100, 60)) == 2


async def test_keeps_bytes_as_they_are(queue):
    payload = bytes(range(256)) * 3
    await queue.put(Write(jobs=[NewJob("line", payload), NewJob("line", b"")]))
    assert [job.payload for job in await queue.claim("line", 9, 60)] == [payload, b""]


async def test_a_claimed_job_tells_what_it_is(queue, clock):
    await queue.put(Write(jobs=[NewJob("line", b"x", key="k", order_key="lane")]))
    clock.advance(5)
    [job] = await queue.claim("line", 9, 60)
    assert (job.queue, job.key, job.order_key) == ("line", "k", "lane")
    assert (job.put_at_ms, job.lease_until_ms) == (clock.now_ms() - 5, clock.now_ms() + 60 * SECOND_MS)
    assert (job.deliveries, job.failures) == (1, 0)


async def test_queues_do_not_see_each_others_jobs(put, claim):
    await put("a", line="one")
    assert await claim(line="other") == []
    assert await claim(line="one") == ["a"]


async def test_an_empty_write_does_nothing(queue):
    await queue.put(Write())
    assert await queue.stats() == []


async def test_who_submits_is_told_once_when_the_write_is_stored(queue, claim):
    told, done = [], asyncio.Event()

    def hear(error: BaseException | None) -> None:
        told.append(error)
        done.set()

    queue.submit(Write(jobs=[NewJob("line", b"a")]), hear)
    assert told == []
    await done.wait()
    assert await claim() == ["a"]
    assert told == [None]


async def test_who_submits_past_the_bound_hears_of_it(opener, tmp_path, clock):
    async with opener(tmp_path, clock, jobs_max=1) as queue:
        told: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        try:
            queue.submit(Write(jobs=[NewJob("line", b"a"), NewJob("line", b"b")]), told.set_result)
        except errors.QueueFull as error:
            # What is known at once is raised.
            told.set_result(error)
        assert isinstance(await told, errors.QueueFull)


async def test_a_live_key_is_put_once(queue, put, claim):
    await put("a")
    await put("a", "a", "b")
    assert await claim() == ["a", "b"]
    await put("a")
    assert await claim() == []
    await queue.ack([claim.jobs["a"]])
    await put("a")
    assert await claim() == ["a"]


async def test_a_key_is_unique_within_its_queue_only(put, claim):
    await put("a", line="one")
    await put("a", line="other")
    assert await claim(line="one") == await claim(line="other") == ["a"]


async def test_the_key_of_a_dead_job_is_free(queue, put, claim):
    await put("a")
    await claim()
    await queue.bury([claim.jobs["a"]], "no")
    await put("a")
    assert await claim() == ["a"]


async def test_a_delayed_job_waits_for_its_time(put, claim, clock):
    await put("later", run_at_ms=clock.now_ms() + 2 * SECOND_MS)
    await put("now", run_at_ms=clock.now_ms())
    assert await claim() == ["now"]
    clock.advance(2 * SECOND_MS - 1)
    assert await claim() == []
    clock.advance(1)
    assert await claim() == ["later"]


async def test_more_jobs_than_one_claim_makes_ready_become_due_at_once(queue, clock):
    due_ms, count = clock.now_ms() + 5, 12_000
    await queue.put(Write(jobs=[NewJob("line", b"", run_at_ms=due_ms) for _ in range(count)]))
    clock.advance(5)
    claimed = [await queue.claim("line", 4_500, 1) for _ in range(4)]
    assert [len(jobs) for jobs in claimed] == [4_500, 4_500, 3_000, 0]
    clock.advance(1_000)
    assert [len(await queue.claim("line", 20_000, 60)) for _ in range(4)] == [5_000, 5_000, 2_000, 0]


async def test_acknowledged_jobs_are_gone(queue, put, claim, clock):
    await put("a", "b")
    await claim()
    await queue.ack(list(claim.jobs.values()))
    clock.advance(3600 * SECOND_MS)
    assert await claim() == []


async def test_an_ack_and_its_write_are_one(queue, put, claim):
    await put("a")
    await claim()
    write = Write(jobs=[NewJob("next", b"b")], keys=[KeySet("k", b"v")], counters={"done": 1})
    await queue.ack([claim.jobs["a"]], write)
    assert await claim(line="next") == ["b"]
    assert await queue.get("k") == b"v"
    assert await queue.counters("done") == {"done": 1}


async def test_an_ack_with_one_lost_lease_does_nothing_at_all(queue, put, claim, clock):
    await put("a", "b")
    await claim(1)
    lost = claim.jobs["a"]
    clock.advance(60 * SECOND_MS)
    assert await claim() == ["a", "b"]
    write = Write(jobs=[NewJob("next", b"x")], keys=[KeySet("k", b"v")], counters={"done": 1})
    with pytest.raises(errors.LeaseLost):
        await queue.ack([claim.jobs["b"], lost], write)
    assert (await by_queue(queue))["line"].claimed == 2
    assert await claim(line="next") == []
    assert await queue.get("k") is None
    assert await queue.counters("") == {}


async def test_a_lease_that_ran_out_is_lost_even_if_nobody_took_the_job(queue, put, claim, clock):
    await put("a")
    await claim(lease_seconds=10)
    clock.advance(10 * SECOND_MS)
    for attempt in (queue.ack([claim.jobs["a"]]), queue.extend([claim.jobs["a"]], 10)):
        with pytest.raises(errors.LeaseLost):
            await attempt
    assert await claim() == ["a"]


async def test_a_job_comes_back_when_its_lease_runs_out(put, claim, clock):
    await put("a")
    await claim(lease_seconds=10)
    clock.advance(10 * SECOND_MS - 1)
    assert await claim() == []
    clock.advance(1)
    assert await claim() == ["a"]
    assert (claim.jobs["a"].deliveries, claim.jobs["a"].failures) == (2, 0)


async def test_the_first_claimer_cannot_touch_what_was_claimed_again(queue, put, claim, clock):
    await put("a")
    await claim(lease_seconds=10)
    lost = claim.jobs["a"]
    clock.advance(10 * SECOND_MS)
    await claim()
    await queue.retry([lost], 0, "no")
    await queue.release([lost])
    await queue.bury([lost], "no")
    with pytest.raises(errors.LeaseLost):
        await queue.extend([lost], 60)
    assert (await by_queue(queue))["line"].claimed == 1
    await queue.ack([claim.jobs["a"]])


async def test_an_extended_lease_lasts_longer(queue, put, claim, clock):
    await put("a")
    await claim(lease_seconds=10)
    clock.advance(9 * SECOND_MS)
    await queue.extend([claim.jobs["a"]], 10)
    assert claim.jobs["a"].lease_until_ms == clock.now_ms() + 10 * SECOND_MS
    clock.advance(9 * SECOND_MS)
    assert await claim() == []
    await queue.ack([claim.jobs["a"]])


async def test_a_retry_waits_and_counts_a_failure(queue, put, claim, clock):
    await put("a")
    await claim()
    await queue.retry([claim.jobs["a"]], 1.5, "boom")
    clock.advance(1_499)
    assert await claim() == []
    clock.advance(1)
    assert await claim() == ["a"]
    assert (claim.jobs["a"].deliveries, claim.jobs["a"].failures) == (2, 1)


async def test_a_release_counts_no_failure_but_the_delivery(queue, put, claim, clock):
    await put("a", "b")
    await claim()
    await queue.release([claim.jobs["a"]])
    await queue.release([claim.jobs["b"]], 1)
    assert await claim() == ["a"]
    clock.advance(SECOND_MS)
    assert await claim() == ["b"]
    assert [(job.deliveries, job.failures) for job in claim.jobs.values()] == [(2, 0), (2, 0)]


async def test_buried_jobs_lie_among_the_dead_until_revived(queue, put, claim, clock):
    await put("a", "b", "c")
    await claim(2)
    await queue.bury([claim.jobs["a"]], "first")
    clock.advance(7)
    await queue.bury([claim.jobs["b"]], "second")
    newest, oldest = await queue.dead("line", 10)
    assert (newest.payload, newest.error, newest.deliveries, newest.failures) == (b"b", "second", 1, 1)
    assert (oldest.payload, oldest.error, oldest.key) == (b"a", "first", "a")
    assert newest.buried_at_ms - oldest.buried_at_ms == 7
    assert newest.put_at_ms == oldest.put_at_ms == clock.now_ms() - 7
    assert await queue.revive([oldest.id, oldest.id, 12345]) == 1
    assert await claim() == ["c", "a"]
    assert (claim.jobs["a"].deliveries, claim.jobs["a"].failures) == (2, 0)
    assert claim.jobs["a"].put_at_ms == oldest.put_at_ms


async def test_the_error_of_a_dead_job_is_cut_at_its_bound(queue, put, claim):
    await put("a", "b")
    await claim()
    await queue.bury([claim.jobs["a"]], "x" * 10_000)
    await queue.bury([claim.jobs["b"]], "x" * 10_001)
    assert [len(job.error) for job in await queue.dead(None, 10)] == [10_000, 10_000]


async def test_a_limit_of_none_claims_none(put, claim):
    await put("a")
    assert await claim(0) == []
    assert await claim(-1) == []


async def test_the_dead_are_listed_in_portions_and_by_queue(queue, put, claim):
    await put("a", "b", "c")
    await put("x", line="other")
    await claim()
    await claim(line="other")
    for name in ("a", "b", "x", "c"):
        await queue.bury([claim.jobs[name]], "no")
    everything = await queue.dead(None, 10)
    assert [job.payload for job in everything] == [b"c", b"x", b"b", b"a"]
    assert [job.payload for job in await queue.dead(None, 2)] == [b"c", b"x"]
    assert [job.payload for job in await queue.dead(None, 10, everything[1].id)] == [b"b", b"a"]
    assert [job.payload for job in await queue.dead("line", 2)] == [b"c", b"b"]


async def test_a_dead_job_whose_key_is_live_again_stays_dead(queue, put, claim):
    await put("a")
    await claim()
    await queue.bury([claim.jobs["a"]], "no")
    await put("a")
    [dead] = await queue.dead(None, 10)
    assert await queue.revive([dead.id]) == 0
    assert (await by_queue(queue))["line"] == QueueStats("line", 1, 0, 0, 1, dead.put_at_ms)


async def test_stats_count_by_state(queue, put, claim, clock):
    start_ms = clock.now_ms()
    await put("dead", "claimed", "retried")
    await claim()
    await queue.bury([claim.jobs["dead"]], "no")
    await queue.retry([claim.jobs["retried"]], 60, "no")
    clock.advance(10)
    await put("ready", "waits", order_key="lane")
    await put("x", line="other", after="ready")
    assert await queue.stats() == [
        QueueStats("line", ready=2, delayed=1, claimed=1, dead=1, oldest_ready_ms=start_ms + 10),
        QueueStats("other", ready=1, delayed=0, claimed=0, dead=0, oldest_ready_ms=None),
    ]
    clock.advance(60 * SECOND_MS)
    assert (await by_queue(queue))["line"].oldest_ready_ms == start_ms


async def test_stats_remember_an_emptied_queue(queue, put, claim):
    await put("a")
    await claim()
    await queue.ack([claim.jobs["a"]])
    assert await queue.stats() == [QueueStats("line", 0, 0, 0, 0, None)]


# The bound


async def test_is_full_at_the_bound_and_takes_again_below_it(opener, tmp_path, clock):
    async with opener(tmp_path, clock, jobs_max=3) as queue:
        await queue.put(Write(jobs=[NewJob("line", b"1"), NewJob("line", b"2"), NewJob("line", b"3")]))
        with pytest.raises(errors.QueueFull):
            await queue.put(Write(jobs=[NewJob("line", b"4")], keys=[KeySet("k", b"v")]))
        assert await queue.get("k") is None
        await queue.put(Write(keys=[KeySet("k", b"v")]))
        jobs = await queue.claim("line", 3, 60)
        with pytest.raises(errors.QueueFull):
            await queue.put(Write(jobs=[NewJob("line", b"4")]))
        await queue.ack(jobs[:1])
        with pytest.raises(errors.QueueFull):
            await queue.put(Write(jobs=[NewJob("line", b"4"), NewJob("line", b"5")]))
        await queue.put(Write(jobs=[NewJob("line", b"4")]))


async def test_what_is_under_way_may_finish_beyond_the_bound(opener, tmp_path, clock):
    async with opener(tmp_path, clock, jobs_max=1) as queue:
        await queue.put(Write(jobs=[NewJob("line", b"1")]))
        jobs = await queue.claim("line", 3, 60)
        await queue.ack(jobs, Write(jobs=[NewJob("next", b"1"), NewJob("next", b"2")]))
        with pytest.raises(errors.QueueFull):
            await queue.put(Write(jobs=[NewJob("line", b"4")]))


async def test_many_at_once_do_not_pass_the_bound(opener, tmp_path, clock):
    async with opener(tmp_path, clock, jobs_max=10) as queue:
        puts = [queue.put(Write(jobs=[NewJob("line", b"%d" % number)])) for number in range(25)]
        results = await asyncio.gather(*puts, return_exceptions=True)
        assert sum(isinstance(result, errors.QueueFull) for result in results) == 15
        assert len(await queue.claim("line", 100, 60)) == 10


async def test_a_put_passed_over_takes_no_room(opener, tmp_path, clock):
    async with opener(tmp_path, clock, jobs_max=3) as queue:
        for _ in range(5):
            await queue.put(Write(jobs=[NewJob("line", b"1", key="same")]))
        await queue.put(Write(jobs=[NewJob("line", b"2"), NewJob("line", b"3")]))
        with pytest.raises(errors.QueueFull):
            await queue.put(Write(jobs=[NewJob("line", b"4")]))


async def test_the_bound_counts_what_an_earlier_process_left(opener, tmp_path, clock):
    async with opener(tmp_path, clock, jobs_max=2) as queue:
        await queue.put(Write(jobs=[NewJob("line", b"1"), NewJob("line", b"2")]))
    async with opener(tmp_path, clock, jobs_max=2) as queue:
        with pytest.raises(errors.QueueFull):
            await queue.put(Write(jobs=[NewJob("line", b"3")]))


# Ordering keys and `after`


async def test_jobs_of_a_lane_come_in_order_in_one_batch(put, claim):
    await put("a1", order_key="a")
    await put("b1", order_key="b")
    await put("a2", order_key="a")
    await put("plain")
    assert await claim() == ["a1", "b1", "a2", "plain"]


async def test_a_lane_has_one_claimer_at_a_time(queue, put, claim):
    await put("a1", "a2", order_key="a")
    assert await claim(1) == ["a1"]
    await put("a3", order_key="a")
    await put("b1", order_key="b")
    assert await claim() == ["b1"]
    await queue.ack([claim.jobs["a1"]])
    assert await claim() == ["a2", "a3"]


async def test_a_lane_waits_for_its_failed_first(queue, put, claim, clock):
    await put("a1", "a2", "a3", order_key="a")
    await claim()
    await queue.retry([claim.jobs["a1"]], 5, "no")
    assert await claim() == []
    await queue.release([claim.jobs["a2"], claim.jobs["a3"]])
    assert await claim() == []
    clock.advance(5 * SECOND_MS)
    assert await claim() == ["a1", "a2", "a3"]


async def test_a_lane_goes_on_when_its_first_is_buried(queue, put, claim):
    await put("a1", "a2", order_key="a")
    await claim(1)
    await queue.bury([claim.jobs["a1"]], "no")
    assert await claim() == ["a2"]


async def test_a_lane_goes_on_when_its_claimer_died(put, claim, clock):
    await put("a1", "a2", "a3", order_key="a")
    assert await claim(2, lease_seconds=5) == ["a1", "a2"]
    clock.advance(5 * SECOND_MS)
    assert await claim() == ["a1", "a2", "a3"]
    assert [claim.jobs[name].deliveries for name in ("a1", "a2", "a3")] == [2, 2, 1]


async def test_an_ack_may_put_into_the_lane_it_empties(queue, put, claim):
    await put("a1", order_key="a")
    await claim()
    await queue.ack([claim.jobs["a1"]], Write(jobs=[NewJob("line", b"a2", key="a2", order_key="a")]))
    assert (await by_queue(queue))["line"].ready == 1
    assert await claim() == ["a2"]


async def test_a_delayed_job_holds_its_lane(put, claim, clock):
    await put("a1", order_key="a", run_at_ms=clock.now_ms() + SECOND_MS)
    await put("a2", order_key="a")
    assert await claim() == []
    clock.advance(SECOND_MS)
    assert await claim() == ["a1", "a2"]


async def test_a_delayed_job_in_the_middle_holds_only_what_follows(queue, put, claim, clock):
    await put("a1", order_key="a")
    await put("a2", order_key="a", run_at_ms=clock.now_ms() + SECOND_MS)
    await put("a3", order_key="a")
    assert await claim() == ["a1"]
    await queue.ack([claim.jobs["a1"]])
    assert await claim() == []
    clock.advance(SECOND_MS)
    assert await claim() == ["a2", "a3"]


async def test_lanes_of_different_queues_are_different(put, claim):
    await put("a1", order_key="a", line="one")
    await put("a2", order_key="a", line="other")
    assert await claim(line="other") == ["a2"]
    assert await claim(line="one") == ["a1"]


async def test_a_repeated_key_does_not_stop_its_lane(queue, put, claim):
    await put("a1", order_key="a")
    await put("a1", "a2", order_key="b")
    assert await claim() == ["a1", "a2"]


async def test_a_long_lane_is_claimed_in_portions_without_a_gap(queue, put, claim):
    names = [f"a{number:03d}" for number in range(100)]
    await put(*names, order_key="a")
    await put("b", order_key="b")
    seen = []
    while claimed := await claim(7):
        seen += [name for name in claimed if name != "b"]
        await queue.ack([claim.jobs[name] for name in claimed])
    assert seen == names


async def test_comes_after_a_job_of_any_queue(queue, put, claim, clock):
    await put("first", line="one")
    await put("second", line="other", after="first")
    assert await claim(line="other") == []
    await claim(line="one")
    assert await claim(line="other") == []
    await queue.retry([claim.jobs["first"]], 5, "no")
    assert await claim(line="other") == []
    clock.advance(5 * SECOND_MS)
    await claim(line="one")
    await queue.ack([claim.jobs["first"]])
    assert await claim(line="other") == ["second"]


async def test_after_a_job_that_is_done_or_was_never_put_is_no_wait(put, claim):
    await put("second", after="never")
    assert await claim() == ["second"]


async def test_after_a_dead_job_is_no_wait(queue, put, claim):
    await put("first")
    await put("second", after="first")
    await claim()
    await queue.bury([claim.jobs["first"]], "no")
    assert await claim() == ["second"]


async def test_after_counts_within_one_write(queue, claim):
    jobs = [NewJob("line", b"first", key="first"), NewJob("line", b"second", after="first")]
    await queue.put(Write(jobs=jobs))
    assert await claim() == ["first"]


async def test_two_jobs_after_each_other_do_not_lock_up(queue, put, claim):
    await put("a", after="b")
    await put("b", after="a")
    assert await claim() == ["a"]
    await queue.ack([claim.jobs["a"]])
    assert await claim() == ["b"]


async def test_waiting_holds_the_lane_too(queue, put, claim):
    await put("first", line="one")
    await put("a1", order_key="a", after="first")
    await put("a2", order_key="a")
    assert await claim() == []
    await claim(line="one")
    await queue.ack([claim.jobs["first"]])
    assert await claim() == ["a1", "a2"]


async def test_delayed_and_after_both_hold(queue, put, claim, clock):
    await put("first", line="one")
    await put("second", after="first", run_at_ms=clock.now_ms() + SECOND_MS)
    clock.advance(SECOND_MS)
    assert await claim() == []
    await claim(line="one")
    await queue.ack([claim.jobs["first"]])
    assert await claim() == ["second"]


# Failing together and alone


async def test_a_bad_write_fails_alone(queue, claim):
    bad = [
        Write(jobs=[NewJob("line", b"bad", key="\ud800")], counters={"n": 1}),
        Write(keys=[KeySet("\ud800", b"v")], jobs=[NewJob("line", b"bad")]),
        Write(counters={"n": 1 << 70}, jobs=[NewJob("line", b"bad")]),
        Write(keys=[KeySet("k", "text")], jobs=[NewJob("line", b"bad")]),
        Write(jobs=[NewJob("line", b"good-looking"), NewJob(None, b"bad")]),
        Write(jobs=[NewJob("line", b"x" * (4 * 1024 * 1024 + 1))]),
    ]
    good = [
        Write(jobs=[NewJob("line", b"good%d" % n)], keys=[KeySet(f"k{n}", b"v")], counters={"n": 1}) for n in range(6)
    ]
    mixed = [write for pair in zip(bad, good, strict=True) for write in pair]
    results = await asyncio.gather(*(queue.put(write) for write in mixed), return_exceptions=True)
    assert [isinstance(result, Exception) for result in results] == [True, False] * 6
    assert sorted(await claim()) == [f"good{n}" for n in range(6)]
    assert await queue.counters("") == {"n": 6}
    assert [key for key, _ in await queue.scan("", 100)] == [f"k{n}" for n in range(6)]


async def test_a_payload_may_have_the_largest_size(queue):
    await queue.put(Write(jobs=[NewJob("line", b"x" * (4 * 1024 * 1024))]))
    [job] = await queue.claim("line", 1, 60)
    assert len(job.payload) == 4 * 1024 * 1024


async def test_an_ack_with_a_bad_write_leaves_the_jobs_claimed(queue, put, claim):
    await put("a")
    await claim()
    with pytest.raises(UnicodeEncodeError):
        await queue.ack([claim.jobs["a"]], Write(jobs=[NewJob("next", b"x")], keys=[KeySet("\ud800", b"v")]))
    assert (await by_queue(queue)).keys() == {"line"}
    await queue.ack([claim.jobs["a"]])


async def test_a_claim_nobody_waits_for_gives_its_jobs_back(queue, put, claim):
    await put("a")
    claiming = asyncio.ensure_future(queue.claim("line", 10, 3600))
    await asyncio.sleep(0)
    claiming.cancel()
    await asyncio.gather(claiming, return_exceptions=True)
    # Calls are served in the order they were made, and the second follows the first's answer.
    while not await claim():
        await queue.counters("")
    assert claim.jobs["a"].deliveries == 2


async def test_a_put_nobody_waits_for_disturbs_nothing(opener, tmp_path, clock):
    async with opener(tmp_path, clock, jobs_max=2) as queue:
        putting = asyncio.ensure_future(queue.put(Write(jobs=[NewJob("line", b"1")])))
        await asyncio.sleep(0)
        putting.cancel()
        await asyncio.gather(putting, return_exceptions=True)
        await queue.put(Write(jobs=[NewJob("line", b"2")]))
        with pytest.raises(errors.QueueFull):
            await queue.put(Write(jobs=[NewJob("line", b"3")]))
        await queue.ack(await queue.claim("line", 9, 60))
        await queue.put(Write(jobs=[NewJob("line", b"3"), NewJob("line", b"4")]))


async def test_a_closed_queue_says_so(opener, tmp_path, clock):
    async with opener(tmp_path, clock) as queue:
        await queue.put(Write(jobs=[NewJob("line", b"1")]))
    for attempt in (queue.put(Write()), queue.get("k"), queue.claim("line", 1, 1)):
        with pytest.raises(errors.Unavailable):
            await attempt


async def test_closing_finishes_what_was_asked(opener, tmp_path, clock):
    async with opener(tmp_path, clock) as queue:
        puts = [asyncio.ensure_future(queue.put(Write(jobs=[NewJob("line", b"%d" % n)]))) for n in range(50)]
        await asyncio.sleep(0)
    await asyncio.gather(*puts)
    async with opener(tmp_path, clock) as queue:
        assert len(await queue.claim("line", 100, 60)) == 50


# Waiting


async def _ends(waiting: "asyncio.Task[None]") -> None:
    async with asyncio.timeout(30):
        await waiting


async def test_a_wait_ends_with_a_put(queue, put):
    waiting = asyncio.create_task(queue.wait("line", 3600))
    await asyncio.sleep(0.01)
    await put("other", line="other")
    assert not waiting.done()
    await put("a")
    await _ends(waiting)


async def test_a_wait_ends_at_once_when_there_is_work(queue, put):
    await put("a")
    await _ends(asyncio.create_task(queue.wait("line", 3600)))


async def test_a_wait_ends_with_its_time(queue):
    await queue.wait("line", 0.01)
    await queue.wait("line", 0)


async def test_a_wait_ends_when_a_job_is_freed(queue, put, claim):
    await put("first", line="one")
    await put("second", after="first")
    await claim(line="one")
    waiting = asyncio.create_task(queue.wait("line", 3600))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await queue.ack([claim.jobs["first"]])
    await _ends(waiting)


async def test_a_wait_ends_when_a_lane_is_freed(queue, claim):
    await queue.put(Write(jobs=[NewJob("line", b"a1", order_key="a"), NewJob("line", b"a2", order_key="a")]))
    await claim(1)
    waiting = asyncio.create_task(queue.wait("line", 3600))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await queue.ack([claim.jobs["a1"]])
    await _ends(waiting)


async def test_a_wait_ends_when_time_makes_a_job_runnable(opener, tmp_path):
    clock = SystemClock()
    async with opener(tmp_path, clock) as queue:
        await queue.put(Write(jobs=[NewJob("line", b"later", run_at_ms=clock.now_ms() + 50)]))
        await _ends(asyncio.create_task(queue.wait("line", 3600)))
        assert len(await queue.claim("line", 10, 0.05)) == 1
        await _ends(asyncio.create_task(queue.wait("line", 3600)))
        assert len(await queue.claim("line", 10, 60)) == 1


async def test_a_wait_ends_when_the_queue_closes(opener, tmp_path, clock):
    async with opener(tmp_path, clock) as queue:
        waiting = asyncio.create_task(queue.wait("line", 3600))
        await asyncio.sleep(0.01)
    async with asyncio.timeout(30):
        with pytest.raises(errors.Unavailable):
            await waiting
