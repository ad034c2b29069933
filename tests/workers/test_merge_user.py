"""Merging users: killed anywhere, run again, late events, chains and crosses, against a plain model."""

import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import vemetric
from tests.kit import visits
from vemetric import config, errors, workers
from vemetric import services as opening
from vemetric.clickhouse import user_merges
from vemetric.clickhouse.engine import Engine
from vemetric.clickhouse.rows import milliseconds, timestamp
from vemetric.clock import FrozenClock
from vemetric.database.user_merges import UserMerge
from vemetric.ingest import jobs
from vemetric.ingest.hit import PAGE_VIEW
from vemetric.model import geo, ids, timespan
from vemetric.model.project import Project
from vemetric.queues import pool
from vemetric.queues.job import Job, NewJob, Write
from vemetric.queues.lease import Lease
from vemetric.services import Services
from vemetric.stats import dashboard
from vemetric.workers.merge_user import MergeUserWorker, plans

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
HUGE = 2**63 + 1

A, B, C, D = 11, 2**64 - 22, 33, 44


class Killed(BaseException):
    """Ends the worker between two statements, as a killed process would."""


class Probe:
    """Kills at the n-th step of a merge from now on, 0 for never; knows the steps that were reached."""

    def __init__(self) -> None:
        self.left = 0
        self.steps: list[str] = []

    def __call__(self, moment: str) -> None:
        if not moment.startswith(("merge:", "after-insert")):
            return
        self.steps.append(moment)
        if self.left:
            self.left -= 1
            if not self.left:
                raise Killed


@pytest.fixture
def probe() -> Probe:
    return Probe()


@pytest.fixture
async def services(
    environ: dict[str, str], engine: Engine, clock: FrozenClock, probe: Probe
) -> AsyncIterator[Services]:
    async with opening.open_services(config.load(environ)[0], clock, engine, probe) as opened:
        yield opened
        assert await engine.lookup("SELECT count() FROM user_merge") == [[0]]
        engine.leave_out({})


class Given(msgspec.Struct):
    """One event that was accepted. session: started with the first event of its name."""

    user_id: int
    session: str
    at_ms: int
    id: str
    name: str = PAGE_VIEW
    path: str = "/"
    data: str = ""


class World:
    """A project, what was sent to it, and its rows."""

    def __init__(self, services: Services, project: Project, now_ms: int) -> None:
        self.services = services
        self.project = project
        self.now_ms = now_ms
        self.given: list[Given] = []

    def event(self, user_id: int, session: str, minutes: float, **more: Any) -> NewJob:
        """The job of an event so many minutes before now."""
        at_ms = self.now_ms - int(minutes * MINUTE_MS)
        one = Given(user_id, session, at_ms, ids.random_id(12), **more)
        opens = not any(each.user_id == user_id and each.session == session for each in self.given)
        started_ms = min([at_ms, *(e.at_ms for e in self.given if (e.user_id, e.session) == (user_id, session))])
        self.given.append(one)
        job = jobs.EventJob(
            self.project.id, self.project.domain, user_id, session, started_ms, one.id, at_ms, one.name,
            f"https://{self.project.domain}{one.path}", "", "", "", one.data,
            jobs.pack_headers({"user-agent": visits.CHROME}), geo.UNKNOWN,
        )  # fmt: skip
        return NewJob(jobs.EVENT_QUEUE, jobs.encode(job), key=f"{user_id}:{session}" if opens else None)

    async def put(self, *new: NewJob) -> None:
        await self.services.queue.put(Write(jobs=list(new)))

    async def store(self, *new: NewJob) -> None:
        await self.put(*new)
        await visits.settle(self.services)

    def merge(self, from_user_id: int, into_user_id: int, minutes: float = 0.1) -> NewJob:
        requested_ms = self.now_ms - int(minutes * MINUTE_MS)
        return jobs.merge_job(self.project.id, from_user_id, into_user_id, requested_ms)

    async def rows(self, table: str, columns: str, where: str = "1") -> list[list[Any]]:
        sql = f"SELECT {columns} FROM {table} FINAL WHERE projectId = {{project:UInt64}} AND {where} ORDER BY ALL"
        return await self.services.engine.query(sql, {"project": self.project.id})

    async def owners(self) -> Counter[tuple[str, int]]:
        return Counter((id_, user_id) for id_, user_id in await self.rows("event", "id, userId", "sign = 1"))

    async def visits(self) -> list[list[Any]]:
        """User, id, minutes before now of start and end."""
        rows = await self.rows("session", "userId, id, startedAt, endedAt, duration", "deleted = 0")
        for _, _, started, ended, duration in rows:
            assert duration == (milliseconds(ended) - milliseconds(started) + 500) // 1000
        return [
            [user, id_, *((self.now_ms - milliseconds(at)) / MINUTE_MS for at in (started, ended))]
            for user, id_, started, ended, _ in rows
        ]

    async def numbers(self) -> dict[str, Any]:
        """Every number of a dashboard."""
        range_ = timespan.resolve(timespan.Timespan("30days"), self.now_ms, "UTC")
        shown = await dashboard.load(self.services.engine, self.project, range_)
        built: dict[str, Any] = msgspec.to_builtins(shown)
        return built


