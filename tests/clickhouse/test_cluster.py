"""Statements for a cluster, compared as text: no cluster can be run here."""

import re
from collections.abc import AsyncIterator
from textwrap import dedent

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from vemetric import errors
from vemetric.clickhouse import cluster, migrate
from vemetric.clickhouse.cluster import Cluster
from vemetric.clickhouse.server import ServerEngine
from vemetric.clickhouse.user_merge_sql import READER_FILTERS
from vemetric.model import clickhouse_url
from vemetric.stats import statements

TWO = Cluster("two_shards", "stats")

DEVICE_STATEMENTS = [
    """
    CREATE TABLE IF NOT EXISTS stats.device_local ON CLUSTER 'two_shards'
    (
        sign Int8,
        projectId UInt64,
        userId UInt64,
        id UInt64,
        createdAt DateTime64(3, 'UTC') DEFAULT now64(3),
        osName LowCardinality(String),
        osVersion LowCardinality(String),
        clientName LowCardinality(String),
        clientVersion LowCardinality(String),
        clientType LowCardinality(String),
        deviceType LowCardinality(String),
        importSource String DEFAULT ''
    )
    ENGINE = ReplicatedCollapsingMergeTree('/clickhouse/tables/{shard}/stats/device', '{replica}', sign)
    ORDER BY (projectId, userId, id)
    SETTINGS index_granularity = 256, min_compress_block_size = 2048, default_compression_codec = 'ZSTD(3)',
        fsync_after_insert = 1, fsync_part_directory = 1
    """,
    """
    CREATE TABLE IF NOT EXISTS stats.device ON CLUSTER 'two_shards' AS stats.device_local
    ENGINE = Distributed('two_shards', 'stats', 'device_local', cityHash64(projectId, userId))
    """,
]


def plain(sql: str) -> str:
    """The text with every run of blanks as one."""
    return " ".join(dedent(sql).split())


def made(sql: str) -> list[str]:
    return [plain(statement) for statement in TWO.statements(sql)]


def test_a_table_becomes_a_replicated_one_on_each_shard_and_a_distributed_one() -> None:
    [create] = next(one for one in migrate.all_migrations() if one.name == "0004_device").statements
    assert made(create) == [plain(statement) for statement in DEVICE_STATEMENTS]


def test_the_list_of_migrations_is_whole_on_every_server() -> None:
    [create] = made(migrate.MIGRATION_TABLE)
    assert create == plain(
        """
        CREATE TABLE IF NOT EXISTS stats.migration ON CLUSTER 'two_shards'
        ( name String, checksum String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3) )
        ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/stats/migration', '{shard}-{replica}')
        ORDER BY name SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
        """
    )


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (
            "ALTER TABLE event MODIFY SETTING merge_with_ttl_timeout = 1",
            ["ALTER TABLE stats.event_local ON CLUSTER 'two_shards' MODIFY SETTING merge_with_ttl_timeout = 1"],
        ),
        (
            "ALTER TABLE session ADD COLUMN IF NOT EXISTS x String",
            [
                "ALTER TABLE stats.session_local ON CLUSTER 'two_shards' ADD COLUMN IF NOT EXISTS x String",
                "ALTER TABLE stats.session ON CLUSTER 'two_shards' ADD COLUMN IF NOT EXISTS x String",
            ],
        ),
        (
            "ALTER TABLE session ADD COLUMN IF NOT EXISTS x UInt64, MODIFY ORDER BY (projectId, x)",
            [
                "ALTER TABLE stats.session_local ON CLUSTER 'two_shards' ADD COLUMN IF NOT EXISTS x UInt64, "
                "MODIFY ORDER BY (projectId, x)",
                "ALTER TABLE stats.session ON CLUSTER 'two_shards' ADD COLUMN IF NOT EXISTS x UInt64",
            ],
        ),
        ("OPTIMIZE TABLE user FINAL", ["OPTIMIZE TABLE stats.user_local ON CLUSTER 'two_shards' FINAL"]),
        (
            "DELETE FROM event WHERE projectId = {p:UInt64}",
            ["DELETE FROM stats.event_local ON CLUSTER 'two_shards' WHERE projectId = {p:UInt64}"],
        ),
        (
            "ALTER TABLE migration DELETE WHERE 1",
            ["ALTER TABLE stats.migration ON CLUSTER 'two_shards' DELETE WHERE 1"],
        ),
        ("INSERT INTO event SELECT * FROM event FINAL", ["INSERT INTO event SELECT * FROM event FINAL"]),
        ("KILL QUERY WHERE 1", ["KILL QUERY WHERE 1"]),
    ],
)
def test_changes_reach_every_shard(sql: str, expected: list[str]) -> None:
    assert made(sql) == expected


def test_what_nobody_has_thought_of_is_refused() -> None:
    with pytest.raises(errors.StoreError, match="cannot be run on a cluster"):
        TWO.statements("EXCHANGE TABLES event AND session")
    with pytest.raises(errors.StoreError, match="rows of unknown are spread"):
        TWO.statements("OPTIMIZE TABLE unknown FINAL")


def test_every_migration_can_be_spread() -> None:
    for migration in migrate.all_migrations():
        for statement in migration.statements:
            for spread in TWO.statements(statement):
                assert "ON CLUSTER 'two_shards'" in spread


def test_every_table_that_statistics_read_exists_on_the_cluster() -> None:
    for name in statements.names():
        read = set(re.findall(r"\bFROM (\w+)\b", statements.statement(name)))
        assert read <= cluster.SHARD_KEYS.keys() | cluster.EVERYWHERE, name


def test_every_shard_leaves_the_same_out() -> None:
    spread = TWO.left_out(READER_FILTERS)
    assert spread.keys() == READER_FILTERS.keys()
    for table, condition in spread.items():
        assert condition.count("GLOBAL NOT IN (SELECT") == READER_FILTERS[table].count("NOT IN (SELECT") > 0


@pytest.fixture
async def listener() -> AsyncIterator[tuple[TestServer, list[web.Request]]]:
    """Answers as the newest server with an existing database, and keeps what it was asked."""
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        await request.read()
        return web.Response(text="26.9.1.1\n" if b"version" in await request.read() else "[1]\n")

    app = web.Application()
    app.router.add_route("*", "/", answer)
    async with TestServer(app) as server:
        yield server, asked


async def test_requests_to_a_cluster_carry_what_keeps_its_answers_right(
    listener: tuple[TestServer, list[web.Request]],
) -> None:
    server, asked = listener
    at = clickhouse_url.parse(f"http://127.0.0.1:{server.port}/stats")
    engine = await ServerEngine.open(at, cluster=TWO)
    del asked[:]
    sql = statements.statement("online")
    await engine.query(sql)
    await engine.lookup(sql)
    await engine.insert("event", ["id"], [["x"]])
    await engine.command("OPTIMIZE TABLE event FINAL")
    await engine.close()
    read, _, inserted, optimized = asked
    assert await read.text() == sql
    assert (await optimized.text()) == "OPTIMIZE TABLE stats.event_local ON CLUSTER 'two_shards' FINAL"
    for request in asked:
        assert request.query["distributed_product_mode"] == "global"
        assert request.query["distributed_foreground_insert"] == "1"
        assert request.query["insert_quorum"] == "auto"
        assert request.query["insert_quorum_parallel"] == "0"
    assert [request.query.get("select_sequential_consistency") for request in asked] == [None, "1", None, None]
    assert inserted.query["insert_deduplicate"] == "0"
