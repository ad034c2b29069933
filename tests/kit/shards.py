"""A cluster of two shards as far as one engine can be one: tables, settings and statements are those of
clickhouse/cluster.py, run by the real engine through distributed tables. One shard is the engine itself and holds all
rows, the other one is never there and is passed over; so answers are merged from shards, as on a cluster, and must be
those of a single server.

Not covered: replication and its quorum, DDL that travels (ON CLUSTER), and rows that lie on two shards.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.kit.clickhouse_server import ClickHouseServer
from vemetric.clickhouse import migrate
from vemetric.clickhouse.cluster import LOCAL_SUFFIX, SHARD_KEYS, Cluster
from vemetric.clickhouse.server import ServerEngine
from vemetric.model import clickhouse_url

DATABASE = "sharded"
# An address without a port is the engine itself; nothing listens at the other one.
SHARDS = "127.0.0.1,127.0.0.2:1"

OF_CLUSTER = re.compile(r" ON CLUSTER '\w+'")
REPLICATED = re.compile(r"ENGINE = Replicated(\w+)\('[^']*', '[^']*'(?:, )?([^)]*)\)")
DISTRIBUTED = re.compile(r" AS \S+ ENGINE = Distributed\('\w+', ('\w+'), ('\w+'), (.*)\)$", re.DOTALL)


class OneShard(Cluster):
    """The cluster's statements for an engine that stands for one of its shards."""

    @property
    def settings(self) -> dict[str, Any]:
        return super().settings | {"insert_quorum": 0, "skip_unavailable_shards": 1}

    def statements(self, sql: str) -> list[str]:
        return [here(statement) for statement in super().statements(sql)]


class ShardedEngine(ServerEngine):
    """Writes where a distributed table would send rows of this shard."""

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        await super().insert(f"{table}{LOCAL_SUFFIX}" if table in SHARD_KEYS else table, columns, rows)

    async def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        target = re.match(r"(\s*INSERT INTO )(\w+)", sql)
        if target and target[2] in SHARD_KEYS:
            sql = f"{target[1]}{target[2]}{LOCAL_SUFFIX}{sql[target.end() :]}"
        await super().command(sql, parameters)


def here(statement: str) -> str:
    """The statement without replication, its distributed table over SHARDS."""
    statement = REPLICATED.sub(r"ENGINE = \1(\2)", OF_CLUSTER.sub("", statement))
    return DISTRIBUTED.sub(rf" AS remote('{SHARDS}', \1, \2, \3)", statement)


@asynccontextmanager
async def on_shard(server: ClickHouseServer) -> AsyncIterator[ServerEngine]:
    """A migrated engine of this loop over a running server."""
    at = clickhouse_url.parse(server.url(DATABASE))
    await (await ServerEngine.open(at)).close()
    engine = await ShardedEngine.open(at, is_needed=False, cluster=OneShard("two", DATABASE))
    try:
        await migrate.migrate(engine)
        yield engine
    finally:
        await engine.close()
