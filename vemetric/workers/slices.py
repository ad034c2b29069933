"""Long work in short pieces: the loop that works through a batch also answers hits; none should wait for a batch."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

T = TypeVar("T")

# About a millisecond of enrichment.
SLICE_ITEMS = 40


async def pause() -> None:
    """Let the loop do other things between two steps over a whole batch."""
    await asyncio.sleep(0)


async def each(items: Sequence[T], slice_items: int = SLICE_ITEMS) -> AsyncIterator[T]:
    """The items in order, letting the loop do other things after every slice."""
    for number, item in enumerate(items, 1):
        yield item
        if number % slice_items == 0:
            await asyncio.sleep(0)
