"""What several parts of a page need: counted once, given up when nobody waits, and an error is everybody's."""

import asyncio

import pytest

from tests.web.test_unfinished import Counting
from vemetric import errors
from vemetric.web.once import Once


async def begun(count: Counting, waiting: asyncio.Task[str], times: int = 1) -> None:
    async with asyncio.timeout(20):
        while count.begun < times and not waiting.done():  # noqa: ASYNC110 - the loop has to come round
            await asyncio.sleep(0)


async def test_is_counted_once_for_all_who_wait_and_come_later() -> None:
    count = Counting()
    once = Once(count)
    first, second = asyncio.create_task(once.get()), asyncio.create_task(once.get())
    await begun(count, first)
    first.cancel()
    count.goes_on.set()
    assert await second == "counted"
    assert await once.get() == "counted"
    assert (count.begun, count.given_up) == (1, 0)


async def test_is_given_up_when_nobody_waits_and_counted_for_the_next() -> None:
    count = Counting()
    once = Once(count)
    only = asyncio.create_task(once.get())
    await begun(count, only)
    only.cancel()
    with pytest.raises(asyncio.CancelledError):
        await only
    count.goes_on.set()
    assert await once.get() == "counted"
    assert (count.begun, count.given_up) == (2, 1)


async def test_an_error_is_everybodys() -> None:
    async def fail() -> str:
        raise errors.StoreBusy

    once = Once(fail)
    found = await asyncio.gather(once.get(), once.get(), return_exceptions=True)
    assert [type(one) for one in found] == [errors.StoreBusy] * 2
