"""The analytics engines that suites run over: the one in the process, and one on the server of clickhouse_http.py."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from tests.kit.clickhouse_server import ClickHouseServer
from vemetric.clickhouse import migrate
from vemetric.clickhouse.engine import Engine
from vemetric.clickhouse.server import ServerEngine
from vemetric.model import clickhouse_url

BACKENDS = ("embedded", "server")
DATABASE = "analytics"


@asynccontextmanager
async def on_server(server: ClickHouseServer) -> AsyncIterator[ServerEngine]:
    """A migrated engine of this loop over a running server."""
    engine = await ServerEngine.open(clickhouse_url.parse(server.url(DATABASE)))
    try:
        await migrate.migrate(engine)
        yield engine
    finally:
        await engine.close()


def of_any_loop(engine: Engine) -> Engine:
    """The same store for a test that runs loops of its own; what is open on a server belongs to one loop."""
    return PerCall(engine) if isinstance(engine, ServerEngine) else engine


class PerCall:
    """Opens the engine anew for every call."""

    def __init__(self, engine: ServerEngine) -> None:
        self._open = partial(type(engine).open, engine.at, is_needed=False, cluster=engine.cluster)

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[list[Any]]:
        async with self._opened() as engine:
            return await engine.query(sql, parameters)

    async def lookup(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[list[Any]]:
        async with self._opened() as engine:
            return await engine.lookup(sql, parameters)

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        async with self._opened() as engine:
            await engine.insert(table, columns, rows)

    async def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        async with self._opened() as engine:
            await engine.command(sql, parameters)

    async def close(self) -> None:
        return

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[ServerEngine]:
        engine = await self._open()
        try:
            yield engine
        finally:
            await engine.close()
