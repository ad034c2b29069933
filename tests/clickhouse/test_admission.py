"""Which queries may begin while memory is short: all, one at a time, none."""

import asyncio

import pytest

from vemetric import errors
from vemetric.clickhouse import admission
from vemetric.clickhouse.admission import Admission, resident_bytes

LIMIT = 1_000_000_000


class Memory:
    """What the process would hold."""

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self) -> int:
        return int(LIMIT * self.share)


async def together(admitted: Admission, queries: int = 3) -> int:
    """How many of these run at the same time at most."""
    running, most = 0, 0

    async def query() -> None:
        nonlocal running, most
        async with admitted.query():
            running += 1
            most = max(most, running)
            for _ in range(5):
                await asyncio.sleep(0)
            running -= 1

    await asyncio.gather(*(query() for _ in range(queries)))
    return most


@pytest.mark.parametrize(
    ("limit", "share", "most", "is_degraded"),
    [(LIMIT, 0.75, 3, False), (LIMIT, 0.76, 1, True), (LIMIT, 0.9, 1, True), (0, 2.0, 3, False)],
)
async def test_queries_run_one_by_one_when_it_is_tight(limit: int, share: float, most: int, is_degraded: bool) -> None:
    admitted = Admission(limit, Memory(share))
    assert not admitted.is_degraded
    assert await together(admitted) == most
    assert admitted.is_degraded is is_degraded


async def test_a_query_waits_for_room_and_is_refused_without(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory(0.95)
    admitted = Admission(LIMIT, memory)
    waiting = asyncio.create_task(together(admitted, 1))
    await asyncio.sleep(0)
    assert not waiting.done()
    memory.share = 0.8
    assert await waiting == 1
    memory.share = 0.95
    monkeypatch.setattr(admission, "WAIT_SECONDS_MAX", 0.0)
    with pytest.raises(errors.StoreBusy, match="Memory is short"):
        await together(admitted, 1)


async def test_the_wait_for_a_turn_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what pages ask would heap up behind a query that takes long, whoever has given up on it."""
    monkeypatch.setattr(admission, "TURN_SECONDS_MAX", 0.01)
    memory = Memory(0.8)
    admitted = Admission(LIMIT, memory)
    async with admitted.query():
        with pytest.raises(errors.StoreBusy, match="Memory is short"):
            await asyncio.wait_for(together(admitted, 1), 10)
    assert await together(admitted) == 1


async def test_it_is_told_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    admitted = Admission(LIMIT, Memory(0.8))
    await together(admitted)
    assert admitted.is_degraded
    monkeypatch.setattr(admission, "TOLD_SECONDS", 0.0)
    assert not admitted.is_degraded


def test_a_process_knows_what_it_holds() -> None:
    assert 10_000_000 < resident_bytes() < 10**12
