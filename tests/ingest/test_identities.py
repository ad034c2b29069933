"""Who an identifier stands for: one user however many ask at once, and a cache that a stranger cannot fill."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from vemetric.accounts import projects
from vemetric.clock import FrozenClock
from vemetric.database.database import Connection, Database, file_url
from vemetric.ingest.identities import CACHED_CHARACTERS_MAX, Identities


class Counted(Database):
    """A database that counts how often it is read."""

    reads = 0

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        self.reads += 1
        async with super().connect() as connection:
            yield connection


@pytest.mark.parametrize(("length", "reads"), [(CACHED_CHARACTERS_MAX, 1), (CACHED_CHARACTERS_MAX + 1, 3)])
async def test_an_identity_is_remembered_unless_its_name_is_long(
    tmp_path: Path, clock: FrozenClock, length: int, reads: int
) -> None:
    database = await Counted.open(file_url(tmp_path / "vemetric.db"))
    assert isinstance(database, Counted)
    shop = (await projects.create_by_operator(database, clock, "Shop", "shop.example.com", "UTC")).id
    identities = Identities(database)
    database.reads = 0
    name = "x" * length
    user_id = await identities.of_backend(shop, name, 0)
    assert [await identities.by_identifier(shop, name) for _ in range(2)] == [user_id] * 2
    assert database.reads == reads
    await database.close()


async def test_many_at_once_make_one_user(tmp_path: Path, clock: FrozenClock) -> None:
    database = await Database.open(file_url(tmp_path / "vemetric.db"))
    shop = (await projects.create_by_operator(database, clock, "Shop", "shop.example.com", "UTC")).id
    identities = Identities(database)
    made = await asyncio.gather(*(identities.of_backend(shop, "ann", 0) for _ in range(20)))
    assert len(set(made)) == 1
    await database.close()
