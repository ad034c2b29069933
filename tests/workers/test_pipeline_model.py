"""Events, identifications, kills and redeliveries in any order come to the same rows as one thing after the other.

A kill ends the process between two steps of a batch: what the stores hold stays, what memory held is gone, and the
jobs that were claimed come again. The model knows nothing of queues: it notes who did what, and who turned out to be
whom until when.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.kit import visits
from vemetric import config, services, workers
from vemetric.clickhouse.engine import Engine
from vemetric.clock import FrozenClock
from vemetric.ingest import jobs
from vemetric.ingest.batch import Dated, OfSender
from vemetric.ingest.hit import BatchHit, IdentifyHit
from vemetric.ingest.resets import Resets
from vemetric.ingest.who import Sender
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
names = st.sampled_from(NAMES)
# Within the time in which what a visitor does still goes to whom it was merged into, about its end, and long after.
seconds = st.sampled_from([0, 1, 5, 7, 1_800])
queues = st.integers(0, 20)
limits = st.sampled_from([1, 3, 100])
actions = st.one_of(
    st.tuples(st.just("event"), visitors),
    st.tuples(st.just("event"), visitors),
    st.tuples(st.just("identify"), visitors, names),
    st.tuples(st.just("identify"), visitors, names),
    st.tuples(st.just("reset"), visitors),
    st.tuples(st.just("by_server"), names),
    st.tuples(st.just("in_batch"), names, seconds),
    st.tuples(st.just("in_batch"), visitors, seconds),
    st.tuples(st.just("leave"), visitors),
    st.tuples(st.just("wait"), st.sampled_from([1, 7, 60, 1_200, 2_400])),
    st.tuples(st.just("work"), queues, limits),
    st.tuples(st.just("abandon"), queues, limits),
    st.tuples(st.just("kill"), queues, limits, st.sampled_from(MOMENTS)),
    st.tuples(st.just("settle")),
)


class Killed(BaseException):
    """The process ends here."""


class Merge(NamedTuple):
    """What a visitor did before a time is another user's."""

    until_ms: int
    into_id: int
    asked_ms: int


@dataclass
class Model:
    """Who sent which event, who is known by which name, and who turned out to be whom, in order."""

    events: dict[str, tuple[int, int]] = field(default_factory=dict)
    user_of_name: dict[str, int] = field(default_factory=dict)
    name_of_user: dict[int, str] = field(default_factory=dict)
    merges: dict[int, list[Merge]] = field(default_factory=dict)

    def identify(self, visitor_id: int, name: str, answered_id: int, now_ms: int) -> None:
        theirs = self.name_of_user.get(visitor_id)
        if theirs == name:
            assert answered_id == visitor_id
            return
        is_known = name in self.user_of_name
        # Whoever bears another name, or was taken for somebody, has nothing that a new name may bring along.
        if is_known or theirs is not None or visitor_id in self.merges:
            self.named(name, answered_id)
            if theirs is None:
                self.merge(visitor_id, answered_id, now_ms)
        else:
            assert answered_id == visitor_id
            self.named(name, visitor_id)

    def named(self, name: str, user_id: int) -> None:
        """The user who is known by a name: always the same one, who never was anybody else."""
        assert self.user_of_name.setdefault(name, user_id) == user_id
        assert self.name_of_user.setdefault(user_id, name) == name
        assert user_id not in self.merges

    def merge(self, from_id: int, into_id: int, now_ms: int) -> None:
        merges = self.merges.setdefault(from_id, [])
        if not any(each.into_id == into_id and is_same(each.asked_ms, now_ms) for each in merges):
            merges.append(Merge(now_ms + jobs.MERGE_DELAY_MS, into_id, now_ms))

    def is_anybody(self, visitor_id: int) -> bool:
        return visitor_id in self.name_of_user or visitor_id in self.merges

    def owners(self) -> dict[str, int]:
        """Whose each event is in the end."""
        return {
            path: next((each.into_id for each in self.merges.get(user_id, ()) if at_ms < each.until_ms), user_id)
            for path, (user_id, at_ms) in self.events.items()
        }


