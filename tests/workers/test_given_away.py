"""Who comes next at a browser whose visitor turned out to be a known user is somebody else from the first moment.

What the visitor did until a merge, and a little longer, goes to the known user: nothing that bears another name may.
"""

import pytest

from tests.kit import visits
from tests.workers.test_pipeline import rows
from tests.workers.test_users import identify, run, users
from vemetric import workers
from vemetric.clock import FrozenClock
from vemetric.database import identities
from vemetric.ingest import identities as known
from vemetric.ingest import jobs
from vemetric.ingest.batch import Dated, OfSender
from vemetric.ingest.hit import BatchHit, UpdateHit
from vemetric.ingest.jobs import CreateUserJob
from vemetric.ingest.who import Sender
from vemetric.model import geo, ids
from vemetric.model.project import Project
from vemetric.model.user import UserData
from vemetric.queues.job import Write
from vemetric.queues.lease import Lease
from vemetric.services import Services

SECOND_MS, HOUR_MS = 1_000, 3_600_000
MERGE_MS = jobs.MERGE_DELAY_MS


async def by_server(services: Services, project: Project, identifier: str, path: str, *, ago_ms: int = 0) -> None:
    """An event that a server sends of a user; in a batch if it is of some time ago."""
    who = visits.sender(project, user_identifier=identifier)
    if not ago_ms:
        await visits.event(services, project, "Bought", path=path, who=who)
        return
    hit = BatchHit(name="Bought", url=f"https://{project.domain}{path}", user_identifier=identifier)
    of = OfSender(project, visits.sender(project), jobs.pack_headers({}), geo.UNKNOWN)
    await services.batches.take([Dated(hit, services.clock.now_ms() - ago_ms, "")], of)


async def whose(services: Services, project: Project) -> dict[str, str]:
    """By path the name of the user whose the event is; '' for one without a name."""
    named = dict(await users(services, project, "id, identifier"))
    events = await rows(services, project.id, "event", "pathname, userId")
    return {path: named.get(user_id, "") for path, user_id in events}


async def done(services: Services, clock: FrozenClock) -> None:
    for _ in range(2):
        await visits.settle(services)
        clock.advance(MERGE_MS)
    await visits.settle(services)


async def a_visitor_given_to(services: Services, project: Project, clock: FrozenClock, who: Sender) -> int:
    """Ann is known; her other browser looks around, and says who she is. Her user."""
    ann = await identify(services, project, "ann", visits.sender(project, ip="203.0.113.99"))
    clock.advance(HOUR_MS)
    await visits.event(services, project, path="/before", who=who)
    clock.advance(SECOND_MS)
    assert (await identify(services, project, "ann", who)).user_id == ann.user_id
    clock.advance(SECOND_MS)
    return ann.user_id


