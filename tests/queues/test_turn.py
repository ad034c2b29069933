"""One holder at a time, here and among processes that share keys."""

import asyncio
from pathlib import Path

import pytest

from vemetric.clock import FrozenClock
from vemetric.queues.sqlite import SqliteQueue
from vemetric.queues.turn import HELD_SECONDS, KEY_PREFIX, Turn


@pytest.mark.parametrize("shared", [False, True])
async def test_one_after_the_other(tmp_path: Path, clock: FrozenClock, shared: bool) -> None:
    keys = await SqliteQueue.open(tmp_path / "queue.db", clock)
    here = Turn("x", clock, keys if shared else None)
    there = Turn("x", clock, keys) if shared else here
    holders: list[str] = []

    async def hold(turn: Turn, name: str) -> None:
        async with turn:
            holders.append(f"{name} begins")
            await asyncio.sleep(0)
            holders.append(f"{name} ends")

    await asyncio.gather(*(hold(turn, f"{number}") for number, turn in enumerate((here, there) * 3)))
    begun = holders[::2]
    assert sorted(begun) == [f"{number} begins" for number in range(6)]
    assert holders[1::2] == [name.replace("begins", "ends") for name in begun]
    assert await keys.get(f"{KEY_PREFIX}x") is None
    await keys.close()


async def test_a_killed_holder_is_waited_for_only_so_long(tmp_path: Path, clock: FrozenClock) -> None:
    keys = await SqliteQueue.open(tmp_path / "queue.db", clock)
    killed, other = Turn("x", clock, keys), Turn("x", clock, keys)
    await killed.__aenter__()
    assert killed._keeping is not None
    killed._keeping.cancel()
    waiting = asyncio.create_task(other.__aenter__())
    await asyncio.wait({waiting}, timeout=0.2)
    assert not waiting.done()
    clock.advance(HELD_SECONDS * 1000)
    await waiting
    # Who comes back too late does not end another one's turn.
    await killed.__aexit__(None, None, None)
    assert await keys.get(f"{KEY_PREFIX}x") == other._owner
    await other.__aexit__(None, None, None)
    await keys.close()
