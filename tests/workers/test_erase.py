"""Deleting a project and erasing a user take their rows from the analytics store, and nobody else's."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest

from tests.kit import visits
from vemetric import commands, config, errors, workers
from vemetric import services as opening
from vemetric.accounts import projects, removal
from vemetric.clickhouse import eraser
from vemetric.clickhouse.engine import Engine
from vemetric.clickhouse.sink import KnownUser, UserKey
from vemetric.clock import FrozenClock
from vemetric.database import erasures, identities
from vemetric.ingest import erased, jobs, tap
from vemetric.ingest.hit import IdentifyHit
from vemetric.ingest.identities import CLAIM_PREFIX
from vemetric.ingest.who import Sender
from vemetric.model import erasure, geo, ids
from vemetric.model.erasure import Erasure
from vemetric.model.project import Project
from vemetric.queues.lease import Lease
from vemetric.services import Services


async def rows_left(services: Services, project: Project) -> dict[str, int]:
    """How many rows of the project each table holds."""
    found = {}
    for table in eraser.TABLES:
        sql = f"SELECT count() FROM {table} FINAL WHERE projectId = {{project:UInt64}}"
        [[found[table]]] = await services.engine.query(sql, {"project": project.id})
    return found


class Killed(BaseException):
    """What a process that is killed does not live to see."""


@asynccontextmanager
async def killed_at(
    moment: str, environ: dict[str, str], engine: Engine, clock: FrozenClock
) -> AsyncIterator[Services]:
    """Services whose workers are killed once, at this moment."""
    armed = [moment]

    def probe(reached: str) -> None:
        if reached in armed:
            armed.clear()
            raise Killed

    async with opening.open_services(config.load(environ)[0], clock, engine, probe) as services:
        yield services


async def known_at_a_desk(services: Services) -> tuple[Project, Sender, Sender, int]:
    """A project, Kim's two browsers, and the user that Kim is known as at the first of them."""
    project = await visits.a_project(services)
    desk, phone = visits.sender(project), visits.sender(project, user_agent=visits.IPHONE)
    known = await services.users.identify(IdentifyHit("kim"), project, desk, geo.UNKNOWN)
    return project, desk, phone, known.user_id


async def settle_later(services: Services, clock: FrozenClock) -> None:
    await visits.settle(services)
    clock.advance(erasure.DELAY_MS)
    await visits.settle(services)


async def test_a_deleted_project_leaves_no_rows(services_at_noon: Services, clock: FrozenClock) -> None:
    services = services_at_noon
    gone, kept = [await visits.a_project(services) for _ in range(2)]
    for project in (gone, kept):
        await visits.event(services, project)
        await visits.leave(services, project)
    await visits.settle(services)
    before = await rows_left(services, kept)
    # Accepted, not stored yet when the project is deleted.
    await visits.event(services, gone, "Signup")
    await removal.delete_project(services.database, services.queue, clock, gone.id)
    await settle_later(services, clock)
    assert set((await rows_left(services, gone)).values()) == {0}
    assert await rows_left(services, kept) == before
    assert [project.id for project in await projects.everything(services.database)] == [kept.id]


