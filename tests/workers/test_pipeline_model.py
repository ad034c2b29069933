"""Events, identifications, kills and redeliveries in any order come to the same rows as one thing after the other.

A kill ends the process between two steps of a batch: what the stores hold stays, what memory held is gone, and the
jobs that were claimed come again. The model knows nothing of queues: it notes who did what, and who turned out to be
whom.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.kit import visits
from vemetric import config, services, workers
from vemetric.clickhouse.engine import Engine
from vemetric.clock import FrozenClock
from vemetric.ingest.hit import IdentifyHit
from vemetric.model import geo, ids
from vemetric.model.project import Project
from vemetric.queues.lease import Lease
from vemetric.services import Services

VISITORS, NAMES = 3, ("ann", "bob")
LEASE_SECONDS = 60
MOMENT_MS = 15_000
DAY_MS = 86_400_000
LATE_MS = DAY_MS // 2
MOMENTS = ("claimed", "before-insert", "after-insert", "before-ack", "after-ack")

visitors = st.integers(0, VISITORS - 1)
queues = st.integers(0, 20)
limits = st.sampled_from([1, 3, 100])
actions = st.one_of(
    st.tuples(st.just("event"), visitors),
    st.tuples(st.just("event"), visitors),
    st.tuples(st.just("identify"), visitors, st.sampled_from(NAMES)),
    st.tuples(st.just("leave"), visitors),
    st.tuples(st.just("wait"), st.sampled_from([1, 20, 40])),
    st.tuples(st.just("work"), queues, limits),
    st.tuples(st.just("abandon"), queues, limits),
    st.tuples(st.just("kill"), queues, limits, st.sampled_from(MOMENTS)),
    st.tuples(st.just("settle")),
)


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Model:
    """Who sent which event, who is known by which name, and who turned out to be whom, in order."""

    events: dict[str, tuple[int, int]] = field(default_factory=dict)
    user_of_name: dict[str, int] = field(default_factory=dict)
    name_of_user: dict[int, str] = field(default_factory=dict)

    def identify(self, visitor_id: int, name: str, answered_id: int, now_ms: int) -> None:
        theirs = self.name_of_user.get(visitor_id)
        known_id = self.user_of_name.get(name)
        if theirs == name:
            return
        if known_id is None:
            assert theirs is not None or answered_id == visitor_id
            self.user_of_name[name], self.name_of_user[answered_id] = answered_id, name
            return
        assert answered_id == known_id
        if theirs is None and visitor_id != known_id:
            self.merge(visitor_id, known_id, now_ms)

    def merge(self, from_id: int, into_id: int, until_ms: int) -> None:
        for event_id, (user_id, created_ms) in self.events.items():
            if user_id == from_id and created_ms <= until_ms:
                self.events[event_id] = (into_id, created_ms)


class World:
    """The product over stores that outlive it, and what the model says of it."""

    def __init__(self, directory: Path, engine: Engine, clock: FrozenClock) -> None:
        self._config = config.load({"VEMETRIC_DATA_DIR": str(directory)})[0]
        self._engine, self.clock = engine, clock
        self._stack = AsyncExitStack()
        self._deadly_moment = ""
        self.services: Services
        self.project: Project
        self.model = Model()

    async def start(self) -> None:
        opening = services.open_services(self._config, self.clock, self._engine, self._probe)
        self.services = await self._stack.enter_async_context(opening)
        await workers.MergeUserWorker(self.services).recover()

    async def stop(self) -> None:
        self._deadly_moment = ""
        await self._stack.aclose()

    def _probe(self, moment: str) -> None:
        if moment == self._deadly_moment:
            raise Killed

    def visitor_id(self, visitor: int) -> int:
        return ids.fingerprint_user_id(self.project.id, ip(visitor), visits.CHROME, self.services.salts.pair.current)

    async def event(self, visitor: int) -> None:
        accepted = await visits.event(self.services, self.project, who=visits.sender(self.project, ip(visitor)))
        self.model.events[accepted.event_id] = (self.visitor_id(visitor), self.clock.now_ms())

    async def leave(self, visitor: int) -> None:
        await visits.leave(self.services, self.project, visits.sender(self.project, ip(visitor)))

    async def identify(self, visitor: int, name: str) -> None:
        who = visits.sender(self.project, ip(visitor))
        identified = await self.services.users.identify(IdentifyHit(name), self.project, who, geo.UNKNOWN)
        self.model.identify(self.visitor_id(visitor), name, identified.user_id, self.clock.now_ms())
        # What comes a moment after an identification still belongs to it; how long a moment is, is not told here.
        self.clock.advance(MOMENT_MS)

    async def wait(self, minutes: int) -> None:
        if self.clock.now_ms() % DAY_MS < LATE_MS:
            self.clock.advance(minutes * 60_000)

    async def begin_a_day(self) -> None:
        """A history stays within one day: at midnight visitors get other ids, which the model knows nothing of."""
        await self.stop()
        self.clock.advance(DAY_MS - self.clock.now_ms() % DAY_MS)
        await self.start()

    async def work(self, queue_number: int, limit: int) -> None:
        """Handle some jobs of a queue, to the deadly moment if there is one."""
        handlers = workers.handlers(self.services)
        queue = sorted(handlers)[queue_number % len(handlers)]
        claimed = await self.services.queue.claim(queue, limit, LEASE_SECONDS)
        if not claimed:
            return
        self._probe("claimed")
        write = await handlers[queue](claimed, Lease(self.clock, claimed[0].lease_until_ms))
        self._probe("before-ack")
        await self.services.queue.ack(claimed, write)
        self._probe("after-ack")

    async def abandon(self, queue_number: int, limit: int) -> None:
        """A worker takes jobs and is never heard of again; the others wait until its lease is over."""
        names = sorted(workers.handlers(self.services))
        await self.services.queue.claim(names[queue_number % len(names)], limit, LEASE_SECONDS)
        self.clock.advance(LEASE_SECONDS * 1000 + 1)

    async def kill(self, queue_number: int, limit: int, moment: str) -> None:
        self._deadly_moment = moment
        with suppress(Killed):
            await self.work(queue_number, limit)
        await self.stop()
        await self.start()

    async def settle(self) -> None:
        await visits.settle(self.services)

    async def check(self) -> None:
        await self.settle()
        # Merges and retries are put off a little.
        self.clock.advance(MOMENT_MS)
        await self.settle()
        project = {"project": self.project.id}
        events = await self._engine.query(
            "SELECT id, userId, sessionId FROM event FINAL WHERE projectId = {project:UInt64}", project
        )
        assert sorted((event_id, user_id) for event_id, user_id, _ in events) == sorted(
            (event_id, user_id) for event_id, (user_id, _) in self.model.events.items()
        )
        sessions = await self._engine.query(
            "SELECT id, userId FROM session FINAL WHERE projectId = {project:UInt64} AND deleted = 0", project
        )
        # A visit of several users' events is cut among them, so a session's id may stand once for each.
        assert {user_id for _, user_id in sessions} == {user_id for _, user_id, _ in events}
        assert len({(id_, user_id) for id_, user_id in sessions}) == len(sessions)
        users = await self._engine.query(
            "SELECT identifier, id FROM user FINAL WHERE projectId = {project:UInt64} AND deleted = 0", project
        )
        assert dict(users) == self.model.user_of_name


def ip(visitor: int) -> str:
    return f"203.0.113.{visitor + 1}"


@pytest.fixture
async def world(tmp_path: Path, engine: Engine, clock: FrozenClock) -> AsyncIterator[World]:
    made = World(tmp_path / "data", engine, clock)
    await made.start()
    yield made
    await made.stop()


def examples(count: int) -> settings:
    return settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), database=None)


async def compare(world: World, steps: list[tuple[Any, ...]]) -> None:
    """Take the steps in a project of their own and compare the rows with the model."""
    await world.begin_a_day()
    world.project = await visits.a_project(world.services)
    world.model = Model()
    for name, *arguments in steps:
        world.clock.advance(7)
        await getattr(world, name)(*arguments)
    world.clock.advance(7)
    await world.check()


# Who was taken for somebody else, and says a name of his own before the workers have come to it, keeps the name.
@example(steps=[("identify", 0, "bob"), ("event", 2), ("identify", 2, "bob"), ("identify", 2, "ann")])
@examples(12)
@given(steps=st.lists(actions, min_size=5, max_size=25))
async def test_however_things_meet_the_rows_are_those_of_one_after_the_other(
    world: World, steps: list[tuple[Any, ...]]
) -> None:
    await compare(world, steps)


@pytest.mark.long
@pytest.mark.timeout(3_600)
@examples(300)
@given(steps=st.lists(actions, min_size=5, max_size=60))
async def test_so_they_are_after_many_more_steps(world: World, steps: list[tuple[Any, ...]]) -> None:
    await compare(world, steps)
