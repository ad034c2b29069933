"""From what is said of users to their rows: made once, changed in order, nothing acknowledged lost on the way."""

import asyncio
from typing import Any

import msgspec
import pytest

from tests.kit import visits
from tests.workers.test_pipeline import rows
from vemetric import workers
from vemetric.clock import FrozenClock
from vemetric.database import identities, projects
from vemetric.ingest import identities as known
from vemetric.ingest import jobs
from vemetric.ingest.hit import EventHit, IdentifyHit, UpdateHit
from vemetric.ingest.identify import Identified
from vemetric.ingest.jobs import CreateUserJob
from vemetric.ingest.who import Sender
from vemetric.model import erasure, geo, ids
from vemetric.model.erasure import Erasure
from vemetric.model.geo import Geo
from vemetric.model.project import Project
from vemetric.model.user import UserData
from vemetric.queues.job import NewJob, Write
from vemetric.queues.lease import Lease
from vemetric.services import Services
from vemetric.workers import first_event, update_user, user_rows

MERGE_MS = jobs.MERGE_DELAY_MS
# Of a text that is the only value, named by one letter.
DATA_TEXT_MAX = user_rows.USER_DATA_BYTES_MAX - len('{"a":""}')


async def identify(
    services: Services,
    project: Project,
    identifier: str,
    who: Sender | None = None,
    place: Geo = geo.UNKNOWN,
    **said: Any,
) -> Identified:
    hit = IdentifyHit(identifier, **said)
    return await services.users.identify(hit, project, who or visits.sender(project), place)


async def update(services: Services, project: Project, who: Sender | None = None, **said: Any) -> bool:
    return await services.users.update(UpdateHit(**said), project, who or visits.sender(project))


async def users(services: Services, project: Project, columns: str = "identifier, displayName, customData") -> Any:
    return await rows(services, project.id, "user", columns)


async def data_of(services: Services, project: Project) -> Any:
    [[text]] = await users(services, project, "customData")
    return msgspec.json.decode(text)


async def run(services: Services, queue: str) -> int:
    """Let only one queue's worker run."""
    claimed = await services.queue.claim(queue, 100, 60)
    if claimed:
        write = await workers.handlers(services)[queue](claimed, Lease(services.clock, claimed[0].lease_until_ms))
        await services.queue.ack(claimed, write)
    return len(claimed)


async def test_an_identified_visitor_keeps_history_and_source(services_at_noon: Services, clock: FrozenClock) -> None:
    services = services_at_noon
    project = await visits.a_project(services, "mysite.example")
    await visits.event(services, project, url="https://mysite.example/?utm_campaign=x", referrer="https://chatgpt.com/")
    await visits.settle(services)
    clock.advance(5_000)
    await identify(
        services, project, "ada", place=Geo("AT", "Vienna", 1.5, 2.5), display_name="Ada", avatar_url="https://a/b.png",
        data=UserData(set={"plan": "pro", "k": 1}, set_once={"k": 2, "first": True}, unset=["plan"]),
    )  # fmt: skip
    await visits.settle(services)
    columns = "identifier, displayName, avatarUrl, toString(createdAt), toString(firstSeenAt), countryCode, referrer, "
    assert await users(services, project, columns + "pathname, utmCampaign, initialDeviceId != 0, userAgent") == [
        [
            *("ada", "Ada", "https://a/b.png", "2026-03-10 12:00:05.000", "2026-03-10 12:00:00.000", "AT", "ChatGPT"),
            *("/", "x", 1, visits.CHROME),
        ]
    ]
    assert await data_of(services, project) == {"k": 1, "first": True}


async def test_updates_are_merged_by_one_rule_on_first_and_later_calls(services_at_noon: Services) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    await identify(services, project, "u", data=UserData(set={"a": 1}))
    await update(services, project, data=UserData(set={"b": 2}, set_once={"a": 9, "c": 3}))
    await update(services, project, display_name="Name", avatar_url="x", data=UserData(unset=["a"]))
    await visits.settle(services)
    assert await data_of(services, project) == {"b": 2, "c": 3}
    assert await users(services, project, "displayName, avatarUrl") == [["Name", "x"]]
    await update(services, project, display_name="", avatar_url="")
    await visits.settle(services)
    assert await users(services, project, "displayName, avatarUrl") == [["", ""]]


