"""Merging users whose rows lie on two shards of a cluster: copies are on one, what they replace is on another."""

from collections.abc import AsyncIterator

import pytest

from tests.kit import shards, visits
from tests.kit.clickhouse_server import ClickHouseServer
from tests.workers import test_merge_user as merging
from tests.workers.test_merge_user import A, B, Probe, World, probe, services  # noqa: F401 - fixtures
from vemetric.clickhouse.engine import Engine
from vemetric.clock import FrozenClock
from vemetric.services import Services


@pytest.fixture
async def engine(clickhouse_server: ClickHouseServer) -> AsyncIterator[Engine]:
    async with shards.on_two(clickhouse_server) as opened:
        yield opened


@pytest.fixture
async def world(services: Services, clock: FrozenClock) -> World:  # noqa: F811
    """A project whose users A and B have a shard each."""
    of = "SELECT cityHash64({project:UInt64}, {a:UInt64}) % 2 != cityHash64({project:UInt64}, {b:UInt64}) % 2"
    for _ in range(100):
        project = await visits.a_project(services)
        if await services.engine.query(of, {"project": project.id, "a": A, "b": B}) == [[1]]:
            return World(services, project, clock.now_ms())
    raise AssertionError("they always share a shard")


async def test_every_number_is_as_if_it_had_always_been_so(world: World) -> None:
    await merging.test_every_number_is_as_if_it_had_always_been_so(world)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_killed_at_any_step_readers_see_all_or_nothing(world: World, probe: Probe) -> None:  # noqa: F811
    await merging.test_killed_at_any_step_readers_see_all_or_nothing_and_the_next_run_ends_it(world, probe)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_readers_see_what_comes_after_a_merge_at_every_step_of_it(world: World, probe: Probe) -> None:  # noqa: F811
    await merging.test_readers_see_what_comes_after_a_merge_at_every_step_of_it(world, probe)
