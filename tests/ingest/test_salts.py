"""The salts of the day: one for all processes, and each process has it soon after it was made."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vemetric.clock import FrozenClock
from vemetric.database.database import Database, file_url
from vemetric.ingest.salts import DAY_MS, Salts


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(file_url(tmp_path / "vemetric.db"))
    yield opened
    await opened.close()


async def test_processes_that_rotate_at_once_make_one_salt(database: Database, clock: FrozenClock) -> None:
    processes = [Salts(database, clock) for _ in range(4)]
    for _ in range(3):
        await asyncio.gather(*(process.rotate() for process in processes))
        assert len({process.pair for process in processes}) == 1
        clock.advance(DAY_MS)


async def test_a_process_learns_the_salt_that_another_one_made(database: Database, clock: FrozenClock) -> None:
    makes, learns = Salts(database, clock), Salts(database, clock)
    await makes.rotate()
    await learns.refresh()
    assert learns.pair == makes.pair
    yesterday = makes.pair.current
    clock.advance(DAY_MS)
    await makes.rotate()
    assert learns.pair.current == yesterday
    await learns.refresh()
    assert learns.pair == makes.pair
    assert learns.pair.previous == yesterday


async def test_a_process_makes_the_salt_that_nobody_made(database: Database, clock: FrozenClock) -> None:
    hub = Salts(database, clock)
    await hub.refresh()
    first = hub.pair
    assert first.previous is None
    clock.advance(DAY_MS)
    await hub.refresh()
    assert hub.pair.previous == first.current


async def test_a_salt_that_was_made_by_a_clock_ahead_is_in_force_for_a_day(
    database: Database, clock: FrozenClock
) -> None:
    """It was the newest until its day had come, for as long as the clock had been ahead."""
    salts = Salts(database, clock)
    await salts.rotate()
    clock.advance(30 * DAY_MS)
    await salts.rotate()
    ahead = salts.pair
    clock.advance(-30 * DAY_MS)
    await salts.rotate()
    # Nobody's visit ends because of the clock.
    assert salts.pair == ahead
    clock.advance(DAY_MS)
    await salts.refresh()
    assert salts.pair.previous == ahead.current
    clock.advance(DAY_MS)
    await Salts(database, clock).rotate()
    await salts.refresh()
    assert ahead.current not in (salts.pair.current, salts.pair.previous)
