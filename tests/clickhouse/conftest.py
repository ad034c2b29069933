"""One migrated engine per test process; tests keep apart by a project id of their own."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from vemetric.clickhouse import embedded, migrate, rows
from vemetric.clickhouse.engine import Engine
from vemetric.clickhouse.sink import Sink

NOON = 1_767_268_800_123  # 2026-01-01 12:00:00.123 UTC

PROJECT_IDS = itertools.count(9_910_000_000_000_001)


async def open_embedded(directory: Path) -> Engine:
    return await embedded.EmbeddedEngine.open(directory)


BACKENDS: dict[str, Callable[[Path], Awaitable[Engine]]] = {"embedded": open_embedded}


@pytest.fixture(scope="session", params=BACKENDS)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The engine is not bound to an event loop, so that one serves the loops of all tests."""

    async def opened() -> Engine:
        engine = await BACKENDS[request.param](tmp_path_factory.mktemp("analytics"))
        await migrate.migrate(engine)
        return engine

    engine = asyncio.run(opened())
    yield engine
    asyncio.run(engine.close())


@pytest.fixture
def sink(engine: Engine) -> Sink:
    return Sink(engine)


@pytest.fixture
def project_id() -> int:
    return next(PROJECT_IDS)


EVENT = {
    "sign": 1,
    "userId": 1,
    "sessionId": "session",
    "contextId": "",
    "deviceId": 18_446_744_073_709_551_615,
    "id": "event",
    "name": "$$pageView",
    "createdAt": rows.timestamp(NOON),
    "isPageView": 1,
    "latitude": None,
    "longitude": 16.3721,
    "customData": "{}",
}

SESSION = {
    "deleted": 0,
    "userId": 1,
    "id": "session",
    "startedAt": rows.timestamp(NOON),
    "endedAt": rows.timestamp(NOON),
    "duration": 0,
    "userIdentifier": None,
    "userDisplayName": None,
    "latitude": 48.2085,
    "longitude": None,
    "version": 1,
}


@pytest.fixture
def an_event(project_id: int) -> Callable[..., tuple[Any, ...]]:
    """An event row of the test's project with the given columns; all others are empty or plain."""

    def make(**columns: Any) -> tuple[Any, ...]:
        values = {"projectId": project_id, **EVENT, **columns}
        return tuple(values.get(column, "") for column in rows.EVENT_COLUMNS)

    return make


@pytest.fixture
def a_session(project_id: int) -> Callable[..., rows.SessionRow]:
    def make(**columns: Any) -> rows.SessionRow:
        values = {"projectId": project_id, **SESSION, **columns}
        return rows.SessionRow(*(values.get(column, "") for column in rows.SESSION_COLUMNS))

    return make
