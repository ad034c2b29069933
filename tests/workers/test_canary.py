"""The canary through the real pipe: it arrives, nobody sees it, and it leaves nothing behind."""

import asyncio
from datetime import UTC, datetime

from tests.kit import visits
from vemetric import commands
from vemetric.clickhouse import eraser
from vemetric.model import canary
from vemetric.services import Services
from vemetric.workers import canary as flying


async def test_it_arrives_and_counts_nowhere(services_at_noon: Services) -> None:
    services = services_at_noon
    before = await commands.run(services, "verify", {})
    flown = await visits.while_working(services, flying.fly(services))
    assert flown is not None
    assert (flown.sent_ms, flown.arrived_ms) == (services.clock.now_ms(), services.clock.now_ms())
    assert await flying.last_flight(services) == flown
    assert await commands.run(services, "verify", {}) == before
    # Nor while it waits in line, or is dead.
    services.clock.advance(canary.PERIOD_SECONDS * 1000)
    flying_on = asyncio.create_task(flying.fly(services))
    while not (held := await services.queue.claim("event", 9, 60)):  # noqa: ASYNC110 - another task puts it
        await asyncio.sleep(0.01)
    assert await commands.run(services, "verify", {}) == before
    await services.queue.bury(held, "It broke.")
    assert await commands.run(services, "verify", {}) == before
    flying_on.cancel()
    await asyncio.gather(flying_on, return_exceptions=True)


async def test_one_is_sent_a_minute_whoever_asks(services_at_noon: Services) -> None:
    services = services_at_noon
    assert await visits.while_working(services, flying.fly(services)) is not None
    assert await flying.fly(services) is None
    services.clock.advance(canary.PERIOD_SECONDS * 1000)
    assert await visits.while_working(services, flying.fly(services)) is not None


async def test_old_ones_are_removed_and_nothing_is_written_anew_for_it(services_at_noon: Services) -> None:
    services = services_at_noon
    for _ in range(flying.KEPT_DAYS + 1):
        await visits.while_working(services, flying.fly(services))
        services.clock.advance(flying.DAY_MS)
    await visits.while_working(services, flying.fly(services))
    [[changes]] = await services.engine.lookup("SELECT count() FROM system.mutations")
    await flying.sweep(services)
    assert await services.engine.lookup("SELECT count() FROM system.mutations") == [[changes]]
    for table in eraser.TABLES:
        statement = f"SELECT count() FROM {table} FINAL WHERE projectId = {canary.PROJECT_ID}"
        assert (await services.engine.lookup(statement))[0][0] <= flying.KEPT_DAYS, table


def test_a_day_has_a_month_that_no_event_of_anybody_lies_in() -> None:
    days = [day * flying.DAY_MS for day in range(20_000, 20_400)]
    for now_ms in days:
        stored = datetime.fromtimestamp(flying.as_stored_ms(now_ms + 5_000) / 1000, UTC)
        assert (stored.year, stored.month, stored.second) == (flying.YEAR, flying.month_of(now_ms), 5)
        neighbours = {flying.month_of(now_ms + days_on * flying.DAY_MS) for days_on in range(12)}
        assert len(neighbours) == len(flying.MONTHS)


def test_a_start_is_given_time_and_silence_is_told() -> None:
    limit = canary.STALLED_SECONDS * 1000
    assert not canary.is_stalled(None, 1_000, 1_000 + limit)
    assert canary.is_stalled(None, 1_000, 1_001 + limit)
    late = canary.Flight(5_000, 5_000, 0)
    assert not canary.is_stalled(late, 1_000, 5_000 + limit)
    assert canary.is_stalled(late, 1_000, 5_001 + limit)
    # Of an earlier run.
    assert not canary.is_stalled(late, 9_000, 9_000 + limit)
