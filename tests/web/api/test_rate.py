"""The rate limit is one for all processes of an instance and is not forgotten by a restart."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession, DummyCookieJar
from aiohttp.test_utils import TestServer

from tests.kit import servers
from tests.relational import postgresql_url
from tests.web.api.conftest import KEY
from vemetric import config, services
from vemetric.accounts import projects, signup, tokens
from vemetric.clickhouse.engine import Engine
from vemetric.clock import FrozenClock
from vemetric.database import accounts as stored_accounts
from vemetric.database import api_keys
from vemetric.model.api_key import ApiKey
from vemetric.services import Services
from vemetric.web import app

LIMIT = 20


@asynccontextmanager
async def running(environ: dict[str, str], engine: Engine, clock: FrozenClock) -> AsyncIterator[str]:
    """A process's worth of the site; yields where it is."""
    limited = environ | {"VEMETRIC_API_REQUESTS_PER_MINUTE": str(LIMIT)}
    async with services.open_services(config.load(limited)[0], clock, engine) as opened:
        await give_key(opened)
        async with TestServer(app.make_app(opened)) as server:
            yield str(server.make_url("/api/v1/project"))


async def give_key(opened: Services) -> None:
    async with opened.database.connect() as connection:
        if await api_keys.by_hash(connection, tokens.hashed(KEY)) is not None:
            return
    project = await projects.create_by_operator(opened.database, opened.clock, "Shop", "shop.example.com")
    ann = signup.new_account("ann@example.com", "Ann", False, 1)
    async with opened.database.begin() as connection:
        await stored_accounts.create(connection, ann, "no hash")
        key = ApiKey("key_1", project.id, "Key", KEY[:12], 1)
        await api_keys.create(connection, key, tokens.hashed(KEY), ann.id)


async def statuses(urls: list[str], requests: int) -> list[int]:
    """So many requests to these places in turn, all at once."""
    async with ClientSession(cookie_jar=DummyCookieJar()) as session:

        async def ask(url: str) -> int:
            async with session.get(url, headers={"Authorization": f"Bearer {KEY}"}) as response:
                return response.status

        return sorted(await asyncio.gather(*(ask(urls[number % len(urls)]) for number in range(requests))))


async def test_a_restart_forgets_nothing(environ: dict[str, str], engine: Engine, clock: FrozenClock) -> None:
    async with running(environ, engine, clock) as url:
        assert await statuses([url], LIMIT - 5) == [200] * (LIMIT - 5)
    clock.advance(59_999)
    async with running(environ, engine, clock) as url:
        assert await statuses([url], 9) == [200] * 5 + [429] * 4
        clock.advance(1)
        assert await statuses([url], 1) == [200]


@pytest.mark.parametrize("program", list(servers.redis_programs())[:1])
async def test_processes_count_together(
    environ: dict[str, str], engine: Engine, clock: FrozenClock, tmp_path: Path, program: str
) -> None:
    redis = servers.redis_url(servers.redis(program))
    async with postgresql_url() as database, AsyncExitStack() as stack:
        shared = environ | {"DATABASE_URL": database, "REDIS_URL": redis, "VEMETRIC_REDIS_PREFIX": tmp_path.name}
        shared |= {"VEMETRIC_SECRET": "s" * 32}
        places = [shared | {"VEMETRIC_DATA_DIR": str(tmp_path / name)} for name in ("one", "other")]
        urls = [await stack.enter_async_context(running(place, engine, clock)) for place in places]
        assert await statuses(urls, LIMIT + 7) == [200] * LIMIT + [429] * 7
        async with running(shared | {"VEMETRIC_DATA_DIR": str(tmp_path / "third")}, engine, clock) as url:
            assert await statuses([url], 1) == [429]
            clock.advance(60_000)
            assert await statuses([url, *urls], 3) == [200] * 3
