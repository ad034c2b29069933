"""Numbers, durations and moments as people read them."""

import pytest

from vemetric.model.dashboard import Bucket, Interval, Range
from vemetric.web import figures

HOUR_MS = 3_600_000
# 2026-03-10 12:00 UTC, 13:00 in Vienna.
NOON_MS = 1_773_144_000_000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (45, "45s"), (65, "1m 5s"), (3665, "1h 1m 5s"), (3600, "1h"), (-45, "-45s"), (59.6, "1m")],
)
def test_duration(seconds: float, text: str) -> None:
    assert figures.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(999, "999"), (1234, "1.23k"), (1_234_567, "1.23M"), (1_500_000, "1.5M"), (-1500, "-1.5k"), (0, "0"), (2e9, "2B")],
)
def test_short_number(value: float, text: str) -> None:
    assert figures.short(value) == text


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("users", 999_999, "999,999"),
        ("pageViews", 98_765_432, "98.77M"),
        ("visitDuration", 2_000_000, "555h 33m 20s"),
        ("users", None, "–"),
    ],
)
def test_brief_figure(key: str, value: float | None, text: str) -> None:
    assert figures.brief(key, value) == text


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("users", 1234567, "1,234,567"),
        ("bounceRate", 41.2, "41 %"),
        ("visitDuration", 134, "2m 14s"),
        ("visitDuration", None, "–"),
    ],
)
def test_figure(key: str, value: float | None, text: str) -> None:
    assert figures.figure(key, value) == text


def a_range(interval: Interval, start_ms: int = NOON_MS, end_ms: int = NOON_MS) -> Range:
    return Range("24hrs", interval, start_ms, end_ms, (start_ms, end_ms), NOON_MS, "Europe/Vienna")


def a_bucket(start_ms: int, length_ms: int) -> Bucket:
    return Bucket(start_ms, start_ms + length_ms, 0, 0, 0, None, None)


@pytest.mark.parametrize(
    ("interval", "start_ms", "length_ms", "tick", "span"),
    [
        (Interval.THIRTY_SECONDS, NOON_MS, 30_000, "13:00:00", "13:00:00 – 13:00:29"),
        (Interval.TEN_MINUTES, NOON_MS, 600_000, "13:00", "Today, 13:00 – 13:09"),
        (Interval.HOUR, NOON_MS - 20 * HOUR_MS, HOUR_MS, "17:00", "Yesterday, 17:00 – 17:59"),
        (Interval.HOUR, NOON_MS - 72 * HOUR_MS, HOUR_MS, "13:00", "Mar 7, 13:00 – 13:59"),
        (Interval.DAY, NOON_MS - 13 * HOUR_MS, 24 * HOUR_MS, "Mar 10", "Tue, Mar 10"),
        (Interval.WEEK, NOON_MS - 37 * HOUR_MS, 168 * HOUR_MS, "Mar 9", "Mar 9 – Mar 15"),
        (Interval.MONTH, NOON_MS - 229 * HOUR_MS, 720 * HOUR_MS, "Mar", "March 2026"),
    ],
)
def test_bucket_in_the_projects_time_zone(
    interval: Interval, start_ms: int, length_ms: int, tick: str, span: str
) -> None:
    bucket, range_ = a_bucket(start_ms, length_ms), a_range(interval)
    assert (figures.tick(bucket, range_), figures.span(bucket, range_)) == (tick, span)


def test_months_of_two_years_name_their_year() -> None:
    range_ = a_range(Interval.MONTH, NOON_MS - 365 * 24 * HOUR_MS)
    assert figures.tick(a_bucket(NOON_MS, HOUR_MS), range_) == "Mar 26"
