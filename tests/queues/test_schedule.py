"""The timetable under a clock that the test moves."""

import asyncio

import pytest

from tests.kit.away import Away
from vemetric import errors
from vemetric.clock import SystemClock
from vemetric.queues import schedule
from vemetric.queues.schedule import DAY_MS, HOUR_MS, LOCK_SECONDS, Entry, Schedule


class Bell:
    """A task that counts its runs, and fails as often as it was told to."""

    def __init__(self):
        self.rings = 0
        self.failures = 0
        self.gate = None
        self.rung = asyncio.Event()

    async def ring(self):
        self.rings += 1
        self.rung.set()
        if self.gate:
            await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise ValueError("cracked")


@pytest.fixture
def bell():
    return Bell()


@pytest.fixture
def timetable(queue, clock, bell):
    return Schedule(queue, clock, [Entry("bell", schedule.daily, bell.ring)])


async def test_runs_when_due_and_not_before(timetable, bell, clock):
    assert await timetable.run_due() == []
    midnight_ms = schedule.daily(clock.now_ms())
    clock.set(midnight_ms - 1)
    assert await timetable.run_due() == []
    clock.set(midnight_ms)
    assert await timetable.run_due() == ["bell"]
    assert await timetable.run_due() == []
    assert bell.rings == 1
    status = (await timetable.status())["bell"]
    assert (status.last_ms, status.due_ms) == (midnight_ms, midnight_ms + DAY_MS)


async def test_what_was_missed_while_down_is_run_once_at_the_start(opener, tmp_path, clock, bell):
    entries = [Entry("bell", schedule.daily, bell.ring)]
    async with opener(tmp_path, clock) as queue:
        await Schedule(queue, clock, entries).run_due()
    clock.advance(5 * DAY_MS)
    async with opener(tmp_path, clock) as queue:
        restarted = Schedule(queue, clock, entries)
        assert await restarted.run_due() == ["bell"]
        assert await restarted.run_due() == []
        assert (await restarted.status())["bell"].due_ms == schedule.daily(clock.now_ms())
    assert bell.rings == 1


async def test_a_new_entry_waits_for_its_first_time(timetable, clock):
    assert await timetable.status() == {}
    assert await timetable.run_due() == []
    assert (await timetable.status())["bell"].due_ms == schedule.daily(clock.now_ms())


async def test_of_two_processes_one_runs_it(queue, clock, bell, timetable):
    other = Schedule(queue, clock, [Entry("bell", schedule.daily, bell.ring)])
    await timetable.run_due()
    clock.advance(DAY_MS)
    bell.gate = asyncio.Event()
    running = asyncio.create_task(timetable.run_due())
    await bell.rung.wait()
    assert await other.run_due() == []
    bell.gate.set()
    assert await running == ["bell"]
    assert await other.run_due() == []
    assert bell.rings == 1


async def test_a_process_that_died_holds_others_up_for_the_lock_only(queue, clock, timetable, bell):
    await timetable.run_due()
    clock.advance(DAY_MS)
    assert await queue.set_if_absent("schedule:bell:lock", b"the dead", clock.now_ms() + LOCK_SECONDS * 1000)
    assert await timetable.run_due() == []
    clock.advance(LOCK_SECONDS * 1000)
    assert await timetable.run_due() == ["bell"]


async def test_an_outage_of_the_keys_does_not_end_the_lock(queue, clock, bell, monkeypatch):
    """Else another process began what this one is still at."""
    monkeypatch.setattr(schedule, "LOCK_RENEWALS", LOCK_SECONDS * 200)
    renewals, renewed = 0, asyncio.Event()

    def is_away(sets):
        nonlocal renewals
        if sets[0].key != "schedule:bell:lock":
            return False
        renewals += 1
        if renewals > 1:
            renewed.set()
        return renewals == 1

    timetable = Schedule(Away(queue, is_away), clock, [Entry("bell", schedule.daily, bell.ring)])
    await timetable.run_due()
    clock.advance(DAY_MS)
    bell.gate = asyncio.Event()
    running = asyncio.create_task(timetable.run_due())
    await bell.rung.wait()
    async with asyncio.timeout(10):
        await renewed.wait()
    bell.gate.set()
    assert await running == ["bell"]


