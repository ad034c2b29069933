"""The canary through the real pipe: it arrives, nobody sees it, and it leaves nothing behind."""

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


async def test_one_is_sent_a_minute_whoever_asks(services_at_noon: Services) -> None:
    services = services_at_noon
    assert await visits.while_working(services, flying.fly(services)) is not None
    assert await flying.fly(services) is None
    services.clock.advance(canary.PERIOD_SECONDS * 1000)
    assert await visits.while_working(services, flying.fly(services)) is not None


async def test_old_ones_are_removed(services_at_noon: Services) -> None:
    services = services_at_noon
    await visits.while_working(services, flying.fly(services))
    services.clock.advance(3 * flying.DAY_MS)
    await visits.while_working(services, flying.fly(services))
    await flying.sweep(services)
    for table in eraser.TABLES:
        statement = f"SELECT count() FROM {table} FINAL WHERE projectId = {canary.PROJECT_ID}"
        assert (await services.engine.lookup(statement))[0][0] <= 1, table


def test_a_start_is_given_time_and_silence_is_told() -> None:
    limit = canary.STALLED_SECONDS * 1000
    assert not canary.is_stalled(None, 1_000, 1_000 + limit)
    assert canary.is_stalled(None, 1_000, 1_001 + limit)
    late = canary.Flight(5_000, 5_000, 0)
    assert not canary.is_stalled(late, 1_000, 5_000 + limit)
    assert canary.is_stalled(late, 1_000, 5_001 + limit)
    # Of an earlier run.
    assert not canary.is_stalled(late, 9_000, 9_000 + limit)