@pytest.fixture
async def world(services: Services, clock: FrozenClock) -> World:
    return World(services, await visits.a_project(services), clock.now_ms())


async def history(world: World) -> None:
    """A: a visit near one of B's, one over the end of a month that stays apart; B: visits, one near A's."""
    await world.store(
        world.event(A, "a-old", 12 * 24 * 60, path="/old", data=f'{{"n":{HUGE}}}'),
        world.event(A, "a-old", 12 * 24 * 60 - 3),
        world.event(A, "a-near", 50),
        world.event(A, "a-near", 45, name="signup"),
        world.event(A, "a-near", 8),
        world.event(B, "b", 30),
        world.event(B, "b", 20, name="login"),
        world.event(B, "b-other", 5 * 24 * 60),
        world.event(C, "c", 40),
    )


async def test_a_merge_moves_everything_and_leaves_nothing(world: World) -> None:
    await history(world)
    before = await world.numbers()
    await world.store(world.merge(A, B))
    assert await world.owners() == Counter((one.id, B if one.user_id == A else one.user_id) for one in world.given)
    assert await world.visits() == [
        [C, "c", 40, 40],
        [B, "a-old", 12 * 24 * 60, 12 * 24 * 60 - 3],
        [B, "b", 50, 8],
        [B, "b-other", 5 * 24 * 60, 5 * 24 * 60],
    ]
    sessions = await world.rows("event", "sessionId, count()", "userId != 33 GROUP BY sessionId")
    assert sessions == [["a-old", 2], ["b", 5], ["b-other", 1]]
    assert await world.rows("event", "customData", "customData != ''") == [[f'{{"n":{HUGE}}}']]
    assert {user for (user,) in await world.rows("device", "userId")} == {B, C}
    after = await world.numbers()
    assert tile(before, "users") == 3
    assert tile(after, "users") == 2
    assert tile(after, "pageViews") == tile(before, "pageViews")
    assert tile(after, "visits") == tile(before, "visits") - 1


def tile(numbers: dict[str, Any], key: str) -> float:
    value: float = numbers["tiles"][key]["value"]
    return value


async def test_devices_of_moved_events_are_those_of_the_other_user(world: World) -> None:
    await history(world)
    await world.store(world.merge(A, B))
    [[device_id]] = await world.rows("device", "id", f"userId = {B}")
    assert await world.rows("event", "DISTINCT deviceId", f"userId = {B}") == [[device_id]]


async def test_every_number_is_as_if_it_had_always_been_so(world: World) -> None:
    """Beside a project to which the other user sent everything himself, in the visits that the merge leads to."""
    await history(world)
    await world.store(world.merge(A, B))
    twin = World(world.services, await visits.a_project(world.services), world.now_ms)
    for one in sorted(world.given, key=lambda given: given.at_ms):
        session = {"a-near": "b"}.get(one.session, one.session)
        user_id = B if one.user_id == A else one.user_id
        minutes = (world.now_ms - one.at_ms) / MINUTE_MS
        await twin.put(twin.event(user_id, session, minutes, name=one.name, path=one.path, data=one.data))
    await visits.settle(world.services)
    assert str(await world.numbers()).replace(world.project.domain, "site") == str(await twin.numbers()).replace(
        twin.project.domain, "site"
    )
    assert await world.visits() == await twin.visits()


