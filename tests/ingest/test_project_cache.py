"""Projects by token: read once for many hits, dropped at once when they change, and only short text is asked for."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kit.watched import Watched
from vemetric import errors
from vemetric.accounts import project_settings, projects
from vemetric.clock import FrozenClock
from vemetric.database.database import file_url
from vemetric.ingest import project_cache
from vemetric.ingest.project_cache import CACHE_SECONDS, HELD_MS, TOKEN_LENGTH_MAX, ProjectCache

CACHE_MS = int(CACHE_SECONDS * 1000)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Watched]:
    opened = await Watched.open(file_url(tmp_path / "vemetric.db"))
    assert isinstance(opened, Watched)
    yield opened
    await opened.close()


async def test_many_hits_at_once_are_one_look_up(database: Watched, clock: FrozenClock) -> None:
    shop = await projects.create_by_operator(database, clock, "Shop", "shop.example.com", "UTC")
    database.reads, cache = 0, ProjectCache(database, clock)
    for reads in (1, 2):
        found = await asyncio.gather(*(cache.by_token(shop.token) for _ in range(20)))
        assert {project and project.id for project in found} == {shop.id}
        assert database.reads == reads
        clock.advance(CACHE_MS)


async def test_a_project_is_read_again_before_its_entry_is_old(database: Watched, clock: FrozenClock) -> None:
    shop = await projects.create_by_operator(database, clock, "Shop", "shop.example.com", "UTC")
    database.reads, cache = 0, ProjectCache(database, clock)
    await cache.by_token(shop.token)
    clock.advance(CACHE_MS * 3 // 5)
    for _ in range(3):
        assert cache.at_once(shop.token) is not None
    await asyncio.gather(*cache._renewing.values())
    clock.advance(CACHE_MS * 3 // 5)
    assert cache.at_once(shop.token) is not None
    assert database.reads == 2
    await asyncio.gather(*cache._renewing.values())


async def test_a_change_is_seen_in_half_a_second_however_long_a_look_up_takes(
    database: Watched, clock: FrozenClock
) -> None:
    """The other half of the promised second is for what a busy machine needs to answer."""
    assert CACHE_MS <= 500
    shop = await projects.create_by_operator(database, clock, "Shop", "shop.example.com", "UTC")
    cache = ProjectCache(database, clock)
    # The change comes right after the reading, whose answer is slow.
    database.then = lambda: clock.advance(CACHE_MS - 1)
    assert await cache.by_token(shop.token) == shop
    database.then = None
    await project_settings.rotate_token(database, clock, shop.id)
    assert cache.at_once(shop.token) is not None
    await cache._renewing[shop.token]
    assert await cache.by_token(shop.token) is None
    assert await ProjectCache(database, clock).by_token(shop.token) is None


async def test_what_is_renewed_meanwhile_is_one_look_up(
    database: Watched, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_cache, "RENEWED_TOGETHER_MAX", 4)
    shops = [
        await projects.create_by_operator(database, clock, "Shop", f"{number}.example.com", "UTC")
        for number in range(9)
    ]
    cache = ProjectCache(database, clock)
    for shop in shops:
        await cache.by_token(shop.token)
    clock.advance(CACHE_MS)
    database.reads, database.held = 0, asyncio.Event()
    asked = [asyncio.create_task(cache.by_token(shop.token)) for shop in shops * 2]
    await asyncio.sleep(0)
    database.held.set()
    assert await asyncio.gather(*asked) == shops * 2
    assert database.reads == 3


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
    clock.advance(CACHE_MS)
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


async def test_a_known_project_goes_on_while_the_database_is_away(database: Watched, clock: FrozenClock) -> None:
    shop = await projects.create_by_operator(database, clock, "Shop", "shop.example.com", "UTC")
    cache = ProjectCache(database, clock)
    await cache.by_token(shop.token)
    clock.advance(CACHE_MS)
    database.error = errors.Unavailable()
    for _ in range(2):
        assert await cache.by_token(shop.token) == shop
    # Nobody waits any more, and it is asked for until there is an answer.
    assert cache.at_once(shop.token) is not None
    await asyncio.gather(*cache._renewing.values())
    database.error = None
    await project_settings.rotate_token(database, clock, shop.id)
    clock.advance(CACHE_MS * 3 // 5)
    assert cache.at_once(shop.token) is not None
    await asyncio.gather(*cache._renewing.values())
    assert await cache.by_token(shop.token) is None


async def test_what_is_held_is_not_held_for_ever(database: Watched, clock: FrozenClock) -> None:
    shop = await projects.create_by_operator(database, clock, "Shop", "shop.example.com", "UTC")
    cache = ProjectCache(database, clock)
    await cache.by_token(shop.token)
    database.error = errors.Unavailable()
    clock.advance(HELD_MS - 1)
    assert await cache.by_token(shop.token) == shop
    clock.advance(CACHE_MS)
    with pytest.raises(errors.Unavailable):
        await cache.by_token(shop.token)


async def test_a_database_that_hangs_holds_no_known_project_up(database: Watched, clock: FrozenClock) -> None:
    shop = await projects.create_by_operator(database, clock, "Shop", "shop.example.com", "UTC")
    cache = ProjectCache(database, clock, patience_seconds=0.01)
    await cache.by_token(shop.token)
    clock.advance(CACHE_MS)
    held = database.held = asyncio.Event()
    assert await cache.by_token(shop.token) == shop
    clock.advance(CACHE_MS)
    assert cache.at_once(shop.token) is not None
    held.set()
    await asyncio.gather(*cache._renewing.values())


async def test_strangers_are_refused_together_while_the_database_is_away(database: Watched, clock: FrozenClock) -> None:
    cache = ProjectCache(database, clock)
    database.error, database.held = errors.Unavailable(), asyncio.Event()
    asked = [asyncio.create_task(cache.by_token(f"made-up-{number}")) for number in range(20)]
    await asyncio.sleep(0)
    database.held.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(each) for each in answers} == {errors.Unavailable}
    assert database.reads == 1
    database.error = None
    assert await cache.by_token("made-up-1") is None


async def test_a_clock_that_is_set_back_has_nothing_believed_for_longer(database: Watched, clock: FrozenClock) -> None:
    shop = await projects.create_by_operator(database, clock, "Shop", "shop.example.com", "UTC")
    cache = ProjectCache(database, clock)
    await cache.by_token(shop.token)
    clock.advance(-3_600_000)
    await project_settings.rotate_token(database, clock, shop.id)
    assert await cache.by_token(shop.token) is None


async def test_what_was_held_is_read_anew_once_nobody_asked_for_a_while(database: Watched, clock: FrozenClock) -> None:
    shop = await projects.create_by_operator(database, clock, "Shop", "shop.example.com", "UTC")
    cache = ProjectCache(database, clock)
    await cache.by_token(shop.token)
    clock.advance(CACHE_MS)
    database.error = errors.Unavailable()
    assert await cache.by_token(shop.token) == shop
    database.error = None
    await project_settings.rotate_token(database, clock, shop.id)
    clock.advance(CACHE_MS)
    assert await cache.by_token(shop.token) is None


async def test_whose_token_it_was_is_told_however_old_that_is(database: Watched, clock: FrozenClock) -> None:
    shop = await projects.create_by_operator(database, clock, "Shop", "shop.example.com", "UTC")
    cache = ProjectCache(database, clock)
    assert cache.last(shop.token) is None
    await cache.by_token(shop.token)
    clock.advance(CACHE_MS)
    assert (cache.at_once(shop.token), cache.last(shop.token)) == (None, shop)
    assert (cache.last("nobody's"), cache.last(None)) == (None, None)
