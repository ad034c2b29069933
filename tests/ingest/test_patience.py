"""What was read before goes on to hold while the database is away: told soon, then at once, until it is back."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kit.watched import Watched
from vemetric import errors
from vemetric.database.database import Connection, file_url
from vemetric.ingest.patience import Patience


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Watched]:
    opened = await Watched.open(file_url(tmp_path / "vemetric.db"))
    assert isinstance(opened, Watched)
    yield opened
    await opened.close()


async def answer(_: Connection) -> str:
    return "answer"


async def ended(patience: Patience) -> None:
    """The database is tried no more."""
    while patience._trying is not None:
        await asyncio.wait({patience._trying})


async def test_nobody_waits_while_the_database_is_known_to_be_away(database: Watched) -> None:
    patience = Patience(database, tried_seconds=0.001)
    assert await patience.read(answer, is_known=True) == "answer"
    database.error = errors.Unavailable()
    with pytest.raises(errors.Unavailable):
        await patience.read(answer, is_known=True)
    # From now on the database is tried by one alone, who hangs here.
    database.held, reads = asyncio.Event(), database.reads
    for _ in range(20):
        with pytest.raises(errors.Unavailable):
            await patience.read(answer, is_known=True)
    assert database.reads == reads
    database.error = None
    database.held.set()
    await ended(patience)
    assert await patience.read(answer, is_known=True) == "answer"


async def test_who_knows_nothing_waits_for_the_database(database: Watched) -> None:
    patience = Patience(database, patience_seconds=0)
    database.held = asyncio.Event()
    with pytest.raises(errors.Unavailable):
        await patience.read(answer, is_known=True)
    asked = asyncio.create_task(patience.read(answer, is_known=False))
    await asyncio.sleep(0)
    assert not asked.done()
    database.held.set()
    assert await asked == "answer"
    await ended(patience)


async def test_what_is_wrong_otherwise_is_told_as_it_is(database: Watched) -> None:
    async def fail(_: Connection) -> str:
        raise ValueError("wrong")

    for is_known in (True, False):
        with pytest.raises(ValueError, match="wrong"):
            await Patience(database).read(fail, is_known=is_known)
