"""One at a time by name, in one process and in several; a turn that cannot be given back ends by itself."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vemetric import errors
from vemetric.clock import FrozenClock
from vemetric.ingest.turns import LOCK_MS, Turns
from vemetric.queues.sqlite import SqliteQueue


@pytest.fixture
async def queue(tmp_path: Path, clock: FrozenClock) -> AsyncIterator[SqliteQueue]:
    opened = await SqliteQueue.open(tmp_path / "queue.db", clock)
    yield opened
    await opened.close()


async def test_a_process_waits_for_its_own_turns_in_their_order(queue: SqliteQueue, clock: FrozenClock) -> None:
    turns, at_it, order = Turns(queue, clock), 0, []

    async def take(number: int) -> None:
        nonlocal at_it
        async with turns.hold("name") as is_ours:
            at_it += 1
            assert (is_ours, at_it) == (True, 1)
            order.append(number)
            await asyncio.sleep(0)
            at_it -= 1

    await asyncio.gather(*(take(number) for number in range(10)))
    assert order == list(range(10))


async def test_another_process_is_not_waited_for(queue: SqliteQueue, clock: FrozenClock) -> None:
    one, other = Turns(queue, clock), Turns(queue, clock)
    async with one.hold("name") as is_ours, other.hold("name") as is_others, other.hold("another") as is_free:
        assert (is_ours, is_others, is_free) == (True, False, True)
    async with other.hold("name") as is_others:
        assert is_others


async def test_the_turn_of_a_process_that_died_ends(queue: SqliteQueue, clock: FrozenClock) -> None:
    await queue.set_if_absent("name", b"a process that died", clock.now_ms() + LOCK_MS)
    for passed_ms, is_free in ((LOCK_MS - 1, False), (1, True)):
        clock.advance(passed_ms)
        async with Turns(queue, clock).hold("name") as is_ours:
            assert is_ours is is_free


async def test_what_was_done_stays_done_when_the_turn_cannot_be_given_back(
    queue: SqliteQueue, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(key: str, value: bytes | None = None) -> bool:
        raise errors.Unavailable

    monkeypatch.setattr(queue, "delete", broken)
    async with Turns(queue, clock).hold("name") as is_ours:
        assert is_ours


async def test_a_turn_ends_when_what_is_done_in_it_fails(queue: SqliteQueue, clock: FrozenClock) -> None:
    turns = Turns(queue, clock)
    with pytest.raises(ValueError, match="failed"):
        async with turns.hold("name"):
            raise ValueError("failed")
    async with turns.hold("name") as is_ours:
        assert is_ours
