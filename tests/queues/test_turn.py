"""One holder at a time, here and among processes that share keys."""

import asyncio
from pathlib import Path

import pytest

from vemetric.clock import FrozenClock
from vemetric.queues import turn as turns
from vemetric.queues.sqlite import SqliteQueue
from vemetric.queues.turn import KEY_PREFIX, Turn


@pytest.mark.parametrize("shared", [False, True])
async def test_one_after_the_other(tmp_path: Path, clock: FrozenClock, shared: bool) -> None:
    keys = await SqliteQueue.open(tmp_path / "queue.db", clock)
    here = Turn("x", keys if shared else None)
    there = Turn("x", keys) if shared else here
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


async def test_a_killed_holder_is_waited_for_only_so_long(
    tmp_path: Path, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = await SqliteQueue.open(tmp_path / "queue.db", clock)
    killed, other = Turn("x", keys), Turn("x", keys)
    await killed.__aenter__()
    assert killed._keeping is not None
    killed._keeping.cancel()
    waiting = asyncio.create_task(other.__aenter__())
    # No clock that is set forward ends a turn.
    clock.advance(10 * 86_400_000)
    await asyncio.wait({waiting}, timeout=0.2)
    assert not waiting.done()
    monkeypatch.setattr(turns, "HELD_SECONDS", 0.1)
    await waiting
    # Who comes back too late does not end another one's turn.
    await killed.__aexit__(None, None, None)
    assert await keys.get(f"{KEY_PREFIX}x") == other._owner
    await other.__aexit__(None, None, None)
    assert await keys.get(f"{KEY_PREFIX}x") is None
    await keys.close()


async def test_a_holder_that_lives_is_not_taken_for_a_killed_one(
    tmp_path: Path, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = await SqliteQueue.open(tmp_path / "queue.db", clock)
    seen = set()
    get = keys.get

    async def get_and_note(key: str) -> bytes | None:
        found = await get(key)
        seen.add(found)
        return found

    # Fifteen looks without a change would end it, and it is changed every few.
    monkeypatch.setattr(turns, "HELD_SECONDS", 0.3)
    monkeypatch.setattr(turns, "WATCHED_SECONDS_MAX", 0.02)
    monkeypatch.setattr(keys, "get", get_and_note)
    async with Turn("x", keys):
        waiting = asyncio.create_task(Turn("x", keys).__aenter__())
        while len(seen) < 10:
            await asyncio.wait({waiting}, timeout=0.05)
            assert not waiting.done()
    await waiting
    await keys.close()
