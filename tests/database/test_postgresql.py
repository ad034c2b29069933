"""What only a server can do: several processes at once, restarts, PgBouncer, bounds of the pool."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import make_url
from sqlalchemy.util import greenlet_spawn

from tests.kit import servers
from tests.relational import postgresql_url
from vemetric import errors
from vemetric.database import database as module
from vemetric.database import migrate
from vemetric.database.database import Database
from vemetric.database.tables import metadata, organization

ACME = {"id": "acme", "name": "Acme", "created_at_ms": 1}
NAMES = sqlalchemy.select(organization.c.name)


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with postgresql_url() as made:
        yield made


@pytest.fixture(scope="module")
def own_server() -> Iterator[servers.Server]:
    """A PostgreSQL that the tests of this module may stop."""
    server = servers.start_postgresql()
    yield server
    server.kill()


async def test_many_processes_that_start_at_once_make_one_schema(url: str) -> None:
    opened = await asyncio.gather(*(Database.open(url) for _ in range(6)))
    await asyncio.gather(*(database.close() for database in opened))
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1
    await connection.close()


async def test_migrations_lead_to_the_tables(url: str) -> None:
    """As on SQLite: every migration in turn makes what a new database gets at once."""
    engine = sqlalchemy.create_engine(make_url(url).set(drivername="postgresql+asyncpg"))

    def difference() -> list[object]:
        with engine.begin() as connection:
            migrate.upgrade(connection, "head")
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            return list(compare_metadata(context, metadata))

    assert await greenlet_spawn(difference) == []
    await greenlet_spawn(engine.dispose)
    database = await Database.open(url)
    await database.close()


async def test_a_newer_database_is_refused(url: str) -> None:
    database = await Database.open(url)
    async with database.begin() as connection:
        await connection.change(sqlalchemy.text("UPDATE alembic_version SET version_num = '9999'"))
    await database.close()
    with pytest.raises(errors.Misconfigured, match=r"9999.*newer version"):
        await Database.open(url)


async def test_the_pool_has_a_bound(url: str) -> None:
    database = await Database.open(url, connections_max=2)

    async def connections() -> int:
        async with database.connect() as connection:
            await asyncio.sleep(0)
            return int(
                await connection.value(
                    sqlalchemy.text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
                )
            )

    assert max(await asyncio.gather(*(connections() for _ in range(20)))) == 2
    await database.close()


async def test_a_reading_transaction_sees_one_moment_and_changes_nothing(url: str) -> None:
    database = await Database.open(url)
    async with database.connect() as reading:
        assert await reading.rows(NAMES) == []
        async with database.begin() as writing:
            await writing.change(sqlalchemy.insert(organization).values(ACME))
        assert await reading.rows(NAMES) == []
    with pytest.raises(errors.Unavailable, match="read-only"):
        async with database.connect() as reading:
            await reading.rows(sqlalchemy.text("DELETE FROM organization RETURNING id"))
    await database.close()


async def test_a_restart_of_the_server_is_survived(own_server: servers.Server) -> None:
    database = await Database.open(servers.postgresql_url(own_server))
    async with database.begin() as connection:
        await connection.change(sqlalchemy.insert(organization).values(ACME))
    for _ in range(2):
        # Every pooled connection is dead afterwards.
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(_read(database))
        own_server.stop()
        own_server.start()
        assert await _read(database) == ["Acme"]
        async with database.begin() as connection:
            await connection.change(sqlalchemy.update(organization).values(name="Acme"))
    await database.close()


async def test_a_read_waits_for_a_server_that_comes_back(own_server: servers.Server) -> None:
    database = await Database.open(servers.postgresql_url(own_server))
    own_server.stop()
    reading = asyncio.create_task(_read(database))
    await asyncio.sleep(0)
    await asyncio.to_thread(own_server.start)
    assert await reading is not None
    await database.close()


async def test_a_server_that_is_down_is_unavailable_and_said_so(own_server: servers.Server) -> None:
    database = await Database.open(servers.postgresql_url(own_server))
    with servers.stopped(own_server):
        with pytest.raises(errors.Unavailable, match="cannot be"):
            await _read(database)
        with pytest.raises(errors.Unavailable, match="cannot be"):
            await Database.open(servers.postgresql_url(own_server))
    await _read(database)
    await database.close()


async def test_a_transaction_that_loses_its_server_is_not_committed_twice(own_server: servers.Server) -> None:
    database = await Database.open(servers.postgresql_url(own_server))
    row = {**ACME, "id": "lost", "name": "Lost"}

    async def write() -> None:
        async with database.begin() as connection:
            await connection.change(sqlalchemy.insert(organization).values(row))
            own_server.stop()

    with pytest.raises(errors.Unavailable):
        await write()
    own_server.start()
    assert "Lost" not in await _read(database)
    await database.close()


async def test_what_may_lag_is_read_from_the_replica(
    own_server: servers.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = servers.start_postgresql_replica(own_server)
    monkeypatch.setattr(module, "LAG_SECONDS", 0)
    urls = [servers.postgresql_url(server) for server in (own_server, replica)]
    database = await Database.open(urls[0], replica_url=urls[1])
    recovering = sqlalchemy.text("SELECT pg_is_in_recovery()")
    async with database.connect(may_lag=True) as connection:
        assert await connection.value(recovering) is True
    async with database.connect() as connection:
        assert await connection.value(recovering) is False
    monkeypatch.setattr(module, "LAG_SECONDS", 60)
    async with database.begin() as connection:
        await connection.change(sqlalchemy.update(organization).values(name="Changed"))
    async with database.connect(may_lag=True) as connection:
        assert await connection.value(recovering) is False, "a process must see what it wrote"
    await database.close()
    replica.kill()
    database = await Database.open(urls[0], replica_url=urls[1])
    monkeypatch.setattr(database, "_replica_from", 0.0)
    async with database.connect(may_lag=True) as connection:
        assert await connection.value(recovering) is False
    await database.close()


async def test_a_wrong_name_is_said_without_the_password(url: str) -> None:
    wrong = make_url(url).set(database="nowhere", password="very-secret").render_as_string(hide_password=False)
    with pytest.raises(errors.Unavailable, match="nowhere") as caught:
        await Database.open(wrong)
    assert "very-secret" not in str(caught.value)


@pytest.mark.parametrize(
    "option",
    [
        "pool_size=5",
        "sslmode=perhaps",
        "schema=other",
        "sslmode=require&sslrootcert=/etc/ca.pem",
        "sslmode=verify-ca&sslrootcert=/nowhere",
    ],
)
async def test_options_that_are_not_known_are_refused(option: str) -> None:
    with pytest.raises(errors.Misconfigured, match=option.rpartition("&")[2].partition("=")[0]):
        await Database.open(f"postgresql://127.0.0.1/x?{option}")


@pytest.mark.parametrize("option", ["sslmode=prefer", "ssl=disable", "schema=public"])
async def test_options_that_are_known_are_taken(url: str, option: str) -> None:
    await (await Database.open(f"{url}?{option}")).close()


async def test_a_server_without_tls_is_not_taken_for_one_with(url: str) -> None:
    with pytest.raises(errors.Unavailable, match="SSL"):
        await Database.open(f"{url}?sslmode=require")


if servers.has_pgbouncer():

    async def test_works_behind_pgbouncer_in_transaction_mode() -> None:
        """More clients than server connections, so that each statement may find any of them."""
        async with postgresql_url(servers.pgbouncer()) as url:
            first, second = await asyncio.gather(Database.open(url), Database.open(url))

            async def add(database: Database, name: str) -> None:
                async with database.begin() as connection:
                    await connection.lock("names")
                    await connection.change(sqlalchemy.insert(organization).values({**ACME, "id": name, "name": name}))

            await asyncio.gather(*(add((first, second)[n % 2], f"{n:02}") for n in range(40)))
            found = await asyncio.gather(*(_read(database) for database in (first, second) * 10))
            assert all(names == [f"{n:02}" for n in range(40)] for names in found)
            await asyncio.gather(first.close(), second.close())


async def _read(database: Database) -> list[str]:
    async with database.connect() as connection:
        return [row.name for row in await connection.rows(NAMES.order_by(organization.c.name))]
