"""Who stands in the place of a visitor who left: durable, for two days, and known to every process."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from vemetric.clock import FrozenClock
from vemetric.ingest import resets
from vemetric.ingest.resets import Resets
from vemetric.queues.sqlite import SqliteQueue


@pytest.fixture
async def queue(tmp_path: Path, clock: FrozenClock) -> AsyncIterator[SqliteQueue]:
    opened = await SqliteQueue.open(tmp_path / "queue.db", clock)
    yield opened
    await opened.close()


async def test_a_reset_outlives_its_process(queue: SqliteQueue, clock: FrozenClock) -> None:
    first = Resets(queue, clock, exclusive=True)
    await first.reset(1, (10, 11), 99)
    second = Resets(queue, clock, exclusive=True)
    await second.load()
    for process in (first, second):
        assert [process.at_once(1, visitor) for visitor in (10, 11, 12)] == [99, 99, None]
        assert process.known(1, (10, 12)) == {10: 99}
        assert process.at_once(2, 10) is None


class Slow:
    """Keys whose answers take longer than they are believed."""

    def __init__(self, queue: SqliteQueue, clock: FrozenClock) -> None:
        self._queue = queue
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    async def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        found = await self._queue.get_many(keys)
        self._clock.advance(resets.BELIEVED_MS)
        return found


async def test_an_answer_that_took_long_tells_all_the_same_who_left(queue: SqliteQueue, clock: FrozenClock) -> None:
    """It was believed no more when it was asked for: whoever came next was taken for who had left."""
    await Resets(queue, clock, exclusive=False).reset(1, [10], 99)
    slow = Resets(Slow(queue, clock), clock, exclusive=False)
    assert await slow.read(1, [10, 11]) == {10: 99, 11: 11}
    assert slow.at_once(1, 10) is None


async def test_other_processes_learn_of_a_reset_within_half_a_second(queue: SqliteQueue, clock: FrozenClock) -> None:
    one, other = (Resets(queue, clock, exclusive=False) for _ in range(2))
    assert other.must_read
    assert resets.BELIEVED_MS <= 500
    await other.read(1, [10])
    assert other.at_once(1, 10) == 10
    await one.reset(1, [10], 99)
    assert other.at_once(1, 10) == 10
    clock.advance(resets.BELIEVED_MS)
    assert other.at_once(1, 10) is None
    await other.read(1, [10])
    assert other.at_once(1, 10) == 99


async def test_a_reset_ends_with_the_secrets_of_its_day(queue: SqliteQueue, clock: FrozenClock) -> None:
    await Resets(queue, clock, exclusive=True).reset(1, [10], 99)
    for passed_ms, user_id in ((resets.KEPT_MS - 1, 99), (1, None)):
        clock.advance(passed_ms)
        later = Resets(queue, clock, exclusive=True)
        await later.load()
        assert later.at_once(1, 10) == user_id