def is_same(one_ms: int, other_ms: int) -> bool:
    """Whether merges that were asked for at these times are one."""
    return one_ms // jobs.SAME_MERGE_MS == other_ms // jobs.SAME_MERGE_MS


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

    def sender(self, visitor: int) -> Sender:
        return visits.sender(self.project, ip(visitor))

    async def visitor_id(self, visitor: int) -> int:
        """Who sits at a browser: as its hash tells, or in the place of who left."""
        hashed = ids.fingerprint_user_id(self.project.id, ip(visitor), visits.CHROME, self.services.salts.pair.current)
        resets = Resets(self.services.keys, self.clock, exclusive=False)
        await resets.read(self.project.id, [hashed])
        return resets.at_once(self.project.id, hashed) or hashed

    def path(self) -> str:
        return f"/{len(self.model.events)}"

    async def event(self, visitor: int) -> None:
        path = self.path()
        await visits.event(self.services, self.project, who=self.sender(visitor), path=path)
        self.model.events[path] = (await self.visitor_id(visitor), self.clock.now_ms())

    async def by_server(self, name: str) -> None:
        """A server speaks of a user, who need not be known yet."""
        path = self.path()
        who = visits.sender(self.project, user_identifier=name)
        await visits.event(self.services, self.project, who=who, path=path)
        self.model.events[path] = (await self.known(name), self.clock.now_ms())

    async def in_batch(self, whose: int | str, seconds: int) -> None:
        """Something that happened a while ago is told now, of a browser or a user."""
        path, at_ms = self.path(), self.clock.now_ms() - seconds * 1000
        hit = BatchHit(name="Told", url=f"https://{self.project.domain}{path}")
        who = self.sender(whose if isinstance(whose, int) else 0)
        if isinstance(whose, str):
            hit = msgspec.structs.replace(hit, user_identifier=whose)
        await self.services.batches.take(
            [Dated(hit, at_ms, "")], OfSender(self.project, who, jobs.pack_headers({}), geo.UNKNOWN)
        )
        user_id = await (self.visitor_id(whose) if isinstance(whose, int) else self.known(whose))
        self.model.events[path] = (user_id, at_ms)

    async def known(self, name: str) -> int:
        user_id = await self.services.identities.by_identifier(self.project.id, name)
        assert user_id is not None
        self.model.named(name, user_id)
        return user_id

    async def leave(self, visitor: int) -> None:
        await visits.leave(self.services, self.project, self.sender(visitor))

    async def identify(self, visitor: int, name: str) -> None:
        visitor_id = await self.visitor_id(visitor)
        hit, who = IdentifyHit(name), self.sender(visitor)
        identified = await self.services.users.identify(hit, self.project, who, geo.UNKNOWN)
        self.model.identify(visitor_id, name, identified.user_id, self.clock.now_ms())

    async def reset(self, visitor: int) -> None:
        before = await self.visitor_id(visitor)
        await self.services.users.reset(self.project, self.sender(visitor))
        assert (await self.visitor_id(visitor) != before) == self.model.is_anybody(before)

    async def wait(self, seconds: int) -> None:
        if self.clock.now_ms() % DAY_MS < LATE_MS:
            self.clock.advance(seconds * 1000)

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
            "SELECT pathname, userId, userIdentifier FROM event FINAL WHERE projectId = {project:UInt64}", project
        )
        assert sorted((path, user_id) for path, user_id, _ in events) == sorted(self.model.owners().items())
        # What was stored before its user got the name bears none.
        assert all(name in ("", self.model.name_of_user.get(user_id)) for _, user_id, name in events)
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


# Whoever comes next at the browser of somebody who was taken for another keeps what is his, also what is told late.
@example(
    steps=[
        *(("identify", 0, "bob"), ("event", 2), ("identify", 2, "bob"), ("reset", 2)),
        *(("identify", 2, "ann"), ("by_server", "ann"), ("wait", 7), ("in_batch", "ann", 1_800)),
    ]
)
# Who was taken for somebody else, and says a name of his own before the workers have come to it, keeps the name.
@example(steps=[("identify", 0, "bob"), ("event", 2), ("identify", 2, "bob"), ("identify", 2, "ann"), ("event", 2)])
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
