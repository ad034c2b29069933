"""Long work in short pieces: the loop that works through a batch also answers hits; none should wait for a batch."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

# Less than a millisecond of enrichment.
SLICE_ITEMS = 40
# A batch is done in so many slices at most. A large one says that hits come faster than they are stored: what is worked
# off in a turn of the loop must grow with what comes in during one.
SLICES_MAX = 40
# What goes at once when a batch is let go of; each takes a great many small things with it.
DROPPED_ITEMS = 500


async def pause() -> None:
    """Let the loop do other things between two steps over a whole batch."""
    await asyncio.sleep(0)


async def of(items: Sequence[T], slice_items: int = SLICE_ITEMS) -> AsyncIterator[Sequence[T]]:
    """The items in order, so many at a time, letting the loop do other things after every slice."""
    slice_items = items_each(len(items), slice_items)
    for start in range(0, len(items), slice_items):
        yield items[start : start + slice_items]
        await asyncio.sleep(0)


def items_each(items: int, slice_items: int = SLICE_ITEMS) -> int:
    """How many of so many items `of` gives at a time."""
    return max(slice_items, -(-items // SLICES_MAX))


async def drop(*lists: list[Any]) -> None:
    """Empty lists that nobody needs any more: what a batch was made of takes as long to free as a hit may wait."""
    for items in lists:
        while items:
            del items[-DROPPED_ITEMS:]
            await asyncio.sleep(0)
