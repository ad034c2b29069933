"""Numbers, durations and moments as people read them. Moments are those of a project's time zone."""

from collections.abc import Callable
from datetime import datetime, timedelta

from vemetric.model import calendar
from vemetric.model.dashboard import Bucket, Interval, Range
from vemetric.stats import text
from vemetric.stats.metrics import rounded

NOTHING = "–"
DAY_MS = 86_400_000
BRIEF_FROM = 1_000_000


def number(value: float) -> str:
    """1234567 as 1,234,567."""
    return text.number(value)


def short(value: float) -> str:
    """At most two decimals and a letter: 1234 as 1.23k, 1500000 as 1.5M."""
    return text.short_number(value)


def duration(seconds: float) -> str:
    """3665 as 1h 1m 5s; parts that are nothing are left out."""
    whole = int(rounded(seconds, 0))
    sign, whole = ("-", -whole) if whole < 0 else ("", whole)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    parts = [f"{amount}{unit}" for amount, unit in ((hours, "h"), (minutes, "m"), (rest, "s")) if amount]
    return sign + (" ".join(parts) or "0s")


def percent(value: float) -> str:
    """A whole percentage: 41.2 as 41 %."""
    return f"{rounded(value, 0):.0f} %"


def ratio(value: float) -> str:
    """At most two digits: 2.5, 1.33."""
    return f"{rounded(value, 2):.2f}".rstrip("0").rstrip(".")


FORMATS: dict[str, Callable[[float], str]] = {
    "users": number,
    "pageViews": number,
    "events": number,
    "bounceRate": percent,
    "visitDuration": duration,
    "visitDurationAll": duration,
    "visits": number,
    "viewsPerVisit": ratio,
}


def brief(key: str, value: float | None) -> str:
    """A metric's value where there is room for a few digits: counts of a million and more as 1.23M."""
    if value is not None and abs(value) >= BRIEF_FROM and FORMATS[key] is number:
        return short(value)
    return figure(key, value)


def figure(key: str, value: float | None) -> str:
    """A metric's value; a dash where there is none."""
    return NOTHING if value is None else FORMATS[key](value)


def clock(at: datetime) -> str:
    return f"{at:%H:%M}"


def day(at: datetime) -> str:
    """Mar 5."""
    return f"{at:%b} {at.day}"


def weekday(at: datetime) -> str:
    """Thu, Mar 5."""
    return f"{at:%a}, {day(at)}"


def tick(bucket: Bucket, range_: Range) -> str:
    """The label below the chart where a bucket begins."""
    at = calendar.local(bucket.start_ms, calendar.zone(range_.time_zone))
    if range_.interval is Interval.THIRTY_SECONDS:
        return f"{at:%H:%M:%S}"
    if range_.interval in (Interval.TEN_MINUTES, Interval.HOUR):
        # An hour of which day, where a range was chosen that has two of them.
        has_days = range_.start_date != range_.end_date
        return f"{day(at)}, {clock(at)}" if has_days else clock(at)
    if range_.interval is Interval.MONTH:
        return f"{at:%b} {at:%y}" if _spans_years(range_) else f"{at:%b}"
    return day(at)


def span(bucket: Bucket, range_: Range) -> str:
    """What a bucket covers, in words: `Today, 08:00 – 08:59`, `Thu, Mar 5`, `March 2026`."""
    tz = calendar.zone(range_.time_zone)
    at = calendar.local(bucket.start_ms, tz)
    if range_.interval is Interval.THIRTY_SECONDS:
        return f"{at:%H:%M:%S} – {calendar.local(bucket.end_ms - 1000, tz):%H:%M:%S}"
    if range_.interval in (Interval.TEN_MINUTES, Interval.HOUR):
        last = calendar.local(bucket.end_ms - 60_000, tz)
        return f"{relative_day(at, calendar.local(range_.now_ms, tz))}, {clock(at)} – {clock(last)}"
    if range_.interval is Interval.DAY:
        return weekday(at)
    if range_.interval is Interval.MONTH:
        return f"{at:%B %Y}"
    return f"{day(at)} – {day(calendar.local(bucket.end_ms - 1, tz))}"


def relative_day(at: datetime, now: datetime) -> str:
    """`Today`, `Yesterday`, or the day."""
    if at.date() == now.date():
        return "Today"
    return "Yesterday" if at.date() == now.date() - timedelta(days=1) else day(at)


def _spans_years(range_: Range) -> bool:
    tz = calendar.zone(range_.time_zone)
    return calendar.local(range_.start_ms, tz).year != calendar.local(range_.end_ms - 1, tz).year
