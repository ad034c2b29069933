"""The gate of the pools: nobody passes while it is closed, and closing waits for those inside."""

import asyncio

import pytest

from vemetric import errors
from vemetric.queues.gate import Gate


async def test_closing_waits_for_those_inside_and_lets_nobody_in() -> None:
    gate, told = Gate(), []
    may_leave, is_inside = asyncio.Event(), asyncio.Event()

    async def pass_through(name: str) -> None:
        async with gate.passing():
            told.append(f"{name} in")
            is_inside.set()
            await may_leave.wait()
        told.append(f"{name} out")

    async def close() -> None:
        async with gate.closed():
            told.append("closed")
            late = asyncio.create_task(pass_through("late"))
            for _ in range(5):
                await asyncio.sleep(0)
            told.append("open")
        await late

    early = asyncio.create_task(pass_through("early"))
    await is_inside.wait()
    closing = asyncio.create_task(close())
    await asyncio.sleep(0)
    may_leave.set()
    await asyncio.gather(early, closing)
    assert told == ["early in", "early out", "closed", "open", "late in", "late out"]


async def test_who_stays_inside_too_long_keeps_it_open() -> None:
    gate = Gate()
    async with gate.passing():
        with pytest.raises(errors.Unavailable):
            async with gate.closed(seconds_max=0):
                raise AssertionError("closed with somebody inside")
        async with asyncio.timeout(10), gate.passing():
            pass


async def test_one_after_the_other_closes_it() -> None:
    gate = Gate()
    async with gate.closed():
        second = asyncio.create_task(gate.closed().__aenter__())
        await asyncio.sleep(0)
        assert not second.done()
    await second
