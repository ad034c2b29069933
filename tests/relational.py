"""The relational store for tests: every backend in BACKENDS runs the same suites."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vemetric.database.database import Database, file_url

BACKENDS = ["sqlite"]


@pytest.fixture(params=BACKENDS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty store with the whole schema."""
    assert request.param == "sqlite"
    opened = await Database.open(file_url(tmp_path / "vemetric.db"))
    yield opened
    await opened.close()
