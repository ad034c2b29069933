"""A clock that is set wrong and right again: nothing is lost or doubled, and visits go on as far as can be told."""

import pytest

from tests.kit import visits
from tests.workers.test_pipeline import rows
from vemetric import commands, errors, workers
from vemetric.clickhouse.rows import milliseconds
from vemetric.clock import FrozenClock
from vemetric.ingest import jobs
from vemetric.ingest.hit import IdentifyHit
from vemetric.model import geo
from vemetric.model.project import Project
from vemetric.queues.lease import Lease
from vemetric.services import Services

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000


async def no_difference(services: Services) -> int:
    """How many events are stored, once all are."""
    await visits.settle(services)
    told = await commands.run(services, "verify", {})
    assert (told["difference"], told["inQueue"], told["dead"]) == (0, 0, 0)
    stored: int = told["stored"]
    return stored


async def test_an_hour_back_splits_no_visit(services_at_noon: Services, clock: FrozenClock) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    for minutes in (0, 10, -60, 10, 10):
        clock.advance(minutes * MINUTE_MS)
        await visits.event(services, project)
        await visits.leave(services, project)
    assert await no_difference(services) == 5
    [[started, ended, duration]] = await rows(services, project.id, "session", "startedAt, endedAt, duration")
    assert milliseconds(ended) - milliseconds(started) == 10 * MINUTE_MS
    assert duration == 600


async def test_a_day_ahead_and_back_leaves_no_visit_that_lasts_until_then(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    # Known by its cookie: the secrets of the day change meanwhile.
    who = visits.sender(project, cookie_user_id=7, allow_cookies=True)
    for minutes in (0, 24 * 60, -24 * 60, 5, 40):
        clock.advance(minutes * MINUTE_MS)
        await visits.event(services, project, who=who)
        await visits.settle(services)
    assert await no_difference(services) == 5
    found = await rows(services, project.id, "session", "startedAt, duration")
    # Of noon, of the day after; then of noon again, and forty minutes after its last event.
    assert sorted(duration for _, duration in found) == [0, 0, 0, 300]
    assert max(milliseconds(started) for started, _ in found) == clock.now_ms() - 45 * MINUTE_MS + DAY_MS


async def test_a_jump_ahead_ends_a_lease_and_the_batch_comes_again_once(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    for _ in range(3):
        await visits.event(services, project)
    claimed = await services.queue.claim(jobs.EVENT_QUEUE, 10, 60)
    handler = workers.handlers(services)[jobs.EVENT_QUEUE]
    lease = Lease(clock, claimed[0].lease_until_ms)
    write = await handler(claimed[:2], lease)
    clock.advance(DAY_MS)
    # Stored, and then nobody's any more; the third must not be stored under a lease that is over.
    with pytest.raises(errors.LeaseLost):
        await services.queue.ack(claimed[:2], write)
    with pytest.raises(errors.LeaseLost):
        await handler(claimed[2:], lease)
    assert await no_difference(services) == 3


async def test_a_merge_waits_out_an_hour_back(services_at_noon: Services, clock: FrozenClock) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    desk, phone = visits.sender(project), visits.sender(project, user_agent=visits.IPHONE)
    for who in (desk, phone):
        await visits.event(services, project, who=who)
        clock.advance(MINUTE_MS)
        await services.users.identify(IdentifyHit("kim"), project, who, geo.UNKNOWN)
    clock.advance(-HOUR_MS)
    for who in (desk, phone):
        await visits.event(services, project, who=who)
    assert await no_difference(services) == 4
    clock.advance(HOUR_MS + jobs.MERGE_DELAY_MS)
    assert await no_difference(services) == 4
    assert len({user_id for (user_id,) in await rows(services, project.id, "event", "userId")}) == 1


async def test_a_merge_of_a_day_to_come_holds_up_no_other(services_at_noon: Services, clock: FrozenClock) -> None:
    """Else whoever is next at that browser waits for it, and what that one did goes to who was there before."""
    services = services_at_noon
    project = await visits.a_project(services)
    who = visits.sender(project, cookie_user_id=7, allow_cookies=True)
    names = {}
    clock.advance(DAY_MS)
    names["kim"] = await services.users.identify(IdentifyHit("kim"), project, visits.sender(project), geo.UNKNOWN)
    clock.advance(MINUTE_MS)
    await visits.event(services, project, path="/kims", who=who)
    await services.users.identify(IdentifyHit("kim"), project, who, geo.UNKNOWN)
    clock.advance(-DAY_MS)
    await visits.event(services, project, path="/bobs", who=who)
    names["bob"] = await services.users.identify(IdentifyHit("bob"), project, who, geo.UNKNOWN)
    for passed_ms, kims in ((jobs.MERGE_DELAY_MS, who.cookie_user_id), (DAY_MS, names["kim"].user_id)):
        clock.advance(passed_ms)
        assert await no_difference(services) == 2
        found = dict(await rows(services, project.id, "event", "pathname, userId"))
        assert found == {"/kims": kims, "/bobs": names["bob"].user_id}


async def standing_visits(services: Services, project: Project, columns: str) -> list[list[object]]:
    sql = f"SELECT {columns} FROM session FINAL WHERE projectId = {{project:UInt64}} AND deleted = 0 ORDER BY ALL"
    return await services.engine.query(sql, {"project": project.id})


@pytest.mark.parametrize("is_stored_before", [True, False])
async def test_a_visit_of_a_time_to_come_leaves_a_part_with_whom_its_user_is_merged_into(
    services_at_noon: Services, clock: FrozenClock, is_stored_before: bool
) -> None:
    """The visit began by a clock that was ahead and went on by the right one, then its user turned out to be known."""
    services = services_at_noon
    project = await visits.a_project(services)
    desk, phone = visits.sender(project), visits.sender(project, user_agent=visits.IPHONE)
    await visits.event(services, project, who=desk)
    kim = await services.users.identify(IdentifyHit("kim"), project, desk, geo.UNKNOWN)
    await visits.event(services, project, path="/ahead", who=phone)
    clock.advance(-HOUR_MS)
    for path in ("/one", "/two"):
        clock.advance(MINUTE_MS)
        await visits.event(services, project, path=path, who=phone)
    if is_stored_before:
        await no_difference(services)
    await services.users.identify(IdentifyHit("kim"), project, phone, geo.UNKNOWN)
    clock.advance(jobs.MERGE_DELAY_MS)
    if not is_stored_before:
        # Merged first, stored then; both of the visit's times are in one batch.
        claimed = await services.queue.claim(jobs.MERGE_USER_QUEUE, 10, 60)
        write = await workers.handlers(services)[jobs.MERGE_USER_QUEUE](claimed, Lease(clock, clock.now_ms() + 60_000))
        await services.queue.ack(claimed, write)
    assert await no_difference(services) == 4
    for _ in range(2):
        of = f"userId = {kim.user_id}"
        events = await rows(services, project.id, "event", f"{of}, pathname, sessionId")
        assert [event[:2] for event in events] == [[0, "/ahead"], [1, "/"], [1, "/one"], [1, "/two"]]
        columns = f"{of}, id, formatDateTime(startedAt, '%H:%i'), formatDateTime(endedAt, '%H:%i'), duration"
        assert sorted(await standing_visits(services, project, columns)) == sorted(
            [
                [0, events[0][2], "12:00", "12:00", 0],
                [1, events[1][2], "12:00", "12:00", 0],
                [1, events[2][2], "11:01", "11:02", 60],
            ]
        )
        # The part that began later goes on where it is.
        clock.advance(HOUR_MS)
        await visits.settle(services)
