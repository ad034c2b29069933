"""One server of each kind for processes that share their work, as the settings name them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from tests import relational
from tests.kit import servers
from tests.kit.clickhouse_server import ClickHouseServer

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
