"""The statistics through a cluster's tables, with its settings: what the shards' answers come to is the oracle's."""

from collections.abc import AsyncIterator

import pytest

from tests.kit import shards
from tests.kit.clickhouse_server import ClickHouseServer
from tests.stats import test_filter_oracle, test_funnels, test_oracle
from vemetric.clickhouse.server import ServerEngine


@pytest.fixture
async def shard(clickhouse_server: ClickHouseServer) -> AsyncIterator[ServerEngine]:
    async with shards.on_shard(clickhouse_server) as opened:
        yield opened


async def test_what_is_read_comes_from_shards(shard: ServerEngine) -> None:
    plan = [line for (line,) in await shard.query("EXPLAIN SELECT count() FROM event FINAL GROUP BY userId")]
    assert any("ReadFromRemote" in line for line in plan)
    assert any("MergingAggregated" in line for line in plan)


def test_a_cluster_counts_like_the_oracle(shard: ServerEngine) -> None:
    test_oracle.compare(shard, 11, "30days", "Europe/Vienna")


def test_a_cluster_picks_what_the_oracle_picks(shard: ServerEngine) -> None:
    test_filter_oracle.compare(shard, 12, "7days", "Pacific/Apia")


def test_a_cluster_counts_funnels_like_the_oracle(shard: ServerEngine) -> None:
    test_funnels.compare(shard, 13)