async def test_a_page_repeating_a_name_does_not_bring_it_back(services_at_noon: Services) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    page, server = visits.sender(project, identifier="u"), visits.sender(project, user_identifier="u")
    await identify(services, project, "u", display_name="Ada")
    await update(services, project, display_name="Ada L")
    for who, name, expected in ((page, "Ada", "Ada L"), (server, "", "Ada L"), (server, "Ada M", "Ada M")):
        hit = EventHit(name="Bought", display_name=name)
        await services.intake.event(hit, project, who, jobs.pack_headers({}), geo.UNKNOWN)
        await visits.settle(services)
        assert await users(services, project, "displayName") == [[expected]]


async def test_an_update_waits_for_the_user_to_be_made(services_at_noon: Services) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    await identify(services, project, "u", data=UserData(set={"a": 1}))
    await update(services, project, data=UserData(set={"a": 2}))
    assert await run(services, jobs.UPDATE_USER_QUEUE) == 0
    creating = await services.queue.claim(jobs.CREATE_USER_QUEUE, 10, 60)
    await services.queue.retry(creating, 0, "a failure of the first try")
    await visits.settle(services)
    assert await data_of(services, project) == {"a": 2}


async def test_what_was_said_of_a_visitor_counts_once_there_is_a_name(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    await update(services, project, display_name="Early", data=UserData(set={"a": 1, "b": 1}, set_once={"c": 1}))
    await visits.settle(services)
    assert await users(services, project) == []
    clock.advance(1_000)
    await identify(services, project, "u", data=UserData(set={"b": 2}, set_once={"c": 2}))
    await visits.settle(services)
    assert await data_of(services, project) == {"a": 1, "b": 2, "c": 1}
    await update(services, project, data=UserData(unset=["a"]))
    await visits.settle(services)
    assert await data_of(services, project) == {"b": 2, "c": 1}, "what was kept counts once"


async def test_what_was_said_of_a_visitor_needs_nothing_more_to_be_said(services_at_noon: Services) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    await update(services, project, display_name="Early")
    await visits.settle(services)
    await identify(services, project, "u")
    await visits.settle(services)
    assert await users(services, project, "displayName") == [["Early"]]


async def test_what_was_said_of_a_visitor_goes_to_the_user_it_turns_out_to_be(services_at_noon: Services) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    phone = visits.sender(project, user_agent=visits.IPHONE)
    await identify(services, project, "kim", data=UserData(set={"plan": "pro"}))
    await visits.settle(services)
    await update(services, project, phone, data=UserData(set_once={"plan": "free", "phone": True}))
    await visits.settle(services)
    await identify(services, project, "kim", phone)
    await visits.settle(services)
    assert await data_of(services, project) == {"plan": "pro", "phone": True}


async def test_only_so_much_is_kept_of_a_visitor(services_at_noon: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    services = services_at_noon
    monkeypatch.setattr(update_user, "KEPT_BYTES_MAX", 200)
    project = await visits.a_project(services)
    await update(services, project, data=UserData(set={"a": "x" * 50}))
    await visits.settle(services)
    await update(services, project, data=UserData(set={"b": "x" * 150}))
    await visits.settle(services)
    await identify(services, project, "u")
    await update(services, project, data=UserData(set={"c": 1}))
    await visits.settle(services)
    assert await data_of(services, project) == {"a": "x" * 50, "c": 1}


@pytest.mark.parametrize(("length", "is_kept"), [(DATA_TEXT_MAX, True), (DATA_TEXT_MAX + 1, False)])
async def test_a_user_holds_so_much_data_and_no_more(services_at_noon: Services, length: int, is_kept: bool) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    await identify(services, project, "u", display_name="Ann", data=UserData(set={"a": "x" * length}))
    await visits.settle(services)
    [[name, size]] = await users(services, project, "displayName, length(customData)")
    assert (name, size) == ("Ann", user_rows.USER_DATA_BYTES_MAX if is_kept else 2)


async def test_large_numbers_keep_their_digits(services_at_noon: Services) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    await identify(services, project, "u", data=UserData(set={"a": 2**63 + 1, "b": 2**70}))
    await visits.settle(services)
    assert await data_of(services, project) == {"a": 2**63 + 1, "b": 2**70}


async def test_a_user_known_before_any_page_view_is_given_a_source(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    backend = visits.sender(project, user_agent="vemetric-python/0.2.0", user_identifier="ada")
    await visits.event(services, project, "SignUp", who=backend)
    await visits.settle(services)
    assert await users(services, project, "identifier, origin") == [["ada", ""]]
    clock.advance(1_000)
    await visits.event(services, project, path="/landing", place=Geo("AT", "Vienna", 1.5, 2.5))
    await identify(services, project, "ada")
    await visits.settle(services)
    clock.advance(MERGE_MS)
    await visits.settle(services)
    assert await users(services, project, "identifier, pathname, countryCode, city, latitude") == [
        ["ada", "/landing", "AT", "Vienna", 1.5]
    ]


@pytest.mark.parametrize("has_identifier", [True, False])
async def test_page_views_after_the_first_identification_give_a_source(
    services_at_noon: Services, clock: FrozenClock, has_identifier: bool
) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    await identify(services, project, "ada")
    await visits.settle(services)
    clock.advance(1_000)
    who = visits.sender(project, identifier="ada" if has_identifier else None)
    await visits.event(services, project, path="/later", who=who)
    await visits.settle(services)
    assert await users(services, project, "pathname") == [["/later"]]


async def test_a_page_view_under_way_while_its_user_is_made_gives_a_source(services_at_noon: Services) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    await visits.event(services, project, path="/landing")
    viewing = await services.queue.claim(jobs.EVENT_QUEUE, 10, 600)
    await identify(services, project, "ada")
    await visits.settle(services)
    await services.queue.release(viewing)
    await visits.settle(services)
    assert await users(services, project, "pathname") == [["/landing"]]


async def test_events_of_a_user_identified_a_moment_later_carry_the_identity(services_at_noon: Services) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    await visits.event(services, project)
    await identify(services, project, "ada", display_name="Ada")
    await run(services, jobs.EVENT_QUEUE)
    await visits.settle(services)
    assert await rows(services, project.id, "event", "userIdentifier") == [["ada"]]
    assert await rows(services, project.id, "session", "userIdentifier") == [["ada"]]


async def test_a_second_browser_becomes_the_same_user(services_at_noon: Services, clock: FrozenClock) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    phone = visits.sender(project, user_agent=visits.IPHONE)
    await visits.event(services, project, path="/desk")
    await visits.event(services, project, path="/phone", who=phone)
    first = await identify(services, project, "kim")
    second = await identify(services, project, "kim", phone)
    assert first.user_id == second.user_id
    await visits.settle(services)
    clock.advance(MERGE_MS)
    await visits.settle(services)
    assert await rows(services, project.id, "event", "userId, pathname") == [
        [first.user_id, "/desk"], [first.user_id, "/phone"]
    ]  # fmt: skip
    assert await users(services, project, "identifier, pathname") == [["kim", "/desk"]]


async def test_racing_identifications_of_one_identifier_give_one_user(services_at_noon: Services) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    browsers = [visits.sender(project, ip=f"203.0.113.{n}") for n in range(20)]
    identified = await asyncio.gather(*(identify(services, project, "kim", browser) for browser in browsers))
    assert len({each.user_id for each in identified}) == 1
    await visits.settle(services)
    assert len(await users(services, project)) == 1


async def test_one_browser_and_two_names_at_once_are_two_users(services_at_noon: Services) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    identified = await asyncio.gather(
        *(identify(services, project, name, data=UserData(set={"name": name})) for name in ("ann", "bob"))
    )
    assert len({each.user_id for each in identified}) == 2
    await visits.settle(services)
    found = await users(services, project, "identifier, JSONExtractString(customData, 'name')")
    assert found == [["ann", "ann"], ["bob", "bob"]]


@pytest.mark.parametrize("of_visitor", [True, False])
async def test_an_identification_behind_another_process_is_finished_by_a_worker(
    services_at_noon: Services, clock: FrozenClock, of_visitor: bool
) -> None:
    """The other process has the turn and is slow: its job comes, before or after ours, and both are one user."""
    services = services_at_noon
    project = await visits.a_project(services)
    now_ms = clock.now_ms()
    other_id = ids.new_user_id()
    lock = known.turn_of_identifier(project.id, "kim")
    await services.keys.set_if_absent(lock, b"another process", now_ms + 60_000)
    visitor = visits.sender(project, allow_cookies=not of_visitor)
    await visits.event(services, project, path="/here")
    mine = await identify(services, project, "kim", visitor, data=UserData(set={"mine": 1}))
    assert (mine.is_running, mine.new_cookie_user_id) == (True, None)
    others = CreateUserJob(project.id, other_id, "kim", now_ms, geo.UNKNOWN, "Kim", "")
    async with services.database.begin() as connection:
        await identities.insert_if_absent(connection, project.id, other_id, "kim", now_ms)
    await services.queue.put(Write(jobs=[jobs.create_job(others)]))
    await visits.settle(services)
    clock.advance(MERGE_MS)
    await visits.settle(services)
    assert await users(services, project, "id, identifier") == [[other_id, "kim"]]
    assert await data_of(services, project) == {"mine": 1}
    expected = other_id if of_visitor else (await rows(services, project.id, "event", "userId"))[0][0]
    assert await rows(services, project.id, "event", "userId") == [[expected]]


async def test_the_next_person_at_a_browser_is_made_behind_another_process_too(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    """The job that makes the one before still waits; a process died while it had the turn of the next one's name."""
    services = services_at_noon
    project = await visits.a_project(services)
    await identify(services, project, "ann")
    lock = known.turn_of_identifier(project.id, "bob")
    await services.keys.set_if_absent(lock, b"a process that died", clock.now_ms() + 60_000)
    assert (await identify(services, project, "bob", data=UserData(set={"b": 1}))).is_running
    await visits.settle(services)
    assert await users(services, project) == [["ann", "", "{}"], ["bob", "", '{"b":1}']]


@pytest.mark.parametrize("names_the_user", [True, False])
async def test_what_is_said_behind_another_process_goes_to_the_user_that_comes_of_it(
    services_at_noon: Services, clock: FrozenClock, names_the_user: bool
) -> None:
    """A process was killed in its turn: both browsers are finished by a worker, with all that was said of them."""
    services = services_at_noon
    project = await visits.a_project(services)
    lock = known.turn_of_identifier(project.id, "kim")
    await services.keys.set_if_absent(lock, b"a process that died", clock.now_ms() + 60_000)
    for browser in (visits.CHROME, visits.IPHONE):
        who = visits.sender(project, user_agent=browser)
        assert (await identify(services, project, "kim", who)).is_running
        speaker = visits.sender(project, user_agent=browser, identifier="kim" if names_the_user else None)
        await update(services, project, speaker, data=UserData(set={browser[:20]: True}))
    await visits.settle(services)
    clock.advance(MERGE_MS)
    await visits.settle(services)
    assert len(await users(services, project)) == 1
    assert await data_of(services, project) == {visits.CHROME[:20]: True, visits.IPHONE[:20]: True}


@pytest.mark.parametrize("killed_after", ["identity", "row"])
async def test_a_user_half_made_is_made_once(services_at_noon: Services, killed_after: str) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    identified = await identify(services, project, "ada", display_name="Ada")
    claimed = await services.queue.claim(jobs.CREATE_USER_QUEUE, 10, 600)
    if killed_after == "identity":
        async with services.database.begin() as connection:
            await identities.insert_if_absent(connection, project.id, identified.user_id, "ada", 0)
    else:
        lease = Lease(services.clock, claimed[0].lease_until_ms)
        await workers.handlers(services)[jobs.CREATE_USER_QUEUE](claimed, lease)
    await services.queue.release(claimed)
    await visits.settle(services)
    assert await users(services, project, "id, identifier, version") == [[identified.user_id, "ada", 1]]


async def test_an_update_done_twice_is_done_once(services_at_noon: Services) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    await identify(services, project, "ada")
    await visits.settle(services)
    await update(services, project, data=UserData(set={"a": 1}, set_once={"b": 1}, unset=["c"]))
    claimed = await services.queue.claim(jobs.UPDATE_USER_QUEUE, 10, 600)
    handler = workers.handlers(services)[jobs.UPDATE_USER_QUEUE]
    for _ in range(2):
        await handler(claimed, Lease(services.clock, claimed[0].lease_until_ms))
    assert await users(services, project, "customData, version") == [['{"b":1,"a":1}', 2]]


async def test_a_user_of_a_project_that_was_deleted_is_not_made(services_at_noon: Services) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    await identify(services, project, "ada", display_name="Ada", data=UserData(set={"a": 1}))
    async with services.database.begin() as connection:
        await projects.delete(connection, project.id)
    await visits.settle(services)
    assert await users(services, project) == []


async def test_a_user_erased_and_identified_again_has_a_row_again(services_at_noon: Services) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    identified = await identify(services, project, "ada", data=UserData(set={"a": 1}))
    await visits.settle(services)
    await services.engine.command(
        "INSERT INTO user SELECT * REPLACE (1 AS deleted, version + 1 AS version) FROM user FINAL "
        "WHERE projectId = {project:UInt64}",
        {"project": project.id},
    )
    async with services.database.begin() as connection:
        await identities.forget(connection, project.id, [identified.user_id], services.clock.now_ms() + 1)
    await services.identities.forget(project.id, [identified.user_id])
    again = await identify(services, project, "ada", data=UserData(set={"b": 1}))
    await visits.settle(services)
    found = await users(services, project, "id, customData, deleted")
    assert found == [[again.user_id, '{"b":1}', 0]]


@pytest.mark.parametrize("whole_project", [True, False])
async def test_erasing_takes_what_waits_and_what_is_kept(
    services_at_noon: Services, clock: FrozenClock, whole_project: bool
) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    visitor = visits.sender(project, user_agent=visits.IPHONE)
    identified = await identify(services, project, "ada", data=UserData(set={"a": "personal"}))
    await update(services, project, visitor, display_name="Kept")
    await run(services, jobs.UPDATE_USER_QUEUE)
    for queue in (jobs.CREATE_USER_QUEUE, jobs.UPDATE_USER_QUEUE):
        await services.queue.bury(await services.queue.claim(queue, 10, 60), "a test")
    [(kept, _)] = await services.keys.scan(f"said:{project.id}:", 10)
    clock.advance(1_000)
    if whole_project:
        async with services.database.begin() as connection:
            await projects.delete(connection, project.id)
    asked = Erasure(project.id, () if whole_project else (identified.user_id, int(kept.rpartition(":")[2])))
    await services.queue.put(Write(jobs=[NewJob(erasure.ERASE_QUEUE, erasure.encode(asked))]))
    await visits.settle(services)
    assert await users(services, project) == []
    assert await services.queue.dead(None, 10) == []
    for prefix in ("said:", "identity:"):
        assert await services.keys.scan(f"{prefix}{project.id}:", 10) == []
    async with services.database.connect() as connection:
        assert await identities.by_identifier(connection, project.id, "ada") is None


async def test_who_comes_back_after_an_erasure_is_made_though_the_first_job_still_waits(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    await identify(services, project, "ada", data=UserData(set={"a": "personal"}))
    waiting = await services.queue.claim(jobs.CREATE_USER_QUEUE, 10, 600)
    clock.advance(1_000)
    gone = [each.user_id for each in map(jobs.decode_create, (job.payload for job in waiting))]
    await services.queue.put(
        Write(jobs=[NewJob(erasure.ERASE_QUEUE, erasure.encode(Erasure(project.id, tuple(gone))))])
    )
    assert await run(services, erasure.ERASE_QUEUE) == 1
    clock.advance(1_000)
    await identify(services, project, "ada", display_name="Ada", data=UserData(set={"b": 1}))
    await services.queue.release(waiting)
    await visits.settle(services)
    assert await users(services, project) == [["ada", "Ada", '{"b":1}']]


async def test_after_a_reset_the_next_at_that_browser_is_somebody_else(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    await visits.event(services, project, path="/before")
    first = await identify(services, project, "one")
    for path in ("/next", "/after"):
        await services.users.reset(project, visits.sender(project))
        clock.advance(1_000)
        await visits.event(services, project, path=path)
    second = await identify(services, project, "two")
    assert second.user_id != first.user_id
    await services.users.reset(project, visits.sender(project))
    again = await identify(services, project, "one")
    assert again.user_id == first.user_id
    await visits.settle(services)
    events = await rows(services, project.id, "event", "pathname, userId")
    assert events == [["/after", second.user_id], ["/before", first.user_id], ["/next", second.user_id]]
    assert [user[0] for user in await users(services, project)] == ["one", "two"]


async def test_a_reset_of_nobody_known_changes_nothing(services_at_noon: Services) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    await visits.event(services, project)
    for who in (visits.sender(project), visits.sender(project, user_agent=None)):
        await services.users.reset(project, who)
    await visits.event(services, project)
    await visits.settle(services)
    assert await rows(services, project.id, "event", "uniqExact(userId)") == [[1]]
    assert await services.keys.scan("reset:", 10) == []


async def test_the_first_event_of_a_project_is_noted(services_at_noon: Services, clock: FrozenClock) -> None:
    services = services_at_noon
    project, empty = await visits.a_project(services), await visits.a_project(services)
    noon_ms = clock.now_ms()
    await visits.event(services, project)
    await run(services, jobs.EVENT_QUEUE)
    clock.advance(1_000)
    await first_event.note(services)
    async with services.database.connect() as connection:
        found = [await projects.by_id(connection, each.id) for each in (project, empty)]
    assert [each and each.first_event_at_ms for each in found] == [noon_ms, None]


def test_quarters_of_hours() -> None:
    assert [first_event.quarterly(ms) for ms in (0, 899_999, 900_000)] == [900_000, 900_000, 1_800_000]


async def test_a_visitor_who_is_being_named_elsewhere_is_not_given_away(
    services_at_noon: Services, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    desk, phone = visits.sender(project), visits.sender(project, user_agent=visits.IPHONE)
    ann = await identify(services, project, "ann", desk)
    await visits.settle(services)
    visitor_id = ids.fingerprint_user_id(project.id, phone.ip, visits.IPHONE, services.salts.pair.current)
    turn = known.turn_of_user(project.id, visitor_id)
    assert await services.keys.set_if_absent(turn, b"another process", services.clock.now_ms() + 60_000)
    take, is_asked_for = services.keys.set_if_absent, asyncio.Event()

    async def take_and_tell(key: str, value: bytes, expires_ms: int) -> bool:
        is_asked_for.set()
        return await take(key, value, expires_ms)

    monkeypatch.setattr(services.keys, "set_if_absent", take_and_tell)
    identifying = asyncio.create_task(identify(services, project, "ann", phone))
    waiting = asyncio.create_task(is_asked_for.wait())
    await asyncio.wait((identifying, waiting), return_when=asyncio.FIRST_COMPLETED)
    job = CreateUserJob(project.id, visitor_id, "bob", services.clock.now_ms(), geo.UNKNOWN, "", "")
    await services.identities.create(job, Write())
    await services.keys.delete(turn)
    assert (await identifying).user_id == ann.user_id
    clock.advance(MERGE_MS)
    assert await services.queue.claim(jobs.MERGE_USER_QUEUE, 10, 60) == []
    await visits.settle(services)
    assert sorted(await users(services, project, "identifier")) == [["ann"], ["bob"]]


async def test_what_is_kept_while_its_user_is_made_is_applied(services_at_noon: Services) -> None:
    """The worker has looked for a row and found none; before its job is done another worker makes the row."""
    services = services_at_noon
    project = await visits.a_project(services)
    who = visits.sender(project)
    hit = UpdateHit(data=UserData(set={"plan": "pro"}))
    assert await services.users.update(hit, project, who)
    claimed = await services.queue.claim(jobs.UPDATE_USER_QUEUE, 10, 600)
    handler = workers.handlers(services)[jobs.UPDATE_USER_QUEUE]
    write = await handler(claimed, Lease(services.clock, claimed[0].lease_until_ms))
    await services.users.identify(IdentifyHit("ann"), project, who, geo.UNKNOWN)
    made = await services.queue.claim(jobs.CREATE_USER_QUEUE, 10, 600)
    makers = workers.handlers(services)[jobs.CREATE_USER_QUEUE]
    await services.queue.ack(made, await makers(made, Lease(services.clock, made[0].lease_until_ms)))
    await services.queue.ack(claimed, write)
    await visits.settle(services)
    sql = "SELECT customData FROM user FINAL WHERE projectId = {project:UInt64} AND deleted = 0"
    assert await services.engine.query(sql, {"project": project.id}) == [['{"plan":"pro"}']]
