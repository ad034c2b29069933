"""What is noted of a job that goes wrong: it stays the job's through burying and coming back, and has a bound."""

from tests.kit.away import Away
from vemetric.clock import FrozenClock
from vemetric.queues import history
from vemetric.queues.history import DAY_MS, ENTRIES_MAX, ERROR_CHARS_MAX, KEPT_DAYS, History
from vemetric.queues.job import NewJob, State, Write
from vemetric.queues.sqlite import SqliteQueue

LAST = "ValueError: no"


async def test_it_stays_the_jobs_when_its_number_changes(queue: SqliteQueue, clock: FrozenClock) -> None:
    told = History(queue, clock)
    await queue.put(Write([NewJob("line", b"a"), NewJob("line", b"b")]))
    claimed = {job.payload: job for job in await queue.claim("line", 9, 60)}
    await told.note([claimed[b"a"]], "failed, attempt 1", "here:1", LAST)
    clock.advance(1_000)
    await told.note([claimed[b"a"]], "buried, attempt 2", "here:1", LAST)
    await queue.bury([claimed[b"a"]], LAST)
    [letter] = await queue.dead("line", 9)
    assert [(one.what, one.error) for one in await told.of(letter)] == [
        ("failed, attempt 1", LAST),
        ("buried, attempt 2", ""),
    ]
    clock.advance(1_000)
    assert await queue.revive([letter.id]) == 1
    await told.note([letter], history.REVIVED, history.OPERATOR)
    [listed] = await queue.listed("line", State.READY, 9)
    back = await queue.look(listed.id)
    assert back is not None
    happened = await told.of(back)
    assert [one.at_ms - happened[0].at_ms for one in happened] == [0, 1_000, 2_000]
    assert happened[-1].by == history.OPERATOR
    assert await told.of(claimed[b"b"]) == []


async def test_it_has_a_bound_and_an_end(queue: SqliteQueue, clock: FrozenClock) -> None:
    told = History(queue, clock)
    await queue.put(Write([NewJob("line", b"a")]))
    [job] = await queue.claim("line", 9, 60)
    for number in range(ENTRIES_MAX + 5):
        await told.note([job], f"attempt {number}", "here:1", f"{'x' * ERROR_CHARS_MAX}{number}")
    happened = await told.of(job)
    assert [one.what for one in happened] == ["attempt 0", *(f"attempt {n}" for n in range(6, ENTRIES_MAX + 5))]
    assert {len(one.error) for one in happened} == {ERROR_CHARS_MAX}
    clock.advance(KEPT_DAYS * DAY_MS + 1)
    assert await told.of(job) == []


async def test_a_job_goes_its_way_where_nothing_can_be_noted(queue: SqliteQueue, clock: FrozenClock) -> None:
    await queue.put(Write([NewJob("line", b"a")]))
    [job] = await queue.claim("line", 9, 60)
    await History(Away(queue, lambda _: True), clock).note([job], "failed", "here:1")
