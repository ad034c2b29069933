"""The relational store for tests: every backend in BACKENDS runs the same suites."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from tests.kit import servers
from vemetric.database.database import Database, file_url

BACKENDS = ["sqlite", "postgresql", *(["pgbouncer"] if servers.has_pgbouncer() else [])]


# A database with the schema, made by the first test that wants one: making the tables takes longer than copying them.
TEMPLATE = "vemetric_template"
_made: set[str] = set()


@asynccontextmanager
async def postgresql_url(server: servers.Server | None = None, template: str = "template1") -> AsyncIterator[str]:
    """The URL of a database of its own, dropped afterwards; through `server` where that is PgBouncer."""
    direct = servers.postgresql()
    name = f"vemetric_{secrets.token_hex(8)}"
    connection = await asyncpg.connect(servers.postgresql_url(direct))
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        yield servers.postgresql_url(server or direct, name)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


@asynccontextmanager
async def open_database(backend: str, folder: Path) -> AsyncIterator[Database]:
    """An empty store with the whole schema."""
    if backend == "sqlite":
        opened = await Database.open(file_url(folder / "vemetric.db"))
        try:
            yield opened
        finally:
            await opened.close()
        return
    await _make_template()
    async with postgresql_url(servers.pgbouncer() if backend == "pgbouncer" else None, TEMPLATE) as url:
        opened = await Database.open(url)
        try:
            yield opened
        finally:
            await opened.close()


async def _make_template() -> None:
    if TEMPLATE in _made:
        return
    connection = await asyncpg.connect(servers.postgresql_url(servers.postgresql()))
    await connection.execute(f"CREATE DATABASE {TEMPLATE}")
    await connection.close()
    await (await Database.open(servers.postgresql_url(servers.postgresql(), TEMPLATE))).close()
    _made.add(TEMPLATE)


@pytest.fixture(params=BACKENDS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty store with the whole schema, of every backend."""
    async with open_database(request.param, tmp_path) as opened:
        yield opened