async def killed_at(world: World, probe: Probe, step: int, merges: list[NewJob]) -> bool:
    """Run merges until the n-th step and kill there; False when they were through before."""
    await world.put(*merges)
    claimed = await world.services.queue.claim(jobs.MERGE_USER_QUEUE, 100, 60)
    lease = Lease(world.services.clock, claimed[0].lease_until_ms)
    probe.steps.clear()
    probe.left = step
    try:
        write = await MergeUserWorker(world.services).handle(claimed, lease)
        await world.services.queue.ack(claimed, write)
        return False
    except Killed:
        return True
    finally:
        probe.left = 0
        # As at the start of the next process.
        world.services.engine.leave_out({})
        await user_merges.prepare_readers(world.services.engine, always=False)
        if step:
            await world.services.queue.release(list(claimed))


async def test_killed_at_any_step_readers_see_all_or_nothing_and_the_next_run_ends_it(
    world: World, probe: Probe
) -> None:
    step = 0
    whole: tuple[Any, ...] | None = None
    while True:
        step += 1
        one = World(world.services, await visits.a_project(world.services), world.now_ms)
        await history(one)
        before = await state(one)
        was_killed = await killed_at(one, probe, step, [one.merge(A, B)])
        reached = list(probe.steps)
        seen = await state(one)
        await MergeUserWorker(one.services).recover()
        await visits.settle(one.services)
        after = await state(one)
        whole = whole or after
        assert after == whole, reached
        # The kill comes before the statement that the last step stands for.
        assert seen == (after if "merge:switch" in reached[:-1] else before), reached
        if not was_killed:
            break
    assert step > 12


async def state(world: World) -> tuple[Any, ...]:
    """All that readers can see, without what differs by project."""
    numbers = await world.numbers()
    cards = str(numbers.pop("cards")).replace(world.project.domain, "site")
    names = {one.id: number for number, one in enumerate(world.given)}
    owners = sorted((names[id_], user_id, count) for (id_, user_id), count in (await world.owners()).items())
    return numbers, cards, owners, await world.visits()


async def test_a_visit_that_goes_on_keeps_its_earlier_start(world: World) -> None:
    await world.store(world.event(A, "a", 20), world.event(B, "b", 10))
    await world.store(world.merge(A, B, 5))
    assert await world.visits() == [[B, "b", 20, 10]]
    await world.store(world.event(B, "b", 4))
    await world.store(world.event(B, "b", 2))
    assert await world.visits() == [[B, "b", 20, 2]]
    await world.store(world.event(A, "a0", 40), world.merge(A, B, 5))
    assert await world.visits() == [[B, "b", 40, 2]]
    await world.store(world.event(B, "b", 1))
    assert await world.visits() == [[B, "b", 40, 1]]


async def test_a_visit_goes_on_while_a_killed_merge_waits(world: World, probe: Probe) -> None:
    await world.store(world.event(A, "a", 20), world.event(B, "b", 10))
    step = 1
    while probe.steps[-1:] != ["merge:take-events-back"]:
        assert await killed_at(world, probe, step, [world.merge(A, B, 5)] if step == 1 else [])
        step += 1
        if probe.steps[-1] != "merge:take-events-back":
            await MergeUserWorker(world.services).recover()
    await world.services.queue.put(Write(jobs=[world.event(B, "b", 3)]))
    await visits_without_merges(world.services)
    await MergeUserWorker(world.services).recover()
    await visits.settle(world.services)
    assert await world.visits() == [[B, "b", 20, 3]]


async def visits_without_merges(services: Services) -> None:
    handlers = workers.handlers(services)
    for queue in (jobs.EVENT_QUEUE, jobs.SESSION_QUEUE):
        claimed = await services.queue.claim(queue, 100, 60)
        await services.queue.ack(
            claimed, await handlers[queue](claimed, Lease(services.clock, claimed[0].lease_until_ms))
        )


