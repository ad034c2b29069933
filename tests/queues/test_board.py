"""What people do to a queue by hand: look, let run, remove. On every backend, and never against who holds a job."""

import itertools

import msgspec
import pytest

from vemetric.queues.job import KeySet, ListedJob, NewJob, State, Write

SECOND_MS = 1_000


async def names(queue, state: State, limit: int = 99, before_id: int | None = None) -> list[str]:
    found = await queue.listed("line", state, limit, before_id)
    return [(await queue.look(job.id)).payload.decode() for job in found]


async def test_jobs_are_listed_by_state_and_page(queue, put, claim, clock):
    await put("held", "a", "b")
    await claim(1)
    await queue.put(Write(jobs=[NewJob("line", name.encode()) for name in "cdefg"]))
    await put("later", run_at_ms=clock.now_ms() + SECOND_MS)
    await put("elsewhere", line="other")
    await put("first", "second", order_key="lane")
    await put("waits", after="held")
    everything = ["waits", "second", "first", *"gfedc", "b", "a"]
    assert await names(queue, State.READY) == everything
    assert await names(queue, State.CLAIMED) == ["held"]
    assert await names(queue, State.DELAYED) == ["later"]
    pages, before_id = [], None
    while page := await queue.listed("line", State.READY, 4, before_id):
        pages += [(await queue.look(job.id)).payload.decode() for job in page]
        before_id = page[-1].id
    assert pages == everything


async def test_a_job_tells_what_it_is(queue, put, claim, clock):
    await put("a", order_key="lane")
    [job] = await queue.listed("line", State.READY, 9)
    assert job == ListedJob(job.id, "line", State.READY, "a", "lane", put_at_ms=clock.now_ms())
    await claim(lease_seconds=60)
    [held] = await queue.listed("line", State.CLAIMED, 9)
    assert (held.id, held.state, held.deliveries) == (job.id, State.CLAIMED, 1)
    assert held.lease_until_ms == clock.now_ms() + 60 * SECOND_MS
    await queue.retry([claim.jobs["a"]], 2, "it broke")
    found = await queue.look(job.id)
    assert (found.state, found.failures, found.error, found.payload) == (State.DELAYED, 1, "it broke", b"a")
    assert found.run_at_ms == clock.now_ms() + 2 * SECOND_MS
    await put("after", after="a")
    waiting = (await queue.listed("line", State.READY, 9))[0]
    assert (waiting.state, waiting.after) == (State.BLOCKED, "a")
    assert await queue.look(job.id + 12345) is None


async def test_looking_claims_nothing(queue, put, claim):
    await put("a")
    [job] = await queue.listed("line", State.READY, 9)
    await queue.look(job.id)
    await claim()
    assert claim.jobs["a"].deliveries == 1


async def test_a_delayed_job_can_be_let_run_at_once(queue, put, claim, clock):
    await put("held")
    await claim()
    await put("later", "blocked", run_at_ms=clock.now_ms() + SECOND_MS)
    await put("also", run_at_ms=clock.now_ms() + SECOND_MS, after="held")
    ids = [job.id for job in await queue.listed("line", State.DELAYED, 9)]
    assert await queue.promote([*ids, ids[0] + 12345]) == 3
    assert await claim() == ["later", "blocked"]
    await queue.ack([claim.jobs["held"]])
    assert await claim() == ["also"]
    assert await queue.promote(ids) == 0


async def test_a_removed_job_is_done_by_nobody(queue, put, claim):
    await put("a", "b", "c")
    [_, b, _] = await queue.listed("line", State.READY, 9)
    [gone] = await queue.discard([b, b, msgspec.structs.replace(b, id=b.id + 12345)])
    assert (gone.id, gone.payload, gone.state) == (b.id, b"b", State.READY)
    assert await queue.look(b.id) is None
    assert await claim() == ["a", "c"]
    await put("b")
    assert await claim() == ["b"]


async def test_one_of_many_put_together_is_removed(queue):
    await queue.put(Write(jobs=[NewJob("line", str(number).encode()) for number in range(9)]))
    found = await queue.listed("line", State.READY, 9)
    assert [job.payload for job in await queue.discard([found[4]])] == [b"4"]
    [stats] = await queue.stats()
    assert stats.ready == 8
    assert [job.payload for job in await queue.claim("line", 99, 60)] == [b"%d" % n for n in range(9) if n != 4]


async def test_what_somebody_holds_stays(queue, put, claim, clock):
    await put("a", order_key="lane")
    await claim()
    [held] = await queue.listed("line", State.CLAIMED, 9)
    assert await queue.discard([held]) == []
    assert await queue.promote([held.id]) == 0
    await queue.ack([claim.jobs["a"]])


