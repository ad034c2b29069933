"""A cluster of two shards within one engine: tables, settings and statements are those of clickhouse/cluster.py, run by
the real engine through distributed tables. Both shards are the engine itself and share the local tables; of those each
reads only the rows that a cluster would have sent to it. So answers are merged from shards, of which neither sees the
other's rows, and must be those of a single server.

Not covered: replication and its quorum, DDL that travels (ON CLUSTER), the sending of rows to their shard, a shard that
lags behind or is away.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.kit.clickhouse_server import ClickHouseServer
from vemetric.clickhouse import migrate
from vemetric.clickhouse.cluster import LOCAL_SUFFIX, SHARD_KEYS, Cluster
from vemetric.clickhouse.encoding import left_out_setting
from vemetric.clickhouse.server import ServerEngine
from vemetric.model import clickhouse_url

DATABASE = "sharded"


def local(table: str) -> str:
    """The table below a distributed one, as filters name it."""
    return f"{DATABASE}.{table}{LOCAL_SUFFIX}"


# An address without a port is the engine itself.
SHARDS = "127.0.0.1,localhost"
# What of its local table each shard has, by the rule that sends rows there.
OF_SHARD = {local(table): f"{key} % 2 + 1 = shardNum()" for table, key in SHARD_KEYS.items()}

OF_CLUSTER = re.compile(r" ON CLUSTER '\w+'")
REPLICATED = re.compile(r"ENGINE = Replicated(\w+)\('[^']*', '[^']*'(?:, )?([^)]*)\)")
DISTRIBUTED = re.compile(r" AS \S+ ENGINE = Distributed\('\w+', ('\w+'), ('\w+'), (.*)\)$", re.DOTALL)


class TwoShards(Cluster):
    """The cluster's statements for an engine that stands for both of its shards."""

    @property
    def settings(self) -> dict[str, Any]:
        return super().settings | {"insert_quorum": 0, "additional_table_filters": left_out_setting(OF_SHARD)}

    def left_out(self, conditions: Mapping[str, str]) -> dict[str, str]:
        # Of what is said of a distributed table and of the local one below it the engine minds only the latter.
        asked = super().left_out(conditions)
        below = {local(table): f"{OF_SHARD[local(table)]} AND ({condition})" for table, condition in asked.items()}
        return asked | OF_SHARD | below

    def statements(self, sql: str) -> list[str]:
        return [here(statement) for statement in super().statements(sql)]


class ShardedEngine(ServerEngine):
    """Writes to the table that the shards share."""

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
async def on_two(server: ClickHouseServer) -> AsyncIterator[ServerEngine]:
    """A migrated engine of this loop over a running server."""
    at = clickhouse_url.parse(server.url(DATABASE))
    await (await ServerEngine.open(at)).close()
    engine = await ShardedEngine.open(at, is_needed=False, cluster=TwoShards("two", DATABASE))
    try:
        await migrate.migrate(engine)
        yield engine
    finally:
        await engine.close()