async def test_of_a_deleted_project_nothing_comes_back_that_was_taken_by_a_clock_ahead(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    """It waited, dead, while the clock was set right; its time was later than that of the erasure: it was stored."""
    services = services_at_noon
    gone = await visits.a_project(services)
    clock.advance(86_400_000)
    await visits.event(services, gone)
    claimed = await services.queue.claim(jobs.EVENT_QUEUE, 10, 60)
    clock.advance(-86_400_000)
    await removal.delete_project(services.database, services.queue, clock, gone.id)
    await settle_later(services, clock)
    await services.queue.release(list(claimed))
    await visits.settle(services)
    assert set((await rows_left(services, gone)).values()) == {0}
    assert await verified(services) == (1, 0, 0, 0, 1, 0)


async def test_an_erased_user_leaves_nothing_of_a_clock_ahead_either(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    who = visits.sender(project)
    user_id = user_of(services, project, who)
    clock.advance(7_200_000)
    await visits.event(services, project, who=who)
    await visits.settle(services)
    clock.advance(-7_200_000)
    await removal.erase_users(services.queue, clock, project.id, [user_id])
    await settle_later(services, clock)
    assert set((await rows_left(services, project)).values()) == {0}
    assert await verified(services) == (1, 0, 0, 0, 1, 0)


async def test_what_waits_of_an_erased_user_by_a_clock_ahead_is_explained_as_erased(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    """In line, dead, or to be tried later: its time was later than that of the erasure, and so it was stored."""
    services = services_at_noon
    project = await visits.a_project(services)
    who = visits.sender(project)
    user_id = user_of(services, project, who)
    clock.advance(7_200_000)
    for name in ("Dead", "Delayed", "Held", "In line"):
        await visits.event(services, project, name, who=who)
    await services.users.identify(IdentifyHit("ada", display_name="Ada"), project, who, geo.UNKNOWN)
    await visits.event(services, project, "Other", who=visits.sender(project, ip="203.0.113.8"))
    dead, delayed, held, *_ = found = await services.queue.claim(jobs.EVENT_QUEUE, 10, 86_400)
    await services.queue.bury([dead], "it failed")
    await services.queue.retry([delayed], 60, "it failed")
    await services.queue.release(found[3:])
    clock.advance(-7_200_000)
    await removal.erase_users(services.queue, clock, project.id, [user_id])
    of_users = [await services.queue.claim(queue, 10, 60) for queue in (jobs.CREATE_USER_QUEUE, jobs.UPDATE_USER_QUEUE)]
    clock.advance(erasure.DELAY_MS)
    [job] = await services.queue.claim(erasure.ERASE_QUEUE, 10, 60)
    write = await workers.handlers(services)[erasure.ERASE_QUEUE]([job], Lease(clock, job.lease_until_ms))
    await services.queue.ack([job], write)
    for waiting in of_users:
        await services.queue.release(waiting)
    clock.advance(7_300_000)
    await services.queue.release([held])
    await settle_later(services, clock)
    assert await verified(services) == (5, 1, 0, 0, 4, 0)
    assert await rows_left(services, project) == {"event": 1, "session": 1, "device": 1, "user": 0}


async def test_a_project_that_was_not_deleted_in_the_end_keeps_its_rows(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    await visits.event(services, project)
    await visits.settle(services)
    before = await rows_left(services, project)
    await removal._put(services.queue, clock, [Erasure(project.id)])
    await settle_later(services, clock)
    assert await rows_left(services, project) == before


async def test_deleting_an_organization_takes_all_its_projects(services_at_noon: Services, clock: FrozenClock) -> None:
    services = services_at_noon
    found = [await visits.a_project(services) for _ in range(2)]
    for project in found:
        await visits.event(services, project)
    await removal.delete_organization(services.database, services.queue, clock, found[0].organization_id)
    await settle_later(services, clock)
    for project in found:
        assert set((await rows_left(services, project)).values()) == {0}
    assert await projects.everything(services.database) == []


@pytest.mark.parametrize("what", ["project", "organization"])
async def test_deleting_while_sites_send_and_workers_store(
    services_at_noon: Services, clock: FrozenClock, what: str
) -> None:
    """Everything that was taken is stored or erased; nothing is left; of two who delete at once one is too late."""
    services, sent = services_at_noon, 0
    gone = await visits.a_project(services)
    is_busy, is_deleted = asyncio.Event(), asyncio.Event()

    async def send(number: int) -> None:
        nonlocal sent
        who = visits.sender(gone, ip=f"203.0.113.{number}")
        while (project := await services.projects.by_token(gone.token)) is not None:
            await visits.event(services, project, who=who)
            sent += 1
            if sent == 40:
                is_busy.set()

    async def store() -> None:
        while not is_deleted.is_set():
            await visits.settle(services)

    async def delete() -> None:
        await is_busy.wait()
        if what == "project":
            await removal.delete_project(services.database, services.queue, clock, gone.id)
        else:
            await removal.delete_organization(services.database, services.queue, clock, gone.organization_id)
        services.projects.forget()

    senders = [asyncio.create_task(send(number)) for number in range(8)]
    storing = asyncio.create_task(store())
    answers = await asyncio.gather(delete(), delete(), return_exceptions=True)
    await asyncio.gather(*senders)
    is_deleted.set()
    await storing
    assert sorted(type(answer).__name__ for answer in answers) == ["NoneType", "NotFound"]
    await settle_later(services, clock)
    assert set((await rows_left(services, gone)).values()) == {0}
    assert await verified(services) == (sent, 0, 0, 0, sent, 0)


async def test_an_erased_user_leaves_no_rows_and_others_stay(services_at_noon: Services, clock: FrozenClock) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    first, second = (visits.sender(project, ip=f"203.0.113.{number}") for number in (1, 2))
    for who in (first, second):
        await visits.event(services, project, who=who)
    await visits.settle(services)
    sql = "SELECT DISTINCT userId FROM event FINAL WHERE projectId = {project:UInt64} ORDER BY 1"
    users = [row[0] for row in await services.engine.query(sql, {"project": project.id})]
    async with services.database.begin() as connection:
        for number, user_id in enumerate(users):
            await identities.insert_if_absent(connection, project.id, user_id, f"user-{number}", 1)
    await removal.erase_users(services.queue, clock, project.id, users[:1])
    await settle_later(services, clock)
    assert [row[0] for row in await services.engine.query(sql, {"project": project.id})] == users[1:]
    async with services.database.connect() as connection:
        assert await identities.by_user(connection, project.id, users[0]) is None
        assert await identities.by_user(connection, project.id, users[1]) == "user-1"
    # Once more changes nothing: the job may be delivered again.
    await removal.erase_users(services.queue, clock, project.id, users[:1])
    clock.advance(erasure.DELAY_MS)
    [job] = await services.queue.claim(erasure.ERASE_QUEUE, 10, 60)
    handler = workers.handlers(services)[erasure.ERASE_QUEUE]
    await handler([job], Lease(clock, job.lease_until_ms))
    assert [row[0] for row in await services.engine.query(sql, {"project": project.id})] == users[1:]


async def verified(services: Services) -> tuple[int, ...]:
    told = await commands.run(services, "verify", {})
    return tuple(told[key] for key in ("accepted", "stored", "inQueue", "dead", "erased", "difference"))


async def test_what_was_accepted_before_and_comes_late_is_dropped_and_explained(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    gone, kept = (visits.sender(project, ip=f"203.0.113.{number}") for number in (1, 2))
    for who in (gone, kept):
        await visits.event(services, project, who=who)
        await visits.leave(services, project, who=who)
    await visits.settle(services)
    await visits.event(services, project, "Buried", who=gone)
    await visits.event(services, project, "Other", who=kept)
    claimed = await services.queue.claim(jobs.EVENT_QUEUE, 10, 60)
    await services.queue.bury(claimed, "it failed")
    await visits.event(services, project, "Waiting", who=gone)
    assert await verified(services) == (5, 2, 1, 2, 0, 0)
    waiting = await services.queue.claim(jobs.EVENT_QUEUE, 10, 600)
    await removal.erase_users(services.queue, clock, project.id, [user_of(services, project, gone)])
    clock.advance(erasure.DELAY_MS)
    await visits.settle(services)
    assert await verified(services) == (5, 1, 1, 1, 2, 0)
    await services.queue.release(waiting)
    await visits.settle(services)
    assert await verified(services) == (5, 1, 0, 1, 3, 0)
    assert await users_rows(services, project) == [[user_of(services, project, kept)]]
    sessions = "SELECT DISTINCT userId FROM session FINAL WHERE projectId = {project:UInt64} AND deleted = 0"
    assert await services.engine.query(sessions, {"project": project.id}) == await users_rows(services, project)
    # Whoever uses that browser next is somebody new, and a restart knows what was erased.
    await visits.event(services, project, who=gone)
    await services.erased.load()
    await visits.settle(services)
    assert await verified(services) == (6, 2, 0, 1, 3, 0)


def user_of(services: Services, project: Project, who: Sender) -> int:
    return ids.fingerprint_user_id(project.id, who.ip, who.user_agent or "", services.salts.pair.current)


async def users_rows(services: Services, project: Project) -> list[list[int]]:
    sql = "SELECT DISTINCT userId FROM event FINAL WHERE projectId = {project:UInt64} ORDER BY 1"
    return await services.engine.query(sql, {"project": project.id})


@pytest.mark.parametrize("moment", ["erase:counted", "erase:removed"])
async def test_killed_anywhere_the_events_are_counted_once(
    environ: dict[str, str], engine: Engine, clock: FrozenClock, moment: str
) -> None:
    async with killed_at(moment, environ, engine, clock) as services:
        project = await visits.a_project(services)
        for _ in range(3):
            await visits.event(services, project)
        await visits.settle(services)
        await removal.delete_project(services.database, services.queue, clock, project.id)
        clock.advance(erasure.DELAY_MS)
        with pytest.raises(Killed):
            await visits.settle(services)
        clock.advance(60_000)
        await visits.settle(services)
        assert await verified(services) == (3, 0, 0, 0, 3, 0)


async def test_a_name_does_not_come_back_after_an_erasure_that_was_killed_once_it_was_noted(
    environ: dict[str, str], engine: Engine, clock: FrozenClock
) -> None:
    """Its claim was still there, by which the worker that makes users took the erased one for somebody new."""
    async with killed_at("erase:noted", environ, engine, clock) as services:
        project = await visits.a_project(services)
        identified = await services.users.identify(IdentifyHit("kim"), project, visits.sender(project), geo.UNKNOWN)
        creating = await services.queue.claim(jobs.CREATE_USER_QUEUE, 10, 600)
        await removal.erase_users(services.queue, clock, project.id, [identified.user_id])
        clock.advance(erasure.DELAY_MS)
        with pytest.raises(Killed):
            await visits.settle(services)
        assert await services.keys.scan(f"{CLAIM_PREFIX}{project.id}:", 10) == []
        await services.queue.release(creating)
        clock.advance(60_000)
        await visits.settle(services)
        assert await services.identities.by_identifier(project.id, "kim") is None


async def test_an_event_that_comes_while_an_erasure_waits_to_go_on_is_not_taken(
    environ: dict[str, str], engine: Engine, clock: FrozenClock
) -> None:
    """The store fails after the events were counted; the visitor goes on meanwhile."""
    async with killed_at("erase:counted", environ, engine, clock) as services:
        project = await visits.a_project(services)
        for _ in range(3):
            await visits.event(services, project)
        hit = IdentifyHit("ada", display_name="Personal")
        await services.users.identify(hit, project, visits.sender(project), geo.UNKNOWN)
        await visits.settle(services)
        user_id = user_of(services, project, visits.sender(project))
        await removal.erase_users(services.queue, clock, project.id, [user_id])
        clock.advance(erasure.DELAY_MS)
        with pytest.raises(Killed):
            await visits.settle(services)
        clock.advance(1_000)
        await visits.event(services, project, "Later")
        await services.users.identify(IdentifyHit("ada"), project, visits.sender(project), geo.UNKNOWN)
        await visits.settle(services)
        clock.advance(60_000)
        await visits.settle(services)
        assert await verified(services) == (4, 1, 0, 0, 3, 0)
        sql = "SELECT identifier, displayName FROM user FINAL WHERE projectId = {project:UInt64} AND deleted = 0"
        assert await engine.query(sql, {"project": project.id}) == [["ada", ""]]


async def test_late_events_of_who_turned_out_to_be_the_erased_user_are_erased(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    services = services_at_noon
    project, _, phone, known = await known_at_a_desk(services)
    await visits.settle(services)
    await visits.event(services, project, "Late", who=phone)
    late = await services.queue.claim(jobs.EVENT_QUEUE, 10, 600)
    await services.users.identify(IdentifyHit("kim"), project, phone, geo.UNKNOWN)
    # Asked for before the two browsers are one user.
    await removal.erase_users(services.queue, clock, project.id, [known])
    clock.advance(jobs.MERGE_DELAY_MS)
    await visits.settle(services)
    clock.advance(erasure.DELAY_MS)
    await visits.settle(services)
    await services.queue.release(late)
    await visits.settle(services)
    assert await verified(services) == (1, 0, 0, 0, 1, 0)


async def test_who_is_merged_into_the_erased_user_only_afterwards_is_erased_too(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    """Merges can wait for long: what the phone had done was given to a user of whom nothing should be left."""
    services = services_at_noon
    project, _, phone, known = await known_at_a_desk(services)
    await visits.event(services, project, who=phone)
    await visits.settle(services)
    await services.users.identify(IdentifyHit("kim"), project, phone, geo.UNKNOWN)
    clock.advance(jobs.MERGE_DELAY_MS)
    waiting = await services.queue.claim(jobs.MERGE_USER_QUEUE, 10, 600)
    await removal.erase_users(services.queue, clock, project.id, [known])
    await settle_later(services, clock)
    await services.queue.release(waiting)
    await visits.settle(services)
    assert set((await rows_left(services, project)).values()) == {0}
    assert await verified(services) == (1, 0, 0, 0, 1, 0)


async def test_who_is_named_like_the_erased_user_later_on_is_merged(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    services = services_at_noon
    project, desk, phone, known = await known_at_a_desk(services)
    await visits.settle(services)
    await removal.erase_users(services.queue, clock, project.id, [known])
    await settle_later(services, clock)
    clock.advance(1_000)
    again = await services.users.identify(IdentifyHit("kim"), project, desk, geo.UNKNOWN)
    await visits.event(services, project, who=phone)
    await services.users.identify(IdentifyHit("kim"), project, phone, geo.UNKNOWN)
    clock.advance(jobs.MERGE_DELAY_MS)
    await visits.settle(services)
    assert await users_rows(services, project) == [[again.user_id]]


@pytest.mark.parametrize("is_phone_erased", [False, True])
async def test_nobody_is_merged_with_who_is_being_erased(
    environ: dict[str, str], engine: Engine, clock: FrozenClock, is_phone_erased: bool
) -> None:
    """Killed after the events were counted; what a merge brings, or takes away, was removed, or stayed, uncounted."""
    async with killed_at("erase:counted", environ, engine, clock) as services:
        project, desk, phone, known = await known_at_a_desk(services)
        for who in (desk, phone):
            await visits.event(services, project, who=who)
        await visits.settle(services)
        await services.users.identify(IdentifyHit("kim"), project, phone, geo.UNKNOWN)
        clock.advance(jobs.MERGE_DELAY_MS)
        waiting = await services.queue.claim(jobs.MERGE_USER_QUEUE, 10, 600)
        gone = user_of(services, project, phone) if is_phone_erased else known
        await removal.erase_users(services.queue, clock, project.id, [gone])
        clock.advance(erasure.DELAY_MS)
        with pytest.raises(Killed):
            await visits.settle(services)
        await services.queue.release(waiting)
        await visits.settle(services)
        clock.advance(60_000)
        await visits.settle(services)
        stored = 1 if is_phone_erased else 0
        assert await verified(services) == (2, stored, 0, 0, 2 - stored, 0)


async def test_a_killed_run_takes_nobody_along_whom_it_had_not_counted(
    environ: dict[str, str], engine: Engine, clock: FrozenClock
) -> None:
    """Another erasure, of that user and somebody else, goes on with it: the other's rows went uncounted."""
    async with killed_at("erase:counted", environ, engine, clock) as services:
        project = await visits.a_project(services)
        desk, phone = visits.sender(project), visits.sender(project, user_agent=visits.IPHONE)
        for who in (desk, phone):
            await visits.event(services, project, who=who)
        await visits.settle(services)
        users = [user_of(services, project, who) for who in (desk, phone)]
        await removal.erase_users(services.queue, clock, project.id, users)
        await removal.erase_users(services.queue, clock, project.id, users[:1])
        clock.advance(erasure.DELAY_MS)
        both, first = await services.queue.claim(erasure.ERASE_QUEUE, 10, 60)
        with pytest.raises(Killed):
            await workers.handlers(services)[erasure.ERASE_QUEUE]([first], Lease(clock, first.lease_until_ms))
        await services.queue.release([both, first])
        await visits.settle(services)
        assert set((await rows_left(services, project)).values()) == {0}
        assert await verified(services) == (2, 0, 0, 0, 2, 0)


async def test_the_tap_tells_nothing_of_an_erased_user(services_at_noon: Services, clock: FrozenClock) -> None:
    services = services_at_noon
    project, other = [await visits.a_project(services) for _ in range(2)]
    for one in (project, other):
        services.tap.accepted(one.id, "Signup", "https://example.com/welcome?email=kim@example.com")
    await services.tap.flush()
    who = user_of(services, project, visits.sender(project))
    await removal.erase_users(services.queue, clock, project.id, [who])
    await settle_later(services, clock)
    assert await services.keys.scan(tap.key_prefix(project.id), 10) == []
    assert len(await services.keys.scan(tap.key_prefix(other.id), 10)) == 1


async def test_an_event_whose_answer_was_lost_before_it_was_erased_is_counted_once(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    gone = visits.sender(project)
    for name in ("Again", "Buried"):
        await visits.event(services, project, name, who=gone)
    claimed = await services.queue.claim(jobs.EVENT_QUEUE, 10, 60)
    await workers.handlers(services)[jobs.EVENT_QUEUE](claimed, Lease(clock, claimed[0].lease_until_ms))
    # Stored, and nobody heard of it: one comes again later, one is buried meanwhile.
    await services.queue.bury(claimed[1:], "the answer was lost")
    await services.queue.release(claimed[:1])
    held = await services.queue.claim(jobs.EVENT_QUEUE, 10, 600)
    await removal.erase_users(services.queue, clock, project.id, [user_of(services, project, gone)])
    clock.advance(erasure.DELAY_MS)
    await visits.settle(services)
    await services.queue.release(held)
    await visits.settle(services)
    assert await verified(services) == (2, 0, 0, 0, 2, 0)


async def test_who_is_named_while_erased_leaves_no_name(services_at_noon: Services, clock: FrozenClock) -> None:
    """The worker that makes a user has done its part, and its job is not acknowledged yet, when the user is erased."""
    services = services_at_noon
    project = await visits.a_project(services)
    identified = await services.users.identify(IdentifyHit("kim"), project, visits.sender(project), geo.UNKNOWN)
    claimed = await services.queue.claim(jobs.CREATE_USER_QUEUE, 10, 600)
    handler = workers.handlers(services)[jobs.CREATE_USER_QUEUE]
    write = await handler(claimed, Lease(clock, claimed[0].lease_until_ms))
    await removal.erase_users(services.queue, clock, project.id, [identified.user_id])
    clock.advance(erasure.DELAY_MS)
    [job] = await services.queue.claim(erasure.ERASE_QUEUE, 10, 60)
    await workers.handlers(services)[erasure.ERASE_QUEUE]([job], Lease(clock, job.lease_until_ms))
    await services.queue.ack(claimed, write)
    assert await services.keys.scan(f"{CLAIM_PREFIX}{project.id}:", 10) == []
    assert await services.identities.by_identifier(project.id, "kim") is None


@pytest.mark.parametrize("is_erased_meanwhile", [False, True])
async def test_where_others_erase_too_a_slow_look_up_asks_again_before_it_stores(
    services_at_noon: Services, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, is_erased_meanwhile: bool
) -> None:
    """It gave the batch up, which came again, and took as long again."""
    services = services_at_noon
    project = await visits.a_project(services)
    await visits.event(services, project)
    user_id = user_of(services, project, visits.sender(project))
    claimed = await services.queue.claim(jobs.EVENT_QUEUE, 10, 60)
    handler = workers.handlers(services)[jobs.EVENT_QUEUE]
    lease = Lease(clock, claimed[0].lease_until_ms)
    monkeypatch.setattr(services.erased, "_exclusive", False)
    look_up = services.sink.users

    async def look_up_slowly(keys: Iterable[UserKey]) -> dict[UserKey, KnownUser]:
        services.erased._asked_at -= erased.ASKED_SECONDS_MAX
        if is_erased_meanwhile:
            async with services.database.begin() as connection:
                await erasures.mark(connection, [erasures.Erased(project.id, user_id, clock.now_ms() + 1)])
        return await look_up(keys)

    monkeypatch.setattr(services.sink, "users", look_up_slowly)
    if is_erased_meanwhile:
        with pytest.raises(errors.LeaseLost):
            await handler(claimed, lease)
    write = await handler(claimed, lease)
    await services.queue.ack(claimed, write)
    assert await verified(services) == ((1, 0, 0, 0, 1, 0) if is_erased_meanwhile else (1, 1, 0, 0, 0, 0))


async def test_where_others_erase_too_nothing_is_stored_long_after_the_question(
    services_at_noon: Services, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question itself takes too long: a database as slow as that is away."""
    services = services_at_noon
    project = await visits.a_project(services)
    await visits.event(services, project)
    claimed = await services.queue.claim(jobs.EVENT_QUEUE, 10, 60)
    handler = workers.handlers(services)[jobs.EVENT_QUEUE]
    lease = Lease(clock, claimed[0].lease_until_ms)
    monkeypatch.setattr(services.erased, "_exclusive", False)
    with monkeypatch.context() as slow:
        slow.setattr(erased, "ASKED_SECONDS_MAX", 0.0)
        with pytest.raises(errors.LeaseLost):
            await handler(claimed, lease)
    assert set((await rows_left(services, project)).values()) == {0}
    await handler(claimed, lease)
    assert (await rows_left(services, project))["event"] == 1
    assert services.erased.wait_seconds(30) == erased.ASKED_SECONDS_MAX + 30


async def test_where_others_erase_too_an_erasure_of_a_clock_ahead_hides_no_later_one(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    services, now_ms = services_at_noon, clock.now_ms()
    other = erased.Erased(services.database, clock, exclusive=False)
    for user_id, until_ms in ((1, now_ms + 86_400_000), (2, now_ms)):
        async with services.database.begin() as connection:
            await erasures.mark(connection, [erasures.Erased(7, user_id, until_ms)])
        assert await other.among([(7, user_id, now_ms - 1)]) == {0}
