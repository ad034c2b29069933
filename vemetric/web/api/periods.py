"""The period of a request: instants to count between, buckets to count by, and the period before it.

Everything is UTC unless a request names a zone. A day's end is the midnight after it. A second's end is exclusive, as
clients of the original know it, but for the last one of a minute, by which they mean the minute's end.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from vemetric.model import calendar, timespan
from vemetric.model.dashboard import Interval, Range
from vemetric.model.timespan import CUSTOM, CUSTOM_DAYS_MAX, Timespan
from vemetric.web.api import instants
from vemetric.web.api.failures import Detail
from vemetric.web.api.instants import SECOND_MS
from vemetric.web.api.types import DateRange, Period, Preset

UTC_NAME = "UTC"
DAY_MS = 86_400_000
MINUTE_MS = 60_000
# What an organization without a plan can see, where plans limit: the presets that reach further need one.
FREE_DAYS = 32
PAID_PRESETS = (Preset.QUARTER, Preset.HALF, Preset.YEAR)


class Asked(NamedTuple):
    """A period. told: as answers name it."""

    range: Range
    told: Period


def problems_of(sent: dict[str, Any]) -> Iterable[Detail]:
    """A range that ends before it starts, a day being its midnight."""
    date_range = sent["dateRange"]
    # What stands after the two is a problem already, and may be anything.
    if isinstance(date_range, list) and all(map(instants.is_bound, date_range[:2])):
        start_ms, end_ms = map(_in_utc, date_range[:2])
        if start_ms > end_ms:
            yield Detail("dateRange", "The range ends before it starts")


def needs_plan(date_range: DateRange, now_ms: int) -> bool:
    """Whether a range reaches further back than anybody may see without a plan."""
    if isinstance(date_range, Preset):
        return date_range in PAID_PRESETS
    return _in_utc(date_range[0]) < now_ms - FREE_DAYS * DAY_MS


def resolve(date_range: DateRange, zone: str, now_ms: int) -> Asked:
    """The period of a range that is_bound and is not reversed."""
    if isinstance(date_range, Preset):
        range_ = timespan.resolve(Timespan(date_range.value), now_ms, zone)
        return _told(range_, range_.start_ms, now_ms)
    tz = calendar.zone(zone)
    first, last = (instants.day_of(text) for text in date_range)
    start_ms, end_ms = _start_ms(date_range[0], tz), _start_ms(date_range[1], tz)
    told_ms = end_ms
    if last is not None:
        end_ms = calendar.day_start(last + timedelta(days=1), tz)
        told_ms = end_ms - SECOND_MS
    elif end_ms % MINUTE_MS == MINUTE_MS - SECOND_MS:
        end_ms += SECOND_MS
    if first is not None and last is not None:
        range_ = timespan.resolve(Timespan(CUSTOM, first, last), now_ms, zone)
    else:
        range_ = _between(start_ms, end_ms, now_ms, tz)
    return _told(range_, start_ms, max(told_ms, start_ms))


def previous(range_: Range) -> Range:
    """The period before: shifted by whole buckets, or of the same length where a range is one of seconds."""
    if range_.timespan != CUSTOM or range_.start_date is not None:
        return timespan.previous(range_)
    length_ms = range_.end_ms - range_.start_ms
    return msgspec.structs.replace(
        range_,
        start_ms=range_.start_ms - length_ms,
        end_ms=range_.start_ms,
        edges_ms=tuple(edge_ms - length_ms for edge_ms in range_.edges_ms),
    )


def nothing_before(range_: Range) -> Range:
    """An empty period before a range, for those who do not compare."""
    return msgspec.structs.replace(range_, end_ms=range_.start_ms, edges_ms=(range_.start_ms,))


def told(range_: Range) -> Period:
    """A range that no request named, as answers name it."""
    return Period(instants.in_seconds(range_.start_ms), instants.in_seconds(max(range_.end_ms - 1, range_.start_ms)))


def label(bucket_ms: int, range_: Range) -> str:
    """What a bucket is called: its beginning, also where the range cuts it."""
    return instants.in_seconds(calendar.floor(bucket_ms, range_.interval, calendar.zone(range_.time_zone)))


def _told(range_: Range, from_ms: int, to_ms: int) -> Asked:
    return Asked(range_, Period(instants.in_seconds(from_ms), instants.in_seconds(to_ms)))


def _between(start_ms: int, end_ms: int, now_ms: int, tz: ZoneInfo) -> Range:
    # Rounded as the original rounds.
    days = (end_ms - start_ms + DAY_MS // 2) // DAY_MS
    interval = next((width for days_max, width in CUSTOM_DAYS_MAX if days <= days_max), Interval.MONTH)
    # A day can end before a second at which the range starts, in a zone that is ahead of UTC.
    end_ms = max(min(end_ms, now_ms + 1), start_ms)
    edges_ms = [start_ms]
    while (next_ms := calendar.following(edges_ms[-1], interval, tz)) < end_ms:
        edges_ms.append(next_ms)
    edges_ms.append(max(end_ms, start_ms + 1))
    return Range(CUSTOM, interval, start_ms, end_ms, tuple(edges_ms), now_ms, str(tz.key))


def _in_utc(text: str) -> int:
    return _start_ms(text, calendar.zone(UTC_NAME))


def _start_ms(text: str, tz: ZoneInfo) -> int:
    day, second_ms = instants.day_of(text), instants.second_ms(text)
    if day is not None:
        return calendar.day_start(day, tz)
    if second_ms is None:
        raise ValueError(text)
    return second_ms
