"""Projects by token: read once for many hits, dropped at once when they change, and only short text is asked for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from vemetric.accounts import projects
from vemetric.clock import FrozenClock
from vemetric.database.database import Connection, Database, file_url
from vemetric.ingest.project_cache import CACHE_SECONDS, TOKEN_LENGTH_MAX, ProjectCache


class Watched(Database):
    """A database that counts how often it is read, holds look-ups up, and lets something happen at their end."""

    reads = 0
    held: asyncio.Event | None = None
    then: Callable[[], None] | None = None

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        self.reads += 1
        if self.held is not None:
            await self.held.wait()
        async with super().connect() as connection:
            yield connection
        if self.then is not None:
            self.then()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Watched]:
    opened = await Watched.open(file_url(tmp_path / "vemetric.db"))
    assert isinstance(opened, Watched)
    yield opened
    await opened.close()


async def test_many_hits_at_once_are_one_look_up_a_second(database: Watched, clock: FrozenClock) -> None:
    shop = await projects.create_by_operator(database, clock, "Shop", "shop.example.com", "UTC")
    database.reads, cache = 0, ProjectCache(database, clock)
    for reads in (1, 2):
        found = await asyncio.gather(*(cache.by_token(shop.token) for _ in range(20)))
        assert {project and project.id for project in found} == {shop.id}
        assert database.reads == reads
        clock.advance(CACHE_SECONDS * 1000)


async def test_a_project_is_read_again_before_its_entry_is_old(database: Watched, clock: FrozenClock) -> None:
    shop = await projects.create_by_operator(database, clock, "Shop", "shop.example.com", "UTC")
    database.reads, cache = 0, ProjectCache(database, clock)
    await cache.by_token(shop.token)
    clock.advance(CACHE_SECONDS * 600)
    for _ in range(3):
        assert cache.at_once(shop.token) is not None
    await asyncio.gather(*cache._renewing.values())
    clock.advance(CACHE_SECONDS * 600)
    assert cache.at_once(shop.token) is not None
    assert database.reads == 2
    await asyncio.gather(*cache._renewing.values())


async def test_what_was_read_before_a_change_is_not_believed_after_it(database: Watched, clock: FrozenClock) -> None:
    cache = ProjectCache(database, clock)
    database.then = cache.forget
    assert await cache.by_token("a" * 16) is None
    database.then, database.reads = None, 0
    await cache.by_token("a" * 16)
    assert database.reads == 1


async def test_a_known_token_does_not_wait_for_strangers(database: Watched, clock: FrozenClock) -> None:
    shop = await projects.create_by_operator(database, clock, "Shop", "shop.example.com", "UTC")
    cache = ProjectCache(database, clock)
    await cache.by_token(shop.token)
    clock.advance(CACHE_SECONDS * 1000)
    held = database.held = asyncio.Event()
    strangers = [asyncio.create_task(cache.by_token(f"made-up-{number}")) for number in range(20)]
    await asyncio.sleep(0)
    database.held = None
    async with asyncio.timeout(60):
        project = await cache.by_token(shop.token)
    assert project is not None
    assert not any(task.done() for task in strangers)
    held.set()
    assert set(await asyncio.gather(*strangers)) == {None}


@pytest.mark.parametrize(
    ("token", "reads"),
    [("x" * TOKEN_LENGTH_MAX, 1), ("x" * (TOKEN_LENGTH_MAX + 1), 0), ("", 0), ("é", 0), (None, 0), ({"a": 1}, 0)],
)
async def test_only_short_text_is_looked_up(database: Watched, clock: FrozenClock, token: object, reads: int) -> None:
    assert await ProjectCache(database, clock).by_token(token) is None
    assert database.reads == reads
