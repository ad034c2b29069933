"""Days, weeks and months of a time zone as instants; model/timespan.py builds the buckets of a chart from them.

Zones come from the pinned tzdata package, never from the machine, so that every installation draws the same edges.
"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

from vemetric import errors
from vemetric.model.dashboard import Interval

SECOND_MS = 1000
HOUR_MS = 3600 * SECOND_MS

# Intervals below a day: their edges are the instants at which the zone's own clock is a multiple of the width.
CLOCK_WIDTHS_MS = {
    Interval.THIRTY_SECONDS: 30 * SECOND_MS,
    Interval.TEN_MINUTES: 600 * SECOND_MS,
    Interval.HOUR: HOUR_MS,
}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Every time zone a project can have."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("utf-8").split())


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The rules of a zone. Raises errors.Invalid for a name that tzdata does not have."""
    if name not in zone_names():
        raise errors.Invalid(f"There is no time zone called {name!r}.", {"timeZone": "unknown"})
    with resources.files("tzdata.zoneinfo").joinpath(*name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def local(at_ms: int, tz: ZoneInfo) -> datetime:
    """What the zone's clock shows at an instant."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(tz)


def day_start(day: date, tz: ZoneInfo) -> int:
    """The first instant of a day. A day that the zone left out starts when the next one does."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=tz)
    start_ms = _instant_ms(midnight)
    if local(start_ms, tz).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return start_ms
    # The clock jumped over midnight: the day starts at the jump, which lies between the two readings of midnight.
    low_ms, high_ms = _instant_ms(midnight.replace(fold=1)), start_ms
    jumped = local(high_ms, tz).utcoffset()
    while high_ms - low_ms > SECOND_MS:
        middle_ms = (low_ms + high_ms) // 2 // SECOND_MS * SECOND_MS
        if local(middle_ms, tz).utcoffset() == jumped:
            high_ms = middle_ms
        else:
            low_ms = middle_ms
    return high_ms


def floor(at_ms: int, interval: Interval, tz: ZoneInfo) -> int:
    """The start of the bucket that an instant lies in."""
    if interval in CLOCK_WIDTHS_MS:
        while past_ms := _past_edge_ms(at_ms, CLOCK_WIDTHS_MS[interval], tz):
            at_ms -= past_ms
        return at_ms
    return day_start(_first_day(local(at_ms, tz).date(), interval), tz)


def following(edge_ms: int, interval: Interval, tz: ZoneInfo) -> int:
    """The edge after an instant; for an edge that is the end of its bucket."""
    if interval in CLOCK_WIDTHS_MS:
        width_ms = CLOCK_WIDTHS_MS[interval]
        next_ms = edge_ms + width_ms - _past_edge_ms(edge_ms, width_ms, tz)
        while past_ms := _past_edge_ms(next_ms, width_ms, tz):
            next_ms += width_ms - past_ms
        return next_ms
    first = _first_day(local(edge_ms, tz).date(), interval)
    next_ms = edge_ms
    while next_ms <= edge_ms:
        first = _next_first_day(first, interval)
        next_ms = day_start(first, tz)
    return next_ms


def add_months(day: date, months: int) -> date:
    """The same day of another month, or that month's last day where it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    first = date(year, month + 1, 1)
    return first.replace(day=min(day.day, month_end(first).day))


def month_end(day: date) -> date:
    """The last day of a month."""
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def _instant_ms(moment: datetime) -> int:
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)


def _past_edge_ms(at_ms: int, width_ms: int, tz: ZoneInfo) -> int:
    offset = local(at_ms, tz).utcoffset() or timedelta()
    return (at_ms + offset // timedelta(milliseconds=1)) % width_ms


def _first_day(day: date, interval: Interval) -> date:
    if interval == Interval.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if interval == Interval.MONTH else day


def _next_first_day(first: date, interval: Interval) -> date:
    if interval == Interval.MONTH:
        return add_months(first, 1)
    return first + timedelta(days=7 if interval == Interval.WEEK else 1)
