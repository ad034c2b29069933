"""When: the timespans a person can choose, read from a URL and resolved into the edges of a chart's buckets.

The edges are made here once, in the project's time zone, and handed to the queries of stats/.
"""

import re
from collections.abc import Mapping
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import msgspec

from vemetric.model import calendar
from vemetric.model.dashboard import Interval, Range


class Preset(msgspec.Struct, frozen=True):
    """A timespan that ends now: so many buckets, the running one being the last."""

    key: str
    label: str
    interval: Interval
    buckets: int
    refresh_seconds: int | None = None


PRESETS = {
    preset.key: preset
    for preset in (
        Preset("live", "Live", Interval.THIRTY_SECONDS, 10, refresh_seconds=5),
        Preset("1hr", "Last hour", Interval.TEN_MINUTES, 6),
        Preset("24hrs", "Last 24 hours", Interval.HOUR, 24),
        Preset("7days", "Last 7 days", Interval.DAY, 7),
        Preset("30days", "Last 30 days", Interval.DAY, 30),
        Preset("3months", "Last 3 months", Interval.WEEK, 12),
        Preset("6months", "Last 6 months", Interval.MONTH, 6),
        Preset("1year", "Last year", Interval.MONTH, 12),
    )
}
DEFAULT = "24hrs"
CUSTOM = "custom"

# A custom range may not begin before this day nor end after the current month.
FIRST_DAY = date(2010, 1, 1)

# The longest custom range, in days, that is drawn with a bucket of this width; anything longer is drawn in months.
CUSTOM_DAYS_MAX = ((2, Interval.HOUR), (31, Interval.DAY), (90, Interval.WEEK))

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


class Timespan(msgspec.Struct, frozen=True):
    """What was chosen. The days, first and last, are set for a custom range only."""

    key: str = DEFAULT
    start: date | None = None
    end: date | None = None


def parse(values: Mapping[str, str], now_ms: int, time_zone: str) -> Timespan:
    """The timespan of a URL's `t`, `sd` and `ed`. Never fails: what makes no sense falls back to the default."""
    key = values.get("t", DEFAULT)
    if key in PRESETS:
        return Timespan(key)
    last_day = calendar.month_end(calendar.local(now_ms, calendar.zone(time_zone)).date())
    start = _day(values.get("sd", ""))
    if key != CUSTOM or start is None or not FIRST_DAY <= start <= last_day:
        return Timespan()
    end = _day(values.get("ed", ""))
    return Timespan(CUSTOM, start, end if end is not None and start < end <= last_day else start)


def url_values(timespan: Timespan) -> dict[str, str]:
    """The URL parameters that lead back to a timespan; none for the default."""
    if timespan.start is None or timespan.end is None:
        return {} if timespan.key == DEFAULT else {"t": timespan.key}
    values = {"t": CUSTOM, "sd": timespan.start.isoformat()}
    if timespan.end != timespan.start:
        values["ed"] = timespan.end.isoformat()
    return values


def resolve(timespan: Timespan, now_ms: int, time_zone: str) -> Range:
    """The instants of a timespan, until now at most; buckets that have not begun are left out."""
    tz = calendar.zone(time_zone)
    if timespan.start is not None and timespan.end is not None:
        return _custom(timespan.start, timespan.end, now_ms, tz)
    preset = PRESETS[timespan.key]
    starts_ms = _starts_until(now_ms, preset.interval, preset.buckets, tz)
    return Range(
        timespan=preset.key,
        interval=preset.interval,
        start_ms=starts_ms[0],
        end_ms=now_ms + 1,
        edges_ms=(*starts_ms, calendar.following(starts_ms[-1], preset.interval, tz)),
        now_ms=now_ms,
        time_zone=time_zone,
    )


def previous(range_: Range) -> Range:
    """The range to compare with: shifted back by whole buckets, and cut where as much time has passed as in this one.

    It may have a few buckets more or fewer than this one, where months differ in length; they compare by position.
    """
    tz = calendar.zone(range_.time_zone)
    if range_.start_date is not None and range_.end_date is not None:
        return _previous_custom(range_, date.fromisoformat(range_.start_date), date.fromisoformat(range_.end_date), tz)
    starts_ms = _starts_until(range_.start_ms - 1, range_.interval, len(range_.edges_ms) - 1, tz)
    return msgspec.structs.replace(
        range_,
        start_ms=starts_ms[0],
        end_ms=min(starts_ms[-1] + range_.end_ms - range_.edges_ms[-2], range_.start_ms),
        edges_ms=(*starts_ms, range_.start_ms),
    )


