"""From an accepted hit to the rows of events, sessions and devices, each once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.kit import visits
from vemetric import errors, workers
from vemetric.clock import FrozenClock
from vemetric.database import salts
from vemetric.database.database import Connection
from vemetric.ingest import jobs
from vemetric.ingest.accept import Left
from vemetric.model.geo import Geo
from vemetric.queues.lease import Lease
from vemetric.services import Services

MINUTE_MS = 60_000


async def rows(services: Services, project_id: int, table: str, columns: str) -> list[list[Any]]:
    sql = f"SELECT {columns} FROM {table} FINAL WHERE projectId = {{project:UInt64}} ORDER BY ALL"
    return await services.engine.query(sql, {"project": project_id})


async def test_a_page_view_becomes_an_event_a_session_and_a_device(services_at_noon: Services) -> None:
    services = services_at_noon
    project = await visits.a_project(services, "shop.example")
    await visits.event(
        services,
        project,
        url="http://www.shop.example/a/?utm_source=x#top",
        place=Geo("AT", "Vienna", 48.2, 16.4),
        referrer="https://www.google.com/",
        data={"n": 1},
    )
    await visits.settle(services)
    events = await rows(
        services,
        project.id,
        "event",
        "sign, name, toString(createdAt), isPageView, origin, pathname, urlHash, utmSource, countryCode, city, "
        "referrer, referrerType, clientName, osName, deviceType, customData",
    )
    assert events == [
        [
            *(1, "$$pageView", "2026-03-10 12:00:00.000", 1, "https://shop.example", "/a", "#top", "x", "AT", "Vienna"),
            *("x", "unknown", "Chrome", "Windows", "desktop", '{"n":1}'),
        ]
    ]
    sessions = await rows(
        services, project.id, "session", "toString(startedAt), duration, pathname, countryCode, utmSource"
    )
    assert sessions == [["2026-03-10 12:00:00.000", 0, "/a", "AT", "x"]]
    devices = await rows(services, project.id, "device", "sign, clientName, osName")
    assert devices == [[1, "Chrome", "Windows"]]


async def test_hits_within_half_an_hour_are_one_visit(services_at_noon: Services, clock: FrozenClock) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    for minutes, path in ((0, "/first"), (29, "/second"), (29, "/third"), (31, "/fourth")):
        clock.advance(minutes * MINUTE_MS)
        await visits.event(services, project, path=path)
    await visits.settle(services)
    sessions = await rows(services, project.id, "session", "pathname, duration")
    assert sessions == [["/first", 58 * 60], ["/fourth", 0]]


async def test_leaving_extends_the_visit(services_at_noon: Services, clock: FrozenClock) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    assert await visits.leave(services, project) is Left.NO_SESSION
    await visits.event(services, project)
    clock.advance(61_400)
    assert await visits.leave(services, project) is Left.EXTENDED
    await visits.settle(services)
    assert await rows(services, project.id, "session", "duration") == [[61]]


async def test_a_leave_waits_for_the_event_that_opened_the_visit(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    await visits.event(services, project)
    opening = await services.queue.claim(jobs.EVENT_QUEUE, 10, 600)
    clock.advance(5_000)
    await visits.leave(services, project)
    await services.queue.retry(opening, 10, "a failure of the first try")
    await visits.settle(services)
    assert await rows(services, project.id, "session", "duration") == []
    clock.advance(10_000)
    await visits.settle(services)
    assert await rows(services, project.id, "session", "duration") == [[5]]


async def test_the_opening_page_stands_even_if_its_job_comes_last(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    await visits.event(services, project, path="/landing")
    opening = await services.queue.claim(jobs.EVENT_QUEUE, 10, 600)
    clock.advance(90_000)
    await visits.event(services, project, path="/second")
    await services.queue.retry(opening, 1, "a failure of the first try")
    await visits.settle(services)
    assert await rows(services, project.id, "session", "pathname, duration") == [["/second", 90]]
    clock.advance(1_000)
    await visits.settle(services)
    assert await rows(services, project.id, "session", "pathname, duration") == [["/landing", 90]]


@pytest.mark.parametrize("was_stored", [True, False])
async def test_a_job_that_comes_again_is_stored_once(services_at_noon: Services, was_stored: bool) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    await visits.event(services, project)
    claimed = await services.queue.claim(jobs.EVENT_QUEUE, 10, 600)
    handler = workers.handlers(services)[jobs.EVENT_QUEUE]
    if was_stored:
        await handler(claimed, Lease(services.clock, claimed[0].lease_until_ms))
    await services.queue.release(claimed)
    await visits.settle(services)
    counted = await services.engine.query(
        "SELECT count(), sum(sign) FROM event WHERE projectId = {project:UInt64}", {"project": project.id}
    )
    assert counted == [[1, 1]]
    assert len(await rows(services, project.id, "session", "id")) == 1
    assert len(await rows(services, project.id, "device", "id")) == 1


async def test_a_worker_that_lost_its_lease_stores_nothing(services_at_noon: Services) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    await visits.event(services, project)
    claimed = await services.queue.claim(jobs.EVENT_QUEUE, 10, 600)
    lease = Lease(services.clock, claimed[0].lease_until_ms)
    lease.is_lost = True
    with pytest.raises(Exception, match="lease"):
        await workers.handlers(services)[jobs.EVENT_QUEUE](claimed, lease)
    assert await rows(services, project.id, "event", "id") == []


async def test_a_server_speaks_of_one_user_by_one_identifier(services_at_noon: Services) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    backend = visits.sender(project, user_agent="vemetric-python/0.2.0", user_identifier="customer-1")
    for _ in range(2):
        await visits.event(services, project, "SignUp", who=backend)
    await visits.settle(services)
    events = await rows(
        services, project.id, "event", "uniqExact(userId), any(userIdentifier), count(), any(clientType)"
    )
    assert events == [[1, "customer-1", 2, "server"]]


async def test_midnight_splits_no_visit(services_at_noon: Services, clock: FrozenClock) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    clock.advance(12 * 60 * MINUTE_MS - 5 * MINUTE_MS)
    await visits.event(services, project)
    clock.advance(10 * MINUTE_MS)
    first = services.salts.pair
    await services.salts.rotate()
    assert services.salts.pair.previous == first.current
    await visits.event(services, project)
    clock.advance(31 * MINUTE_MS)
    await visits.event(services, project)
    await visits.settle(services)
    users = await rows(services, project.id, "event", "uniqExact(userId), uniqExact(sessionId), count()")
    assert users == [[2, 2, 3]]


async def test_a_second_rotation_erases_the_oldest_salt(services_at_noon: Services, clock: FrozenClock) -> None:
    services = services_at_noon
    day_ms = 24 * 60 * MINUTE_MS
    pairs = [services.salts.pair]
    for _ in range(2):
        clock.advance(day_ms)
        await services.salts.rotate()
        await services.salts.rotate()
        pairs.append(services.salts.pair)
    assert pairs[0].previous is None
    assert pairs[1].previous == pairs[0].current
    assert pairs[2].previous == pairs[1].current
    async with services.database.connect() as connection:
        assert [salt.id for salt in await salts.newest(connection, 10)] == [pairs[2].current, pairs[2].previous]


async def test_a_salt_that_was_not_stored_is_not_used(
    services_at_noon: Services, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    services, begin = services_at_noon, services_at_noon.database.begin

    @asynccontextmanager
    async def broken() -> AsyncIterator[Connection]:
        async with begin() as connection:
            yield connection
            raise errors.Unavailable

    before = services.salts.pair
    clock.advance(24 * 60 * MINUTE_MS)
    with monkeypatch.context() as patched:
        patched.setattr(services.database, "begin", broken)
        with pytest.raises(errors.Unavailable):
            await services.salts.rotate()
    assert services.salts.pair == before
    await services.salts.rotate()
    assert services.salts.pair.previous == before.current
