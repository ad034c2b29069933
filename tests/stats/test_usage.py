"""Events by cycle, from the store."""

from tests.kit import visits
from vemetric.clock import FrozenClock
from vemetric.model import cycle
from vemetric.services import Services
from vemetric.stats import usage
from vemetric.stats.usage import Usage

DAY_MS = 86_400_000


async def test_counts_events_by_cycle_and_remembers_them(services_at_noon: Services, clock: FrozenClock) -> None:
    services, now_ms = services_at_noon, clock.now_ms()
    first, second = [await visits.a_project(services) for _ in range(2)]
    cycles = cycle.latest(now_ms - 400 * DAY_MS, now_ms)
    clock.set(cycles[1].end_ms - 1)
    await visits.event(services, first)
    clock.set(cycles[0].start_ms)
    await visits.event(services, first)
    await visits.event(services, first, "Signup")
    clock.set(now_ms)
    await visits.settle(services)
    counting = Usage(services.engine, clock)
    wanted = {first.id: (2, 1, 0), second.id: (0, 0, 0)}
    assert await counting.events([first.id, second.id], cycles) == wanted
    await visits.event(services, second)
    await visits.settle(services)
    assert await counting.events([first.id, second.id], cycles) == wanted
    clock.advance(usage.CACHE_SECONDS * 1000)
    assert (await counting.events([second.id], cycles))[second.id] == (1, 0, 0)
