"""What every test may use: one analytics engine per test process, and services over it with stores of their own."""

import asyncio
import gc
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit import engines, servers
from tests.kit.clickhouse_server import ClickHouseServer
from vemetric import config
from vemetric.clickhouse import migrate
from vemetric.clickhouse.embedded import EmbeddedEngine
from vemetric.clickhouse.engine import Engine
from vemetric.clock import FrozenClock, SystemClock
from vemetric.database.database import Database

if TYPE_CHECKING:
    from tests.kit.mail_server import MailServer
    from vemetric.services import Services

# 2026-03-10 12:00 UTC, a Tuesday.
NOON_MS = 1_773_144_000_000


def pytest_collection() -> None:
    # What is loaded until the tests begin stays: looking for garbage would be a third of the work.
    gc.disable()


def pytest_collection_finish() -> None:
    # And a collection need not look at thousands of tests and modules again and again later.
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_sessionfinish() -> None:
    servers.end_all()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The embedded engine: a process can have one. Tests keep apart by a project id of their own."""

    async def opened() -> EmbeddedEngine:
        made = await EmbeddedEngine.open(tmp_path_factory.mktemp("analytics"))
        await migrate.migrate(made)
        return made

    engine = asyncio.run(opened())
    yield engine
    asyncio.run(engine.close())


@pytest.fixture(scope="session")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """A ClickHouse server as far as its HTTP interface goes (see tests/kit/clickhouse_http.py)."""
    server = ClickHouseServer(tmp_path_factory.mktemp("clickhouse") / "store", password="a:secret/@?")
    yield server.start()
    server.stop()


@pytest.fixture
async def server_engine(clickhouse_server: ClickHouseServer) -> AsyncIterator[Engine]:
    """The engine on that server, migrated."""
    async with engines.on_server(clickhouse_server) as opened:
        yield opened


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The settings of the test's services; a test that needs others overrides this fixture."""
    return {"VEMETRIC_DATA_DIR": str(tmp_path / "data"), "VEMETRIC_TRUSTED_PROXIES": "everything"}


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An accounts database that holds nothing but its schema: a copy is there sooner than one made anew."""
    path = tmp_path_factory.mktemp("accounts") / "vemetric.db"

    async def make() -> None:
        await (await Database.open(f"sqlite:///{path}")).close()

    asyncio.run(make())
    return path


@pytest.fixture
def settings(environ: dict[str, str], empty_database: Path) -> config.Config:
    """The settings of the test's services, whose data directory has an empty accounts database."""
    directory = Path(environ["VEMETRIC_DATA_DIR"])
    if not directory.exists():
        directory.mkdir(mode=0o700, parents=True)
        shutil.copyfile(empty_database, directory / "vemetric.db")
    return config.load(environ)[0]


@pytest.fixture
def clock() -> FrozenClock:
    """A clock that stands at noon of 2026-03-10 UTC until the test moves it."""
    return FrozenClock(NOON_MS)


@pytest.fixture
async def services_at_noon(settings: config.Config, engine: Engine, clock: FrozenClock) -> AsyncIterator["Services"]:
    """Everything the doors work with, under the frozen clock."""
    from vemetric import services

    async with services.open_services(settings, clock, engine) as opened:
        yield opened


@pytest.fixture
async def live_services(settings: config.Config, engine: Engine) -> AsyncIterator["Services"]:
    """Everything the doors work with, under the machine's clock."""
    from vemetric import services

    async with services.open_services(settings, SystemClock(), engine) as opened:
        yield opened


@pytest.fixture
async def mail() -> AsyncIterator["MailServer"]:
    """A mail server that keeps what it is sent."""
    from tests.kit import mail_server

    async with mail_server.running() as server:
        yield server