@pytest.mark.parametrize(
    ("cookie_user_id", "is_worked", "seconds"), [(None, True, 0), (77, False, 0), (None, False, 60), (77, True, 60)]
)
async def test_the_next_name_at_a_browser_takes_nothing_and_loses_nothing(
    services_at_noon: Services, clock: FrozenClock, cookie_user_id: int | None, is_worked: bool, seconds: int
) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    # Two tabs share a cookie: one may send it as it was before the identification's answer.
    who = visits.sender(project, cookie_user_id=cookie_user_id, allow_cookies=cookie_user_id is not None)
    ann = await a_visitor_given_to(services, project, clock, who)
    if is_worked:
        await visits.settle(services)
    clock.advance(seconds * SECOND_MS)
    if is_worked:
        await visits.settle(services)
    if seconds:
        await visits.event(services, project, path="/since", who=who)
    bob = await identify(services, project, "bob", who, display_name="Bob")
    assert bob.user_id != ann
    await by_server(services, project, "bob", "/now")
    await by_server(services, project, "bob", "/long-ago", ago_ms=HOUR_MS // 2)
    clock.advance(SECOND_MS)
    await done(services, clock)
    await by_server(services, project, "bob", "/late", ago_ms=HOUR_MS)
    await done(services, clock)
    found = await whose(services, project)
    assert found == {"/before": "ann", "/now": "bob", "/long-ago": "bob", "/late": "bob"} | (
        {"/since": "bob"} if seconds else {}
    )
    assert await users(services, project, "identifier, displayName") == [["ann", ""], ["bob", "Bob"]]


async def test_after_a_reset_nothing_at_that_browser_is_of_who_left(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    who = visits.sender(project)
    await a_visitor_given_to(services, project, clock, who)
    await services.users.reset(project, who)
    await visits.event(services, project, path="/next", who=who)
    await identify(services, project, "bob", who)
    await by_server(services, project, "bob", "/now")
    await done(services, clock)
    # Ann was here again; when the merge is long done, whoever leaves has been somebody all the same.
    await services.users.reset(project, who)
    await visits.event(services, project, path="/ann-again", who=who)
    await identify(services, project, "ann", who)
    await done(services, clock)
    await services.users.reset(project, who)
    await visits.event(services, project, path="/stranger", who=who)
    await done(services, clock)
    assert await whose(services, project) == {
        "/before": "ann", "/next": "bob", "/now": "bob", "/ann-again": "ann", "/stranger": ""
    }  # fmt: skip


async def test_what_was_said_before_the_next_name_is_said_of_that_one(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    who = visits.sender(project)
    await a_visitor_given_to(services, project, clock, who)
    await done(services, clock)
    await services.users.update(UpdateHit(data=UserData(set={"plan": "pro"})), project, who)
    await visits.event(services, project, path="/since", who=who)
    await identify(services, project, "bob", who)
    await done(services, clock)
    columns = "identifier, JSONExtractString(customData, 'plan'), pathname"
    assert await users(services, project, columns) == [["ann", "", "/before"], ["bob", "pro", "/since"]]


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_visitor_whose_name_a_worker_finishes_gets_no_other_meanwhile(
    services_at_noon: Services, clock: FrozenClock, is_known: bool
) -> None:
    """Another process has the turn of the first name, and has, or has not, made its user by the time."""
    services = services_at_noon
    project = await visits.a_project(services)
    who = visits.sender(project)
    lock = known.turn_of_identifier(project.id, "kim")
    await services.keys.set_if_absent(lock, b"another process", clock.now_ms() + 600_000)
    await visits.event(services, project, path="/before", who=who)
    assert (await identify(services, project, "kim", who)).is_running
    if is_known:
        async with services.database.begin() as connection:
            await identities.insert_if_absent(connection, project.id, 99, "kim", clock.now_ms())
    await identify(services, project, "bob", who)
    await by_server(services, project, "bob", "/now")
    await done(services, clock)
    assert await whose(services, project) == {"/before": "kim", "/now": "bob"}


async def test_who_lost_the_race_for_a_name_gets_no_other_before_the_merge_is_asked_for(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    who = visits.sender(project)
    visitor_id = ids.fingerprint_user_id(project.id, who.ip, visits.CHROME, services.salts.pair.current)
    async with services.database.begin() as connection:
        await identities.insert_if_absent(connection, project.id, 99, "kim", clock.now_ms())
    job = CreateUserJob(project.id, visitor_id, "kim", clock.now_ms(), geo.UNKNOWN, "", "")
    await services.identities.create(job, Write())
    claimed = await services.queue.claim(jobs.CREATE_USER_QUEUE, 10, 60)
    handler = workers.handlers(services)[jobs.CREATE_USER_QUEUE]
    write = await handler(claimed, Lease(clock, claimed[0].lease_until_ms))
    # The worker has settled whose the name is, and has not yet said that it is done.
    bob = await identify(services, project, "bob", who)
    assert bob.user_id not in (visitor_id, 99)
    await services.queue.ack(claimed, write)
    await by_server(services, project, "bob", "/now")
    await done(services, clock)
    assert await whose(services, project) == {"/now": "bob"}


async def test_of_two_merges_of_a_visitor_the_first_takes_what_was_before_it(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    """The worker that had the first one died with it: its lease is still running when the second one is due."""
    services = services_at_noon
    project = await visits.a_project(services)
    who = visits.sender(project)
    await a_visitor_given_to(services, project, clock, who)
    await visits.settle(services)
    clock.advance(MERGE_MS)
    assert len(await services.queue.claim(jobs.MERGE_USER_QUEUE, 10, 60)) == 1
    await visits.event(services, project, path="/since", who=who)
    await identify(services, project, "bob", who)
    clock.advance(MERGE_MS)
    await visits.settle(services)
    assert await run(services, jobs.MERGE_USER_QUEUE) == 0
    clock.advance(60 * SECOND_MS)
    await done(services, clock)
    assert await whose(services, project) == {"/before": "ann", "/since": "bob"}


async def test_a_visit_that_is_stored_after_its_users_merge_is_parted(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    """What came before the merge and after it waits in line, and is one batch when it is stored at last."""
    services = services_at_noon
    project = await visits.a_project(services)
    who = visits.sender(project)
    ann = await a_visitor_given_to(services, project, clock, who)
    clock.advance(MERGE_MS)
    assert await run(services, jobs.MERGE_USER_QUEUE) == 1
    await visits.event(services, project, path="/after", who=who)
    # Its events move before there is a row of the visit.
    for queue in (jobs.EVENT_QUEUE, jobs.MERGE_USER_QUEUE):
        assert await run(services, queue)
    await visits.settle(services)
    ask = "SELECT userId = {ann:UInt64}, duration FROM session FINAL WHERE projectId = {project:UInt64} AND deleted = 0"
    found = await services.engine.query(f"{ask} ORDER BY ALL", {"project": project.id, "ann": ann})
    assert found == [[0, 2 + MERGE_MS // SECOND_MS], [1, 0]]
    assert await whose(services, project) == {"/before": "ann", "/after": ""}
