"""Rows go when their project no longer keeps them, and only those; every one that goes is counted."""

import contextlib
import dataclasses
import random
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
import pytest

from tests.kit import visits
from vemetric import commands, config, workers
from vemetric import services as opening
from vemetric.accounts import project_settings
from vemetric.clickhouse import expirer
from vemetric.clickhouse.engine import Engine
from vemetric.clock import FrozenClock
from vemetric.database import identities
from vemetric.ingest import expired, jobs
from vemetric.ingest.hit import IdentifyHit
from vemetric.model import geo
from vemetric.model.project import Project
from vemetric.queues.job import Job
from vemetric.queues.keys import Keys
from vemetric.queues.lease import Lease
from vemetric.services import Services
from vemetric.workers import retention

DAY_MS = 86_400_000
WEEKS = 7
FIRST_MS = int(datetime(2025, 11, 3, 9, tzinfo=UTC).timestamp() * 1000)


async def days_of(services: Services, project: Project, table: str = "event", time: str = "createdAt") -> list[int]:
    """The UTC days of the stored rows."""
    sql = f"""
    SELECT DISTINCT intDiv(toUnixTimestamp64Milli({time}), {DAY_MS}) AS day FROM {table} FINAL
    WHERE projectId = {{project:UInt64}} ORDER BY day
    """
    return [day for (day,) in await services.engine.query(sql, {"project": project.id})]


async def verified(services: Services, project: Project) -> tuple[int, int, int, int]:
    told = await commands.run(services, "verify", {"project": project.domain})
    return told["accepted"], told["stored"], told["expired"], told["difference"]


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(FIRST_MS)


