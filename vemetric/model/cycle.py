"""Monthly cycles, by which events are counted against an organization's limit: they begin on the day it was made on."""

import calendar
from datetime import UTC, datetime
from itertools import pairwise

import msgspec

# A day that a month does not have is its last one.
SHOWN = 3


class Cycle(msgspec.Struct, frozen=True):
    """A month from `start_ms` until `end_ms`, both at midnight UTC, the end exclusive."""

    start_ms: int
    end_ms: int


def latest(created_at_ms: int, now_ms: int) -> list[Cycle]:
    """The cycle of now and the ones before it, SHOWN in all, the newest first."""
    day = datetime.fromtimestamp(created_at_ms / 1000, UTC).day
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    month = now.year * 12 + now.month - 1
    if now_ms < _start_ms(month, day):
        month -= 1
    edges = [_start_ms(month + 1 - back, day) for back in range(SHOWN + 1)]
    return [Cycle(start, end) for end, start in pairwise(edges)]


def _start_ms(month: int, day: int) -> int:
    year, number = divmod(month, 12)
    last = calendar.monthrange(year, number + 1)[1]
    return int(datetime(year, number + 1, min(day, last), tzinfo=UTC).timestamp() * 1000)
