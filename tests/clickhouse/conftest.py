"""The backends of the analytics store; tests keep apart by a project id of their own."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from tests.kit import engines
from vemetric.clickhouse import rows
from vemetric.clickhouse.engine import Engine
from vemetric.clickhouse.sink import Sink

NOON = 1_767_268_800_123  # 2026-01-01 12:00:00.123 UTC

PROJECT_IDS = itertools.count(9_910_000_000_000_001)


@pytest.fixture(params=engines.BACKENDS)
def store(request: pytest.FixtureRequest) -> Engine:
    """Every backend in turn."""
    opened: Engine = request.getfixturevalue({"embedded": "engine", "server": "server_engine"}[request.param])
    return opened


@pytest.fixture
def sink(store: Engine) -> Sink:
    return Sink(store)


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
        values = {"projectId": project_id, "mergeId": 0, **SESSION, **columns}
        return rows.SessionRow(*(values.get(column, "") for column in rows.SESSION_COLUMNS))

    return make
