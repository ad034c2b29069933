"""The statistics through a cluster's tables, with its settings: what the shards' answers come to is the oracle's."""

from collections.abc import AsyncIterator

import pytest

from tests.kit import shards
from tests.kit.clickhouse_server import ClickHouseServer
from tests.stats import test_filter_oracle, test_funnels, test_oracle
from tests.stats.history import Event, Rows, a_project
from vemetric.clickhouse.server import ServerEngine
from vemetric.clickhouse.user_merge_sql import READER_FILTERS


@pytest.fixture
async def two(clickhouse_server: ClickHouseServer) -> AsyncIterator[ServerEngine]:
    async with shards.on_two(clickhouse_server) as opened:
        yield opened


@pytest.mark.parametrize("filters", [{}, READER_FILTERS])
async def test_users_lie_on_two_shards_each_on_one(two: ServerEngine, filters: dict[str, str]) -> None:
    """With the filters of a merge that is under way, too."""
    project = a_project()
    rows = Rows(project.id)
    for number in range(100):
        rows.event(Event(number % 20 + 1, 1_750_000_000_000 + number))
    await rows.insert(two)
    two.leave_out(filters)
    of_users = "SELECT userId, uniqExact(_shard_num), any(_shard_num), count() FROM event FINAL"
    asked = f"{of_users} WHERE projectId = {{project:UInt64}} GROUP BY userId"
    found = await two.query(asked, {"project": project.id})
    assert {(shards_of_user, events) for _, shards_of_user, _, events in found} == {(1, 5)}
    assert len(found) == 20
    assert {shard for _, _, shard, _ in found} == {1, 2}


def test_a_cluster_counts_like_the_oracle(two: ServerEngine) -> None:
    test_oracle.compare(two, 11, "30days", "Europe/Vienna")


def test_a_cluster_picks_what_the_oracle_picks(two: ServerEngine) -> None:
    test_filter_oracle.compare(two, 12, "7days", "Pacific/Apia")


def test_a_cluster_counts_funnels_like_the_oracle(two: ServerEngine) -> None:
    test_funnels.compare(two, 13)
