"""One refused row must not cost those that travel with it in a job: the others are stored, the refused ones come again
in jobs of their own. Used by the workers whose jobs hold many rows; a job of one row is the pool's to retry and bury.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from vemetric import errors

Row = TypeVar("Row")


async def insert(
    write: Callable[[Sequence[Row]], Awaitable[None]], rows: Sequence[Row], *, may_part: bool
) -> list[Row]:
    """Write the rows and return those that the store refuses.

    may_part: whether to look for them, by halves; otherwise, and for a single row, the refusal is raised as it is.
    """
    try:
        await write(rows)
    except errors.RowRejected:
        if not may_part or len(rows) < 2:
            raise
        return await _refused(write, rows)
    return []


async def _refused(write: Callable[[Sequence[Row]], Awaitable[None]], rows: Sequence[Row]) -> list[Row]:
    """Rows of which at least one is refused: those that are, when all others are written."""
    refused: list[Row] = []
    middle = len(rows) // 2
    for half in (rows[:middle], rows[middle:]):
        try:
            await write(half)
        except errors.RowRejected:
            refused += half if len(half) == 1 else await _refused(write, half)
    return refused
