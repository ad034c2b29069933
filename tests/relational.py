"""The relational store for tests: every backend in BACKENDS runs the same suites.

PostgreSQL is one of them when VEMETRIC_TEST_POSTGRESQL holds the URL of a server where databases may be made.
"""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from vemetric.database.database import Database, file_url

POSTGRESQL = os.environ.get("VEMETRIC_TEST_POSTGRESQL")
BACKENDS = ["sqlite", *(["postgresql"] if POSTGRESQL else [])]


@asynccontextmanager
async def postgresql_url(server: str) -> AsyncIterator[str]:
    """The URL of a database of its own, dropped afterwards."""
    import asyncpg

    name = f"vemetric_{secrets.token_hex(8)}"
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
        await connection.execute(f"DROP DATABASE {name}")
    finally:
        await connection.close()


@pytest.fixture(params=BACKENDS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty store with the whole schema."""
    if request.param == "sqlite":
        opened = await Database.open(file_url(tmp_path / "vemetric.db"))
        yield opened
        await opened.close()
        return
    async with postgresql_url(POSTGRESQL or "") as url:
        opened = await Database.open(url)
        yield opened
        await opened.close()