def label(timespan: Timespan, today: date) -> str:
    """What the timespan is called: a preset's name, or the days of a custom range."""
    if timespan.start is not None and timespan.end is not None:
        return days_label(timespan.start, timespan.end, today)
    return PRESETS[timespan.key].label


def days_label(first: date, last: date, today: date) -> str:
    """A range of days as text: `Mar 15 - 25, 2023`, whole months as `March - May`; the current year is left out."""
    year = "" if last.year == today.year else f" {last.year}"
    if first.day == 1 and last == calendar.month_end(last):
        if first.year != last.year:
            return f"{_month(first)} {first.year} - {_month(last)} {last.year}"
        return f"{_month(first)}{year}" if first.month == last.month else f"{_month(first)} - {_month(last)}{year}"
    year = year and f",{year}"
    if first.year != last.year:
        return f"{_day_label(first)}, {first.year} - {_day_label(last)}, {last.year}"
    if first == last:
        return f"{_day_label(first)}{year}"
    until = str(last.day) if first.month == last.month else _day_label(last)
    return f"{_day_label(first)} - {until}{year}"


def _starts_until(at_ms: int, interval: Interval, count: int, tz: ZoneInfo) -> list[int]:
    """The starts of the last `count` buckets, in order; the last one holds the instant."""
    starts_ms = [calendar.floor(at_ms, interval, tz)]
    while len(starts_ms) < count:
        starts_ms.append(calendar.floor(starts_ms[-1] - 1, interval, tz))
    return starts_ms[::-1]


def _custom(start: date, end: date, now_ms: int, tz: ZoneInfo) -> Range:
    days = (end - start).days + 1
    interval = next((width for days_max, width in CUSTOM_DAYS_MAX if days <= days_max), Interval.MONTH)
    edges_ms = _edges_between(start, end, interval, tz)
    begun = sum(edge_ms <= now_ms for edge_ms in edges_ms[:-1])
    return Range(
        timespan=CUSTOM,
        interval=interval,
        start_ms=edges_ms[0],
        end_ms=max(min(edges_ms[-1], now_ms + 1), edges_ms[0]),
        edges_ms=edges_ms[: max(1, begun) + 1],
        now_ms=now_ms,
        time_zone=str(tz.key),
        start_date=start.isoformat(),
        end_date=end.isoformat(),
    )


def _edges_between(start: date, end: date, interval: Interval, tz: ZoneInfo) -> tuple[int, ...]:
    """Edges from the first instant of `start` to the one after `end`; outer buckets may be parts of a week or month."""
    edges_ms = [calendar.day_start(start, tz)]
    end_ms = calendar.day_start(end + timedelta(days=1), tz)
    while (next_ms := calendar.following(edges_ms[-1], interval, tz)) < end_ms:
        edges_ms.append(next_ms)
    return (*edges_ms, end_ms)


def _previous_custom(range_: Range, start: date, end: date, tz: ZoneInfo) -> Range:
    first, last = _days_before(start, end, range_.interval)
    edges_ms = _edges_between(first, last, range_.interval, tz)
    end_ms = edges_ms[-1]
    if range_.now_ms < range_.end_ms:
        today = max(calendar.local(range_.now_ms, tz).date(), start)
        day = first + (today - start)
        passed_ms = max(range_.now_ms + 1 - calendar.day_start(today, tz), 0)
        tomorrow_ms = calendar.day_start(day + timedelta(days=1), tz)
        end_ms = min(calendar.day_start(day, tz) + passed_ms, tomorrow_ms, end_ms)
    return msgspec.structs.replace(
        range_,
        start_ms=edges_ms[0],
        end_ms=end_ms,
        edges_ms=edges_ms,
        start_date=first.isoformat(),
        end_date=last.isoformat(),
    )


def _days_before(start: date, end: date, interval: Interval) -> tuple[date, date]:
    """The days to compare a custom range with: as many whole months, weeks or days back as the range takes up."""
    months = (end.year - start.year) * 12 + end.month - start.month + 1
    if start.day == 1 and end == calendar.month_end(end):
        return calendar.add_months(start, -months), start - timedelta(days=1)
    if interval == Interval.MONTH:
        return calendar.add_months(start, -months), calendar.add_months(end, -months)
    days = (end - start).days + 1
    shift = timedelta(days=-(-days // 7) * 7 if interval == Interval.WEEK else days)
    return start - shift, end - shift


def _day(text: str) -> date | None:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _month(day: date) -> str:
    return MONTHS[day.month - 1]


def _day_label(day: date) -> str:
    return f"{_month(day)[:3]} {day.day}"
