"""Counters stay few, and what they come to stays the same."""

import pytest

from vemetric import commands
from vemetric.clock import FrozenClock
from vemetric.ingest import counts, jobs
from vemetric.queues.job import Write
from vemetric.services import Services

DAY_MS = 24 * jobs.HOUR_MS


@pytest.fixture
def services(services_at_noon: Services) -> Services:
    return services_at_noon


async def test_old_hours_become_one_counter_and_the_others_stay(services: Services, clock: FrozenClock) -> None:
    now_ms = clock.now_ms()
    kept_ms = now_ms - counts.HOURS_KEPT * jobs.HOUR_MS
    await services.keys.add(
        {
            jobs.accepted_counter(7, now_ms): 1,
            jobs.accepted_counter(7, kept_ms): 2,
            jobs.accepted_counter(7, kept_ms - jobs.HOUR_MS): 4,
            jobs.accepted_counter(7, kept_ms - 500 * DAY_MS): 8,
            jobs.accepted_counter(8, kept_ms - DAY_MS): 16,
            jobs.refused_counter(7, "bot", kept_ms - DAY_MS): 32,
            jobs.refused_counter(7, "bot", kept_ms - 2 * DAY_MS): 64,
            jobs.refused_counter(0, "wrong-token", kept_ms - DAY_MS): 128,
            "other:1": 3,
        }
    )
    before = await commands.run(services, "verify", {})
    expected = {
        jobs.accepted_counter(7, now_ms): 1,
        jobs.accepted_counter(7, kept_ms): 2,
        jobs.accepted_counter(7, 0): 12,
        jobs.accepted_counter(8, 0): 16,
        jobs.refused_counter(7, "bot", 0): 96,
        jobs.refused_counter(0, "wrong-token", 0): 128,
        "other:1": 3,
    }
    for _ in range(2):
        await counts.add_up(services.keys, clock)
        assert await services.keys.counters("") == expected
    assert await commands.run(services, "verify", {}) == before
    clock.advance((counts.HOURS_KEPT + 1) * jobs.HOUR_MS)
    await counts.add_up(services.keys, clock)
    assert await services.keys.counters("accepted:7:") == {jobs.accepted_counter(7, 0): 15}


async def test_many_hours_are_added_up_in_several_writes(
    services: Services, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "COUNTERS_PER_WRITE", 3)
    await services.keys.add({f"accepted:{project}:{hour}": hour for project in (7, 8) for hour in range(1, 11)})
    await counts.add_up(services.keys, clock)
    assert await services.keys.counters("") == {"accepted:7:0": 55, "accepted:8:0": 55}


async def test_adding_up_twice_at_once_loses_and_doubles_nothing(services: Services, clock: FrozenClock) -> None:
    await services.keys.add({"accepted:7:5": 10})
    # What a second process would write that had read the same.
    await services.keys.add({"accepted:7:5": -10, "accepted:7:0": 10})
    await services.keys.add({"accepted:7:5": -10, "accepted:7:0": 10})
    assert sum((await services.keys.counters("accepted:7:")).values()) == 10
    await counts.add_up(services.keys, clock)
    assert await services.keys.counters("accepted:7:") == {"accepted:7:0": 10}


@pytest.mark.parametrize("killed_at", ["remove", "put"])
async def test_what_expired_is_counted_once_wherever_its_removal_was_killed(
    services: Services, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, killed_at: str
) -> None:
    class Killed(BaseException):
        pass

    rows = {7: 3, 8: 2}
    deadly = [killed_at]

    async def count() -> dict[int, int]:
        return dict(rows)

    async def remove() -> None:
        rows.clear()
        if "remove" in deadly:
            raise Killed

    async def put(write: Write) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        if killed_at == "put":
            patched.setattr(services.queue, "put", put)
        with pytest.raises(Killed):
            await counts.expire(services.queue, services.keys, clock, "2025-01", count, remove)
    deadly.clear()
    assert await counts.expire(services.queue, services.keys, clock, "2025-01", count, remove) == 5
    now_ms = clock.now_ms()
    expected = {jobs.expired_counter(7, now_ms): 3, jobs.expired_counter(8, now_ms): 2}
    assert await services.keys.counters(jobs.EXPIRED_PREFIX) == expected
    # Nothing of it is left to be counted once more.
    assert await counts.expire(services.queue, services.keys, clock, "2025-01", count, remove) == 0
    assert await services.keys.counters(jobs.EXPIRED_PREFIX) == expected
