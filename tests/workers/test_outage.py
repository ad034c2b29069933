"""Two hubs and two workers on server stores under load, each server stopped and brought back: nothing answered is lost.

Redis and PostgreSQL are real; every visitor's hits go to both hubs in turn. What was answered must be stored, once; a
visit must not be split; a visitor who was told to be known must be.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.kit import servers, visits
from vemetric import config, errors, services, workers
from vemetric.clickhouse.engine import Engine
from vemetric.clock import SystemClock
from vemetric.database import identities
from vemetric.ingest.hit import IdentifyHit
from vemetric.model import geo
from vemetric.model.project import Project
from vemetric.services import Services

VISITORS = 40
# Enough to see that the answer is no while a store is down, and yes again afterwards.
REFUSED_MIN, ACCEPTED_MIN = 20, 200


class Load:
    """Visitors that send one hit after another until they are stopped, and what was answered."""

    def __init__(self, hubs: list[Services], project: Project) -> None:
        self.hubs = hubs
        self.project = project
        self.accepted: dict[str, int] = {}
        self.identified: set[int] = set()
        self.refused = 0
        self._stopping = asyncio.Event()
        self._moved = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for visitor in range(VISITORS):
                group.create_task(self._visit(visitor))

    def stop(self) -> None:
        self._stopping.set()

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(120):
            while not is_so():
                self._moved.clear()
                await self._moved.wait()

    async def _visit(self, visitor: int) -> None:
        who = visits.sender(self.project, f"192.0.2.{visitor}")
        number = 0
        while not self._stopping.is_set():
            number += 1
            hub = self.hubs[number % 2]
            if visitor % 2 and number % 5 == 0 and visitor not in self.identified:
                hit = IdentifyHit(f"user{visitor}")
                if await self._answered(hub.users.identify(hit, self.project, who, geo.UNKNOWN)):
                    self.identified.add(visitor)
            else:
                accepted = await self._answered(visits.event(hub, self.project, who=who))
                if accepted is not None:
                    self.accepted[accepted.event_id] = visitor
            self._moved.set()
            await asyncio.sleep(0.005)

    async def _answered(self, asked: Awaitable[object]) -> object | None:
        try:
            return await asked
        except errors.Unavailable:
            self.refused += 1
            return None


@pytest.fixture(params=list(servers.redis_programs()))
def stores(request: pytest.FixtureRequest) -> Iterator[dict[str, servers.Server]]:
    started = {"redis": servers.start_redis(request.param), "postgresql": servers.start_postgresql()}
    yield started
    for server in started.values():
        server.kill()


@pytest.fixture
async def hubs(
    environ: dict[str, str], engine: Engine, tmp_path: Path, stores: dict[str, servers.Server]
) -> AsyncIterator[list[Services]]:
    urls = {
        "DATABASE_URL": servers.postgresql_url(stores["postgresql"]),
        "REDIS_URL": servers.redis_url(stores["redis"]),
        "VEMETRIC_QUEUE_LEASE_SECONDS": "4",
        "VEMETRIC_ENGINE_INSERT_SECONDS": "2",
        "VEMETRIC_BATCH_LINGER_MS": "50",
    }
    async with AsyncExitStack() as stack:
        opened = []
        for name in ("one", "other"):
            settings, _ = config.load(environ | urls | {"VEMETRIC_DATA_DIR": str(tmp_path / name)})
            opened.append(await stack.enter_async_context(services.open_services(settings, SystemClock(), engine)))
            await stack.enter_async_context(workers.running(opened[-1]))
        yield opened


@pytest.mark.parametrize("down_seconds", [0, pytest.param(60, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
async def test_servers_stopped_one_after_the_other_lose_nothing_that_was_answered(
    hubs: list[Services], stores: dict[str, servers.Server], down_seconds: int
) -> None:
    load = Load(hubs, await visits.a_project(hubs[0]))
    running = asyncio.create_task(load.run())
    await load.until(lambda: len(load.accepted) >= ACCEPTED_MIN)
    for name, server in stores.items():
        server.stop()
        if name == "redis":
            refused = load.refused
            await load.until(lambda refused=refused: load.refused >= refused + REFUSED_MIN)
        await asyncio.sleep(down_seconds)
        server.start()
        accepted = len(load.accepted)
        await load.until(lambda accepted=accepted: len(load.accepted) >= accepted + ACCEPTED_MIN)
    load.stop()
    await running
    await worked_off(hubs[0])
    await check(hubs[0], load)


async def worked_off(services: Services) -> None:
    async with asyncio.timeout(120):
        while any(line.ready + line.delayed + line.claimed for line in await services.queue.stats()):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.1)


async def check(services: Services, load: Load) -> None:
    assert [line for line in await services.queue.stats() if line.dead] == []
    ask = "SELECT id, sessionId, sign FROM event WHERE projectId = {project:UInt64}"
    stored = await services.engine.query(ask, {"project": load.project.id})
    names = [name for name, *_ in stored]
    assert len(names) == len(set(names)), "an event is stored twice"
    assert load.accepted.keys() <= set(names), "an event that was answered is missing"
    counted = await services.keys.counters(f"accepted:{load.project.id}:")
    assert sum(counted.values()) == len(names), "what was counted and what is stored differ"
    visits_of: dict[int, set[str]] = {}
    for name, session_id, _ in stored:
        if name in load.accepted:
            visits_of.setdefault(load.accepted[name], set()).add(session_id)
    assert {visitor: len(found) for visitor, found in visits_of.items() if len(found) != 1} == {}
    for visitor in load.identified:
        async with services.database.connect() as connection:
            known = await identities.by_identifier(connection, load.project.id, f"user{visitor}")
        assert known is not None, "an identification that was answered is missing"
