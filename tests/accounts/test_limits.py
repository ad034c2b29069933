"""At most so many tries in any span of time."""

import asyncio

import pytest

from vemetric import errors
from vemetric.accounts import limits
from vemetric.clock import FrozenClock
from vemetric.queues.keys import Keys


async def test_only_so_many_pass(keys: Keys, clock: FrozenClock) -> None:
    outcomes = await asyncio.gather(
        *(limits.take(keys, clock, "door", 3, 10) for _ in range(8)), return_exceptions=True
    )
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 3
    assert sum(isinstance(outcome, errors.TooManyRequests) for outcome in outcomes) == 5


async def test_the_window_slides(keys: Keys, clock: FrozenClock) -> None:
    await limits.take(keys, clock, "door", 2, 10)
    clock.advance(9_000)
    await limits.take(keys, clock, "door", 2, 10)
    clock.advance(1_000)
    await limits.take(keys, clock, "door", 2, 10)
    with pytest.raises(errors.TooManyRequests) as raised:
        await limits.take(keys, clock, "door", 2, 10)
    assert raised.value.retry_after_seconds == 10


async def test_names_are_apart_and_not_kept(keys: Keys, clock: FrozenClock) -> None:
    for name in ("192.0.2.1", "192.0.2.2", "\ud800"):
        assert "192" not in await limits.take(keys, clock, name, 1, 10)


async def test_a_slot_can_be_given_back(keys: Keys, clock: FrozenClock) -> None:
    for _ in range(3):
        await limits.give_back(keys, await limits.take(keys, clock, "door", 1, 10))