@pytest.mark.parametrize("is_redelivered", [False, True])
async def test_late_events_end_with_the_other_user_once(world: World, is_redelivered: bool) -> None:
    late = world.event(A, "a", 9)
    later = world.event(A, "a", 8, name="late")
    if is_redelivered:
        await world.store(late)
    await world.store(world.event(A, "a-other", 400), world.event(B, "b", 10), world.merge(A, B, 5))
    assert {user for _, user in await world.owners()} == {B}
    await world.store(msgspec.structs.replace(late, key=None), later)
    if is_redelivered:
        claimed = await redelivered(world, late)
        write = await visits_handler(world)(claimed, Lease(world.services.clock, claimed[0].lease_until_ms))
        await world.services.queue.ack(claimed, write)
        await visits.settle(world.services)
    assert await world.owners() == Counter((one.id, B) for one in world.given)
    assert await world.visits() == [[B, "a-other", 400, 400], [B, "b", 10, 8]]


def visits_handler(world: World) -> Callable[..., Any]:
    return workers.handlers(world.services)[jobs.EVENT_QUEUE]


async def redelivered(world: World, job: NewJob) -> list[Job]:
    await world.put(msgspec.structs.replace(job, key=None))
    claimed = await world.services.queue.claim(jobs.EVENT_QUEUE, 100, 60)
    await world.services.queue.release(claimed)
    again = await world.services.queue.claim(jobs.EVENT_QUEUE, 100, 60)
    assert all(one.deliveries == 2 for one in again)
    return again


async def test_what_comes_after_a_merge_is_somebody_of_his_own(world: World) -> None:
    """Whoever uses the same browser next is not the one who was identified."""
    await world.store(world.event(A, "a", 30), world.event(A, "a", 25), world.event(B, "b", 200))
    await world.store(world.merge(A, B, 20), world.event(A, "a", 10), world.event(A, "next", 5))
    await world.store(world.merge(A, B, 20))
    users = {at: user for user, at in await world.rows("event", "userId, createdAt")}
    assert [users[timestamp(world.now_ms - minutes * MINUTE_MS)] for minutes in (30, 25, 10, 5)] == [B, B, A, A]
    assert await world.visits() == [[A, "a", 30, 10], [A, "next", 5, 5], [B, "a", 30, 25], [B, "b", 200, 200]]


async def test_readers_see_what_comes_after_a_merge_at_every_step_of_it(world: World, probe: Probe) -> None:
    """Events of the next one at the same browser, and the name, were gone from every number and list meanwhile."""
    step, seen = 0, set()
    while True:
        step += 1
        one = World(world.services, await visits.a_project(world.services), world.now_ms)
        await one.store(one.event(A, "a", 30), one.event(A, "a", 10), one.event(A, "next", 5), one.event(B, "b", 200))
        named = jobs.CreateUserJob(one.project.id, A, "next", one.now_ms - 6 * MINUTE_MS, geo.UNKNOWN, "", "")
        await one.store(jobs.create_job(named))
        was_killed = await killed_at(one, probe, step, [one.merge(A, B, 20)])
        assert await one.rows("user", "id, identifier", "deleted = 0") == [[A, "next"]]
        users = {at: user for user, at in await one.rows("event", "userId, createdAt", "sign = 1")}
        seen.add(tuple(users.get(timestamp(one.now_ms - minutes * MINUTE_MS)) for minutes in (30, 10, 5)))
        await MergeUserWorker(one.services).recover()
        await visits.settle(one.services)
        if not was_killed:
            break
    assert seen == {(A, A, A), (B, A, A)}


def test_no_number_is_read_from_the_devices() -> None:
    """Those of a user of whom something stays are hidden whole while a merge is under way."""
    texts = [path for path in Path(vemetric.__file__).parent.rglob("*") if path.suffix in {".py", ".sql"}]
    reading = {path.parent.name for path in texts if re.search(r"\b(FROM|JOIN)\s+device\b", path.read_text())}
    assert reading == {"clickhouse"}


