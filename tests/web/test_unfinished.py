"""What was left while it was counted: had by the next who asks, given up when nobody does."""

import asyncio

import pytest

from vemetric.web import unfinished
from vemetric.web.unfinished import Unfinished


class Counting:
    """Something that takes until it may go on."""

    def __init__(self) -> None:
        self.begun = self.given_up = 0
        self.goes_on = asyncio.Event()

    async def __call__(self) -> str:
        self.begun += 1
        try:
            await self.goes_on.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        return "counted"


async def leave(left: Unfinished, key: str, count: Counting) -> None:
    begun = count.begun
    task = asyncio.create_task(left.counted(key, count))
    while count.begun == begun:  # noqa: ASYNC110 - the loop has to come round
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_next_who_asks_has_it_and_one_after_does_not() -> None:
    left, count = Unfinished(), Counting()
    await leave(left, "a", count)
    count.goes_on.set()
    assert await left.counted("a", count) == "counted"
    assert count.begun == 1
    assert await left.counted("a", count) == "counted"
    assert (count.begun, count.given_up) == (2, 0)


async def test_what_nobody_asks_for_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished, "KEPT_SECONDS", 0)
    left, count = Unfinished(), Counting()
    await leave(left, "a", count)
    async with asyncio.timeout(20):
        while not count.given_up:  # noqa: ASYNC110
            await asyncio.sleep(0)
    count.goes_on.set()
    await left.counted("a", count)
    assert count.begun == 2


async def test_it_is_bounded_and_ends_with_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished, "KEPT_MAX", 2)
    left, count = Unfinished(), Counting()
    for key in "abc":
        await leave(left, key, count)
    await asyncio.sleep(0)
    assert (count.begun, count.given_up) == (3, 1)
    await left.close()
    assert count.given_up == 3