async def test_over_simulated_weeks_each_project_keeps_what_it_says(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    services = services_at_noon
    kept_days = {"short": "14", "long": "40", "ever": ""}
    found = {name: await visits.a_project(services) for name in kept_days}
    for name, days in kept_days.items():
        await project_settings.keep(services.database, clock, found[name].id, days)
    sent = Counter[str]()
    chance = random.Random(8)
    for _ in range(WEEKS * 7):
        for name, project in found.items():
            for number in range(chance.randint(1, 2)):
                await visits.event(services, project, who=visits.sender(project, ip=f"203.0.113.{number}"))
                sent[name] += 1
        await visits.settle(services)
        clock.advance(DAY_MS)
        # The schedule's midnight comes between two days of visitors.
        if chance.random() < 0.25:
            await retention.run(services)
    await retention.run(services)
    today = clock.now_ms() // DAY_MS
    for name, project in found.items():
        oldest = today - int(kept_days[name]) if kept_days[name] else FIRST_MS // DAY_MS
        wanted = list(range(oldest, today))
        assert await days_of(services, project) == wanted, name
        assert await days_of(services, project, "session", "startedAt") == wanted, name
        accepted, stored, expired, difference = await verified(services, project)
        assert (accepted, stored + expired, difference) == (sent[name], sent[name], 0)
        assert (expired > 0) == bool(kept_days[name])


async def test_a_month_that_nobody_keeps_is_dropped_whole(
    environ: dict[str, str], engine: Engine, clock: FrozenClock
) -> None:
    """In an analytics store that other tests fill too: in a month that none of them uses."""
    clock.set(FIRST_MS - 20 * 365 * DAY_MS)
    async with opening.open_services(
        config.load(environ | {"VEMETRIC_RETENTION_DAYS": "30"})[0], clock, engine
    ) as services:
        found = [await visits.a_project(services) for _ in range(2)]
        for project in found:
            await visits.event(services, project)
        await visits.settle(services)
        month = time.strftime("%Y%m", time.gmtime(clock.now_ms() / 1000))
        tables = "active AND table IN ('event', 'session')"
        sql = f"SELECT count() FROM system.parts WHERE {tables} AND partition = '{month}'"
        [[before]] = await services.engine.query(sql)
        assert before >= 2
        await project_settings.keep(services.database, clock, found[0].id, "0")
        clock.advance(62 * DAY_MS)
        await retention.run(services)
        assert [await days_of(services, project) != [] for project in found] == [True, False]
        await project_settings.keep(services.database, clock, found[0].id, "")
        await retention.run(services)
        assert await services.engine.query(sql) == [[0]]
        assert [await verified(services, project) for project in found] == [(1, 0, 1, 0)] * 2


@pytest.mark.parametrize("moment", ["never", "drawn", "counted", "begun", "removed"])
async def test_whatever_comes_late_of_what_has_expired_is_counted_once_wherever_a_run_was_killed(
    environ: dict[str, str], engine: Engine, clock: FrozenClock, moment: str
) -> None:
    """Stored or not, delivered or not, dead or in line: no row of it stays, and the next night ends what was begun."""

    class Killed(BaseException):
        pass

    armed = [f"retention:{moment}"]

    def probe(reached: str) -> None:
        if reached in armed:
            armed.clear()
            raise Killed

    async with opening.open_services(config.load(environ)[0], clock, engine, probe) as services:
        project = await visits.a_project(services)
        await project_settings.keep(services.database, clock, project.id, "7")
        await visits.event(services, project, "Stored")
        await visits.settle(services)
        dead, again = await stored_unheard(services, project, ["Stored and dead", "Stored and in line"])
        await services.queue.bury([dead], "the answer was lost")
        await services.queue.release([again])
        for name in ("Dead", "In line", "Late"):
            await visits.event(services, project, name)
        again, dead, *held = await services.queue.claim(jobs.EVENT_QUEUE, 10, 20 * DAY_MS / 1000)
        await services.queue.bury([dead], "it failed")
        clock.advance(9 * DAY_MS)
        with pytest.raises(Killed) if moment != "never" else contextlib.nullcontext():
            await retention.run(services)
        assert (await verified(services, project))[-1] == 0
        await services.queue.release([again, held[0]])
        await visits.settle(services)
        assert (await verified(services, project))[-1] == 0
        clock.advance(DAY_MS)
        await retention.run(services)
        await services.queue.release(held[1:])
        await services.queue.revive([letter.id for letter in await services.queue.dead(jobs.EVENT_QUEUE, 10)])
        await visits.settle(services)
        assert await verified(services, project) == (6, 0, 6, 0)
        assert await services.keys.get(retention.PLAN_KEY) is None
        # Who comes now is kept.
        await visits.event(services, project)
        await visits.settle(services)
        assert await verified(services, project) == (7, 1, 6, 0)


async def stored_unheard(services: Services, project: Project, names: list[str]) -> list[Job]:
    """Events that were stored without their jobs being acknowledged."""
    for name in names:
        await visits.event(services, project, name)
    claimed = await services.queue.claim(jobs.EVENT_QUEUE, 10, 60)
    await workers.handlers(services)[jobs.EVENT_QUEUE](claimed, Lease(services.clock, claimed[0].lease_until_ms))
    return claimed


async def test_where_others_store_too_they_are_waited_for_between_the_line_and_the_count(
    services_at_noon: Services, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = dataclasses.replace(services_at_noon, owns_stores=False)
    project = await visits.a_project(services)
    await project_settings.keep(services.database, clock, project.id, "7")
    await visits.event(services, project)
    await visits.settle(services)
    clock.advance(9 * DAY_MS)
    steps = []

    def wait_seconds(insert_seconds: float) -> float:
        steps.append("wait")
        return 0.0

    async def draw(keys: Keys, lines: Mapping[int, int]) -> None:
        steps.append("draw")
        await drawn(keys, lines)

    async def count(engine: Engine, cutoffs: Mapping[int, int]) -> dict[int, int]:
        steps.append("count")
        return await counted(engine, cutoffs)

    drawn, counted = expired.draw, expirer.count_events
    monkeypatch.setattr(services.erased, "wait_seconds", wait_seconds)
    monkeypatch.setattr(expired, "draw", draw)
    monkeypatch.setattr(expirer, "count_events", count)
    await retention.run(services)
    assert steps == ["draw", "wait", "count"]
    assert await verified(services, project) == (1, 0, 1, 0)


async def test_a_line_drawn_by_a_clock_ahead_expires_nothing_that_is_new(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    await project_settings.keep(services.database, clock, project.id, "7")
    clock.advance(400 * DAY_MS)
    await retention.run(services)
    clock.advance(-400 * DAY_MS)
    await visits.event(services, project)
    await visits.settle(services)
    assert await verified(services, project) == (1, 1, 0, 0)


@pytest.mark.parametrize(
    ("moment", "is_kept"), [("drawn", True), ("counted", True), ("begun", False), ("removed", False)]
)
async def test_a_run_killed_by_a_clock_ahead_takes_nothing_that_came_since(
    environ: dict[str, str], engine: Engine, clock: FrozenClock, moment: str, is_kept: bool
) -> None:
    """The clock is right again: what had not gone yet stays, and nothing that is stored now is missed."""

    class Killed(BaseException):
        pass

    def probe(reached: str) -> None:
        if clock.now_ms() > FIRST_MS + 100 * DAY_MS and reached == f"retention:{moment}":
            raise Killed

    async with opening.open_services(config.load(environ)[0], clock, engine, probe) as services:
        project = await visits.a_project(services)
        await project_settings.keep(services.database, clock, project.id, "7")
        await visits.event(services, project, "Before")
        await visits.settle(services)
        clock.advance(400 * DAY_MS)
        with pytest.raises(Killed):
            await retention.run(services)
        assert (await verified(services, project))[-1] == 0
        clock.advance(-399 * DAY_MS)
        await visits.event(services, project, "Since")
    async with opening.open_services(config.load(environ)[0], clock, engine) as services:
        async with workers.running(services):
            pass
        await visits.settle(services)
        await retention.run(services)
        assert await verified(services, project) == (2, 2 if is_kept else 1, 0 if is_kept else 1, 0)
        assert await services.keys.get(retention.PLAN_KEY) is None


async def test_users_of_whom_nothing_is_left_go_with_their_names_and_devices(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    services = services_at_noon
    project = await visits.a_project(services)
    await project_settings.keep(services.database, clock, project.id, "7")
    gone, back = (visits.sender(project, ip=f"203.0.113.{number}") for number in (1, 2))
    for name, who in (("gone", gone), ("back", back)):
        await visits.event(services, project, who=who)
        await services.users.identify(IdentifyHit(identifier=name), project, who, geo.UNKNOWN)
    await visits.settle(services)
    clock.advance(9 * DAY_MS)
    known = msgspec.structs.replace(back, identifier="back")
    await visits.event(services, project, who=known)
    await visits.settle(services)
    await retention.run(services)
    clock.advance(DAY_MS)
    await visits.settle(services)
    async with services.database.connect() as connection:
        left = [await identities.by_identifier(connection, project.id, name) is not None for name in ("gone", "back")]
    assert left == [False, True]
    for table, whose in (("user", "id"), ("device", "userId")):
        sql = f"SELECT uniqExact({whose}) FROM {table} FINAL WHERE projectId = {{project:UInt64}}"
        assert await services.engine.query(sql, {"project": project.id}) == [[1]], table


async def test_whoever_comes_back_before_the_erasure_keeps_what_is_new(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    """Many are erased one after another: by the time it is a user's turn that user may have been there again."""
    services = services_at_noon
    project = await visits.a_project(services)
    await project_settings.keep(services.database, clock, project.id, "7")
    people = {name: visits.sender(project, ip=f"203.0.113.{n}") for n, name in enumerate(("gone", "back", "stored"))}
    for name, who in people.items():
        await visits.event(services, project, who=who)
        await services.users.identify(IdentifyHit(identifier=name), project, who, geo.UNKNOWN)
    await visits.settle(services)
    clock.advance(9 * DAY_MS)
    await retention.run(services)
    await visits.event(services, project, who=msgspec.structs.replace(people["stored"], identifier="stored"))
    await visits.settle(services)
    clock.advance(DAY_MS // 12)
    await visits.event(services, project, who=msgspec.structs.replace(people["back"], identifier="back"))
    held = await services.queue.claim("event", 9, 600)
    await visits.settle(services)
    await services.queue.release(held)
    await visits.settle(services)
    names = await services.engine.query(
        "SELECT identifier FROM user FINAL WHERE projectId = {project:UInt64} AND deleted = 0 ORDER BY identifier",
        {"project": project.id},
    )
    assert names == [["back"], ["stored"]]
    assert await verified(services, project) == (5, 2, 3, 0)


@pytest.mark.parametrize(("typed", "days"), [("", None), (" 30 ", 30), ("0", 0), ("7", 7), ("36500", 36_500)])
def test_days_as_they_are_typed(typed: str, days: int | None) -> None:
    assert project_settings.retention(typed) == days


@pytest.mark.parametrize("typed", ["6", "-7", "7.5", "soon", "36501", "٣٠", "9999999999"])
def test_days_that_are_none(typed: str) -> None:
    with pytest.raises(ValueError, match="A whole number from 7 to 36500"):
        project_settings.retention(typed)