# Some of them also put at once, so that one batch holds them all.
TOGETHER = ("chain", "cross", "to one, then to another", "two into one")
MERGES = [
    pytest.param([(A, B, 20), (B, C, 10)], id="chain"),
    pytest.param([(B, C, 10), (A, B, 20)], id="chain, the later first"),
    pytest.param([(A, B, 10), (B, A, 10)], id="cross"),
    pytest.param([(A, B, 10), (B, A, 9)], id="cross, one after the other"),
    pytest.param([(B, A, 9), (A, B, 10)], id="cross, the later first"),
    pytest.param([(A, B, 10), (A, B, 10)], id="again"),
    pytest.param([(A, B, 10), (A, C, 5)], id="to one, then to another"),
    pytest.param([(A, C, 10), (B, C, 10)], id="two into one"),
    pytest.param([(A, A, 10)], id="into itself"),
    pytest.param([(D, B, 10)], id="of nobody"),
    pytest.param([(A, D, 10)], id="into a user without rows"),
    pytest.param([(A, B, 10), (B, C, 9), (C, A, 8)], id="a ring"),
]


@pytest.mark.parametrize("merges", [one for one in MERGES if one.id in TOGETHER])
async def test_merges_of_one_batch_give_what_the_model_says(world: World, merges: list[tuple[int, int, float]]) -> None:
    await meet(world, merges, together=True)


@pytest.mark.parametrize("merges", MERGES)
async def test_however_merges_meet_the_result_is_the_models(world: World, merges: list[tuple[int, int, float]]) -> None:
    await meet(world, merges, together=False)


async def meet(world: World, merges: list[tuple[int, int, float]], *, together: bool) -> None:
    await world.store(
        *(world.event(user, f"{user}-early", 300) for user in (A, B, C)),
        *(world.event(user, f"{user}-mid", 60 + user % 7) for user in (A, B, C)),
        world.event(A, "a-late", 7),
    )
    asked = [world.merge(*one) for one in merges]
    if together:
        await world.store(*asked)
    else:
        for one in asked:
            await world.store(one)
    await world.store(world.event(A, "a-lost", 100), world.event(B, "b-lost", 90))
    expected = Counter((one.id, owner(one, merges, world.now_ms)) for one in world.given)
    assert await world.owners() == expected
    await check_visits(world)


def owner(event: Given, merges: list[tuple[int, int, float]], now_ms: int) -> int:
    """Whose an event is in the end: merges count in the order of their times."""
    user, done = event.user_id, (0, 0, 0)
    while True:
        orders = [
            (now_ms - int(minutes * MINUTE_MS) + jobs.MERGE_DELAY_MS, from_, into)
            for from_, into, minutes in merges
            if from_ == user and from_ != into
        ]
        further = [order for order in orders if order > done and order[0] > event.at_ms]
        if not further:
            return user
        done = min(further)
        user = done[2]


async def check_visits(world: World) -> None:
    """Each event lies in a visit of its user, each visit holds events, and no two share a name."""
    events = await world.rows("event", "userId, sessionId, createdAt")
    spans = {(user, id_): (started, ended) for user, id_, started, ended in await world.visits()}
    assert spans.keys() == {(user, id_) for user, id_, _ in events}
    for user, id_, at in events:
        started, ended = spans[user, id_]
        assert started >= (world.now_ms - milliseconds(at)) / MINUTE_MS >= ended


