"""One server of each kind for processes that share their work, as the settings name them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from tests import relational
from tests.kit import servers
from tests.kit.clickhouse_server import ClickHouseServer
from vemetric import config, services
from vemetric.clickhouse.engine import Engine
from vemetric.clock import Clock
from vemetric.services import Services

DATABASE = "shared"


class Stores(NamedTuple):
    """Servers of a test's own, which may be stopped; settings: their addresses by the names of the settings.

    postgresql: None where the test process's own is used, which may not be stopped.
    """

    clickhouse: ClickHouseServer
    redis: servers.Server
    postgresql: servers.Server | None
    settings: dict[str, str]


@asynccontextmanager
async def sharing(
    environ: dict[str, str], engine: Engine, clock: Clock, folder: Path
) -> AsyncIterator[tuple[Services, Services]]:
    """The services of two processes on a PostgreSQL and a Valkey of the test process, over one engine."""
    async with relational.postgresql_url() as database, AsyncExitStack() as stack:
        shared = environ | {"DATABASE_URL": database, "REDIS_URL": servers.redis_url(servers.redis("valkey"))}
        shared |= {"VEMETRIC_REDIS_PREFIX": database.rpartition("/")[2]}
        opened = []
        for name in ("one", "other"):
            settings, _ = config.load(shared | {"VEMETRIC_DATA_DIR": str(folder / name)})
            opened.append(await stack.enter_async_context(services.open_services(settings, clock, engine)))
        one, other = opened
        yield one, other


@asynccontextmanager
async def running(folder: Path, redis: str = "valkey", *, all_own: bool = False) -> AsyncIterator[Stores]:
    """redis: which of servers.redis_programs(). all_own: with a PostgreSQL that may be stopped, too."""
    async with AsyncExitStack() as stack:
        clickhouse = ClickHouseServer(folder / "clickhouse", password="x").start()
        stack.callback(clickhouse.stop)
        keys = servers.start_redis(redis)
        stack.callback(keys.kill)
        postgresql = servers.start_postgresql() if all_own else None
        if postgresql is not None:
            stack.callback(postgresql.kill)
            database = servers.postgresql_url(postgresql)
        else:
            database = await stack.enter_async_context(relational.postgresql_url())
        settings = {
            "DATABASE_URL": database,
            "REDIS_URL": servers.redis_url(keys),
            "CLICKHOUSE_URL": clickhouse.url(DATABASE),
        }
        yield Stores(clickhouse, keys, postgresql, settings)