async def test_a_failure_is_noted_and_retried_with_growing_delays(timetable, bell, clock):
    await timetable.run_due()
    clock.advance(DAY_MS)
    bell.failures = 3
    for failures, seconds in ((1, 1), (2, 2), (3, 4)):
        assert await timetable.run_due() == []
        status = (await timetable.status())["bell"]
        assert (status.failures, status.retry_ms, status.error) == (
            failures,
            clock.now_ms() + seconds * 1000,
            "ValueError('cracked')",
        )
        clock.advance(seconds * 1000 - 1)
        assert await timetable.run_due() == []
        assert bell.rings == failures
        clock.advance(1)
    assert await timetable.run_due() == ["bell"]
    status = (await timetable.status())["bell"]
    assert (status.failures, status.error, status.last_ms) == (0, "", clock.now_ms())


@pytest.mark.parametrize(
    ("error", "is_traced"),
    [
        (errors.Unavailable("It is away."), False),
        (errors.StoreBusy("It is away."), False),
        (KeyError("It is away."), True),
    ],
)
async def test_a_store_that_is_away_is_told_in_a_sentence(queue, clock, caplog, error, is_traced):
    async def fail():
        raise error

    timetable = Schedule(queue, clock, [Entry("task", schedule.daily, fail)])
    await timetable.run_due()
    clock.advance(DAY_MS)
    assert await timetable.run_due() == []
    [record] = [record for record in caplog.records if "scheduled task" in record.message]
    assert ("It is away." in record.message) is not is_traced
    assert bool(record.exc_info) is is_traced


async def test_the_delay_between_failures_is_bounded(timetable, bell, clock):
    await timetable.run_due()
    clock.advance(DAY_MS)
    bell.failures = 40
    for _ in range(40):
        await timetable.run_due()
        status = (await timetable.status())["bell"]
        clock.set(status.retry_ms)
    assert bell.rings == 40
    await timetable.run_due()
    assert status.retry_ms - clock.now_ms() <= schedule.BACKOFF_SECONDS_MAX * 1000


async def test_one_failing_entry_does_not_stop_another(queue, clock, bell):
    broken = Bell()
    broken.failures = 1
    both = Schedule(
        queue, clock, [Entry("broken", schedule.hourly, broken.ring), Entry("bell", schedule.hourly, bell.ring)]
    )
    await both.run_due()
    clock.advance(HOUR_MS)
    assert await both.run_due() == ["bell"]


async def test_shorter_periods_take_effect_before_a_long_one_ends(queue, clock, bell, timetable):
    await timetable.run_due()
    hourly = Schedule(queue, clock, [Entry("bell", schedule.hourly, bell.ring)])
    assert await hourly.run_due() == []
    clock.advance(HOUR_MS)
    assert await hourly.run_due() == ["bell"]


@pytest.mark.parametrize(
    ("rule", "ms", "expected"),
    [
        (schedule.daily, 0, DAY_MS),
        (schedule.daily, DAY_MS - 1, DAY_MS),
        (schedule.daily, DAY_MS, 2 * DAY_MS),
        (schedule.hourly, HOUR_MS - 1, HOUR_MS),
        (schedule.hourly, HOUR_MS, 2 * HOUR_MS),
    ],
)
def test_next_times(rule, ms, expected):
    assert rule(ms) == expected


async def test_runs_by_itself_and_stops(opener, tmp_path, bell):
    clock = SystemClock()
    async with opener(tmp_path, clock) as queue:
        rung = asyncio.Event()

        async def ring():
            rung.set()

        timetable = Schedule(queue, clock, [Entry("bell", lambda ms: ms + 20, ring)])
        timetable.start()
        async with asyncio.timeout(60):
            await rung.wait()
        await timetable.stop()
        await timetable.stop()