async def test_events_that_come_during_a_merge_are_not_lost(
    world: World, services: Services, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One lands between the look at the events and their copying, one after it."""
    await world.store(world.event(A, "a", 30), world.event(B, "b", 200))
    worker = MergeUserWorker(services)
    store = worker._store
    missed = [world.event(A, "a", 29), world.event(A, "a", 28)]
    copy, switch = store.copy, store.switch

    async def copy_late(plan: user_merges.Plan) -> bool:
        if missed[1:]:
            await world.put(missed.pop(0))
            await visits_without_sessions(services)
        return await copy(plan)

    async def switch_late(plan: user_merges.Plan) -> None:
        await world.put(missed.pop(0))
        await visits_without_sessions(services)
        await switch(plan)

    monkeypatch.setattr(store, "copy", copy_late)
    monkeypatch.setattr(store, "switch", switch_late)
    await world.put(world.merge(A, B))
    claimed = await services.queue.claim(jobs.MERGE_USER_QUEUE, 100, 60)
    write = await worker.handle(claimed, Lease(services.clock, claimed[0].lease_until_ms))
    assert not missed
    await services.queue.ack(claimed, write)
    assert {user for _, user in await world.owners()} == {A, B}
    await visits.settle(services)
    assert await world.owners() == Counter((one.id, B) for one in world.given)
    await check_visits(world)


async def test_a_merge_that_never_ends_counts_as_failed_and_leaves_nothing(
    world: World, services: Services, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is tried again later and buried in the end; the merges of others go on meanwhile."""
    await world.store(world.event(A, "a", 30), world.event(A, "a", 10), world.event(B, "b", 200))
    worker = MergeUserWorker(services)
    copy = worker._store.copy

    async def copy_late(plan: user_merges.Plan) -> bool:
        await world.put(world.event(A, "a", 20))
        await visits_without_sessions(services)
        return await copy(plan)

    monkeypatch.setattr(worker._store, "copy", copy_late)
    await world.put(world.merge(A, B))
    claimed = await services.queue.claim(jobs.MERGE_USER_QUEUE, 100, 60)
    with pytest.raises(errors.Conflict) as told:
        await worker.handle(claimed, Lease(services.clock, claimed[0].lease_until_ms))
    assert pool._is_fault_of_a_job(told.value)
    assert {user for _, user in await world.owners()} == {A, B}
    await services.queue.release(claimed)
    await visits.settle(services)
    assert {user for _, user in await world.owners()} == {B}


async def test_a_merge_done_again_has_nothing_to_do_though_its_user_has_a_name(
    world: World, services: Services, probe: Probe
) -> None:
    await world.store(world.event(A, "a", 30), world.event(B, "b", 200))
    named = jobs.CreateUserJob(world.project.id, A, "ann", world.now_ms - HOUR_MS, geo.UNKNOWN, "", "")
    await world.store(jobs.create_job(named))
    await world.store(world.merge(A, B))
    assert {user for _, user in await world.owners()} == {B}
    probe.steps.clear()
    await world.store(world.merge(A, B, 0.3))
    assert probe.steps == []


async def visits_without_sessions(services: Services) -> None:
    claimed = await services.queue.claim(jobs.EVENT_QUEUE, 100, 60)
    handler = workers.handlers(services)[jobs.EVENT_QUEUE]
    await services.queue.ack(claimed, await handler(claimed, Lease(services.clock, claimed[0].lease_until_ms)))


async def test_merges_that_are_due_together_are_one_plan(world: World, probe: Probe) -> None:
    users = range(1_000, 1_030)
    await world.store(*(world.event(user, f"s{user}", 30) for user in users), world.event(B, "b", 200))
    probe.steps.clear()
    await world.store(*(world.merge(user, B) for user in users))
    assert probe.steps.count("merge:switch") == 1
    assert {user for _, user in await world.owners()} == {B}
    # The first keeps its visit, the others lie near it.
    assert len(await world.visits()) == 2


async def test_a_merge_in_a_deleted_project_is_dropped(world: World) -> None:
    gone = msgspec.structs.replace(world.project, id=12345)
    await World(world.services, gone, world.now_ms).store(jobs.merge_job(gone.id, A, B, world.now_ms - HOUR_MS))


def test_merges_are_done_together_unless_their_users_meet() -> None:
    def merge(from_user: int, into_user: int, until_ms: int = 1, project: int = 1) -> UserMerge:
        return UserMerge(until_ms, from_user, into_user, project)

    assert list(plans([merge(1, 9), merge(2, 9), merge(3, 8)])) == [[merge(1, 9), merge(2, 9), merge(3, 8)]]
    assert list(plans([merge(1, 2), merge(2, 3, 2)])) == [[merge(1, 2)], [merge(2, 3, 2)]]
    assert list(plans([merge(2, 3, 2), merge(1, 2)])) == [[merge(1, 2)], [merge(2, 3, 2)]]
    assert list(plans([merge(1, 2), merge(1, 3, 2)])) == [[merge(1, 2)], [merge(1, 3, 2)]]
    assert list(plans([merge(1, 1)])) == []
    assert list(plans([merge(1, 2), merge(1, 2, 1, 5)])) == [[merge(1, 2)], [merge(1, 2, 1, 5)]]
    many = [merge(user, 10_000) for user in range(1, 402)]
    assert [len(some) for some in plans(many)] == [200, 200, 1]
