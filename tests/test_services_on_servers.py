"""The stores by URL: PostgreSQL and Redis in place of the files, in one process and in two that share them."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.kit import servers
from tests.relational import postgresql_url
from vemetric import config, errors, services
from vemetric.clickhouse.engine import Engine
from vemetric.clock import FrozenClock
from vemetric.model import data_directory
from vemetric.queues.job import NewJob, Write


@pytest.fixture(scope="module", params=list(servers.redis_programs()))
def redis(request: pytest.FixtureRequest) -> Iterator[servers.Server]:
    server = servers.start_redis(request.param)
    yield server
    server.kill()


async def test_processes_share_what_servers_hold(
    environ: dict[str, str], engine: Engine, clock: FrozenClock, redis: servers.Server, tmp_path: Path
) -> None:
    async with postgresql_url() as database, AsyncExitStack() as stack:
        settings = environ | {"DATABASE_URL": database, "REDIS_URL": servers.redis_url(redis)}
        opened = [
            await stack.enter_async_context(
                services.open_services(
                    config.load(settings | {"VEMETRIC_DATA_DIR": str(tmp_path / name)})[0], clock, engine
                )
            )
            for name in ("one", "other")
        ]
        one, other = opened
        assert one.salts.pair == other.salts.pair
        assert not one.owns_stores
        await one.queue.put(Write(jobs=[NewJob("line", b"a")], counters={"n": 1}))
        assert [job.payload for job in await other.queue.claim("line", 9, 60)] == [b"a"]
        assert await other.keys.counters("") == {"n": 1}
        assert not list((tmp_path / "one").glob("*.db*"))


async def test_a_file_of_a_queue_is_one_process_own_beside_a_shared_database(
    environ: dict[str, str], engine: Engine, clock: FrozenClock
) -> None:
    async with postgresql_url() as database:
        settings, _ = config.load(environ | {"DATABASE_URL": database})
        async with services.open_services(settings, clock, engine) as opened:
            assert opened.owns_stores
            assert (settings.data_dir / data_directory.QUEUE_NAME).exists()
            assert not (settings.data_dir / data_directory.DATABASE_NAME).exists()


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
async def test_a_server_that_is_not_there_stops_the_start(
    environ: dict[str, str], engine: Engine, clock: FrozenClock, name: str
) -> None:
    scheme = {"DATABASE_URL": "postgresql", "REDIS_URL": "redis"}[name]
    settings, _ = config.load(environ | {name: f"{scheme}://:secret-word@127.0.0.1:{servers.free_port()}/0"})
    with pytest.raises(errors.Unavailable, match="cannot be") as caught:
        async with services.open_services(settings, clock, engine):
            pass
    assert "secret-word" not in caught.value.message


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"DATABASE_URL": "mysql://host/x"}, "DATABASE_URL is (hidden): it must be postgresql://"),
        ({"DATABASE_URL": "postgresql://host"}, "DATABASE_URL is (hidden)"),
        ({"VEMETRIC_DATABASE_REPLICA_URL": "postgresql://host/x"}, "needs DATABASE_URL"),
        ({"REDIS_URL": "http://host"}, "REDIS_URL is (hidden): it must be redis://"),
        ({"VEMETRIC_REDIS_PREFIX": "a{b}"}, "VEMETRIC_REDIS_PREFIX is 'a{b}'"),
        ({"VEMETRIC_REDIS_MAY_LOSE": "perhaps"}, "yes or no"),
        ({"VEMETRIC_DATABASE_CONNECTIONS_MAX": "0"}, "a whole number of connections from 1 to 500"),
    ],
)
def test_a_wrong_setting_of_a_server_is_said_without_its_password(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(errors.Misconfigured) as caught:
        config.load(environ)
    assert sentence in caught.value.message
