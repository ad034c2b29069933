"""One server of each kind for processes that share their work, as the settings name them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from tests import relational
from tests.kit import servers
from tests.kit.clickhouse_server import ClickHouseServer


class Stores(NamedTuple):
    """Servers of a test's own, which may be stopped; settings: their addresses by the names of the settings."""

    clickhouse: ClickHouseServer
    valkey: servers.Server
    settings: dict[str, str]


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Stores]:
    async with AsyncExitStack() as stack:
        clickhouse = ClickHouseServer(folder / "clickhouse", password="x").start()
        stack.callback(clickhouse.stop)
        valkey = servers.start_redis("valkey")
        stack.callback(valkey.stop)
        settings = {
            "DATABASE_URL": await stack.enter_async_context(relational.postgresql_url()),
            "REDIS_URL": servers.redis_url(valkey),
            "CLICKHOUSE_URL": clickhouse.url("shared"),
        }
        yield Stores(clickhouse, valkey, settings)