@pytest.mark.parametrize("removed", ["first", "second", "third"])
async def test_a_lane_goes_on_without_a_removed_job(queue, put, claim, removed):
    everybody = ["first", "second", "third"]
    await put(*everybody, order_key="lane")
    ids = dict(zip(reversed(everybody), await queue.listed("line", State.READY, 9), strict=True))
    await queue.discard([ids[removed]])
    left = [name for name in everybody if name != removed]
    [stats] = await queue.stats()
    assert stats.ready == 2
    assert await claim(1) == left[:1]
    assert await claim() == []
    await queue.ack([claim.jobs[left[0]]])
    assert await claim() == left[1:]
    [stats] = await queue.stats()
    assert (stats.ready, stats.claimed) == (0, 1)


async def test_a_lane_that_is_held_stays_held(queue, put, claim):
    await put("held", "second", "third", order_key="lane")
    await claim(1)
    second = (await queue.listed("line", State.READY, 9))[1]
    await queue.discard([second])
    assert await claim() == []
    await queue.release([claim.jobs["held"]])
    assert await claim() == ["held", "third"]


async def test_all_of_a_lane_can_go_in_any_order(queue, put, claim):
    for turn, order in enumerate(itertools.permutations(range(3))):
        await put(*(f"{turn}-{n}" for n in range(3)), order_key="lane")
        found = await queue.listed("line", State.READY, 9)
        assert len(await queue.discard([found[n] for n in order])) == 3
        [stats] = await queue.stats()
        assert (stats.ready, stats.delayed, stats.claimed) == (0, 0, 0), order
    await put("a", "b", order_key="lane")
    assert await claim() == ["a", "b"]


async def test_what_waited_for_a_removed_job_runs(queue, put, claim):
    await put("a", "b")
    await put("waits", after="a")
    await put("goes", after="b")
    goes, waits, _, a = await queue.listed("line", State.READY, 9)
    assert [job.state for job in await queue.discard([goes])] == [State.BLOCKED]
    await queue.discard([a])
    assert await claim() == ["b", "waits"]
    assert waits.state is State.BLOCKED


async def test_a_line_is_emptied(queue, put, claim, clock):
    await put("held")
    await claim()
    await queue.put(Write(jobs=[NewJob("line", b"%d" % number) for number in range(50)]))
    await put(*"abc", order_key="lane")
    await put("waits", after="held")
    await put("later", run_at_ms=clock.now_ms() + SECOND_MS)
    gone, before_id = [], None
    while some := await queue.listed("line", State.READY, 7, before_id, with_payloads=True):
        before_id = some[-1].id
        assert await queue.discard(some) == some
        gone += some
    assert {job.payload for job in gone} == {*(b"%d" % number for number in range(50)), b"a", b"b", b"c", b"waits"}
    later = await queue.listed("line", State.DELAYED, 7, with_payloads=True)
    assert [job.payload for job in await queue.discard(later)] == [b"later"]
    [stats] = await queue.stats()
    assert (stats.ready, stats.delayed, stats.claimed) == (0, 0, 1)


async def test_the_bound_counts_what_is_left(opener, tmp_path, clock):
    async with opener(tmp_path, clock, jobs_max=3) as queue:
        await queue.put(Write(jobs=[NewJob("line", b"x")] * 3, keys=[KeySet("k", b"v")]))
        await queue.discard(await queue.listed("line", State.READY, 9))
        await queue.put(Write(jobs=[NewJob("line", b"x")] * 3))


async def test_dead_letters_can_be_thrown_away(queue, put, claim):
    await put("a", "b")
    await claim()
    await queue.bury(list(claim.jobs.values()), "no")
    newest, oldest = await queue.dead("line", 9)
    assert await queue.discard_dead([newest.id, newest.id + 12345]) == [newest.id]
    assert [letter.id for letter in await queue.dead(None, 9)] == [oldest.id]
    [stats] = await queue.stats()
    assert stats.dead == 1


async def test_what_is_removed_is_counted_with_it(queue, put, claim):
    await put(*"abcd")
    d, c, b, a = await queue.listed("line", State.READY, 9)
    await claim(1)
    await queue.release([claim.jobs["a"]])
    names = {a.id: "gone:a", b.id: "gone:bc", c.id: "gone:bc"}
    # One was held since it was looked at, so that nobody can tell what became of it.
    assert [job.payload for job in await queue.discard([a, b, c, d], names)] == [b"b", b"c", b"d"]
    assert await queue.counters("gone:") == {"gone:bc": 2}
    assert await claim() == ["a"]
    await queue.bury([claim.jobs["a"]], "no")
    [letter] = await queue.dead("line", 9)
    for _ in range(2):
        await queue.discard_dead([letter.id], {letter.id: "gone:a"})
    assert await queue.counters("gone:") == {"gone:a": 1, "gone:bc": 2}


async def test_it_tells_what_it_is_kept_in(queue, put):
    await put("a")
    facts = await queue.facts()
    assert facts.kind in ("SQLite", "Redis", "Valkey")
    assert facts.version[0].isdigit()
    assert facts.size > 0
